// What the store lets go when its time has come, a bounded number at a time: tombstones become stubs, hidden
// documents and the contents of deleted ones are dropped, stubs are forgotten, and what guests held that are gone for good.
import type { CollectionPolicies } from "./collection-policies.ts";
import type { CrdtCache } from "./crdt-cache.ts";
import type { Database } from "./database.ts";
import type { DeletionMemory } from "./deletion-memory.ts";
import { type DocumentKey, splitKey } from "./document-key.ts";
import { GRACE_MS } from "./lifetimes.ts";
import { isDamaged, type Row } from "./row.ts";
import { readLife } from "./state.ts";

export interface Collected {
  /** Tombstones that became stubs. */
  readonly tombstones: number;
  /** Documents that were dropped. */
  readonly documents: number;
  /** Whether another turn would find more. */
  readonly hasMore: boolean;
}

export interface GarbageOptions {
  readonly database: Database;
  readonly cache: CrdtCache;
  readonly policies: CollectionPolicies;
  readonly memory: DeletionMemory;
}

/** Everything one turn removes together. */
const PER_TURN = 128;

export class Garbage {
  readonly #options: GarbageOptions;

  constructor(options: GarbageOptions) {
    this.#options = options;
  }

  /**
   * One turn, in one transaction; `removed` is told of each row that went. `horizon`: what is due by then is not in
   * the sums. Faults: storage_full, storage_failed.
   */
  collect(
    { now, horizon }: { now: number; horizon: number },
    removed: (row: Row) => void,
  ): Collected {
    const { database, cache } = this.#options;
    const tombstones = this.#rows(database.due.tombstones(horizon, PER_TURN));
    const documents = this.#rows(database.due.hidden(now - GRACE_MS, PER_TURN));
    const contents = this.#contents(now);
    const hasStubs = database.stubs.hasDue(now);
    const hasHistories = database.guests.hasUnused(now - this.#memoryMs);
    const count = tombstones.length + documents.length + contents.length;
    if (count === 0 && !hasStubs && !hasHistories)
      return { tombstones: 0, documents: 0, hasMore: false };
    let [forgotten, histories] = [0, 0];
    database.write([], [], now, () => {
      for (const row of tombstones) this.#toStub(row, now);
      for (const row of documents) this.#drop(row, now);
      for (const id of contents) database.aside.remove(id);
      forgotten = this.#forget(now);
      histories = database.guests.forget(now - this.#memoryMs, PER_TURN);
    });
    for (const { key } of documents) cache.forget(key);
    for (const row of [...tombstones, ...documents]) removed(row);
    const isFull = [tombstones, documents, contents].some((list) => list.length === PER_TURN);
    const hasMore = isFull || forgotten === PER_TURN || histories === PER_TURN;
    return { tombstones: tombstones.length, documents: documents.length, hasMore };
  }

  /** Damaged rows are left to those who read them. */
  #rows(keys: readonly DocumentKey[]): Row[] {
    const rows = keys.map((key) => this.#options.database.get(key));
    return rows.filter((row): row is Row => row !== undefined && !isDamaged(row));
  }

  #toStub({ seq, key, state, newestAt, due }: Row, now: number): void {
    const { database } = this.#options;
    const life = readLife(state) ?? 1;
    // A deleter's clock may have been far behind: from now on, at least.
    const until = Math.max(due ?? now, now) + this.#memoryMs;
    database.stubs.keep(key, { life, deletedAt: newestAt }, until);
    database.drop(seq);
  }

  /** What came before a later life of the document is remembered, or it could come back. */
  #drop({ seq, key, state }: Row, now: number): void {
    const { database } = this.#options;
    const life = readLife(state) ?? 0;
    if (life > 0) {
      database.stubs.keep(key, { life: life - 1, deletedAt: now }, now + this.#memoryMs);
    }
    database.drop(seq);
  }

  #forget(now: number): number {
    const { database, memory } = this.#options;
    const { count, newestDeletedAt } = database.stubs.forget(now, PER_TURN);
    if (count > 0) memory.forget(newestDeletedAt);
    return count;
  }

  /** Contents of deleted documents whose tombstones have had their time. */
  #contents(now: number): number[] {
    const { database, policies } = this.#options;
    return database.aside
      .oldestDeleted(PER_TURN)
      .filter(({ key, at }) => {
        return at + policies.of(splitKey(key).collection).tombstoneSecs * 1000 <= now;
      })
      .map(({ id }) => id);
  }

  get #memoryMs(): number {
    return this.#options.policies.memorySecs * 1000;
  }
}
