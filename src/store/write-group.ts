// One group of writes: each is applied to what the earlier ones of the group left, then all become rows at once.
import { assert } from "../base/assert.ts";
import { concatBytes } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { CollectionPolicies } from "./collection-policies.ts";
import type { CrdtCache } from "./crdt-cache.ts";
import type { Damage } from "./damage.ts";
import { type Database, isDamaged, type Row } from "./database.ts";
import { type DocumentKey, splitKey } from "./document-key.ts";
import type { HistoryDocument } from "./history.ts";
import { join } from "./join.ts";
import { parseJson, printJson } from "./json.ts";
import {
  deleteState,
  lifeOfWrite,
  type WriteOperation,
  writeHistory,
  writeLatest,
} from "./local-write.ts";
import type { Stamper } from "./stamp.ts";
import {
  checkLatest,
  decodeState,
  encodeState,
  type HistoryState,
  hashBytes,
  hashHistory,
  highestN,
  type LatestState,
  printLatest,
  type State,
  type StateHash,
} from "./state.ts";
import { bucketOf } from "./sums.ts";

const log = getLog("peat_mesh::storage::automerge_store");

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
}

/** What a peer sent for one document. */
export interface IncomingState {
  readonly key: DocumentKey;
  /** An encoded State; of a history, possibly with only some of its changes. */
  readonly bytes: Uint8Array;
  /** Hash of the sender's whole state. */
  readonly hash: StateHash;
}

export type MergeOutcome =
  /** Our state is now the sender's. */
  | { readonly kind: "equal" }
  /** Ours has more than the sender's: it should be told. */
  | { readonly kind: "ahead" }
  /** The changes can't be applied without others: ask for those after our heads. */
  | { readonly kind: "incomplete" };

export interface GroupContext {
  readonly database: Database;
  readonly cache: CrdtCache;
  readonly damage: Damage;
  readonly stamper: Stamper;
  readonly nodeName: string;
  readonly policies: CollectionPolicies;
  /** Documents with stamps of the future, by the peer that sent them. */
  readonly futureStamps: Map<string, number>;
  /** Largest JSON text of a document that a local write may leave. */
  readonly documentBytesMax: number;
}

/** Beyond this a history takes no more local writes: it could not be sent in one piece. */
const HISTORY_BYTES_MAX = 24 * 1024 * 1024;
/** Largest state of a document without history that a local write may leave. */
const LATEST_BYTES_MAX = 24 * 1024 * 1024;
/** Clocks may differ by this much before it is told. */
const FUTURE_MS_MAX = 5 * 60 * 1000;
/** Beyond these a peer's state is refused: a few writes on top of it, and its numbers would no longer fit. */
const FOREIGN_N_MAX = 2 ** 53 - 2 ** 43;
const FOREIGN_LIFE_MAX = 0xffff_0000;
/** Peers' values may nest deeper than local writes may; this only protects the stack. */
const FOREIGN_DEPTH_MAX = 1000;

export class WriteGroup {
  readonly #context: GroupContext;
  readonly #entries = new Map<DocumentKey, Entry>();

  constructor(context: GroupContext) {
    this.#context = context;
  }

