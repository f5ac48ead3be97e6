// Questions about documents that have had their time, answered from the index over it.
import type { Database as Sqlite } from "bun:sqlite";
import type { DocumentKey } from "./document-key.ts";

export class DueRows {
  readonly #sqlite: Sqlite;

  constructor(sqlite: Sqlite) {
    this.#sqlite = sqlite;
  }

  /** When the next document that is served will be too old for it; undefined: none ever will. */
  next(): number | undefined {
    const query = this.#sqlite.query<{ due: number | null }, []>(
      "SELECT min(due) AS due FROM documents WHERE deleted = 0 AND due IS NOT NULL",
    );
    return query.get()?.due ?? undefined;
  }

  /** Documents that readers may still know although they are too old at `now`, oldest first; -1: no limit. */
  unhidden(now: number, limit: number): DocumentKey[] {
    return this.#keys(0, now, limit);
  }

  /** Tombstones that were due by `until`, oldest first. */
  tombstones(until: number, limit: number): DocumentKey[] {
    return this.#keys(1, until, limit);
  }

  /** Hidden documents that were due by `until`, oldest first. */
  hidden(until: number, limit: number): DocumentKey[] {
    return this.#keys(2, until, limit);
  }

  #keys(deleted: number, until: number, limit: number): DocumentKey[] {
    return this.#sqlite
      .query<{ key: string }, [number, number, number]>(
        "SELECT key FROM documents WHERE deleted = ? AND due <= ? ORDER BY due LIMIT ?",
      )
      .all(deleted, until, limit)
      .map(({ key }) => key as DocumentKey);
  }
}
