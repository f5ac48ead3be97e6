// A document's replicated state and its bytes, on disk and on the wire.
//
//   state   = u8 tag || u32 life || u64 born || body          integers big-endian
//   tag       1 history   2 latest   3 deleted history   4 deleted latest
//   history = Automerge chunks (a saved document and changes after it, in any mixture)
//   latest  = u16 starts || starts x [16] || stamp floor || u32 fields || fields x field
//   field   = u16 length || name || stamp || u8 present || [ u32 length || canonical JSON ]
//   stamp   = u64 n || u16 index into starts
//   deleted = u64 deletedAt || u16 length || by || u16 length || reason
//
// Starts are sorted and only those in use, fields are sorted by name: equal states have equal bytes (except
// history, whose equality is that of its heads).

import { assert } from "../base/assert.ts";
import {
  ByteReader,
  ByteWriter,
  concatBytes,
  fromHex,
  fromUtf8,
  toHex,
  toUtf8,
} from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { compareText } from "../base/text.ts";
import type { Kind } from "./collection-policies.ts";
import { compareStamps, type Stamp, type StartId, toStartId } from "./stamp.ts";

interface Common {
  /** Even: alive; odd: deleted. Grows by one at each delete and each revival. */
  readonly life: number;
  /** Ms of the write that began this life. */
  readonly born: number;
}

export interface HistoryState extends Common {
  readonly form: "history";
  /** Automerge chunks that load to the document. */
  readonly chunks: Uint8Array;
}

export interface Field {
  readonly stamp: Stamp;
  /** Canonical JSON of the value; undefined for a removed field. */
  readonly json: string | undefined;
}

export interface LatestState extends Common {
  readonly form: "latest";
  /** Fields stamped below this were replaced as a whole. */
  readonly floor: Stamp;
  readonly fields: ReadonlyMap<string, Field>;
}

export interface DeletedState extends Common {
  readonly form: "deleted";
  readonly kind: Kind;
  /** Ms since the Unix epoch, by the deleter's clock. */
  readonly deletedAt: number;
  readonly by: string;
  readonly reason: string;
}

export type State = HistoryState | LatestState | DeletedState;

const LIFE_MAX = 0xffff_fffe;
const STARTS_MAX = 0xffff;
const REASON_CHARS_MAX = 1024;
/** After tag, life and born. */
const HISTORY_CHUNKS_AT = 13;

/** The 16-byte state hash, as 32 hex digits: the ETag, and what peers compare. */
export type StateHash = string;

const TAG = { history: 1, latest: 2, deletedHistory: 3, deletedLatest: 4 } as const;

export function kindOfState(state: State): Kind {
  if (state.form === "deleted") return state.kind;
  return state.form;
}

function tagOf(state: State): number {
  if (state.form === "deleted") {
    return state.kind === "history" ? TAG.deletedHistory : TAG.deletedLatest;
  }
  return TAG[state.form];
}

export function encodeState(state: State): Uint8Array {
  const capacity = state.form === "history" ? state.chunks.length + 16 : 256;
  const writer = new ByteWriter(capacity).u8(tagOf(state)).u32(state.life).u64(state.born);
  switch (state.form) {
    case "history":
      return writer.bytes(state.chunks).finish();
    case "latest":
      return encodeLatest(writer, state);
    case "deleted":
      return writer.u64(state.deletedAt).text16(state.by).text16(state.reason).finish();
  }
}

function encodeLatest(writer: ByteWriter, state: LatestState): Uint8Array {
  const starts = new Set<StartId>([state.floor.start]);
  for (const field of state.fields.values()) starts.add(field.stamp.start);
  const sorted = [...starts].sort(compareText);
  if (sorted.length > STARTS_MAX) {
    throw new Fault(
      "conflict",
      "the document holds writes of too many starts; replace it by a PUT",
    );
  }
  const indexOf = new Map(sorted.map((start, index) => [start, index]));
  const stamp = ({ n, start }: Stamp) => writer.u64(n).u16(indexOf.get(start) ?? 0);
  writer.u16(sorted.length);
  for (const start of sorted) writer.bytes(fromHex(start));
  stamp(state.floor);
  writer.u32(state.fields.size);
  for (const name of [...state.fields.keys()].sort(compareText)) {
    const field = state.fields.get(name);
    if (field === undefined) continue;
    writer.bytes(prefixed16(name));
    stamp(field.stamp);
    writer.u8(field.json === undefined ? 0 : 1);
    if (field.json !== undefined) writer.bytes32(toUtf8(field.json));
  }
  return writer.finish();
}

function prefixed16(name: string): Uint8Array {
  return new ByteWriter(name.length + 8).text16(name).finish();
}

/** Whether an encoded state is that of a document that is alive and keeps its whole history. */
export function isHistoryState(encoded: Uint8Array): boolean {
  return encoded[0] === TAG.history;
}

