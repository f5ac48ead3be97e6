// Frames and batches of the older node (peat-mesh 0.6.0 wire, §3.2-3.3), all integers big-endian:
//
//   frame = u16 keyLen | key | u8 type | u32 payloadLen | payload
//   batch = u64 batchId | u64 createdAtMs | u8 ttl | u32 count | count × frame layout
import { demandExactly, type GuestStream, readExactly } from "./link.ts";

export const FRAME = {
  delta: 0x00,
  snapshot: 0x01,
  windowed: 0x02,
  tombstone: 0x04,
  tombstones: 0x05,
  tombstoneAck: 0x06,
  batch: 0x07,
  negentropyInit: 0x08,
  negentropyResponse: 0x09,
  negentropyRequest: 0x0a,
} as const;

export interface Frame {
  readonly key: string;
  readonly type: number;
  readonly payload: Uint8Array;
}

export interface Batch {
  readonly id: bigint;
  readonly createdAtMs: number;
  readonly ttl: number;
  readonly entries: readonly Frame[];
}

const BATCH_TTL = 5;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads integers and texts in order; throws at the end of the bytes. */
export class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get rest(): number {
    return this.#bytes.length - this.#at;
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

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8));
  }

  take(length: number): Uint8Array {
    const from = this.#advance(length);
    return this.#bytes.slice(from, from + length);
  }

  text(): string {
    return utf8.decode(this.take(this.u16()));
  }

  #advance(length: number): number {
    const from = this.#at;
    if (length > this.rest) throw new Error("message is too short");
    this.#at += length;
    return from;
  }
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

export function text16(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return Buffer.concat([u16(bytes.length & 0xffff), bytes]);
}

export function encodeFrame({ key, type, payload }: Frame): Uint8Array {
  return Buffer.concat([text16(key), Uint8Array.of(type), u32(payload.length), payload]);
}

/** The next frame; undefined when the stream ends before one begins. */
export async function readFrame(stream: GuestStream): Promise<Frame | undefined> {
  const keyHead = await readExactly(stream, 2);
  if (keyHead === undefined) return undefined;
  const key = await demandExactly(stream, new Cursor(keyHead).u16());
  const head = new Cursor(await demandExactly(stream, 5));
  const type = head.u8();
  const payload = await demandExactly(stream, head.u32());
  return { key: utf8.decode(key), type, payload };
}

export function encodeBatch({ id, createdAtMs, ttl, entries }: Batch): Uint8Array {
  return Buffer.concat([
    u64(id),
    u64(BigInt(createdAtMs)),
    Uint8Array.of(ttl),
    u32(entries.length),
    ...entries.map(encodeFrame),
  ]);
}

/** Types that may stand in a batch; another makes the whole batch unreadable. */
const BATCH_TYPES: ReadonlySet<number> = new Set([
  FRAME.delta,
  FRAME.snapshot,
  FRAME.windowed,
  FRAME.tombstone,
  FRAME.tombstones,
  FRAME.tombstoneAck,
  FRAME.batch,
]);

export function decodeBatch(bytes: Uint8Array): Batch {
  const cursor = new Cursor(bytes);
  const id = cursor.u64();
  const createdAtMs = Number(cursor.u64());
  const ttl = cursor.u8();
  const count = cursor.u32();
  const entries: Frame[] = [];
  for (let i = 0; i < count; i += 1) {
    const key = cursor.text();
    const type = cursor.u8();
    if (!BATCH_TYPES.has(type)) throw new Error(`Unknown sync message type: 0x${hexByte(type)}`);
    entries.push({ key, type, payload: cursor.take(cursor.u32()) });
  }
  return { id, createdAtMs, ttl, entries };
}

/** Entries as later releases send even a single message. */
export function wrapAsBatch(entries: readonly Frame[], nowMs: number): Frame {
  const batch = { id: 0n, createdAtMs: nowMs, ttl: BATCH_TTL, entries };
  return { key: "batch", type: FRAME.batch, payload: encodeBatch(batch) };
}

export function hexByte(value: number): string {
  return value.toString(16).padStart(2, "0");
}
