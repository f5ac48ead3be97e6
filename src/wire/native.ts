// The frames of the native dialect (cap/automerge/2), in the layout of frame.ts with an empty key.
//
//   0x20 hello       see hello.ts
//   0x21 states      u32 serial || u8 flags || u16 n || n x (key || hash[16] || u32 length || state)
//   0x22 chunk       u32 serial || key || hash[16] || u32 total || u32 offset || bytes of one large state
//   0x23 ack         u32 serial: all up to it is committed
//   0x24 compare     u16 n || n x (key || hash[16] || u16 heads || heads x [32])
//                    hash zero: send yours; I have none, or only what is in the past of these heads
//   0x25 sums        u64 horizon || u16 n || n x (u8 depth || u16 index || u32 count || sum[16])
//   0x26 leaves      u64 horizon || u8 depth || u16 index || u32 n || n x (key || hash[16])
//   0x27 agreed      u64 horizon || u32 count || sum[16] of the root
//                    horizon: ms since the Unix epoch; what had its time by then is not counted
//   0x28 neighbours  u16 n || n x name: who is connected to me
//   0x29 ping, 0x2a pong  u32 nonce
//   0x2b packed      another frame, deflated; see packed.ts
//   0x2c memory      u64 metAt || u64 forgottenAt: ms; see store/deletion-memory.ts
//   0x2d orphans     u16 n || n x (key || hash[16]): yours that I neither have nor remember as deleted
//   0x2e rules       u16 n || n x (collection || rules): texts, see store/collection-policies.ts
//   0x2f resumed     nothing: what I was to send you on the link before this one I send on this one
//   0x30 inquiry, 0x31 report: see inquiry.ts
//
//   key, name = u16 length || UTF-8.  flags bit 0: more of a catch-up follows; bit 1: pass them on at once.
//   Frames of other types are skipped: later versions may add some.
import { ByteReader, ByteWriter, fromHex, toHex } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { encodeFrame, type Frame } from "./frame.ts";
import {
  type Inquiry,
  type Report,
  readInquiry,
  readReport,
  writeInquiry,
  writeReport,
} from "./inquiry.ts";
import { pack, unpack } from "./packed.ts";

/** Frames of states are cut at about this size, so that nothing waits long behind one. */
export const STATES_BYTES_TARGET = 48 * 1024;
/** Largest payload of a native frame. */
export const NATIVE_PAYLOAD_BYTES_MAX = 1024 * 1024;
/** Largest state of one document. */
export const STATE_BYTES_MAX = 32 * 1024 * 1024;
/** Hash of "I have none". */
export const NO_HASH = "0".repeat(32);

/** Flags of states. */
const MORE = 1;
const ENTRUSTED = 2;

const ENTRIES_MAX = 0xffff;
const HEADS_MAX = 30_000;

export interface StateEntry {
  readonly key: string;
  /** Hash of the sender's whole state. */
  readonly hash: string;
  /** Encoded state; of a history possibly only the changes that the sender thinks are new here. */
  readonly bytes: Uint8Array;
}

export interface CompareEntry {
  readonly key: string;
  readonly hash: string;
  /** Of a history whose changes the sender wants; none otherwise. */
  readonly heads: readonly string[];
}

export interface SumEntry {
  readonly depth: number;
  readonly index: number;
  readonly count: number;
  readonly sum: string;
}

export interface LeafEntry {
  readonly key: string;
  readonly hash: string;
}

/** How a collection is kept by the sender. */
export interface RuleEntry {
  readonly collection: string;
  readonly rules: string;
}

export type NativeMessage =
  | {
      readonly type: "states";
      readonly serial: number;
      readonly more: boolean;
      /** Others wait for the receiver to pass them on: they were sent to nobody else. */
      readonly isEntrusted: boolean;
      readonly entries: readonly StateEntry[];
    }
  | {
      readonly type: "chunk";
      readonly serial: number;
      readonly key: string;
      readonly hash: string;
      readonly total: number;
      readonly offset: number;
      readonly bytes: Uint8Array;
    }
  | { readonly type: "ack"; readonly serial: number }
  | { readonly type: "compare"; readonly entries: readonly CompareEntry[] }
  | { readonly type: "sums"; readonly horizon: number; readonly entries: readonly SumEntry[] }
  | {
      readonly type: "leaves";
      readonly horizon: number;
      readonly depth: number;
      readonly index: number;
      readonly entries: readonly LeafEntry[];
    }
  | {
      readonly type: "agreed";
      readonly horizon: number;
      readonly count: number;
      readonly sum: string;
    }
  | { readonly type: "neighbours"; readonly names: readonly string[] }
  | { readonly type: "ping" | "pong"; readonly nonce: number }
  | { readonly type: "memory"; readonly metAt: number; readonly forgottenAt: number }
  | { readonly type: "orphans"; readonly entries: readonly LeafEntry[] }
  | { readonly type: "rules"; readonly entries: readonly RuleEntry[] }
  | { readonly type: "resumed" }
  | Inquiry
  | Report;

