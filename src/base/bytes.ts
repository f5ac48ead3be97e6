// Bounds-checked reading and writing of bytes, and the text forms of bytes.
import { Fault } from "./faults.ts";

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/** Lower- or upper-case hex of even length; Fault `invalid_argument` otherwise. */
export function fromHex(text: string): Uint8Array {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) {
    throw new Fault("invalid_argument", "expected an even number of hexadecimal digits");
  }
  return Uint8Array.fromHex(text);
}

/** Strict standard base64 (RFC 4648 §4): padding required, no blanks, no stray bits. */
export function fromBase64(text: string): Uint8Array {
  try {
    const bytes = Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
    if (bytes.toBase64() === text) return bytes;
  } catch {
    // The sentence below says what every kind of wrong base64 needs.
  }
  throw new Fault(
    "invalid_argument",
    "expected standard base64 with padding (RFC 4648, section 4)",
  );
}

export function toUtf8(text: string): Uint8Array {
  return textEncoder.encode(text);
}

/** Fault `wire_invalid` unless `bytes` are well-formed UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return textDecoder.decode(bytes);
  } catch (cause) {
    throw new Fault("wire_invalid", "text is not well-formed UTF-8", {}, cause);
  }
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1 && parts[0] !== undefined) return parts[0];
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Reads big-endian integers and counted bytes; any overrun is Fault `wire_invalid`. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  #advance(count: number): number {
    if (count > this.remaining) {
      throw new Fault("wire_invalid", `expected ${count} more bytes, found ${this.remaining}`);
    }
    const at = this.#offset;
    this.#offset += count;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  /** A u64 that must fit a JavaScript integer (2^53 - 1), as times and counters do. */
  u64(): number {
    const value = this.#view.getBigUint64(this.#advance(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new Fault("wire_invalid", `64-bit number ${value} is out of range`);
    }
    return Number(value);
  }

  /** A u64 of any size. */
  u64Big(): bigint {
    return this.#view.getBigUint64(this.#advance(8));
  }

  /** `count` bytes, shared with the input (not copied). */
  bytes(count: number): Uint8Array {
    const at = this.#advance(count);
    return this.#bytes.subarray(at, at + count);
  }

  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** u16 length, then UTF-8. */
  text16(): string {
    return fromUtf8(this.bytes(this.u16()));
  }

  /** u32 length, then bytes, at most `bytesMax`. */
  bytes32(bytesMax: number): Uint8Array {
    const length = this.u32();
    if (length > bytesMax) {
      throw new Fault("wire_invalid", `length ${length} exceeds the limit of ${bytesMax}`);
    }
    return this.bytes(length);
  }

  /** Fault unless everything has been read. */
  end(): void {
    if (this.remaining > 0) {
      throw new Fault("wire_invalid", `${this.remaining} bytes after the end of the message`);
    }
  }
}

/** Grows as it is written to; integers are big-endian. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  #reserve(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = needed;
    return at;
  }

  u8(value: number): this {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value);
    return this;
  }

  u64(value: number | bigint): this {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, BigInt(value));
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** u16 length, then UTF-8; RangeError beyond 65,535 bytes. */
  text16(value: string): this {
    const bytes = toUtf8(value);
    if (bytes.length > 0xffff) throw new RangeError(`text of ${bytes.length} bytes exceeds 65535`);
    return this.u16(bytes.length).bytes(bytes);
  }

  bytes32(value: Uint8Array): this {
    return this.u32(value.length).bytes(value);
  }

  /** Unsigned LEB128, seven bits to a byte, the lowest first. */
  uleb(value: number): this {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.u8((rest % 0x80) | 0x80);
    return this.u8(rest);
  }

  /** Signed LEB128, as short as it can be. */
  sleb(value: number | bigint): this {
    if (typeof value === "number" && value >= -0x40 && value < 0x40) return this.u8(value & 0x7f);
    let rest = BigInt(value);
    for (; rest < -0x40n || rest >= 0x40n; rest >>= 7n) this.u8(Number(rest & 0x7fn) | 0x80);
    return this.u8(Number(rest & 0x7fn));
  }

  /** What was written, without copying; the writer is not used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
