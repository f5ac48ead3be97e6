// What is derived from the rows and kept with every commit: reconciliation sums and counts of documents.
import { compareText } from "../base/text.ts";
import type { Database, Row } from "./database.ts";
import { splitKey } from "./document-key.ts";
import { type Prefix, type Sum, Sums } from "./sums.ts";

type Counted = Pick<Row, "key" | "bucket" | "hash" | "deleted">;

export class Tally {
  readonly #database: Database;
  readonly #sums = new Sums();
  readonly #alive = new Map<string, number>();
  #documents = 0;
  #tombstones = 0;

  constructor(database: Database) {
    this.#database = database;
    this.recount();
  }

  get documents(): number {
    return this.#documents;
  }

  get tombstones(): number {
    return this.#tombstones;
  }

  sum(prefix: Prefix): Sum {
    return this.#sums.at(prefix);
  }

  count(collection: string): number {
    return this.#alive.get(collection) ?? 0;
  }

  collections(): { name: string; count: number }[] {
    return [...this.#alive]
      .map(([name, count]) => ({ name, count }))
      .sort((a, b) => compareText(a.name, b.name));
  }

  replace(before: Counted | undefined, after: Counted): void {
    if (before !== undefined) {
      this.#sums.remove(before.bucket, before.key, before.hash);
      this.#count(before, -1);
    }
    this.#add(after);
  }

  /** From the rows: at start, and when a damaged row took with it what it had added. */
  recount(): void {
    this.#sums.clear();
    this.#alive.clear();
    this.#documents = 0;
    this.#tombstones = 0;
    for (const leaf of this.#database.leaves()) this.#add(leaf);
  }

  #add(row: Counted): void {
    this.#sums.add(row.bucket, row.key, row.hash);
    this.#count(row, 1);
  }

  #count({ key, deleted }: Counted, change: 1 | -1): void {
    if (deleted) {
      this.#tombstones += change;
      return;
    }
    this.#documents += change;
    const { collection } = splitKey(key);
    const count = this.count(collection) + change;
    if (count > 0) this.#alive.set(collection, count);
    else this.#alive.delete(collection);
  }
}