const TYPES = {
  states: 0x21,
  chunk: 0x22,
  ack: 0x23,
  compare: 0x24,
  sums: 0x25,
  leaves: 0x26,
  agreed: 0x27,
  neighbours: 0x28,
  ping: 0x29,
  pong: 0x2a,
  memory: 0x2c,
  orphans: 0x2d,
  rules: 0x2e,
  resumed: 0x2f,
  inquiry: 0x30,
  report: 0x31,
} as const satisfies Record<NativeMessage["type"], number>;

export function encodeNative(message: NativeMessage): Uint8Array {
  return encodeFrame(frameOf(message));
}

/** For a peer that takes packed frames; packed only where that saves bytes. */
export function encodeNativePacked(message: NativeMessage): Uint8Array {
  return encodeFrame(pack(frameOf(message)));
}

function frameOf(message: NativeMessage): Frame {
  const writer = new ByteWriter();
  writePayload(writer, message);
  return { key: "", type: TYPES[message.type], payload: writer.finish() };
}

function writePayload(writer: ByteWriter, message: NativeMessage): void {
  switch (message.type) {
    case "states":
      writer
        .u32(message.serial)
        .u8((message.more ? MORE : 0) | (message.isEntrusted ? ENTRUSTED : 0))
        .u16(message.entries.length);
      for (const { key, hash, bytes } of message.entries) {
        writer.text16(key).bytes(fromHex(hash)).bytes32(bytes);
      }
      return;
    case "chunk":
      writer.u32(message.serial).text16(message.key).bytes(fromHex(message.hash));
      writer.u32(message.total).u32(message.offset).bytes(message.bytes);
      return;
    case "ack":
      writer.u32(message.serial);
      return;
    case "compare":
      writer.u16(message.entries.length);
      for (const { key, hash, heads } of message.entries) {
        writer.text16(key).bytes(fromHex(hash)).u16(heads.length);
        for (const head of heads) writer.bytes(fromHex(head));
      }
      return;
    case "sums":
      writer.u64(message.horizon).u16(message.entries.length);
      for (const { depth, index, count, sum } of message.entries) {
        writer.u8(depth).u16(index).u32(count).bytes(fromHex(sum));
      }
      return;
    case "leaves":
      writer.u64(message.horizon).u8(message.depth).u16(message.index);
      writer.u32(message.entries.length);
      writeLeaves(writer, message.entries);
      return;
    case "agreed":
      writer.u64(message.horizon).u32(message.count).bytes(fromHex(message.sum));
      return;
    case "neighbours":
      writer.u16(message.names.length);
      for (const name of message.names) writer.text16(name);
      return;
    case "ping":
    case "pong":
      writer.u32(message.nonce);
      return;
    case "memory":
      writer.u64(message.metAt).u64(message.forgottenAt);
      return;
    case "orphans":
      writer.u16(message.entries.length);
      writeLeaves(writer, message.entries);
      return;
    case "rules":
      writer.u16(message.entries.length);
      for (const { collection, rules } of message.entries) writer.text16(collection).text16(rules);
      return;
    case "resumed":
      return;
    case "inquiry":
      writeInquiry(writer, message);
      return;
    case "report":
      writeReport(writer, message);
  }
}

function writeLeaves(writer: ByteWriter, entries: readonly LeafEntry[]): void {
  for (const { key, hash } of entries) writer.text16(key).bytes(fromHex(hash));
}

/** Undefined for a type that this version does not know. Fault `wire_invalid` for a payload that is not its type's. */
export function decodeNative(received: Frame): NativeMessage | undefined {
  const frame = unpack(received, NATIVE_PAYLOAD_BYTES_MAX);
  const read = READERS[frame.type];
  if (read === undefined) return undefined;
  const reader = new ByteReader(frame.payload);
  const message = read(reader);
  reader.end();
  return message;
}

const hash16 = (reader: ByteReader) => toHex(reader.bytes(16));

