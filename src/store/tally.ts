// What is derived from the rows and kept with every commit: reconciliation sums and counts of documents.
import { compareText } from "../base/text.ts";
import type { Database } from "./database.ts";
import { splitKey } from "./document-key.ts";
import { PartialSums } from "./partial-sums.ts";
import type { CountedRow } from "./row.ts";
import { type Prefix, type Sum, Sums } from "./sums.ts";

/** Horizons of peers for which sums are kept. */
const LATER_MAX = 4;
/** Sets of collections for which sums are kept. */
const APART_MAX = 8;

const NONE: ReadonlySet<string> = new Set();

export class Tally {
  readonly #database: Database;
  readonly #sums = new Sums();
  readonly #later = new PartialSums(LATER_MAX);
  readonly #apart = new PartialSums(APART_MAX);
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

  #sum(row: CountedRow, change: "add" | "remove"): void {
    if (row.due !== undefined && row.due <= this.#horizon) return;
    this.#sums[change](row.bucket, row.key, row.hash);
    this.#later.change(row, change);
    this.#apart.change(row, change);
  }

  /** Of what is due after our horizon and by a peer's. */
  #dueBy(horizon: number): Sums {
    return this.#later.of({
      name: String(horizon),
      has: ({ due }) => due !== undefined && due <= horizon,
      rows: () => this.#database.leavesDue(this.#horizon, horizon),
    });
  }

  #standingApart(collections: ReadonlySet<string>, horizon: number): Sums {
    return this.#apart.of({
      name: `${horizon} ${[...collections].sort(compareText).join(" ")}`,
      has: ({ key, due }) =>
        (due === undefined || due > horizon) && collections.has(splitKey(key).collection),
      rows: () => this.#database.leaves(),
    });
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
