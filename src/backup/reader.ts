// A backup read: every byte of it expected, counted and summed; nothing in it is believed that its sums don't cover.
import { zstdDecompress } from "node:zlib";
import { equalBytes, toHex } from "../base/bytes.ts";
import { ByteSource } from "./byte-source.ts";
import {
  decodeHead,
  decodeLengths,
  FRAME,
  FRAME_HEAD_BYTES,
  HEAD_BYTES_MAX,
  isTail,
  LENGTHS_BYTES,
  type Lengths,
  readFrameHead,
  TAIL_BYTES,
} from "./format.ts";
import { type BackupFile, type Manifest, unusable } from "./manifest.ts";
import { layOut, type Segment } from "./tar-layout.ts";

/** Where a file's content goes; disposed at the end, also where all of it never came. */
export interface ContentSink extends AsyncDisposable {
  write(bytes: Uint8Array): Promise<void>;
  /** All of it has come, and is what the manifest says. */
  end(): Promise<void>;
}

export interface ReadOptions {
  readonly source: AsyncIterable<Uint8Array>;
  /** Called once, before any content. What it throws ends the reading. */
  readonly onManifest: (manifest: Manifest) => Promise<void>;
  readonly open: (file: BackupFile) => Promise<ContentSink>;
  /** Called with the number of bytes of the archive that were read. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** Takes the archive piece by piece and holds it against what the manifest lets expect. */
class Expectation implements AsyncDisposable {
  readonly #segments: readonly Segment[];
  readonly #open: ReadOptions["open"];
  #index = 0;
  #position = 0;
  #sink: ContentSink | undefined;
  #hasher = new Bun.CryptoHasher("sha256");

  constructor(manifest: Manifest, open: ReadOptions["open"]) {
    this.#segments = layOut(manifest);
    this.#open = open;
  }

  async take(piece: Uint8Array): Promise<void> {
    let rest = piece;
    while (true) {
      await this.#passFull();
      if (rest.length === 0) return;
      const segment = this.#segments[this.#index];
      if (segment === undefined) throw unusable("there is more in it than its manifest says");
      const bytes = rest.subarray(0, lengthOf(segment) - this.#position);
      await this.#takeOf(segment, bytes);
      this.#position += bytes.length;
      rest = rest.subarray(bytes.length);
    }
  }

  async end(): Promise<void> {
    await this.#passFull();
    if (this.#index < this.#segments.length) throw unusable("it ends in the middle");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sink?.[Symbol.asyncDispose]();
  }

  async #takeOf(segment: Segment, bytes: Uint8Array): Promise<void> {
    if (segment.kind === "fixed") {
      const expected = segment.bytes.subarray(this.#position, this.#position + bytes.length);
      if (!equalBytes(bytes, expected)) throw unusable("its archive is not as its manifest says");
      return;
    }
    this.#sink ??= await this.#open(segment.file);
    this.#hasher.update(bytes);
    await this.#sink.write(bytes);
  }

  async #passFull(): Promise<void> {
    for (;;) {
      const segment = this.#segments[this.#index];
      if (segment === undefined || this.#position < lengthOf(segment)) return;
      if (segment.kind === "content") await this.#endContent(segment.file);
      this.#index += 1;
      this.#position = 0;
    }
  }

  async #endContent(file: BackupFile): Promise<void> {
    this.#sink ??= await this.#open(file);
    if (toHex(this.#hasher.digest()) !== file.sha256) {
      throw unusable(`${file.name} in it is not what its manifest says`);
    }
    await this.#sink.end();
    await this.#sink[Symbol.asyncDispose]();
    this.#sink = undefined;
    this.#hasher = new Bun.CryptoHasher("sha256");
  }
}

function lengthOf(segment: Segment): number {
  return segment.kind === "fixed" ? segment.bytes.length : segment.file.bytes;
}

function unpack(packed: Uint8Array, { plain }: Lengths): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    zstdDecompress(packed, { maxOutputLength: plain }, (cause, bytes) => {
      const isGood = cause === null && bytes.length === plain;
      if (isGood) resolve(bytes);
      else reject(unusable("a part of it can't be unpacked", cause));
    });
  });
}

async function readFrame(source: ByteSource): Promise<{ kind: number; length: number }> {
  const frame = readFrameHead(await source.take(FRAME_HEAD_BYTES));
  if (frame === undefined) throw unusable("it is no backup of this program, or was changed");
  return frame;
}

async function readHead(source: ByteSource): Promise<Manifest> {
  const { kind, length } = await readFrame(source);
  if (kind !== FRAME.head || length > HEAD_BYTES_MAX) {
    throw unusable("it is no backup of this program");
  }
  return decodeHead(await source.take(length));
}

/**
 * Reads a whole backup. Fault `backup_unusable` for one that is damaged, not whole, or none; else what the source,
 * `onManifest` or a sink reject with. What sinks were given is good only once this has resolved.
 */
export async function readBackup(options: ReadOptions): Promise<Manifest> {
  const source = new ByteSource(options.source);
  try {
    const manifest = await readHead(source);
    await options.onManifest(manifest);
    await using expectation = new Expectation(manifest, options.open);
    let done = 0;
    for (;;) {
      const before = { bytes: source.position, sum: source.sum() };
      const { kind, length } = await readFrame(source);
      if (kind === FRAME.tail && length === TAIL_BYTES) {
        const isWhole = isTail(await source.take(TAIL_BYTES), before);
        if (!isWhole) throw unusable("it was changed: its sum is another one");
        break;
      }
      if (kind !== FRAME.lengths || length !== LENGTHS_BYTES) throw unusable("it was changed");
      const lengths = decodeLengths(await source.take(LENGTHS_BYTES));
      const piece = await unpack(await source.take(lengths.packed), lengths);
      await expectation.take(piece);
      done += piece.length;
      options.onProgress?.(done);
    }
    await expectation.end();
    await source.end();
    return manifest;
  } finally {
    await source.close();
  }
}
