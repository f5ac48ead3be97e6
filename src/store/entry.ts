// One document within a group of writes: what it was, what it has become, and the row that makes that durable.
import { assert } from "../base/assert.ts";
import { concatBytes } from "../base/bytes.ts";
import type { DocumentKey } from "./document-key.ts";
import type { Row } from "./row.ts";
import type { WhyAside } from "./set-aside.ts";
import { decodeState, encodeState, type State, type StateHash } from "./state.ts";
import { type Stub, toTombstone } from "./stubs.ts";
import { bucketOf } from "./sums.ts";

/** A document as the group sees it: committed, or changed by an earlier write of the group. */
export interface Entry {
  readonly key: DocumentKey;
  /** The committed row that this group began with. */
  readonly before: Row | undefined;
  state: State | undefined;
  encoded: Uint8Array | undefined;
  json: string | undefined;
  hash: StateHash | undefined;
  isChanged: boolean;
  /** Of the committed row; of the new one once the group is committed. */
  seq: number;
  /** Automerge changes of this group; undefined when peers need the whole state. */
  changes: Uint8Array[] | undefined;
  /** The peer that the newest change came from; undefined for a local write. */
  origin: string | undefined;
  /** There is no row: the state is that of a stub. */
  isStub: boolean;
  /** Alive, but too old to be served, or set aside: callers on this node see nothing. */
  isHidden: boolean;
  /** The state is another than before, and peers are to be told. */
  isNews: boolean;
  newestAt: number;
  due: number | undefined;
  /** Content that is set aside with the commit. */
  aside: { readonly why: WhyAside; readonly json: string } | undefined;
}

/** The entry of a key as it lies in the store. */
export function newEntry(
  key: DocumentKey,
  { row, stub, now }: { row: Row | undefined; stub: Stub | undefined; now: number },
): Entry {
  const state = row === undefined ? undefined : decodeState(row.state);
  return {
    key,
    before: row,
    state: state ?? (stub === undefined ? undefined : toTombstone(stub)),
    encoded: row?.state,
    json: row?.json,
    hash: row?.hash,
    isChanged: false,
    seq: row?.seq ?? 0,
    changes: [],
    origin: undefined,
    isStub: row === undefined && stub !== undefined,
    isHidden: row !== undefined && isTooOld(row, now),
    isNews: false,
    newestAt: row?.newestAt ?? 0,
    due: row?.due,
    aside: undefined,
  };
}

/** Whether a row is alive, but not to be served any more. */
export function isTooOld(row: Row, now: number): boolean {
  return row.hidden || (!row.deleted && row.due !== undefined && row.due <= now);
}

/** `due` of what was set aside as an orphan. */
export const SET_ASIDE = 0;

export function isSetAside(of: Entry | Row): boolean {
  const isHidden = "hidden" in of ? of.hidden : of.isHidden;
  return isHidden && of.due === SET_ASIDE;
}

/** Whether callers on this node see a document. */
export function isShown({ state, isHidden }: Entry): boolean {
  return state !== undefined && state.form !== "deleted" && !isHidden;
}

/** The row that makes a changed entry durable. */
export function toRow(entry: Entry, nowMs: number): Row {
  assert(entry.state !== undefined && entry.encoded !== undefined, "a changed entry has a state");
  assert(entry.hash !== undefined, "a changed entry has a hash");
  return {
    seq: entry.seq,
    key: entry.key,
    bucket: entry.before?.bucket ?? bucketOf(entry.key),
    deleted: entry.state.form === "deleted" || entry.isHidden,
    hidden: entry.state.form !== "deleted" && entry.isHidden,
    state: entry.encoded,
    json: entry.json,
    hash: entry.hash,
    writtenAt: nowMs,
    newestAt: entry.newestAt,
    due: entry.due,
  };
}

/** What peers that had the document before need: the changes of the group where they are the shorter. */
export function toDelta(entry: Entry): Uint8Array {
  assert(entry.state !== undefined && entry.encoded !== undefined, "a changed entry has a state");
  const changes = entry.changes;
  if (entry.state.form !== "history" || changes === undefined || changes.length === 0) {
    return entry.encoded;
  }
  const delta = encodeState({ ...entry.state, chunks: concatBytes(changes) });
  return delta.length < entry.encoded.length ? delta : entry.encoded;
}
