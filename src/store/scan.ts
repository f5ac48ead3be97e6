// A collection read piece by piece, each so small that nobody waits long for it.
import { SQLiteError, type SQLQueryBindings, type Database as Sqlite } from "bun:sqlite";
import { ANYTHING, type SqlCondition } from "./query-sql.ts";
import { COLUMNS, type DamagedRow, fromRaw, type RawRow, type Row } from "./row.ts";
import type { Seal } from "./seal.ts";

/** Keys behind `after`, up to and including `until`. */
export interface Stretch {
  readonly after: string;
  readonly until: string;
}

export interface ScanParts {
  readonly sqlite: Sqlite;
  readonly seal: Seal;
  /** Runs what reads; told of failures after which nothing can be read. */
  readonly read: <T>(run: () => T) => T;
}

interface Wanted {
  readonly now: number;
  readonly condition: SqlCondition;
}

export class Scan {
  readonly #sqlite: Sqlite;
  readonly #seal: Seal;
  readonly #read: ScanParts["read"];

  constructor({ sqlite, seal, read }: ScanParts) {
    this.#sqlite = sqlite;
    this.#seal = seal;
    this.#read = read;
  }

  /** Whether SQL can look into what lies on disk: only while there is no key at all. */
  get isInTheClear(): boolean {
    return this.#seal.keyIds.length === 0;
  }

  /** Of a collection's keys behind `after`: so many, but no more bytes than that unless it is one; undefined: none. */
  stretch(
    { collection, after }: { collection: string; after: string },
    max: { rows: number; bytes: number },
  ): Stretch | undefined {
    // Lengths are known without reading the values.
    const query = this.#sqlite.query<
      { until: string | null; bytes: number; count: number },
      [string, string, number]
    >(
      `SELECT max(key) AS until, sum(ifnull(octet_length(json), 0) + octet_length(state)) AS bytes,
         count(*) AS count
       FROM (SELECT key, json, state FROM documents WHERE key > ? AND key < ? ORDER BY key LIMIT ?)`,
    );
    let { rows } = max;
    while (true) {
      const found = this.#read(() => query.get(after, `${collection};`, rows));
      if (found === null || found.until === null) return undefined;
      if (found.bytes <= max.bytes || found.count === 1) return { after, until: found.until };
      rows = Math.max(1, Math.floor(Math.min(found.count / 2, (rows * max.bytes) / found.bytes)));
    }
  }

  /** Documents that are served at `now` and pass `condition`, in key order; without their states. */
  rows(stretch: Stretch, wanted: Wanted): (Row | DamagedRow)[] {
    return this.#read(() => {
      try {
        return this.#select(stretch, wanted);
      } catch (error) {
        // The disk has made some value another text than JSON, into which SQL can't look: its checksum tells which.
        if (!(error instanceof SQLiteError && error.code === "SQLITE_ERROR")) throw error;
        return this.#select(stretch, { ...wanted, condition: ANYTHING });
      }
    });
  }

  #select({ after, until }: Stretch, { now, condition }: Wanted): (Row | DamagedRow)[] {
    // Not kept: clients choose what stands in it.
    const query = this.#sqlite.prepare<RawRow, SQLQueryBindings[]>(rowsSql(condition));
    try {
      const rows = query.iterate(after, until, now, ...condition.params);
      return Array.from(rows, (raw) => fromRaw(raw, this.#seal, false));
    } finally {
      query.finalize();
    }
  }
}

/** Its parameters: after, until, now, and then the condition's. */
export function rowsSql(condition: SqlCondition): string {
  return `SELECT ${COLUMNS} FROM documents WHERE key > ? AND key <= ? AND deleted = 0
    AND (due IS NULL OR due > ?) AND ${condition.sql} ORDER BY key`;
}
