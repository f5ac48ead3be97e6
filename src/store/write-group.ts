// One group of writes: each is applied to what the earlier ones of the group left, then all become rows at once.
import { assert } from "../base/assert.ts";
import { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { CollectionPolicies } from "./collection-policies.ts";
import type { CrdtCache } from "./crdt-cache.ts";
import type { Damage } from "./damage.ts";
import type { Database } from "./database.ts";
import { type DocumentKey, splitKey } from "./document-key.ts";
import { type Entry, isSetAside, isShown, newEntry, SET_ASIDE } from "./entry.ts";
import type { HistoryDocument } from "./history.ts";
import { join } from "./join.ts";
import { LifeRules } from "./life-rules.ts";
import {
  asNew,
  deleteState,
  lifeOfWrite,
  type WriteOperation,
  writeHistory,
  writeLatest,
} from "./local-write.ts";
import { isDamaged } from "./row.ts";
import type { Stamper } from "./stamp.ts";
import {
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
import { checkBodySize, checkForeign, checkNumbers, checkStateSize } from "./state-checks.ts";

const log = getLog("peat_mesh::storage::automerge_store");

/** What a peer sent for one document. */
export interface IncomingState {
  readonly key: DocumentKey;
  /** An encoded State; of a history, possibly with only some of its changes. */
  readonly bytes: Uint8Array;
  /** Hash of the sender's whole state. */
  readonly hash: StateHash;
  /**
   * Set while the sender is one that was away for longer than we remember deletions: lives that began by then (ms)
   * may have been deleted and forgotten here.
   */
  readonly suspectUntil?: number | undefined;
}

export type MergeOutcome =
  /** Our state is now the sender's. */
  | { readonly kind: "equal" }
  /** Ours has more than the sender's: it should be told. */
  | { readonly kind: "ahead" }
  /** The changes can't be applied without others: ask for those after our heads. */
  | { readonly kind: "incomplete" }
  /** Too old to be served: not taken, and nothing to be told. */
  | { readonly kind: "expired" }
  /** Neither here nor remembered as deleted, from one who was away for too long: not taken. */
  | { readonly kind: "orphan" };

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
/** Clocks may differ by this much before it is told. */
const FUTURE_MS_MAX = 5 * 60 * 1000;

export class WriteGroup {
  readonly #context: GroupContext;
  readonly #rules: LifeRules;
  readonly #entries = new Map<DocumentKey, Entry>();
  readonly #restored: number[] = [];
  readonly #returned: DocumentKey[] = [];

  constructor(context: GroupContext) {
    this.#context = context;
    this.#rules = new LifeRules(context);
  }

  /** Content `id` of what is set aside is a document again. */
  restored(id: number): void {
    this.#restored.push(id);
  }

  /** What the commit writes beside the rows. */
  writeAside(now: number): void {
    const { aside } = this.#context.database;
    for (const { key, aside: content } of this.changed()) {
      if (content !== undefined) aside.put({ ...content, key, at: now });
    }
    for (const id of this.#restored) aside.remove(id);
    for (const key of this.#returned) aside.removeOf("orphan", key);
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
    const stub = row === undefined ? this.#context.database.stubs.find(key) : undefined;
    const entry = newEntry(key, { row, stub, now: this.#context.stamper.nowMs() });
    this.#entries.set(key, entry);
    return entry;
  }

  /** Tells readers that a document which is too old is gone; its state stays for a while. */
  hide(entry: Entry): void {
    if (entry.isHidden && entry.before?.hidden === false) entry.isChanged = true;
  }

  /** Takes a document out, and keeps its content aside. */
  orphan(entry: Entry): void {
    if (!isShown(entry) || entry.json === undefined) return;
    entry.aside = { why: "orphan", json: entry.json };
    entry.isHidden = true;
    entry.due = SET_ASIDE;
    entry.isChanged = true;
  }

  /**
   * Applies a local write. Throws Faults; the entry is then as it was. `isRestore`: it brings back what its
   * collection would not let be written.
   */
  write(entry: Entry, requested: WriteOperation, isRestore = false): void {
    const { damage, stamper, nodeName, policies, documentBytesMax } = this.#context;
    const firstLife = entry.before === undefined ? damage.lifeOfWrite(entry.key) : 0;
    if (!isRestore) this.#rules.checkMutable(entry);
    if (requested.kind === "delete") {
      const { reason } = requested;
      const shown = isShown(entry) ? entry.state : undefined;
      this.#settle(entry, deleteState(shown, { key: entry.key, by: nodeName, reason, stamper }));
      entry.origin = undefined;
      return;
    }
    checkBodySize(Buffer.byteLength(requested.body), documentBytesMax);
    // What callers can't see is not patched, but replaced.
    const operation = entry.isHidden
      ? asNew(requested)
      : this.#context.database.envelopes.write(requested, entry.json);
    const { collection } = splitKey(entry.key);
    const life = lifeOfWrite(entry.state, {
      kind: policies.kindOf(collection),
      nowMs: stamper.nowMs(),
      firstLife,
    });
    if (life.kind === "latest") {
      const age = {
        refreshes: this.#rules.refreshes(entry.key),
        beginning: this.#rules.beginning(entry.key),
      };
      const state = writeLatest(entry.state, operation, { life, stamper, ...age });
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
      const written = writeHistory(document, operation, {
        present: present === undefined ? undefined : entry.json,
        nowMs: stamper.nowMs(),
        refreshes: entry.isHidden || this.#rules.refreshes(entry.key),
      });
      if (written === undefined) return;
      checkBodySize(Buffer.byteLength(written.json), documentBytesMax);
      const chunks = cache.grow(entry.key, present, written.change);
      const state: HistoryState = { form: "history", life: life.life, born: life.born, chunks };
      const hash = hashHistory(state, document.heads());
      const delta = present === undefined ? undefined : written.change;
      const changedAt = document.changedAt();
      this.#settleHistory(entry, state, { json: written.json, hash, delta, changedAt });
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
    const isSameLife = entry.isStub && entry.state?.life === theirs.life;
    if (isSameLife && this.#rules.isBygone(entry.key, theirs)) return { kind: "equal" };
    if (this.#rules.isOrphan(entry, theirs, incoming.suspectUntil)) return { kind: "orphan" };
    if (entry.state === undefined && this.#isRefused(entry, theirs)) return { kind: "expired" };
    const isForgotten = this.#rules.isForgotten(entry, theirs);
    if (isForgotten) this.#context.cache.forget(entry.key);
    // Two nodes may have ended one life at different times. A tombstone that is younger than the one our stub was
    // counts in the sender's sums until it is due, and so it has to count in ours.
    const ours = isForgotten || isSameLife ? undefined : entry.state;
    const united = this.#uniting(entry);
    const joined = ours === undefined ? theirs : join(ours, theirs, united.unite);
    if (united.isIncomplete) return { kind: "incomplete" };
    if (joined.form === "history" && joined !== entry.state) {
      const outcome = this.#mergeHistory(entry, joined, { theirs, origin });
      if (outcome !== undefined) return outcome;
    } else if (joined.form !== "history" && joined !== entry.state && this.#settle(entry, joined)) {
      entry.origin = origin;
    }
    return { kind: entry.hash === incoming.hash ? "equal" : "ahead" };
  }

  /** A tombstone is taken at any age: it says that something is gone. */
  #isRefused({ key }: Entry, state: State, changedAt?: number): boolean {
    return state.form !== "deleted" && this.#rules.isBygone(key, state, changedAt);
  }

  /** Undefined when it is joined. */
  #mergeHistory(
    entry: Entry,
    joined: HistoryState,
    { theirs, origin }: { theirs: State; origin: string },
  ): MergeOutcome | undefined {
    const { cache } = this.#context;
    if (joined === theirs) cache.discard(entry.key);
    const document = cache.open(entry.key, joined.chunks);
    if (document === undefined) return { kind: "incomplete" };
    const hash = hashHistory(joined, document.heads());
    if (hash === entry.hash && !isSetAside(entry)) return undefined;
    const changedAt = document.changedAt();
    if (entry.state === undefined && this.#isRefused(entry, joined, changedAt)) {
      cache.discard(entry.key);
      return { kind: "expired" };
    }
    const delta =
      joined === theirs ? undefined : theirs.form === "history" ? theirs.chunks : undefined;
    const json = this.#print(entry, document);
    this.#settleHistory(entry, joined, { json, hash, delta, changedAt });
    entry.origin = origin;
    return undefined;
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
    told: { json: string; hash: StateHash; delta: Uint8Array | undefined; changedAt: number },
  ): void {
    entry.state = state;
    entry.encoded = encodeState(state);
    entry.json = told.json;
    entry.hash = told.hash;
    if (told.delta === undefined) entry.changes = undefined;
    else entry.changes?.push(told.delta);
    this.#changed(entry, state, told.changedAt);
  }

  /** True if the state is a new one. */
  #settle(entry: Entry, state: Exclude<State, HistoryState>, json?: string): boolean {
    const encoded = encodeState(state);
    const hash = hashBytes(encoded);
    if (hash === entry.hash && !isSetAside(entry)) return false;
    this.#context.cache.discard(entry.key);
    if (state.form === "deleted") this.#rules.keepContent(entry);
    entry.state = state;
    entry.encoded = encoded;
    entry.json = state.form === "latest" ? (json ?? printLatest(state)) : undefined;
    entry.hash = hash;
    entry.changes = undefined;
    this.#changed(entry, state);
    return true;
  }

  #changed(entry: Entry, state: State, changedAt?: number): void {
    if (isSetAside(entry)) this.#returned.push(entry.key);
    this.#rules.date(entry, state, changedAt);
    entry.isNews = !entry.isHidden;
    entry.isStub = false;
    entry.isChanged = true;
  }
}
