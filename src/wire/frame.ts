// The frame that everything travels in (peat-mesh 0.6.0 wire, §3.2):
//
//   u16be keyLen | key (UTF-8) | u8 type | u32be payloadLen | payload
import { assert } from "../base/assert.ts";
import { type ByteReader, ByteWriter, fromUtf8, toUtf8 } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { DECODER_IDLE_BYTES_MAX, FRAME_OVERHEAD_BYTES, KEY_BYTES_MAX } from "./limits.ts";

export interface Frame {
  readonly key: string;
  /** 0 to 255; what it means is for `message.ts`. */
  readonly type: number;
  readonly payload: Uint8Array;
}

export interface FrameLimits {
  readonly payloadBytesMax: number;
  /** Bytes of UTF-8; 65,535 if not told. */
  readonly keyBytesMax?: number;
}

export function encodeFrame(frame: Frame): Uint8Array {
  const key = toUtf8(frame.key);
  const writer = new ByteWriter(FRAME_OVERHEAD_BYTES + key.length + frame.payload.length);
  writeFrame(writer, frame, key);
  return writer.finish();
}

/** Appends a frame; batches hold their entries in the same layout. */
export function writeFrame(writer: ByteWriter, frame: Frame, key = toUtf8(frame.key)): void {
  assert(key.length <= KEY_BYTES_MAX, `a frame's key of ${key.length} bytes is too long`);
  assert(frame.type >= 0 && frame.type <= 0xff, `frame type ${frame.type} is not a byte`);
  assert(frame.payload.length <= 0xffff_ffff, "a frame's payload is too long");
  writer.u16(key.length).bytes(key).u8(frame.type).bytes32(frame.payload);
}

/** Reads one whole frame; the payload shares the reader's memory. Fault `wire_invalid`. */
export function readFrame(reader: ByteReader): Frame {
  const key = reader.text16();
  const type = reader.u8();
  return { key, type, payload: reader.bytes(reader.u32()) };
}

interface Header {
  readonly key: string;
  readonly type: number;
  readonly payloadBytes: number;
}

/**
 * Turns chunks of a stream into frames. After each push, call next() until it is undefined: what
 * waits inside is then less than one frame. A length beyond the limits is Fault `wire_invalid` as
 * soon as it has been read, before room for it is made; a decoder that has thrown stays so.
 */
export class FrameDecoder {
  readonly #payloadBytesMax: number;
  readonly #keyBytesMax: number;
  /** Unread bytes are `#buffer[#start..#end)`. */
  #buffer = new Uint8Array(0);
  #start = 0;
  #end = 0;
  #header: Header | undefined;
  #fault: unknown;

  constructor(limits: FrameLimits) {
    this.#payloadBytesMax = limits.payloadBytesMax;
    this.#keyBytesMax = limits.keyBytesMax ?? KEY_BYTES_MAX;
  }

  /** Takes a copy of `bytes`. */
  push(bytes: Uint8Array): void {
    if (this.#fault !== undefined) return;
    this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** The next whole frame, in memory of its own, or undefined until more has been pushed. */
  next(): Frame | undefined {
    if (this.#fault !== undefined) throw this.#fault;
    try {
      this.#header ??= this.#readHeader();
      if (this.#header === undefined) return undefined;
      const { key, type, payloadBytes } = this.#header;
      if (this.#unread < payloadBytes) return undefined;
      const payload = this.#buffer.slice(this.#start, this.#start + payloadBytes);
      this.#advance(payloadBytes);
      this.#header = undefined;
      return { key, type, payload };
    } catch (error) {
      this.#fault = error;
      this.#buffer = new Uint8Array(0);
      throw error;
    }
  }

  /** Whether a frame has begun and not ended. */
  get isInside(): boolean {
    return this.#unread > 0 || this.#header !== undefined;
  }

  /** Call at the end of the stream: Fault `wire_invalid` if it broke off inside a frame. */
  end(): void {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.isInside) {
      throw new Fault("wire_invalid", "the stream ended inside a frame");
    }
  }

  /** Bytes of a frame that has begun, about; 0 between frames. */
  get waiting(): number {
    return this.#unread + (this.#header === undefined ? 0 : FRAME_OVERHEAD_BYTES);
  }

  get #unread(): number {
    return this.#end - this.#start;
  }

  #readHeader(): Header | undefined {
    if (this.#unread < 2) return undefined;
    const view = new DataView(this.#buffer.buffer, this.#start, this.#unread);
    const keyBytes = view.getUint16(0);
    if (keyBytes > this.#keyBytesMax) {
      throw new Fault(
        "wire_invalid",
        `a frame's key of ${keyBytes} bytes exceeds the limit of ${this.#keyBytesMax}`,
      );
    }
    if (this.#unread < FRAME_OVERHEAD_BYTES + keyBytes) return undefined;
    const payloadBytes = view.getUint32(3 + keyBytes);
    if (payloadBytes > this.#payloadBytesMax) {
      throw new Fault(
        "wire_invalid",
        `a frame's payload of ${payloadBytes} bytes exceeds the limit of ${this.#payloadBytesMax}`,
      );
    }
    const type = view.getUint8(2 + keyBytes);
    const key = fromUtf8(this.#buffer.subarray(this.#start + 2, this.#start + 2 + keyBytes));
    this.#advance(FRAME_OVERHEAD_BYTES + keyBytes);
    return { key, type, payloadBytes };
  }

  #advance(count: number): void {
    this.#start += count;
    if (this.#start < this.#end) return;
    this.#start = 0;
    this.#end = 0;
    if (this.#buffer.length > DECODER_IDLE_BYTES_MAX) this.#buffer = new Uint8Array(0);
  }

  /** Moving only when half is free and doubling otherwise keeps the copying linear. */
  #makeRoom(count: number): void {
    const needed = this.#unread + count;
    if (this.#end + count <= this.#buffer.length) return;
    const moves = needed * 2 <= this.#buffer.length;
    const target = moves ? this.#buffer : new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    target.set(this.#buffer.subarray(this.#start, this.#end));
    this.#buffer = target;
    this.#end -= this.#start;
    this.#start = 0;
  }
}
