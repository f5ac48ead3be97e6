// A frame of the native dialect in fewer bytes: its payload deflated. Keys, field names and starts repeat from document
// to document, and links here may carry some kilobytes a second.
//
//   0x2b packed = u8 type || u32 length || payload of that type and length, as a raw deflate stream (RFC 1951)
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import type { Frame } from "./frame.ts";

export const FRAME_PACKED_TYPE = 0x2b;

/** What a hello's features say of a node that takes packed frames. */
export const FEATURE_PACKED = 1;

/** Below it the stream's own cost eats the gain. */
const PACKED_BYTES_MIN = 256;
/** Quick: a fifth of a millisecond for a full frame, and within a tenth of the smallest. */
const LEVEL = 3;

/** The frame packed, or itself where that gains nothing. */
export function pack(frame: Frame): Frame {
  const { type, payload } = frame;
  if (payload.length < PACKED_BYTES_MIN) return frame;
  const packed = deflateRawSync(payload, { level: LEVEL });
  const writer = new ByteWriter(packed.length + 5).u8(type).u32(payload.length).bytes(packed);
  return writer.length < payload.length
    ? { key: "", type: FRAME_PACKED_TYPE, payload: writer.finish() }
    : frame;
}

/** The frame that a packed one holds; any other as it is. Fault `wire_invalid`, also beyond `payloadBytesMax`. */
export function unpack(frame: Frame, payloadBytesMax: number): Frame {
  if (frame.type !== FRAME_PACKED_TYPE) return frame;
  const reader = new ByteReader(frame.payload);
  const type = reader.u8();
  const length = reader.u32();
  if (type === FRAME_PACKED_TYPE) throw new Fault("wire_invalid", "a packed frame in a packed one");
  if (length > payloadBytesMax) {
    const told = `a packed payload of ${length} bytes exceeds the limit of ${payloadBytesMax}`;
    throw new Fault("wire_invalid", told);
  }
  const payload = inflate(reader.rest(), length);
  if (payload.length !== length) {
    throw new Fault("wire_invalid", `a packed payload has not the ${length} bytes that it told`);
  }
  return { key: "", type, payload };
}

/** No more than `length` bytes are ever made, whatever the stream would grow to. */
function inflate(stream: Uint8Array, length: number): Uint8Array {
  try {
    return new Uint8Array(inflateRawSync(stream, { maxOutputLength: Math.max(1, length) }));
  } catch (cause) {
    throw new Fault("wire_invalid", "a packed payload does not unpack", {}, cause);
  }
}