  changed(): Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.isChanged);
  }

  /** Forgets every loaded document that this group touched: its commit failed. */
  discard(): void {
    for (const key of this.#entries.keys()) this.#context.cache.discard(key);
  }

  entry(key: DocumentKey): Entry {
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const found = this.#context.database.get(key);
    if (isDamaged(found)) this.#context.damage.add(found);
    const row = isDamaged(found) ? undefined : found;
    const entry: Entry = {
      key,
      before: row,
      state: row === undefined ? undefined : decodeState(row.state),
      encoded: row?.state,
      json: row?.json,
      hash: row?.hash,
      isChanged: false,
      seq: row?.seq ?? 0,
      changes: [],
      origin: undefined,
    };
    this.#entries.set(key, entry);
    return entry;
  }

  /** Applies a local write. Throws Faults; the entry is then as it was. */
  write(entry: Entry, operation: WriteOperation): void {
    const { damage, stamper, nodeName, policies, documentBytesMax } = this.#context;
    const firstLife = entry.state === undefined ? damage.lifeOfWrite(entry.key) : 0;
    if (operation.kind === "delete") {
      const { reason } = operation;
      this.#settle(
        entry,
        deleteState(entry.state, { key: entry.key, by: nodeName, reason, stamper }),
      );
      entry.origin = undefined;
      return;
    }
    checkBodySize(Buffer.byteLength(operation.body), documentBytesMax);
    const { collection } = splitKey(entry.key);
    const life = lifeOfWrite(entry.state, {
      kind: policies.kindOf(collection),
      nowMs: stamper.nowMs(),
      firstLife,
    });
    if (life.kind === "latest") {
      const state = writeLatest(entry.state, operation, life, stamper);
      if (state === undefined) return;
      const json = printLatest(state);
      checkStateSize(encodeState(state).length, entry.key);
      checkBodySize(Buffer.byteLength(json), documentBytesMax);
      this.#settle(entry, state, json);
    } else this.#writeHistory(entry, operation, life);
    entry.origin = undefined;
  }

  #writeHistory(
    entry: Entry,
    operation: Exclude<WriteOperation, { kind: "delete" }>,
    life: { life: number; born: number },
  ): void {
    const { cache, stamper, documentBytesMax } = this.#context;
    const present = entry.state?.form === "history" ? entry.state.chunks : undefined;
    if ((present?.length ?? 0) > HISTORY_BYTES_MAX) {
      const sentence = `history of ${entry.key} has reached its limit; delete the document and write it anew`;
      throw new Fault("conflict", sentence);
    }
    const document =
      present === undefined ? cache.create(entry.key) : cache.open(entry.key, present);
    assert(document !== undefined, `stored history of ${entry.key} is complete`);
    try {
      const written = writeHistory(document, operation, entry.json, stamper.nowMs());
      if (written === undefined) return;
      checkBodySize(Buffer.byteLength(written.json), documentBytesMax);
      const chunks = cache.grow(entry.key, present, written.change);
      const state: HistoryState = { form: "history", life: life.life, born: life.born, chunks };
      const hash = hashHistory(state, document.heads());
      const delta = present === undefined ? undefined : written.change;
      this.#settleHistory(entry, state, { json: written.json, hash, delta });
    } catch (error) {
      // The loaded document may be half-written; the entry's chunks are not.
      cache.discard(entry.key);
      throw error;
    }
  }

  /** Joins what a peer sent. Throws Fault `wire_invalid` for bytes that are no state. */
  merge(entry: Entry, incoming: IncomingState, origin: string): MergeOutcome {
    const theirs = decodeState(incoming.bytes);
    checkNumbers(theirs);
    if (theirs.form === "latest") {
      checkForeign(theirs);
      this.#checkClock(theirs, origin);
    }
    const united = this.#uniting(entry);
    const joined = entry.state === undefined ? theirs : join(entry.state, theirs, united.unite);
    if (united.isIncomplete) return { kind: "incomplete" };
    if (joined !== entry.state) {
      if (joined.form === "history") {
        const delta =
          joined === theirs ? undefined : theirs.form === "history" ? theirs.chunks : undefined;
        if (joined === theirs) this.#context.cache.discard(entry.key);
        const document = this.#context.cache.open(entry.key, joined.chunks);
        if (document === undefined) return { kind: "incomplete" };
        const hash = hashHistory(joined, document.heads());
        const unchanged = hash === entry.hash;
        if (!unchanged) {
          this.#settleHistory(entry, joined, { json: this.#print(entry, document), hash, delta });
          entry.origin = origin;
        }
      } else if (this.#settle(entry, joined)) entry.origin = origin;
    }
    return { kind: entry.hash === incoming.hash ? "equal" : "ahead" };
  }

  /** A stamp of the future wins until the clocks reach it: joined like any other, but somebody should know. */
  #checkClock(theirs: LatestState, origin: string): void {
    const { stamper, futureStamps } = this.#context;
    const aheadMs = highestN(theirs) / 1024 - stamper.nowMs();
    if (aheadMs <= FUTURE_MS_MAX) return;
    const count = (futureStamps.get(origin) ?? 0) + 1;
    futureStamps.set(origin, count);
    if (count > 1) return;
    log.warn(
      "A peer's clock is ahead of ours, and its writes will win until ours gets there; check both clocks",
      {
        peer: origin,
        ahead_secs: Math.round(aheadMs / 1000),
      },
    );
  }

  #print({ key }: Entry, document: HistoryDocument): string {
    try {
      return document.printJson();
    } catch (error) {
      // It holds what the entry will not.
      this.#context.cache.discard(key);
      throw error;
    }
  }

  /** Unites by the loaded document; remembers when the changes could not be applied. */
  #uniting(entry: Entry) {
    const { cache } = this.#context;
    const result = { isIncomplete: false };
    const unite = (a: HistoryState, b: HistoryState): HistoryState => {
      const document = cache.open(entry.key, a.chunks);
      assert(document !== undefined, `stored history of ${entry.key} is complete`);
      const before = document.heads();
      const born = Math.max(a.born, b.born);
      try {
        if (document.apply(b.chunks) === "incomplete") {
          cache.discard(entry.key);
          result.isIncomplete = true;
          return a;
        }
      } catch (error) {
        cache.discard(entry.key);
        throw error;
      }
      const isSame = before.join() === document.heads().join();
      if (isSame) return born === a.born ? a : { ...a, born };
      return {
        form: "history",
        life: a.life,
        born,
        chunks: cache.grow(entry.key, a.chunks, b.chunks),
      };
    };
    return Object.assign(result, { unite });
  }

  #settleHistory(
    entry: Entry,
    state: HistoryState,
    told: { json: string; hash: StateHash; delta: Uint8Array | undefined },
  ): void {
    entry.state = state;
    entry.encoded = encodeState(state);
    entry.json = told.json;
    entry.hash = told.hash;
    entry.isChanged = true;
    if (told.delta === undefined) entry.changes = undefined;
    else entry.changes?.push(told.delta);
  }

  /** True if the state is a new one. */
  #settle(entry: Entry, state: Exclude<State, HistoryState>, json?: string): boolean {
    const encoded = encodeState(state);
    const hash = hashBytes(encoded);
    if (hash === entry.hash) return false;
    this.#context.cache.discard(entry.key);
    entry.state = state;
    entry.encoded = encoded;
    entry.json = state.form === "latest" ? (json ?? printLatest(state)) : undefined;
    entry.hash = hash;
    entry.isChanged = true;
    entry.changes = undefined;
    return true;
  }
}

