// One sender, asked over one stream: answers come in the order of the asks.
import type { CancelTimer, Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import type { ByteStream } from "../net/link.ts";
import {
  type Ask,
  ATTACHMENT_PAYLOAD_BYTES_MAX,
  decodeAttachment,
  encodeAttachment,
} from "../wire/attachment.ts";
import { FrameDecoder } from "../wire/frame.ts";

/** lost: the link is down, or the sender has said nothing for too long. */
export type Answer =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array; readonly lagMs: number }
  | { readonly kind: "gone" | "unreadable" | "lost" };

const READ_BYTES_MAX = 16 * 1024;
/** A sender that says nothing for so long is asked again on another link. */
const SILENCE_MS = 30_000;
const LOST: Answer = { kind: "lost" };

interface Waiting {
  readonly number: number;
  readonly at: number;
  /** Bytes that were asked for; of lists, the most that one may have. */
  readonly length: number;
  readonly resolve: (answer: Answer) => void;
}

export class Asker {
  readonly #stream: ByteStream;
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  readonly #broken: (cause: unknown) => void;
  #number = 0;
  #isOver = false;
  #heardAt = 0;
  #cancelWatch: CancelTimer | undefined;
  /** Writes go one after another. */
  #written: Promise<void> = Promise.resolve();

  /** `broken` hears why the sender can't be asked any more: a Fault when it broke the protocol. */
  constructor(stream: ByteStream, clock: Clock, broken: (cause: unknown) => void) {
    this.#stream = stream;
    this.#clock = clock;
    this.#broken = broken;
    void this.#read();
  }

  /** Never rejects. */
  ask(wanted: Omit<Ask, "type" | "number">): Promise<Answer> {
    if (this.#isOver) return Promise.resolve(LOST);
    this.#number = (this.#number + 1) >>> 0;
    const number = this.#number;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const at = this.#clock.monotonic();
    this.#waiting.push({ number, at, length: wanted.length, resolve });
    const bytes = encodeAttachment({ type: "ask", number, ...wanted });
    this.#written = this.#written.then(() => this.#stream.write(bytes));
    this.#written.catch((error: unknown) => this.#end(error));
    this.#watch();
    return promise;
  }

  /** Whatever is still asked for is lost. */
  close(): void {
    this.#end(undefined);
  }

  #end(cause: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelWatch?.();
    for (const { resolve } of this.#waiting.splice(0)) resolve(LOST);
    this.#broken(cause);
  }

  /** While something is asked for, one timer looks whether anything comes. */
  #watch(): void {
    if (this.#cancelWatch !== undefined) return;
    this.#cancelWatch = this.#clock.after(SILENCE_MS / 2, () => {
      this.#cancelWatch = undefined;
      const [oldest] = this.#waiting;
      if (oldest === undefined) return;
      const silentMs = this.#clock.monotonic() - Math.max(oldest.at, this.#heardAt);
      if (silentMs >= SILENCE_MS) this.#end(new Error("no answer"));
      else this.#watch();
    });
  }

  async #read(): Promise<void> {
    const limits = { payloadBytesMax: ATTACHMENT_PAYLOAD_BYTES_MAX, keyBytesMax: 0 };
    const decoder = new FrameDecoder(limits);
    try {
      while (!this.#isOver) {
        const bytes = await this.#stream.read(READ_BYTES_MAX);
        if (bytes === undefined) break;
        this.#heardAt = this.#clock.monotonic();
        decoder.push(bytes);
        for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
          this.#receive(decodeAttachment(frame));
        }
      }
      this.#end(new Error("the stream has ended"));
    } catch (error) {
      this.#end(error);
    }
  }

  #receive(message: ReturnType<typeof decodeAttachment>): void {
    if (message === undefined) return;
    // Whoever waits for it must hear of the end, too: nothing is taken from the list before it is judged.
    const [first] = this.#waiting;
    if (message.type === "ask" || message.number !== first?.number) {
      throw new Fault("wire_invalid", "something came that was not asked for");
    }
    if (message.type === "answer" && message.bytes.length > first.length) {
      throw new Fault("wire_invalid", "more came than was asked for");
    }
    this.#waiting.shift();
    if (message.type === "refusal") {
      first.resolve({ kind: message.why });
      return;
    }
    const lagMs = this.#clock.monotonic() - first.at;
    first.resolve({ kind: "bytes", bytes: message.bytes, lagMs });
  }
}
