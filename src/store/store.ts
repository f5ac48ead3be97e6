// The documents of this node: writes and merges in groups, each group one durable commit; reads, feed and
// reconciliation sums of what is committed.
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { Answers } from "./answers.ts";
import { adoptConfigs, CollectionConfigs } from "./collection-configs.ts";
import type { CollectionPolicies } from "./collection-policies.ts";
import { Contents } from "./contents.ts";
import { Copying } from "./copying.ts";
import { CrdtCache } from "./crdt-cache.ts";
import { Damage } from "./damage.ts";
import { Database } from "./database.ts";
import { DeletionMemory } from "./deletion-memory.ts";
import { Histories } from "./document-histories.ts";
import type { DocumentKey } from "./document-key.ts";
import { isSetAside, isTooOld, toRow } from "./entry.ts";
import { applyPolicies, Expiry } from "./expiry.ts";
import {
  Feed,
  type StoredDocument,
  type SubscribeOptions,
  type Subscription,
  toStoredDocument,
} from "./feed.ts";
import { type Collected, Garbage } from "./garbage.ts";
import type { GuestTable } from "./guest-table.ts";
import { horizonAt } from "./lifetimes.ts";
import type { WriteRequest, WriteResult } from "./precondition.ts";
import { Renderings } from "./renderings.ts";
import type { Resealing } from "./resealing.ts";
import { isDamaged, type Leaf } from "./row.ts";
import { Searches } from "./search.ts";
import { newStartId, Stamper, type StartId } from "./stamp.ts";
import { Standings } from "./standing.ts";
import type { StateHash } from "./state.ts";
import { StateReader } from "./state-reader.ts";
import { toStorageFault } from "./storage-fault.ts";
import { storeIdOf } from "./store-id.ts";
import type { Committed, StoreOptions, StoreSummary } from "./store-options.ts";
import { bucketsBelow, type Prefix, ROOT, type Sum } from "./sums.ts";
import { Tally } from "./tally.ts";
import { isTold, toChanges, toCommitted } from "./told.ts";
import { type IncomingState, type MergeOutcome, WriteGroup } from "./write-group.ts";
import { WriteQueue } from "./write-queue.ts";

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
  readonly histories: Histories;
  readonly policies: CollectionPolicies;
  readonly guests: GuestTable;
  readonly damage: Damage;
  readonly resealing: Resealing;
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
  readonly #states: StateReader;
  readonly #expiry: Expiry;
  readonly #garbage: Garbage;
  /** What deleting means in collections for which somebody has said so. */
  readonly configs: CollectionConfigs;
  /** What this node's memory of deletions reaches back to. */
  readonly memory: DeletionMemory;
  /** Contents that are in the file but not in the documents. */
  readonly contents: Contents;
  /** Documents by what is in them. */
  readonly searches: Searches;
  /** What there is of a document, served or not, and whether there is room for more. */
  readonly standings: Standings;
  readonly copying: Copying;
  #revision = 0;

  private constructor(options: StoreOptions, database: Database, storeId: string) {
    this.#options = options;
    this.#database = database;
    this.storeId = storeId;
    this.policies = options.policies;
    this.guests = database.guests;
    this.resealing = database.resealing;
    this.start = newStartId(options.random);
    this.#cache = new CrdtCache({
      actor: this.start,
      newActor: () => newStartId(options.random),
      bytesMax: options.crdtCacheBytes,
    });
    this.#stamper = new Stamper(options.clock, this.start);
    this.#seq = database.lastSeq();
    const { clock, policies } = options;
    const origin = { storeId, start: this.start, lastSeq: this.#seq, now: () => clock.now() };
    this.#feed = new Feed(database, origin, options.readers);
    adoptConfigs(database, policies);
    applyPolicies(database, policies, clock.now());
    this.#tally = new Tally(database, horizonAt(clock.now()));
    const [wake, cache] = [() => this.#schedule(), this.#cache];
    this.damage = new Damage({ database, cache, clock, wake });
    this.searches = new Searches({ database, damage: this.damage, clock });
    const now = () => clock.now();
    this.contents = new Contents({ database, now, write: (request) => this.write(request) });
    this.#states = new StateReader({ database, cache, row: (key) => this.damage.rowOf(key) });
    this.standings = new Standings({ database, damage: this.damage, states: this.#states, now });
    this.#expiry = new Expiry({ database, clock, wake });
    const [tally, expiry] = [this.#tally, this.#expiry];
    this.configs = new CollectionConfigs({ database, policies, clock, tally, expiry });
    this.memory = new DeletionMemory(database, policies.memorySecs * 1000);
    this.#garbage = new Garbage({ database, cache, policies, memory: this.memory });
    const [onBug, damage] = [this.#reportFailure, this.damage];
    this.renderings = new Renderings({ ...options, database, start: this.start, onBug });
    this.histories = new Histories({ database, damage, renderings: this.renderings, clock });
    this.copying = new Copying({ ...options, checkpoints: database.checkpoints });
  }

  /** Faults: storage_locked, storage_unusable. */
  static open(options: StoreOptions): Store {
    const { clock, onFatal: onFailure } = options;
    const database = Database.open({ ...options, now: () => clock.now(), onFailure });
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
    this.copying.close();
    this.searches.close();
    this.configs.close();
    this.renderings.close();
    this.#expiry.close();
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

  /** Resolves after the next turn of the loop that commits: as long as it does, that loop works. */
  turn(): Promise<void> {
    this.#schedule();
    return this.#waiting.turn();
  }

  /** The document if it is alive. */
  get(key: DocumentKey): StoredDocument | undefined {
    const row = this.damage.rowOf(key);
    if (row === undefined || row.deleted || isTooOld(row, this.#now)) return undefined;
    return toStoredDocument(row, this.#database.envelopes);
  }

  /** Alive documents in key order, those with ids after `after`. */
  list(collection: string, options: { limit: number; after?: string }): readonly StoredDocument[] {
    const documents: StoredDocument[] = [];
    const asked = { after: undefined, ...options, now: this.#now };
    for (const row of this.#database.list(collection, asked)) {
      if (isDamaged(row)) this.damage.add(row);
      else documents.push(toStoredDocument(row, this.#database.envelopes));
    }
    return documents;
  }

  count(collection: string): number {
    return this.#tally.count(collection, this.#now);
  }

  collections(): readonly { name: string; count: number }[] {
    return this.#tally.collections(this.#now);
  }

  subscribe(options: SubscribeOptions): Subscription {
    return this.#feed.subscribe(options);
  }

  /** Resume token of this moment. */
  position(): string {
    return this.#feed.position();
  }

  summary(): StoreSummary {
    const { tombstones } = this.#tally;
    const [documents, root] = [this.#tally.documents(this.#now), this.sum(ROOT)];
    const [changes, rootHash] = [this.#seq, `${root.count}-${root.sum}`];
    return { storeId: this.storeId, documents, tombstones, changes, rootHash };
  }

  /** Changes with every write that peers have to be told of; not when something has had its time. */
  get revision(): number {
    return this.#revision;
  }

  /** What is due by then (ms since the Unix epoch) is not in the sums. */
  get horizon(): number {
    if (!this.#isClosed) this.#tally.advance(horizonAt(this.#now));
    return this.#tally.horizon;
  }

  /** As of `horizon`, if that is later than ours; without the collections in `apart`. */
  sum(prefix: Prefix, horizon = 0, apart?: ReadonlySet<string>): Sum {
    return this.#tally.sum(prefix, Math.max(horizon, this.horizon), apart);
  }

  /** Documents with stamps more than 5 minutes ahead of our clock, by the peer that sent them. */
  get futureStamps(): ReadonlyMap<string, number> {
    return this.#futureStamps;
  }

  /** Keys and state hashes below a prefix, as of `horizon`, if that is later than ours. */
  leaves(prefix: Prefix, horizon = 0): Leaf[] {
    const { first, last } = bucketsBelow(prefix);
    return this.#database.leavesBetween(first, last, Math.max(horizon, this.horizon));
  }

  hashOf(key: DocumentKey): StateHash | undefined {
    const row = this.damage.rowOf(key);
    return row === undefined || isSetAside(row) ? undefined : row.hash;
  }

  /** Heads of a stored history, to be told to a peer that is to send the rest; undefined for other kinds. */
  headsOf(key: DocumentKey): readonly string[] | undefined {
    return this.#states.history(key)?.heads();
  }

  /** Whether all of these changes are in our history of the document. */
  hasHeads(key: DocumentKey, heads: readonly string[]): boolean {
    return this.#states.history(key)?.has(heads) ?? false;
  }

  /** The state for a peer that has `heads` of the history (of the life that is ours), else the whole. */
  stateFor(key: DocumentKey, heads: readonly string[] = []) {
    return this.#states.stateFor(key, heads);
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

  /**
   * Sets documents aside that a peer neither has nor remembers, if they are still as told and their lives began by
   * `until` (ms). Returns how many they were: none while the disk is full.
   */
  setAside(told: readonly { key: DocumentKey; hash: StateHash }[], until: number): number {
    if (this.#isClosed) return 0;
    const group = this.#newGroup();
    for (const { key, hash } of told) {
      const entry = group.entry(key);
      const isOfThen = entry.state !== undefined && entry.state.born <= until;
      if (entry.hash === hash && isOfThen) group.orphan(entry);
    }
    try {
      this.#commit(group);
    } catch (error) {
      this.#reportFailure(error);
      return 0;
    }
    return group.changed().length;
  }

  /** One turn of letting go what has had its time. Faults: storage_full, storage_failed. */
  collectGarbage(): Collected {
    const time = { now: this.#now, horizon: this.horizon };
    return this.#garbage.collect(time, (row) => this.#tally.replace(row, undefined));
  }

  get #now(): number {
    return this.#options.clock.now();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    // In a later turn, so that all requests that are ready share one commit.
    this.#options.clock.soon(() => {
      this.#isScheduled = false;
      if (this.#isClosed) return;
      this.#commitGroup();
      this.#waiting.endTurn();
      if (!this.#waiting.isEmpty) this.#schedule();
    });
  }

  #newGroup(): WriteGroup {
    return new WriteGroup({
      ...this.#options,
      database: this.#database,
      cache: this.#cache,
      damage: this.damage,
      stamper: this.#stamper,
      futureStamps: this.#futureStamps,
    });
  }

  #commitGroup(): void {
    const group = this.#newGroup();
    const answers = new Answers(group, this.#database.envelopes, this.#reportFailure);
    for (const key of this.#expiry.take(this.#now)) group.hide(group.entry(key));
    const now = () => this.#options.clock.monotonic();
    this.#waiting.takeLocal(now, (write) => answers.write(write));
    this.#waiting.takeMerges(now, (merge) => answers.merge(merge));
    try {
      this.#commit(group);
      answers.give();
    } catch (error) {
      answers.fail(error);
      this.#reportFailure(error);
    }
  }

  #commit(group: WriteGroup): void {
    const changed = group.changed();
    const damaged = this.damage.found;
    if (changed.length === 0 && damaged.length === 0) return;
    const now = this.#now;
    for (const [index, entry] of changed.entries()) entry.seq = this.#seq + index + 1;
    const rows = changed.map((entry) => toRow(entry, now));
    try {
      if (rows.length > 0) this.#feed.beginEpoch();
      this.#database.write(rows, damaged, now, () => group.writeAside(now));
    } catch (error) {
      group.discard();
      this.#expiry.failed();
      throw error;
    }
    this.#seq += rows.length;
    if (rows.length > 0) this.standings.isDiskFull = false;
    if (damaged.length > 0) this.#tally.recount();
    else
      for (const [index, row] of rows.entries()) this.#tally.replace(changed[index]?.before, row);
    this.renderings.committed(rows.map((row, i) => ({ row, before: changed[i]?.before })));
    if (damaged.length > 0 || changed.some(isTold)) this.#revision += 1;
    this.#expiry.committed(rows);
    this.#feed.publish(toChanges(changed, rows, this.#database.envelopes));
    const committed = toCommitted(changed);
    if (committed.length > 0) for (const listener of this.#listeners) listener(committed);
    this.damage.committed(damaged, changed);
  }

  readonly #reportFailure = (error: unknown): void => {
    const isFault = error instanceof Fault;
    if (isFault && error.code === "storage_full") {
      this.standings.isDiskFull = true;
      log.warn("Commit refused", { cause: messageOf(error) });
      return;
    }
    const fault = isFault ? error : new Fault("internal", `store: ${messageOf(error)}`, {}, error);
    log.error("Commit failed; the process has to restart", { cause: fault.message });
    this.#options.onFatal(fault);
  };
}
