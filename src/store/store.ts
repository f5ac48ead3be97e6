// The documents of this node: writes and merges in groups, each group one durable commit; reads, feed and
// reconciliation sums of what is committed.
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { CollectionPolicies } from "./collection-policies.ts";
import { CrdtCache } from "./crdt-cache.ts";
import { Damage } from "./damage.ts";
import { Database, isDamaged, type Leaf, type Row } from "./database.ts";
import { type DocumentKey, splitKey } from "./document-key.ts";
import {
  Feed,
  type StoredDocument,
  type SubscribeOptions,
  type Subscription,
  toStoredDocument,
} from "./feed.ts";
import type { GuestTable } from "./guest-table.ts";
import type { HistoryDocument } from "./history.ts";
import {
  checkPreconditions,
  outcomeOf,
  type WriteRequest,
  type WriteResult,
} from "./precondition.ts";
import { Renderings } from "./renderings.ts";
import { newStartId, Stamper, type StartId } from "./stamp.ts";
import { decodeState, encodeState, type StateHash } from "./state.ts";
import { toStorageFault } from "./storage-fault.ts";
import { storeIdOf } from "./store-id.ts";
import type { Committed, StoreOptions, StoreSummary } from "./store-options.ts";
import { bucketsBelow, type Prefix, ROOT, type Sum } from "./sums.ts";
import { Tally } from "./tally.ts";
import {
  type Entry,
  type IncomingState,
  type MergeOutcome,
  toDelta,
  toRow,
  WriteGroup,
} from "./write-group.ts";
import { type LocalWrite, WriteQueue } from "./write-queue.ts";

const log = getLog("peat_mesh::storage::automerge_store");

export type { Change, StoredDocument, Subscription } from "./feed.ts";
export type { WriteOperation } from "./local-write.ts";
export type { WriteRequest, WriteResult } from "./precondition.ts";
export type { Committed, StoreOptions, StoreSummary } from "./store-options.ts";
export type { IncomingState, MergeOutcome } from "./write-group.ts";

export class Store {
  readonly start: StartId;
  readonly storeId: string;
  readonly renderings: Renderings;
  readonly policies: CollectionPolicies;
  readonly guests: GuestTable;
  readonly #options: StoreOptions;
  readonly #database: Database;
  readonly #cache: CrdtCache;
  readonly #feed: Feed;
  readonly #stamper: Stamper;
  readonly #tally: Tally;
  #seq: number;
  readonly #waiting = new WriteQueue();
  #isScheduled = false;
  readonly #futureStamps = new Map<string, number>();
  #isClosed = false;
  #listeners = new Set<(committed: readonly Committed[]) => void>();
  readonly #damage: Damage;

