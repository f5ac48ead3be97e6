// What is derived from the rows and kept with every commit: reconciliation sums and counts of documents.
import { compareText } from "../base/text.ts";
import type { CountedRow, Database } from "./database.ts";
import { splitKey } from "./document-key.ts";
import { type Prefix, type Sum, Sums } from "./sums.ts";

/** Horizons of peers for which sums are kept: each is 70 KB. */
const LATER_MAX = 4;
/** Sets of collections for which sums are kept. */
const APART_MAX = 8;

/** Sums over some collections, of what is not due by a horizon. */
interface Apart {
  readonly collections: ReadonlySet<string>;
  readonly horizon: number;
  readonly sums: Sums;
}

const NONE: ReadonlySet<string> = new Set();

export class Tally {
  readonly #database: Database;
  readonly #sums = new Sums();
  /** Parts of what is due after our horizon and by a peer's, which is the key. */
  readonly #later = new Map<number, Sums>();
  /** By names and horizon. */
  readonly #apart = new Map<string, Apart>();
  readonly #alive = new Map<string, number>();
  #horizon: number;
  #documents = 0;
  #tombstones = 0;

  /** `horizon`: what is due by then (ms) is not in the sums. */
  constructor(database: Database, horizon: number) {
    this.#database = database;
    this.#horizon = horizon;
    this.recount();
  }

  /** Documents that are served at `now`. */
  documents(now: number): number {
    let count = this.#documents;
    for (const tooOld of this.#tooOld(now).values()) count -= tooOld;
    return count;
  }

  get tombstones(): number {
    return this.#tombstones;
  }

  get horizon(): number {
    return this.#horizon;
  }

  /** Leaves out what has become due by `horizon`. It never goes back: what a clock let go once stays out. */
  advance(horizon: number): void {
    if (horizon <= this.#horizon) return;
    for (const row of this.#database.leavesDue(this.#horizon, horizon)) {
      this.#sums.remove(row.bucket, row.key, row.hash);
    }
    this.#horizon = horizon;
    this.#later.clear();
    this.#apart.clear();
  }

  /** As of a horizon; an earlier one than ours is ours. Without the collections that are to stand apart. */
  sum(prefix: Prefix, asked = this.#horizon, apart: ReadonlySet<string> = NONE): Sum {
    const horizon = Math.max(asked, this.#horizon);
    const without: Sums[] = [];
    if (horizon > this.#horizon) without.push(this.#dueBy(horizon));
    if (apart.size > 0) without.push(this.#standingApart(apart, horizon));
    return this.#sums.at(prefix, without);
  }

  count(collection: string, now: number): number {
    const count = this.#alive.get(collection) ?? 0;
    return count === 0 ? 0 : count - (this.#tooOld(now).get(collection) ?? 0);
  }

  collections(now: number): { name: string; count: number }[] {
    const tooOld = this.#tooOld(now);
    return [...this.#alive]
      .map(([name, count]) => ({ name, count: count - (tooOld.get(name) ?? 0) }))
      .filter(({ count }) => count > 0)
      .sort((a, b) => compareText(a.name, b.name));
  }

  /** Documents of each collection that are not to be served any more and not hidden yet: few, and for a moment. */
  #tooOld(now: number): Map<string, number> {
    const counts = new Map<string, number>();
    for (const key of this.#database.due.unhidden(now, -1)) {
      const { collection } = splitKey(key);
      counts.set(collection, (counts.get(collection) ?? 0) + 1);
    }
    return counts;
  }

  replace(before: CountedRow | undefined, after: CountedRow | undefined): void {
    if (before !== undefined) {
      this.#sum(before, "remove");
      this.#count(before, -1);
    }
    if (after !== undefined) this.#add(after);
  }

  /** From the rows: at start, and when a damaged row took with it what it had added. */
  recount(): void {
    this.#sums.clear();
    this.#later.clear();
    this.#apart.clear();
    this.#alive.clear();
    this.#documents = 0;
    this.#tombstones = 0;
    for (const leaf of this.#database.leaves()) this.#add(leaf);
  }

  #add(row: CountedRow): void {
    this.#sum(row, "add");
    this.#count(row, 1);
  }

  #sum({ bucket, key, hash, due }: CountedRow, change: "add" | "remove"): void {
    if (due !== undefined && due <= this.#horizon) return;
    this.#sums[change](bucket, key, hash);
    for (const { collections, horizon, sums } of this.#apart.values()) {
      if (due !== undefined && due <= horizon) continue;
      if (collections.has(splitKey(key).collection)) sums[change](bucket, key, hash);
    }
    if (due === undefined) return;
    for (const [horizon, sums] of this.#later) {
      if (due <= horizon) sums[change](bucket, key, hash);
    }
  }

  #dueBy(horizon: number): Sums {
    const known = this.#later.get(horizon);
    if (known !== undefined) return known;
    const sums = new Sums();
    for (const row of this.#database.leavesDue(this.#horizon, horizon)) {
      sums.add(row.bucket, row.key, row.hash);
    }
    for (const oldest of this.#later.keys()) {
      if (this.#later.size < LATER_MAX) break;
      this.#later.delete(oldest);
    }
    this.#later.set(horizon, sums);
    return sums;
  }

  #standingApart(collections: ReadonlySet<string>, horizon: number): Sums {
    const name = `${horizon} ${[...collections].sort(compareText).join(" ")}`;
    const known = this.#apart.get(name);
    if (known !== undefined) return known.sums;
    const sums = new Sums();
    for (const { bucket, key, hash, due } of this.#database.leaves()) {
      if (due !== undefined && due <= horizon) continue;
      if (collections.has(splitKey(key).collection)) sums.add(bucket, key, hash);
    }
    for (const oldest of this.#apart.keys()) {
      if (this.#apart.size < APART_MAX) break;
      this.#apart.delete(oldest);
    }
    this.#apart.set(name, { collections, horizon, sums });
    return sums;
  }

  #count({ key, deleted, hidden }: CountedRow, change: 1 | -1): void {
    if (deleted) {
      if (!hidden) this.#tombstones += change;
      return;
    }
    this.#documents += change;
    const { collection } = splitKey(key);
    const count = (this.#alive.get(collection) ?? 0) + change;
    if (count > 0) this.#alive.set(collection, count);
    else this.#alive.delete(collection);
  }
}
