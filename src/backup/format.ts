// A backup as bytes: a sequence of frames of Zstandard (RFC 8878). What is ours lies in skippable frames, which any
// zstd passes over: `zstd -d` gives the tar archive.
//
//   backup  = head || ( lengths || packed )* || tail                         integers little-endian, as RFC 8878 has them
//   head    = skippable 50: magic [8] "peatbkup" || u16 version 1 || manifest (UTF-8 JSON) || SHA-256(manifest) [32]
//   lengths = skippable 51: u32 bytes of the packed frame || u32 bytes of what it unpacks to
//   packed  = one Zstandard frame, of at most a MiB of the tar archive
//   tail    = skippable 52: u64 bytes of all before the tail || SHA-256(all before the tail) [32]
//   skippable n = u32 0x184d2a00 + n (hex) || u32 bytes || bytes
import { concatBytes, equalBytes, fromUtf8, toUtf8 } from "../base/bytes.ts";
import { type Manifest, parseManifest, printManifest, unusable } from "./manifest.ts";

const SKIPPABLE = 0x184d2a00;
export const FRAME = { head: 0x50, lengths: 0x51, tail: 0x52 } as const;
export const FRAME_HEAD_BYTES = 8;
const MAGIC = toUtf8("peatbkup");
const VERSION = 1;
const SUM_BYTES = 32;

export const PLAIN_BYTES_MAX = 1024 * 1024;
/** What can't be compressed becomes a little longer. */
const PACKED_BYTES_MAX = PLAIN_BYTES_MAX + 64 * 1024;
/** Of a manifest that names as many files as there may be. */
const MANIFEST_BYTES_MAX = 32 * 1024 * 1024;

export const LENGTHS_BYTES = 8;
export const TAIL_BYTES = 8 + SUM_BYTES;

export function sha256(bytes: Uint8Array): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(bytes).digest();
}

function skippable(kind: number, content: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEAD_BYTES + content.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, SKIPPABLE + kind, true);
  view.setUint32(4, content.length, true);
  frame.set(content, FRAME_HEAD_BYTES);
  return frame;
}

/** Kind and length of a skippable frame; undefined for bytes that begin none of ours. */
export function readFrameHead(bytes: Uint8Array): { kind: number; length: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEAD_BYTES);
  const kind = view.getUint32(0, true) - SKIPPABLE;
  const isOurs = Object.values(FRAME).some((one) => one === kind);
  return isOurs ? { kind, length: view.getUint32(4, true) } : undefined;
}

export function encodeHead(manifest: Manifest): Uint8Array {
  const text = toUtf8(printManifest(manifest));
  return skippable(FRAME.head, concatBytes([MAGIC, Uint8Array.of(VERSION, 0), text, sha256(text)]));
}

const HEAD_EXTRA_BYTES = MAGIC.length + 2 + SUM_BYTES;
export const HEAD_BYTES_MAX = HEAD_EXTRA_BYTES + MANIFEST_BYTES_MAX;

/** Of the head's content. Fault `backup_unusable`. */
export function decodeHead(content: Uint8Array): Manifest {
  if (content.length < HEAD_EXTRA_BYTES || !equalBytes(content.subarray(0, 8), MAGIC)) {
    throw unusable("it is no backup of this program");
  }
  const version = new DataView(content.buffer, content.byteOffset).getUint16(8, true);
  if (version !== VERSION) {
    throw unusable(`it has version ${version} of the format, and this program knows ${VERSION}`);
  }
  const text = content.subarray(10, -SUM_BYTES);
  if (!equalBytes(sha256(text), content.subarray(-SUM_BYTES))) {
    throw unusable("its manifest was changed");
  }
  return parseManifest(fromUtf8(text));
}

export interface Lengths {
  readonly packed: number;
  readonly plain: number;
}

export function encodeLengths({ packed, plain }: Lengths): Uint8Array {
  const content = new Uint8Array(LENGTHS_BYTES);
  const view = new DataView(content.buffer);
  view.setUint32(0, packed, true);
  view.setUint32(4, plain, true);
  return skippable(FRAME.lengths, content);
}

/** Fault `backup_unusable`. */
export function decodeLengths(content: Uint8Array): Lengths {
  const view = new DataView(content.buffer, content.byteOffset);
  const [packed, plain] = [view.getUint32(0, true), view.getUint32(4, true)];
  const isSane = packed > 0 && packed <= PACKED_BYTES_MAX && plain > 0 && plain <= PLAIN_BYTES_MAX;
  if (!isSane) throw unusable("a part of it is longer than any may be");
  return { packed, plain };
}

export interface Tail {
  readonly bytes: number;
  readonly sum: Uint8Array;
}

export function encodeTail({ bytes, sum }: Tail): Uint8Array {
  const content = new Uint8Array(TAIL_BYTES);
  new DataView(content.buffer).setBigUint64(0, BigInt(bytes), true);
  content.set(sum, 8);
  return skippable(FRAME.tail, content);
}

/** Whether the tail's content is this one. */
export function isTail(content: Uint8Array, { bytes, sum }: Tail): boolean {
  const view = new DataView(content.buffer, content.byteOffset);
  return view.getBigUint64(0, true) === BigInt(bytes) && equalBytes(content.subarray(8), sum);
}