  private constructor(options: StoreOptions, database: Database, storeId: string) {
    this.#options = options;
    this.#database = database;
    this.storeId = storeId;
    this.policies = options.policies;
    this.guests = database.guests;
    this.start = newStartId(options.random);
    this.#cache = new CrdtCache({
      actor: this.start,
      newActor: () => newStartId(options.random),
      bytesMax: options.crdtCacheBytes,
    });
    this.#stamper = new Stamper(options.clock, this.start);
    this.#seq = database.lastSeq();
    this.#feed = new Feed(database, { storeId, start: this.start, lastSeq: this.#seq });
    this.#tally = new Tally(database);
    const wake = () => this.#schedule();
    this.#damage = new Damage({ database, cache: this.#cache, clock: options.clock, wake });
    const onBug = (error: unknown) => this.#reportFailure(error);
    this.renderings = new Renderings({ ...options, database, start: this.start, onBug });
  }

  /** Faults: storage_locked, storage_unusable. */
  static open(options: StoreOptions): Store {
    const { path, cacheBytes, onFatal } = options;
    const database = Database.open({ path, cacheBytes, onFailure: onFatal });
    try {
      return new Store(options, database, storeIdOf(database, options.random));
    } catch (error) {
      database.close();
      throw toStorageFault(error, options.path);
    }
  }

  /** Commits the node's own writes that wait, then closes the file. */
  close(): void {
    if (this.#isClosed) return;
    // Peers still have what they sent, and offer it again.
    this.#waiting.refuseMerges();
    while (!this.#waiting.isEmpty) this.#commitGroup();
    this.#isClosed = true;
    this.renderings.close();
    this.#feed.close();
    this.#cache.clear();
    this.guests.flush();
    this.#database.close();
  }

  /**
   * Applies one local write; resolves after its commit. Faults: invalid_argument, payload_too_large,
   * precondition_failed, document_not_found, conflict, overloaded, storage_full.
   */
  write(request: WriteRequest): Promise<WriteResult> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new Fault("not_ready", "the node is stopping");
      this.#waiting.pushLocal({ request, resolve, reject });
      this.#schedule();
    });
  }

  /** Joins a peer's state; resolves after the commit. Fault `wire_invalid`: the bytes are no state. */
  merge(incoming: IncomingState, origin: string): Promise<MergeOutcome> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new Fault("not_ready", "the node is stopping");
      this.#waiting.pushMerge({ incoming, origin, resolve, reject });
      this.#schedule();
    });
  }

  /** The document if it is alive. */
  get(key: DocumentKey): StoredDocument | undefined {
    const row = this.#row(key);
    return row === undefined || row.deleted ? undefined : toStoredDocument(row);
  }

  /** Alive documents in key order, those with ids after `after`. */
  list(collection: string, options: { limit: number; after?: string }): readonly StoredDocument[] {
    const documents: StoredDocument[] = [];
    for (const row of this.#database.list(collection, options.after, options.limit)) {
      if (isDamaged(row)) this.#damage.add(row);
      else documents.push(toStoredDocument(row));
    }
    return documents;
  }

  count(collection: string): number {
    return this.#tally.count(collection);
  }

  collections(): readonly { name: string; count: number }[] {
    return this.#tally.collections();
  }

  subscribe(options: SubscribeOptions): Subscription {
    return this.#feed.subscribe(options);
  }

  /** Resume token of this moment. */
  position(): string {
    return this.#feed.position();
  }

  summary(): StoreSummary {
    const { documents, tombstones } = this.#tally;
    const root = this.#tally.sum(ROOT);
    return { storeId: this.storeId, documents, tombstones, rootHash: `${root.count}-${root.sum}` };
  }

  sum(prefix: Prefix): Sum {
    return this.#tally.sum(prefix);
  }

  /** Documents with stamps more than 5 minutes ahead of our clock, by the peer that sent them. */
  get futureStamps(): ReadonlyMap<string, number> {
    return this.#futureStamps;
  }

  /** Keys and state hashes below a prefix. */
  leaves(prefix: Prefix): Leaf[] {
    const { first, last } = bucketsBelow(prefix);
    return this.#database.leavesBetween(first, last);
  }

  hashOf(key: DocumentKey): StateHash | undefined {
    return this.#row(key)?.hash;
  }

  /** Heads of a stored history, to be told to a peer that is to send the rest; undefined for other kinds. */
  headsOf(key: DocumentKey): readonly string[] | undefined {
    return this.#history(key)?.heads();
  }

  /** Whether all of these changes are in our history of the document. */
  hasHeads(key: DocumentKey, heads: readonly string[]): boolean {
    return this.#history(key)?.has(heads) ?? false;
  }

  /** The state for a peer that has `heads` of the history (of the life that is ours), else the whole. */
  stateFor(
    key: DocumentKey,
    heads?: readonly string[],
  ): { bytes: Uint8Array; hash: StateHash } | undefined {
    const row = this.#row(key);
    if (row === undefined) return undefined;
    if (heads === undefined || heads.length === 0) return { bytes: row.state, hash: row.hash };
    const document = this.#history(key, row);
    const state = decodeState(row.state);
    if (state.form !== "history" || document === undefined) {
      return { bytes: row.state, hash: row.hash };
    }
    const delta = encodeState({ ...state, chunks: document.changesSince(heads) });
    return { bytes: delta.length < row.state.length ? delta : row.state, hash: row.hash };
  }

  /** Drops what can be read again: loaded CRDTs and clean pages. */
  releaseMemory(): void {
    if (this.#isClosed) return;
    this.#cache.clear();
    this.#database.releaseMemory();
  }

  /** Called after every commit, in commit order. Returns the way to end that. */
  onCommit(listener: (committed: readonly Committed[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called when a damaged document has been set aside: a peer may have a good one. */
  onDamage(listener: (key: DocumentKey) => void): () => void {
    return this.#damage.onDamage(listener);
  }

  /** Looks for damage in what nobody reads, slowly, until `signal` aborts. */
  scrub(signal: AbortSignal): Promise<void> {
    return this.#damage.scrub(signal);
  }

  /** The stored history, loaded; to be used before another one is loaded. */
  #history(key: DocumentKey, row = this.#row(key)): HistoryDocument | undefined {
    const state = row === undefined ? undefined : decodeState(row.state);
    if (state?.form !== "history") return undefined;
    return this.#cache.open(key, state.chunks);
  }

  #row(key: DocumentKey): Row | undefined {
    const row = this.#database.get(key);
    if (!isDamaged(row)) return row;
    this.#damage.add(row);
    return undefined;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    // In a later turn, so that all requests that are ready share one commit.
    this.#options.clock.soon(() => {
      this.#isScheduled = false;
      if (this.#isClosed) return;
      this.#commitGroup();
      if (!this.#waiting.isEmpty) this.#schedule();
    });
  }

  #commitGroup(): void {
    const context = {
      database: this.#database,
      cache: this.#cache,
      damage: this.#damage,
      stamper: this.#stamper,
      nodeName: this.#options.nodeName,
      policies: this.#options.policies,
      futureStamps: this.#futureStamps,
      documentBytesMax: this.#options.documentBytesMax,
    };
    const group = new WriteGroup(context);
    const answers: (() => void)[] = [];
    const failures: ((error: unknown) => void)[] = [];
    this.#applyLocal(group, answers, failures);
    this.#applyMerges(group, answers, failures);
    try {
      this.#commit(group);
      for (const answer of answers) answer();
    } catch (error) {
      group.discard();
      for (const fail of failures) fail(error);
      this.#reportFailure(error);
    }
  }

  #applyLocal(
    group: WriteGroup,
    answers: (() => void)[],
    failures: ((e: unknown) => void)[],
  ): void {
    const apply = ({ request, resolve, reject }: LocalWrite) => {
      try {
        const entry = group.entry(request.key);
        const existed = entry.state !== undefined && entry.state.form !== "deleted";
        const hashBefore = entry.hash;
        checkPreconditions(request, existed ? entry.hash : undefined);
        group.write(entry, request.operation);
        const outcome = outcomeOf(request.operation, existed, entry.hash !== hashBefore);
        const told = { json: entry.json ?? "null", hash: entry.hash ?? "" };
        answers.push(() => {
          const { key, seq } = entry;
          const deleted = outcome === "deleted";
          resolve({ outcome, document: { key, ...splitKey(key), ...told, seq, deleted } });
        });
        failures.push(reject);
      } catch (error) {
        this.#rejectOne(error, reject);
      }
    };
    this.#waiting.takeLocal(() => this.#options.clock.monotonic(), apply);
  }

  #applyMerges(
    group: WriteGroup,
    answers: (() => void)[],
    failures: ((e: unknown) => void)[],
  ): void {
    this.#waiting.takeMerges(
      () => this.#options.clock.monotonic(),
      ({ incoming, origin, resolve, reject }) => {
        try {
          const outcome = group.merge(group.entry(incoming.key), incoming, origin);
          answers.push(() => resolve(outcome));
          failures.push(reject);
        } catch (error) {
          this.#rejectOne(error, reject);
        }
      },
    );
  }

  /** A fault concerns one write; anything else is our bug, and no state can be trusted after it. */
  #rejectOne(error: unknown, reject: (error: unknown) => void): void {
    reject(error);
    if (!(error instanceof Fault)) this.#reportFailure(error);
  }

  #commit(group: WriteGroup): void {
    const changed = group.changed();
    const damaged = this.#damage.found;
    if (changed.length === 0 && damaged.length === 0) return;
    const now = this.#options.clock.now();
    for (const [index, entry] of changed.entries()) entry.seq = this.#seq + index + 1;
    const rows = changed.map((entry) => toRow(entry, now));
    if (rows.length > 0) this.#feed.beginEpoch();
    this.#database.write(rows, damaged, now);
    this.#seq += rows.length;
    if (damaged.length > 0) this.#tally.recount();
    else
      for (const [index, row] of rows.entries()) this.#tally.replace(changed[index]?.before, row);
    this.renderings.committed(rows.map((row, i) => ({ row, before: changed[i]?.before })));
    this.#publish(changed, rows);
    this.#damage.committed(damaged, changed);
  }

  #publish(changed: readonly Entry[], rows: readonly Row[]): void {
    this.#feed.publish(
      rows.map((row, index) => {
        const before = changed[index]?.before;
        const was = before === undefined ? "absent" : before.deleted ? "deleted" : "alive";
        return { seq: row.seq, document: toStoredDocument(row), before: was };
      }),
    );
    const committed = changed.map((entry) => ({
      key: entry.key,
      hash: entry.hash ?? "",
      delta: toDelta(entry),
      origin: entry.origin,
    }));
    for (const listener of this.#listeners) listener(committed);
  }

  #reportFailure(error: unknown): void {
    if (error instanceof Fault && error.code === "storage_full") {
      log.warn("Commit refused", { cause: messageOf(error) });
      return;
    }
    const fault =
      error instanceof Fault
        ? error
        : new Fault("internal", `store: ${messageOf(error)}`, {}, error);
    log.error("Commit failed; the process has to restart", { cause: fault.message });
    this.#options.onFatal(fault);
  }
}