/** Each entry takes at least `bytesMin`, so a count that could not fit is refused before it is believed. */
function readList<T>(
  reader: ByteReader,
  count: number,
  bytesMin: number,
  read: (reader: ByteReader) => T,
): T[] {
  if (count * bytesMin > reader.remaining) {
    throw new Fault("wire_invalid", `${count} entries can't fit in ${reader.remaining} bytes`);
  }
  const entries: T[] = [];
  for (let i = 0; i < count; i += 1) entries.push(read(reader));
  return entries;
}

function readCompare(reader: ByteReader): CompareEntry {
  const key = reader.text16();
  const hash = hash16(reader);
  const count = reader.u16();
  if (count > HEADS_MAX) throw new Fault("wire_invalid", `${count} heads of one document`);
  return { key, hash, heads: readList(reader, count, 32, (r) => toHex(r.bytes(32))) };
}

const LEAF_BYTES_MIN = 18;
const RULE_BYTES_MIN = 4;

function readLeaf(reader: ByteReader): LeafEntry {
  return { key: reader.text16(), hash: hash16(reader) };
}

const READERS: Record<number, (reader: ByteReader) => NativeMessage> = {
  [TYPES.states]: (reader) => {
    const serial = reader.u32();
    const flags = reader.u8();
    const entries = readList(reader, reader.u16(), 22, (r) => ({
      key: r.text16(),
      hash: hash16(r),
      bytes: r.bytes32(STATE_BYTES_MAX),
    }));
    const [more, isEntrusted] = [(flags & MORE) !== 0, (flags & ENTRUSTED) !== 0];
    return { type: "states", serial, more, isEntrusted, entries };
  },
  [TYPES.chunk]: (reader) => ({
    type: "chunk",
    serial: reader.u32(),
    key: reader.text16(),
    hash: hash16(reader),
    total: reader.u32(),
    offset: reader.u32(),
    bytes: reader.rest(),
  }),
  [TYPES.ack]: (reader) => ({ type: "ack", serial: reader.u32() }),
  [TYPES.compare]: (reader) => ({
    type: "compare",
    entries: readList(reader, reader.u16(), 20, readCompare),
  }),
  [TYPES.sums]: (reader) => ({
    type: "sums",
    horizon: reader.u64(),
    entries: readList(reader, reader.u16(), 23, (r) => ({
      depth: r.u8(),
      index: r.u16(),
      count: r.u32(),
      sum: hash16(r),
    })),
  }),
  [TYPES.leaves]: (reader) => ({
    type: "leaves",
    horizon: reader.u64(),
    depth: reader.u8(),
    index: reader.u16(),
    entries: readList(reader, reader.u32(), LEAF_BYTES_MIN, readLeaf),
  }),
  [TYPES.agreed]: (reader) => ({
    type: "agreed",
    horizon: reader.u64(),
    count: reader.u32(),
    sum: hash16(reader),
  }),
  [TYPES.neighbours]: (reader) => ({
    type: "neighbours",
    names: readList(reader, reader.u16(), 2, (r) => r.text16()),
  }),
  [TYPES.ping]: (reader) => ({ type: "ping", nonce: reader.u32() }),
  [TYPES.pong]: (reader) => ({ type: "pong", nonce: reader.u32() }),
  [TYPES.memory]: (reader) => ({
    type: "memory",
    metAt: reader.u64(),
    forgottenAt: reader.u64(),
  }),
  [TYPES.orphans]: (reader) => ({
    type: "orphans",
    entries: readList(reader, reader.u16(), LEAF_BYTES_MIN, readLeaf),
  }),
  [TYPES.rules]: (reader) => ({
    type: "rules",
    entries: readList(reader, reader.u16(), RULE_BYTES_MIN, (r) => ({
      collection: r.text16(),
      rules: r.text16(),
    })),
  }),
  [TYPES.resumed]: () => ({ type: "resumed" }),
  [TYPES.inquiry]: readInquiry,
  [TYPES.report]: readReport,
};

/** Cuts a list into messages that stay well below the frame limit. */
export function inFrames<T>(entries: readonly T[], sizeOf: (entry: T) => number): T[][] {
  const frames: T[][] = [];
  let frame: T[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const size = sizeOf(entry);
    if (frame.length === ENTRIES_MAX || (frame.length > 0 && bytes + size > STATES_BYTES_TARGET)) {
      frames.push(frame);
      frame = [];
      bytes = 0;
    }
    frame.push(entry);
    bytes += size;
  }
  if (frame.length > 0) frames.push(frame);
  return frames;
}
