// A backup written: the tar archive in pieces, each compressed by itself, one behind the other.

import { encodeHead, encodeLengths, encodeTail, PLAIN_BYTES_MAX } from "./format.ts";
import type { BackupFile, Manifest } from "./manifest.ts";
import { layOut } from "./tar-layout.ts";

/** Fast, and within a few percent of what twice the time would save. */
const LEVEL = 3;
/** Compressed at once, on threads of their own. */
const PIECES_AHEAD = 4;

export interface WriteOptions {
  readonly manifest: Manifest;
  /** The file's content, as long as the manifest says. */
  readonly contentOf: (file: BackupFile) => AsyncIterable<Uint8Array>;
  /** Takes all bytes in order; resolves when there is room for more. */
  readonly sink: (bytes: Uint8Array) => Promise<void>;
  /** Called with the number of bytes of the archive that were written. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

interface Packed {
  readonly plain: number;
  readonly bytes: Uint8Array;
}

async function* archive({ manifest, contentOf }: WriteOptions): AsyncGenerator<Uint8Array> {
  for (const segment of layOut(manifest)) {
    if (segment.kind === "fixed") yield segment.bytes;
    else yield* contentOf(segment.file);
  }
}

/** The same bytes in pieces of one length; the last may be shorter. */
async function* pieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let piece = new Uint8Array(PLAIN_BYTES_MAX);
  let used = 0;
  for await (let bytes of source) {
    while (bytes.length > 0) {
      const count = Math.min(bytes.length, piece.length - used);
      piece.set(bytes.subarray(0, count), used);
      used += count;
      bytes = bytes.subarray(count);
      if (used < piece.length) continue;
      yield piece;
      // Another one: the last is being compressed.
      [piece, used] = [new Uint8Array(PLAIN_BYTES_MAX), 0];
    }
  }
  if (used > 0) yield piece.subarray(0, used);
}

async function pack(plain: Uint8Array): Promise<Packed> {
  return { plain: plain.length, bytes: await Bun.zstdCompress(plain, { level: LEVEL }) };
}

/** Writes the whole backup. Rejects with what `contentOf` or `sink` reject with. */
export async function writeBackup(options: WriteOptions): Promise<void> {
  const { manifest, onProgress } = options;
  const hasher = new Bun.CryptoHasher("sha256");
  let [written, done] = [0, 0];
  const put = async (bytes: Uint8Array): Promise<void> => {
    hasher.update(bytes);
    written += bytes.length;
    await options.sink(bytes);
  };
  const putPacked = async (packing: Promise<Packed>): Promise<void> => {
    const { plain, bytes } = await packing;
    await put(encodeLengths({ packed: bytes.length, plain }));
    await put(bytes);
    done += plain;
    onProgress?.(done);
  };
  await put(encodeHead(manifest));
  const ahead: Promise<Packed>[] = [];
  for await (const piece of pieces(archive(options))) {
    ahead.push(pack(piece));
    const [first] = ahead.length >= PIECES_AHEAD ? ahead.splice(0, 1) : [];
    if (first !== undefined) await putPacked(first);
  }
  for (const packing of ahead) await putPacked(packing);
  await options.sink(encodeTail({ bytes: written, sum: hasher.digest() }));
}