/**
 * Consecutive changes of one document as one, each as told at its commit: what a peer needs that had the document
 * before the first of them. What replaces a state needs nothing of what was before it.
 */
export function joinDeltas(deltas: readonly Uint8Array[]): Uint8Array {
  const newest = deltas.at(-1);
  assert(newest !== undefined, "there are changes to join");
  if (deltas.length === 1 || !isHistoryState(newest)) return newest;
  const life = readLife(newest);
  const first = deltas.findLastIndex((delta) => !isHistoryState(delta) || readLife(delta) !== life);
  const joined = deltas.slice(first + 1).map((delta) => delta.subarray(HISTORY_CHUNKS_AT));
  return concatBytes([newest.subarray(0, HISTORY_CHUNKS_AT), ...joined]);
}

/** The life in the first bytes of a state that may be damaged; undefined where there can't be one. */
export function readLife(bytes: Uint8Array): number | undefined {
  if (bytes.length < 5) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
}

/** Fault `wire_invalid` for bytes that no encodeState made. History chunks are not looked into. */
export function decodeState(bytes: Uint8Array): State {
  const reader = new ByteReader(bytes);
  const tag = reader.u8();
  const life = reader.u32();
  const born = reader.u64();
  const deleted = tag === TAG.deletedHistory || tag === TAG.deletedLatest;
  if (life > LIFE_MAX || (life % 2 === 1) !== deleted) {
    throw new Fault("wire_invalid", `life ${life} does not fit state tag ${tag}`);
  }
  switch (tag) {
    case TAG.history:
      return { form: "history", life, born, chunks: reader.rest() };
    case TAG.latest:
      return decodeLatest(reader, life, born);
    case TAG.deletedHistory:
    case TAG.deletedLatest: {
      const kind = tag === TAG.deletedHistory ? "history" : "latest";
      const deletedAt = reader.u64();
      const by = reader.text16();
      const reason = reader.text16();
      reader.end();
      return { form: "deleted", kind, life, born, deletedAt, by, reason };
    }
    default:
      throw new Fault("wire_invalid", `unknown state tag ${tag}`);
  }
}

function decodeLatest(reader: ByteReader, life: number, born: number): LatestState {
  const starts: StartId[] = [];
  const startCount = reader.u16();
  for (let i = 0; i < startCount; i += 1) starts.push(toStartId(reader.bytes(16)));
  const stamp = (): Stamp => {
    const n = reader.u64();
    const start = starts[reader.u16()];
    if (start === undefined)
      throw new Fault("wire_invalid", "stamp names a start that is not listed");
    return { n, start };
  };
  const floor = stamp();
  const count = reader.u32();
  const fields = new Map<string, Field>();
  for (let i = 0; i < count; i += 1) {
    const name = reader.text16();
    const at = stamp();
    const json = reader.u8() === 1 ? fromUtf8(reader.bytes32(reader.remaining)) : undefined;
    fields.set(name, { stamp: at, json });
  }
  reader.end();
  return { form: "latest", life, born, floor, fields };
}

/** SHA-256, first 16 bytes, over the bytes of a state; equal states have equal bytes, but for histories. */
export function hashBytes(encoded: Uint8Array): StateHash {
  return toHex(new Bun.CryptoHasher("sha256").update(encoded).digest().subarray(0, 16));
}

/** The hash of a history: over its heads (sorted hex), which name its set of changes. */
export function hashHistory(state: HistoryState, heads: readonly string[]): StateHash {
  return hashBytes(toUtf8(`history ${state.life} ${state.born} ${heads.join(" ")}`));
}

/** The highest stamp number in a state, so that the next write exceeds what it replaces. */
export function highestN(state: State | undefined): number {
  if (state?.form !== "latest") return 0;
  let highest = state.floor.n;
  for (const field of state.fields.values()) highest = Math.max(highest, field.stamp.n);
  return highest;
}

/** Canonical JSON of a latest document: its fields' texts, joined. */
export function printLatest(state: LatestState): string {
  const parts: string[] = [];
  for (const name of [...state.fields.keys()].sort(compareText)) {
    const json = state.fields.get(name)?.json;
    if (json !== undefined) parts.push(`${JSON.stringify(name)}:${json}`);
  }
  return `{${parts.join(",")}}`;
}

/** Throws Fault `wire_invalid` for a state that decodes but breaks a rule of the join. */
export function checkLatest(state: LatestState): void {
  for (const field of state.fields.values()) {
    if (compareStamps(field.stamp, state.floor) < 0) {
      throw new Fault("wire_invalid", "a field is older than the floor of its document");
    }
  }
}

/** A reason as it may be kept: short, and without what would break a log line. */
export function clipReason(reason: string): string {
  return reason.slice(0, REASON_CHARS_MAX).toWellFormed();
}
