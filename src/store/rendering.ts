// The Automerge bytes that stand beside a latest document: its writes as changes, each after the one before. They
// are this node's own (no other node's rendering is ever merged into them) and follow from the states alone.
//
//   tip = u8 1 || u32 life || starts || actors || stamp floor || head [32] || u64 lastOp || author
//         || u32 fields x field || u32 CRC-32 of all before                 integers big-endian
//   author = start [16] || actor [16] || u64 seq
//   starts, actors = u16 count x [16]
//   field  = u16 length || name || stamp || u32 text || u64 counter || u16 index into actors
//   stamp  = u64 n || u16 index into starts
//
// The tip is all that growing needs: no document is loaded for it.
import { ByteReader, ByteWriter, fromHex, toHex } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { compareText } from "../base/text.ts";
import { encodeChange, type FieldEdit, type OperationId } from "./automerge-change.ts";
import type { DocumentKey } from "./document-key.ts";
import { parseJson } from "./json.ts";
import { compareStamps, NO_START, type Stamp, type StartId, toStartId } from "./stamp.ts";
import { encodeState, type Field, type LatestState } from "./state.ts";

interface RenderedField {
  readonly stamp: Stamp;
  /** Checksum of the value's text: two values under one stamp come of a fault only, and are still told apart. */
  readonly text: number;
  /** What set it; undefined for a removed field. */
  readonly operation: OperationId | undefined;
}

/** Where a rendering ends. */
export interface Tip {
  readonly life: number;
  readonly floor: Stamp;
  /** Hash of the last change. */
  readonly head: string;
  /** The highest operation counter. */
  readonly lastOp: number;
  /** Who wrote the last change: an actor, the process start that it belongs to, and its number of changes. */
  readonly author: { readonly start: StartId; readonly actor: string; readonly seq: number };
  readonly fields: ReadonlyMap<string, RenderedField>;
}

export interface Growth {
  readonly tip: Tip;
  /** Automerge changes, to be appended in this order. */
  readonly changes: readonly Uint8Array[];
}

const ACTOR_BYTES = 16;

/** 16 bytes of SHA-256, as hex. */
function actorFrom(...parts: readonly (string | Uint8Array)[]): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const part of parts) hasher.update(part);
  return toHex(hasher.digest().subarray(0, ACTOR_BYTES));
}

function textOf({ json }: Field): number {
  return json === undefined ? 0 : Bun.hash.crc32(json);
}

/**
 * A document as one change, without any past. Equal states of one key give equal bytes on every node: the actor
 * comes from both, the time is 0, the names are sorted.
 */
export function beginRendering(key: DocumentKey, state: LatestState): Growth {
  const actor = actorFrom(key, "\n", encodeState(state));
  const present = [...state.fields].filter(([, field]) => field.json !== undefined);
  const edits = present
    .map(([name, { json }]) => ({ name, value: parseJson(json ?? ""), replaced: undefined }))
    .sort((a, b) => compareText(a.name, b.name));
  const header = { actor, seq: 1, startOp: 1, timeSecs: 0, parent: undefined };
  const change = encodeChange(header, edits);
  const operations = new Map(
    edits.map(({ name }, index) => [name, { counter: change.counters[index] ?? 0, actor }]),
  );
  const fields = new Map<string, RenderedField>();
  for (const [name, field] of state.fields) {
    const { stamp } = field;
    fields.set(name, { stamp, text: textOf(field), operation: operations.get(name) });
  }
  const { life, floor } = state;
  const author = { start: NO_START, actor, seq: 1 };
  const tip = { life, floor, head: change.hash, lastOp: change.lastOp, author, fields };
  return { tip, changes: [change.bytes] };
}

/** Fields that one write set or removed. */
interface Edition {
  readonly stamp: Stamp;
  readonly edits: { readonly name: string; readonly field: Field }[];
}

function isNews(field: Field, known: RenderedField | undefined, floor: Stamp): boolean {
  if (known === undefined) return compareStamps(field.stamp, floor) >= 0;
  const order = compareStamps(field.stamp, known.stamp);
  return order > 0 || (order === 0 && textOf(field) !== known.text);
}

/** Names that a replacement left out. */
function replacedFields(tip: Tip, state: LatestState): string[] {
  const known = [...tip.fields].filter(([name]) => !state.fields.has(name));
  return known
    .filter(([, { stamp }]) => compareStamps(stamp, state.floor) < 0)
    .map(([name]) => name);
}

/** What `state` has and the rendering has not, by write, the oldest first; of an older state nothing. */
function newsOf(tip: Tip, state: LatestState): Edition[] {
  const editions = new Map<string, Edition>();
  const note = (name: string, field: Field) => {
    const id = `${field.stamp.n} ${field.stamp.start}`;
    const edition = editions.get(id) ?? { stamp: field.stamp, edits: [] };
    editions.set(id, edition);
    edition.edits.push({ name, field });
  };
  for (const [name, field] of state.fields) {
    if (isNews(field, tip.fields.get(name), tip.floor)) note(name, field);
  }
  for (const name of replacedFields(tip, state)) {
    note(name, { stamp: state.floor, json: undefined });
  }
  return [...editions.values()].sort((a, b) => compareStamps(a.stamp, b.stamp));
}

export interface GrowthContext {
  readonly key: DocumentKey;
  /** This process start: its changes have an actor of its own, also in a copied data directory. */
  readonly start: StartId;
  readonly timeSecs: number;
}

