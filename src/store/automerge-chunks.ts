// The outside of what Automerge saves (its binary format, "chunk"): chunks after each other, nothing between them.
//
//   chunk    = magic[4] || checksum[4] || u8 type || LEB128 length || so many bytes
//   type       0 document   1 change   2 compressed change
//   checksum = first bytes of SHA-256(type || length || bytes); of a compressed change over the uncompressed one
import { Fault, messageOf } from "../base/faults.ts";

const MAGIC = 0x856f4a83;
const TYPE_AT = 8;
const LENGTH_AT = 9;
/** 2^35 bytes: far above every limit. */
const LENGTH_DIGITS_MAX = 5;
const TYPE_CHANGE = 1;
const TYPE_MAX = 2;

/**
 * Fault `wire_invalid` unless `bytes` are whole chunks with right checksums. Automerge itself passes silently over
 * what it can't read behind the first chunk, and over everything after that: also over what we would append.
 */
export function checkChunks(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start < bytes.length; ) start = checkChunk(bytes, view, start);
}

/**
 * What Automerge throws as Fault `wire_invalid`: bytes that are right on the outside may still make it panic, also
 * long after they came, and a member that sends such bytes must not end this process.
 */
export function understood<T>(run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw cause instanceof Fault ? cause : damaged(messageOf(cause), cause);
  }
}

function damaged(why: string, cause?: unknown): Fault {
  return new Fault("wire_invalid", `history is damaged: ${why}`, {}, cause);
}

/** Where the chunk that begins at `start` ends. */
function checkChunk(bytes: Uint8Array, view: DataView, start: number): number {
  if (bytes.length - start <= LENGTH_AT || view.getUint32(start) !== MAGIC) {
    throw damaged(`no chunk begins at byte ${start}`);
  }
  let [length, factor, at] = [0, 1, start + LENGTH_AT];
  for (let digits = 1; ; digits += 1) {
    const digit = bytes[at];
    if (digit === undefined || digits > LENGTH_DIGITS_MAX) throw damaged("a length breaks off");
    at += 1;
    length += (digit & 0x7f) * factor;
    factor *= 0x80;
    if (digit < 0x80) break;
  }
  const end = at + length;
  if (end > bytes.length) throw damaged("a chunk breaks off");
  const type = view.getUint8(start + TYPE_AT);
  if (type > TYPE_MAX) throw damaged(`a chunk of unknown type ${type}`);
  if (type <= TYPE_CHANGE) {
    const digest = new Bun.CryptoHasher("sha256")
      .update(bytes.subarray(start + TYPE_AT, end))
      .digest();
    if (digest.readUInt32BE() !== view.getUint32(start + 4)) throw damaged("a checksum is wrong");
  }
  return end;
}
