// The first frame of the native dialect, from both sides: who speaks, which version, which start of it.
//
//   hello = u16 length || name || u16 length || version || start[16] || policies[16] || u32 features || …
//
// What follows the known fields is ignored: later versions may add to it.
import { ByteReader, ByteWriter, fromHex, toHex } from "../base/bytes.ts";

export const ALPN_NATIVE = "cap/automerge/2";
/** The older node's protocol. */
export const ALPN_GUEST = "cap/automerge/1";

/** Type of the frame that carries a hello. */
export const FRAME_HELLO_TYPE = 0x20;
export const HELLO_BYTES_MAX = 1024;
/** Version texts are for people; this is ample for one. */
const VERSION_CHARS_MAX = 64;

export interface Hello {
  /** As it was sent; whoever believes it checks it first. */
  readonly name: string;
  readonly version: string;
  /** Random id of this process start, 32 hex digits: tells a restarted node from a second one of its name. */
  readonly start: string;
  /** Hash of the sync modes and TTLs in force, 32 hex digits. */
  readonly policies: string;
  /** Bit set of optional abilities; unknown bits are ignored. */
  readonly features: number;
}

export function encodeHello(hello: Hello): Uint8Array {
  return new ByteWriter()
    .text16(hello.name)
    .text16(hello.version.slice(0, VERSION_CHARS_MAX))
    .bytes(fromHex(hello.start))
    .bytes(fromHex(hello.policies))
    .u32(hello.features)
    .finish();
}

/** Fault `wire_invalid` for bytes that are no hello. */
export function decodeHello(payload: Uint8Array): Hello {
  const reader = new ByteReader(payload);
  return {
    name: reader.text16(),
    version: reader.text16().slice(0, VERSION_CHARS_MAX),
    start: toHex(reader.bytes(16)),
    policies: toHex(reader.bytes(16)),
    features: reader.u32(),
  };
}
