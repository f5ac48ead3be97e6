// The file on disk: SQLite in WAL mode, every commit synchronous. Rows in, rows out; no CRDT is known here.
import { Database as Sqlite } from "bun:sqlite";
import type { Attempts } from "../base/distribution.ts";
import { type Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { DocumentKey } from "./document-key.ts";
import { DueRows } from "./due-rows.ts";
import { Envelopes } from "./envelope.ts";
import { GuestTable } from "./guest-table.ts";
import { checkIntegrity } from "./integrity.ts";
import { RenderingTable } from "./rendering-table.ts";
import { Resealing } from "./resealing.ts";
import {
  COLUMNS,
  type CountedRow,
  type DamagedRow,
  damageOf,
  fromRaw,
  type Leaf,
  openState,
  type RawLeaf,
  type RawRow,
  type Row,
  toCounted,
  toRaw,
} from "./row.ts";
import { Scan } from "./scan.ts";
import { prepare } from "./schema.ts";
import { NO_ENCRYPTION, Seal, type SealOptions } from "./seal.ts";
import { SetAside } from "./set-aside.ts";
import { checkWritable, damagedFile, toStorageFault } from "./storage-fault.ts";
import { Stubs } from "./stubs.ts";
import { unlock } from "./unlock.ts";

const log = getLog("peat_mesh::storage::automerge_store");

export interface DatabaseOptions {
  /** A file, or ":memory:". */
  readonly path: string;
  /** Page cache. */
  readonly cacheBytes: number;
  /** Ms since the Unix epoch; the system's clock unless given. */
  readonly now?: () => number;
  /** How documents lie on disk; in the clear unless given. */
  readonly encryption?: SealOptions | undefined;
  /** Called when reading fails: what is here can no longer be told. */
  readonly onFailure?: (fault: Fault) => void;
  /** Commits and those that failed are counted there. */
  readonly commits?: Attempts | undefined;
}

/** Greater sequence numbers are damage: a million commits a second would take a century to get there. */
const SEQ_MAX = 2 ** 51;

export class Database {
  readonly path: string;
  readonly checkpoints: Checkpoints;
  readonly renderings: RenderingTable;
  readonly guests: GuestTable;
  readonly due: DueRows;
  readonly stubs: Stubs;
  readonly aside: SetAside;
  readonly resealing: Resealing;
  readonly scan: Scan;
  /** Opens documents that an older sidecar has encrypted by one of the keys. */
  readonly envelopes: Envelopes;
  readonly #sqlite: Sqlite;
  readonly #seal: Seal;
  readonly #onFailure: (fault: Fault) => void;
  readonly #commits: Attempts | undefined;

  private constructor(sqlite: Sqlite, seal: Seal, options: DatabaseOptions) {
    const { path, onFailure, now = Date.now, encryption = NO_ENCRYPTION } = options;
    this.#sqlite = sqlite;
    this.#seal = seal;
    this.#commits = options.commits;
    this.path = path;
    const checkpoints = new Checkpoints(sqlite);
    const renderings = new RenderingTable(sqlite, seal, checkpoints);
    this.checkpoints = checkpoints;
    this.renderings = renderings;
    this.resealing = new Resealing({ sqlite, seal, path, renderings, checkpoints });
    this.envelopes = new Envelopes(encryption);
    this.due = new DueRows(sqlite);
    this.stubs = new Stubs(sqlite);
    this.aside = new SetAside(sqlite, seal);
    this.scan = new Scan({ sqlite, seal, read: (run) => this.#read(run) });
    this.#onFailure = onFailure ?? (() => undefined);
    this.guests = new GuestTable(sqlite, { path, now, seal, onFailure: this.#onFailure });
  }

  /** Faults: storage_locked, storage_unusable (damaged, not ours, from a later version). */
  static open(options: DatabaseOptions): Database {
    log.debug(`Opening SQLite database with cache_size=${options.cacheBytes} bytes`);
    let sqlite: Sqlite | undefined;
    try {
      checkWritable(options.path);
      sqlite = new Sqlite(options.path, { create: true, strict: true });
      prepare(sqlite, options);
      const seal = new Seal(options.encryption ?? NO_ENCRYPTION);
      const isMended = checkIntegrity(sqlite, options.path);
      unlock(sqlite, seal, options.path);
      const database = new Database(sqlite, seal, options);
      if (isMended) database.#setAllAside(Date.now());
      if (database.lastSeq() > SEQ_MAX) throw damagedFile(options.path, "sequence number");
      return database;
    } catch (error) {
      sqlite?.close();
      throw toStorageFault(error, options.path);
    }
  }

  close(): void {
    this.resealing.close();
    this.#sqlite.close();
  }

  /** Gives back what the page cache can do without. */
  releaseMemory(): void {
    this.#sqlite.exec("PRAGMA shrink_memory");
  }

  /** What can't be read any more ends the process: the next start looks at the whole file. */
  #read<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      const fault = toStorageFault(error, this.path);
      this.#onFailure(fault);
      throw fault;
    }
  }

  meta(name: string): string | undefined {
    const query = this.#sqlite.query<{ value: string }, [string]>(
      "SELECT value FROM meta WHERE name = ?",
    );
    return query.get(name)?.value;
  }

  setMeta(name: string, value: string): void {
    this.#sqlite.query("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(name, value);
  }

  lastSeq(): number {
    const query = this.#sqlite.query<{ seq: number | null }, []>(
      "SELECT max(seq) AS seq FROM documents",
    );
    const remembered = Number(this.meta("last_seq"));
    return Math.max(query.get()?.seq ?? 0, Number.isSafeInteger(remembered) ? remembered : 0);
  }

  get(key: DocumentKey): Row | DamagedRow | undefined {
    const query = this.#sqlite.query<RawRow, [string]>(
      `SELECT ${COLUMNS} FROM documents WHERE key = ?`,
    );
    const raw = this.#read(() => query.get(key));
    return raw === null ? undefined : fromRaw(raw, this.#seal);
  }

  /** Documents of `collection` in key order that are served at `now`, ids after `after` only; without their states. */
  list(
    collection: string,
    { after, limit, now }: { after: string | undefined; limit: number; now: number },
  ): (Row | DamagedRow)[] {
    // ";" is the character after ":", so this range is the collection and nothing else.
    const rows = this.#sqlite
      .query<RawRow, [string, string, number, number]>(
        `SELECT ${COLUMNS} FROM documents WHERE key > ? AND key < ? AND deleted = 0
           AND (due IS NULL OR due > ?) ORDER BY key LIMIT ?`,
      )
      .iterate(`${collection}:${after ?? ""}`, `${collection};`, now, limit);
    return this.#read(() => Array.from(rows, (raw) => fromRaw(raw, this.#seal, false)));
  }

  /** The newest version of what was committed after `seq`, up to and including `until`, in that order. */
  since(seq: number, until: number, limit: number): (Row | DamagedRow)[] {
    const query = this.#sqlite.query<RawRow, [number, number, number]>(
      `SELECT ${COLUMNS} FROM documents WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
    );
    return this.#read(() => query.all(seq, until, limit)).map((raw) => fromRaw(raw, this.#seal));
  }

  /** Every document, from the index alone. */
  *leaves(): Generator<CountedRow> {
    const query = this.#sqlite.query<RawLeaf, []>(
      "SELECT bucket, key, hash, deleted, due FROM documents ORDER BY bucket",
    );
    for (const raw of query.iterate()) yield toCounted(raw);
  }

  /** Documents that are due after `after`, up to and including `until`. */
  *leavesDue(after: number, until: number): Generator<CountedRow> {
    const query = this.#sqlite.query<RawLeaf, [number, number]>(
      "SELECT bucket, key, hash, deleted, due FROM documents WHERE deleted IN (0, 1, 2) AND due > ? AND due <= ?",
    );
    for (const raw of query.iterate(after, until)) yield toCounted(raw);
  }

  /** Leaves of the buckets from `first` to `last`, both included, without what is due by `horizon`. */
  leavesBetween(first: number, last: number, horizon: number): Leaf[] {
    const query = this.#sqlite.query<RawLeaf, [number, number, number]>(
      "SELECT bucket, key, hash, deleted, due FROM documents WHERE bucket BETWEEN ? AND ? AND (due IS NULL OR due > ?)",
    );
    return this.#read(() => query.all(first, last, horizon)).map(toCounted);
  }

  /** What was set aside as damaged and has not come back since. */
  lost(): { key: DocumentKey; state: Uint8Array }[] {
    return this.#sqlite
      .query<{ key: string; state: unknown }, []>(
        "SELECT key, state FROM set_aside a WHERE why = 'damaged' AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.key = a.key)",
      )
      .all()
      .map(({ key, state }) => ({
        key: key as DocumentKey,
        state: openState(this.#seal, key, state),
      }));
  }

  /** Looks at every row; for a start that has found the file damaged. */
  #setAllAside(now: number): void {
    const damaged: DamagedRow[] = [];
    let [row] = this.since(0, SEQ_MAX, 1);
    while (row !== undefined) {
      const found = damageOf(row);
      if (found !== undefined) damaged.push(found);
      [row] = this.since(row.seq, SEQ_MAX, 1);
    }
    this.write([], damaged, now);
  }

  /**
   * One transaction, durable when it returns; `also` writes to the other tables in it. Throws Faults of
   * toStorageFault; nothing is written then.
   */
  write(
    rows: readonly Row[],
    removed: readonly DamagedRow[],
    now: number,
    also: () => void = () => undefined,
  ): void {
    const db = this.#sqlite;
    const sinceMs = performance.now();
    try {
      db.exec("BEGIN IMMEDIATE");
      for (const row of removed) this.#setAside(row, now);
      const upsert = db.query(UPSERT);
      for (const row of rows) {
        const raw = toRaw(row, this.#seal);
        upsert.run(
          raw.seq,
          raw.key,
          raw.bucket,
          raw.deleted,
          raw.state,
          raw.json,
          raw.hash,
          raw.written_at,
          raw.newest_at,
          raw.due,
          raw.checksum,
        );
      }
      also();
      db.exec("COMMIT");
    } catch (error) {
      if (this.#commits !== undefined) this.#commits.failures += 1;
      if (db.inTransaction) this.#rollback();
      throw toStorageFault(error, this.path);
    }
    this.#commits?.times.observe((performance.now() - sinceMs) / 1000);
  }

  #setAside(row: DamagedRow, now: number): void {
    this.#sqlite
      .query(
        "INSERT INTO set_aside (at, why, key, state, json, hash) SELECT ?, 'damaged', coalesce(key, ''), state, json, hash FROM documents WHERE seq = ?",
      )
      .run(now, row.seq);
    this.drop(row.seq);
  }

  /** Removes a row without a trace; to be called in write(). */
  drop(seq: number): void {
    // Remembered before the row goes: a number that was given out once must not name another commit.
    const last = this.lastSeq();
    if (seq === last) this.setMeta("last_seq", String(last));
    this.#sqlite.query("DELETE FROM documents WHERE seq = ?").run(seq);
  }

  #rollback(): void {
    try {
      this.#sqlite.exec("ROLLBACK");
    } catch (error) {
      log.warn("Rollback refused", { cause: messageOf(error) });
    }
  }
}

const UPSERT = `
  INSERT INTO documents (seq, key, bucket, deleted, state, json, hash, written_at,
    newest_at, due, checksum)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (key) DO UPDATE SET seq = excluded.seq, deleted = excluded.deleted,
    state = excluded.state, json = excluded.json, hash = excluded.hash,
    written_at = excluded.written_at, newest_at = excluded.newest_at, due = excluded.due,
    checksum = excluded.checksum`;
