// Bytes that come in pieces of any length, taken in lengths that are asked for; all that was taken is summed.
import { concatBytes } from "../base/bytes.ts";
import { unusable } from "./manifest.ts";

export class ByteSource {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #hasher = new Bun.CryptoHasher("sha256");
  #pieces: Uint8Array[] = [];
  #waiting = 0;
  #position = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Bytes that were taken. */
  get position(): number {
    return this.#position;
  }

  /** SHA-256 of what was taken. */
  sum(): Uint8Array {
    return this.#hasher.copy().digest();
  }

  /** The next `count` bytes. Fault `backup_unusable` where it ends before. */
  async take(count: number): Promise<Uint8Array> {
    while (this.#waiting < count) {
      const next = await this.#source.next();
      if (next.done === true) throw unusable("it ends in the middle");
      this.#pieces.push(next.value);
      this.#waiting += next.value.length;
    }
    const all = this.#pieces.length === 1 ? this.#pieces[0] : concatBytes(this.#pieces);
    const bytes = all ?? new Uint8Array(0);
    const rest = bytes.subarray(count);
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#waiting = rest.length;
    this.#position += count;
    const taken = bytes.subarray(0, count);
    this.#hasher.update(taken);
    return taken;
  }

  /** Fault `backup_unusable` if anything follows. */
  async end(): Promise<void> {
    if (this.#waiting > 0 || (await this.#source.next()).done !== true) {
      throw unusable("something follows its end");
    }
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