/** The rendering of `state`'s life with what is new in it: one change per write. Older states add nothing. */
export function growRendering(tip: Tip, state: LatestState, context: GrowthContext): Growth {
  const changes: Uint8Array[] = [];
  const fields = new Map(tip.fields);
  let { head, lastOp, author } = tip;
  for (const { edits } of newsOf(tip, state)) {
    const told: FieldEdit[] = [];
    for (const { name, field } of edits.sort((a, b) => compareText(a.name, b.name))) {
      const replaced = fields.get(name)?.operation;
      const value = field.json === undefined ? undefined : parseJson(field.json);
      if (value !== undefined || replaced !== undefined) told.push({ name, value, replaced });
      fields.set(name, { stamp: field.stamp, text: textOf(field), operation: undefined });
    }
    if (told.length === 0) continue;
    author = nextAuthor(author, head, context);
    const { timeSecs } = context;
    const header = { ...author, startOp: lastOp + 1, timeSecs, parent: head };
    const change = encodeChange(header, told);
    for (const [index, { name, value }] of told.entries()) {
      const field = fields.get(name);
      if (field === undefined || value === undefined) continue;
      const operation = { counter: change.counters[index] ?? 0, actor: author.actor };
      fields.set(name, { ...field, operation });
    }
    ({ hash: head, lastOp } = change);
    changes.push(change.bytes);
  }
  const floor = compareStamps(state.floor, tip.floor) > 0 ? state.floor : tip.floor;
  // What a replacement left out is forgotten, as the state forgets it.
  for (const name of replacedFields(tip, state)) fields.delete(name);
  return { tip: { life: tip.life, floor, head, lastOp, author, fields }, changes };
}

function nextAuthor(author: Tip["author"], head: string, context: GrowthContext): Tip["author"] {
  const { start, key } = context;
  if (author.start === start) return { ...author, seq: author.seq + 1 };
  // The head is part of it: after a compaction the same start continues another past.
  return { start, actor: actorFrom(`${start}\n${head}\n${key}`), seq: 1 };
}

const TIP_FORM = 1;

export function encodeTip(tip: Tip): Uint8Array {
  const starts = new Set<string>([tip.floor.start]);
  const actors = new Set<string>([tip.author.actor]);
  for (const { stamp, operation } of tip.fields.values()) {
    starts.add(stamp.start);
    if (operation !== undefined) actors.add(operation.actor);
  }
  const startAt = new Map([...starts].map((start, index) => [start, index]));
  const actorAt = new Map([...actors].map((actor, index) => [actor, index]));
  const writer = new ByteWriter(512).u8(TIP_FORM).u32(tip.life);
  for (const table of [starts, actors]) {
    writer.u16(table.size);
    for (const id of table) writer.bytes(fromHex(id));
  }
  const stamp = ({ n, start }: Stamp) => writer.u64(n).u16(startAt.get(start) ?? 0);
  stamp(tip.floor).bytes(fromHex(tip.head)).u64(tip.lastOp);
  writer.bytes(fromHex(tip.author.start)).bytes(fromHex(tip.author.actor)).u64(tip.author.seq);
  writer.u32(tip.fields.size);
  for (const [name, field] of tip.fields) {
    writer.bytes(new ByteWriter(name.length + 8).text16(name).finish());
    stamp(field.stamp).u32(field.text);
    const { counter, actor } = field.operation ?? { counter: 0, actor: tip.author.actor };
    writer.u64(counter).u16(actorAt.get(actor) ?? 0);
  }
  const content = writer.finish();
  return new ByteWriter(content.length + 4).bytes(content).u32(Bun.hash.crc32(content)).finish();
}

const CHECKSUM_BYTES = 4;

/** Fault `wire_invalid` for bytes that no encodeTip made. */
export function decodeTip(bytes: Uint8Array): Tip {
  const content = bytes.subarray(0, -CHECKSUM_BYTES);
  if (new ByteReader(bytes.subarray(content.length)).u32() !== Bun.hash.crc32(content)) {
    throw new Fault("wire_invalid", "checksum of a rendering is wrong");
  }
  const reader = new ByteReader(content);
  const form = reader.u8();
  if (form !== TIP_FORM) throw new Fault("wire_invalid", `rendering of unknown form ${form}`);
  const life = reader.u32();
  const table = () => Array.from({ length: reader.u16() }, () => toHex(reader.bytes(ACTOR_BYTES)));
  const starts = table();
  const actors = table();
  const pick = (ids: readonly string[]): string => {
    const id = ids[reader.u16()];
    if (id === undefined) throw new Fault("wire_invalid", "rendering names an id that it lacks");
    return id;
  };
  const stamp = (): Stamp => ({ n: reader.u64(), start: toStartId(fromHex(pick(starts))) });
  const floor = stamp();
  const head = toHex(reader.bytes(32));
  const lastOp = reader.u64();
  const start = toStartId(reader.bytes(16));
  const author = { start, actor: toHex(reader.bytes(ACTOR_BYTES)), seq: reader.u64() };
  const count = reader.u32();
  const fields = new Map<string, RenderedField>();
  for (let i = 0; i < count; i += 1) {
    const name = reader.text16();
    const at = stamp();
    const text = reader.u32();
    const counter = reader.u64();
    const actor = pick(actors);
    const operation = counter === 0 ? undefined : { counter, actor };
    fields.set(name, { stamp: at, text, operation });
  }
  reader.end();
  return { life, floor, head, lastOp, author, fields };
}