/** The row that makes a changed entry durable. */
export function toRow(entry: Entry, nowMs: number): Row {
  assert(entry.state !== undefined && entry.encoded !== undefined, "a changed entry has a state");
  assert(entry.hash !== undefined, "a changed entry has a hash");
  return {
    seq: entry.seq,
    key: entry.key,
    bucket: entry.before?.bucket ?? bucketOf(entry.key),
    deleted: entry.state.form === "deleted",
    state: entry.encoded,
    json: entry.json,
    hash: entry.hash,
    writtenAt: nowMs,
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

/** Removed fields and their stamps are kept; a state that can't be sent must not come to be. */
function checkStateSize(bytes: number, key: string): void {
  if (bytes <= LATEST_BYTES_MAX) return;
  const sentence = `document ${key} holds too much that was removed from it; replace it by a PUT`;
  throw new Fault("conflict", sentence);
}

function checkBodySize(bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return;
  const sentence = `document of ${bytes} bytes exceeds the limit of ${bytesMax} (PEAT_DOCUMENT_BYTES_MAX)`;
  throw new Fault("payload_too_large", sentence);
}

function checkNumbers(state: State): void {
  if (highestN(state) <= FOREIGN_N_MAX && state.life <= FOREIGN_LIFE_MAX) return;
  throw new Fault("wire_invalid", "a stamp or a life is at the end of its numbers");
}

/** A latest state's texts are spliced into answers as they are, so they have to be what they claim to be. */
function checkForeign(state: LatestState): void {
  checkLatest(state);
  for (const [name, field] of state.fields) {
    if (!name.isWellFormed()) throw new Fault("wire_invalid", "field name is not well-formed text");
    if (field.json === undefined) continue;
    let canonical: string;
    try {
      canonical = printJson(parseJson(field.json), FOREIGN_DEPTH_MAX);
    } catch (cause) {
      throw new Fault("wire_invalid", "field value is not JSON", {}, cause);
    }
    if (canonical !== field.json)
      throw new Fault("wire_invalid", "field value is not canonical JSON");
  }
}
