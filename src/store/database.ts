// The file on disk: SQLite in WAL mode, every commit synchronous. Rows in, rows out; no CRDT is known here.
import { Database as Sqlite } from "bun:sqlite";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { DocumentKey } from "./document-key.ts";
import { GuestTable } from "./guest-table.ts";
import { checkIntegrity } from "./integrity.ts";
import { RENDERING_SCHEMA, RenderingTable } from "./rendering-table.ts";
import { damagedFile, toStorageFault } from "./storage-fault.ts";
import { bucketOf } from "./sums.ts";

const log = getLog("peat_mesh::storage::automerge_store");

const SCHEMA_VERSION = 2;
/** "peat" in ASCII: tells our files from other SQLite databases. */
const APPLICATION_ID = 0x70656174;

/** One document as it lies on disk. */
export interface Row {
  /** Position in the order of commits; a document's newest commit only. */
  readonly seq: number;
  readonly key: DocumentKey;
  /** First bits of SHA-256(key): the leaf of the reconciliation tree. */
  readonly bucket: number;
  readonly deleted: boolean;
  /** Encoded State. */
  readonly state: Uint8Array;
  /** Canonical JSON; undefined for a deleted document. */
  readonly json: string | undefined;
  /** State hash, 32 hex digits. */
  readonly hash: string;
  /** Ms since the Unix epoch of the commit on this node. */
  readonly writtenAt: number;
}

/** What the reconciliation tree needs of every document. */
export interface Leaf {
  readonly key: DocumentKey;
  readonly hash: string;
  readonly deleted: boolean;
}

const SCHEMA = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE documents (
    seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, bucket INTEGER NOT NULL,
    deleted INTEGER NOT NULL, state BLOB NOT NULL, json TEXT, hash TEXT NOT NULL,
    written_at INTEGER NOT NULL, checksum INTEGER NOT NULL
  );
  CREATE INDEX documents_by_bucket ON documents (bucket, key, hash, deleted);
  CREATE TABLE stubs (key_hash BLOB PRIMARY KEY, life INTEGER NOT NULL, until INTEGER NOT NULL)
    WITHOUT ROWID;
  CREATE TABLE guest_histories (
    guest TEXT NOT NULL, key TEXT NOT NULL, chunks BLOB NOT NULL, PRIMARY KEY (guest, key)
  ) WITHOUT ROWID;
  CREATE TABLE set_aside (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, why TEXT NOT NULL, key TEXT NOT NULL,
    state BLOB, json TEXT, hash TEXT
  );
  ${RENDERING_SCHEMA}
`;

type RawRow = {
  seq: number;
  key: string;
  bucket: number;
  deleted: number;
  state: Uint8Array;
  json: string | null;
  hash: string;
  written_at: number;
  checksum: number;
};

const COLUMNS = "seq, key, bucket, deleted, state, json, hash, written_at, checksum";

/** Detects what the disk changed behind our back; not a defence against people. */
function checksumOf(row: Omit<Row, "seq" | "writtenAt" | "bucket">): number {
  const text = `${row.key}\n${row.hash}\n${row.deleted}\n${row.json ?? ""}`;
  return (Bun.hash.crc32(row.state) ^ Bun.hash.crc32(text)) >>> 0;
}

const NO_STATE = new Uint8Array(0);

/** A row that its checksum disowns. */
export interface DamagedRow {
  readonly damaged: true;
  readonly seq: number;
  readonly key: DocumentKey;
  /** Encoded State, as far as it can be read: the life that it tells is a guess. */
  readonly state: Uint8Array;
}

/** Damage may change a value's type, too. */
function hasTypes(raw: RawRow): boolean {
  return (
    typeof raw.key === "string" &&
    raw.state instanceof Uint8Array &&
    (raw.json === null || typeof raw.json === "string") &&
    typeof raw.hash === "string"
  );
}

function toDamaged({ seq, key, state }: RawRow | Row): DamagedRow {
  const rest = state instanceof Uint8Array ? state : NO_STATE;
  return { damaged: true, seq, key: String(key) as DocumentKey, state: rest };
}

function fromRaw(raw: RawRow): Row | DamagedRow {
  if (!hasTypes(raw)) return toDamaged(raw);
  const row: Row = {
    seq: raw.seq,
    key: raw.key as DocumentKey,
    bucket: raw.bucket,
    deleted: raw.deleted === 1,
    state: raw.state,
    json: raw.json ?? undefined,
    hash: raw.hash,
    writtenAt: raw.written_at,
  };
  if (checksumOf(row) === raw.checksum) return row;
  return toDamaged(row);
}

/** The row as a damaged one, if it is: also if it only lies in another bucket than its key's. */
export function damageOf(row: Row | DamagedRow): DamagedRow | undefined {
  if (isDamaged(row)) return row;
  return row.bucket === bucketOf(row.key) ? undefined : toDamaged(row);
}

export function isDamaged(row: Row | DamagedRow | undefined): row is DamagedRow {
  return row !== undefined && "damaged" in row;
}

export interface DatabaseOptions {
  /** A file, or ":memory:". */
  readonly path: string;
  /** Page cache. */
  readonly cacheBytes: number;
  /** Called when reading fails: what is here can no longer be told. */
  readonly onFailure?: (fault: Fault) => void;
}

/** Greater sequence numbers are damage: a million commits a second would take a century to get there. */
const SEQ_MAX = 2 ** 51;

export class Database {
  readonly path: string;
  readonly renderings: RenderingTable;
  readonly guests: GuestTable;
  readonly #sqlite: Sqlite;
  readonly #onFailure: (fault: Fault) => void;

  private constructor(sqlite: Sqlite, { path, onFailure }: DatabaseOptions) {
    this.#sqlite = sqlite;
    this.path = path;
    this.renderings = new RenderingTable(sqlite);
    this.#onFailure = onFailure ?? (() => undefined);
    this.guests = new GuestTable(sqlite, { path, onFailure: this.#onFailure });
  }

  /** Faults: storage_locked, storage_unusable (damaged, not ours, from a later version). */
  static open(options: DatabaseOptions): Database {
    log.debug(`Opening SQLite database with cache_size=${options.cacheBytes} bytes`);
    let sqlite: Sqlite | undefined;
    try {
      sqlite = new Sqlite(options.path, { create: true, strict: true });
      prepare(sqlite, options);
      const database = new Database(sqlite, options);
      if (checkIntegrity(sqlite, options.path)) database.#setAllAside(Date.now());
      if (database.lastSeq() > SEQ_MAX) throw damagedFile(options.path, "sequence number");
      return database;
    } catch (error) {
      sqlite?.close();
      throw toStorageFault(error, options.path);
    }
  }

  close(): void {
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
    return raw === null ? undefined : fromRaw(raw);
  }

  /** Documents of `collection` in key order, those with ids after `after` only; deleted ones left out, and states. */
  list(collection: string, after: string | undefined, limit: number): (Row | DamagedRow)[] {
    // ";" is the character after ":", so this range is the collection and nothing else.
    const rows = this.#sqlite
      .query<RawRow, [string, string, number]>(
        `SELECT ${COLUMNS} FROM documents WHERE key > ? AND key < ? AND deleted = 0 ORDER BY key LIMIT ?`,
      )
      .iterate(`${collection}:${after ?? ""}`, `${collection};`, limit);
    // States may be megabytes each, and lists don't need them: each is let go once its checksum is right.
    return this.#read(() =>
      Array.from(rows, (raw) => {
        const row = fromRaw(raw);
        return isDamaged(row) ? row : { ...row, state: NO_STATE };
      }),
    );
  }

  /** The newest version of what was committed after `seq`, up to and including `until`, in that order. */
  since(seq: number, until: number, limit: number): (Row | DamagedRow)[] {
    const query = this.#sqlite.query<RawRow, [number, number, number]>(
      `SELECT ${COLUMNS} FROM documents WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
    );
    return this.#read(() => query.all(seq, until, limit)).map(fromRaw);
  }

  /** Every document's leaf, from the index alone. */
  *leaves(): Generator<Leaf & { readonly bucket: number }> {
    const query = this.#sqlite.query<
      { bucket: number; key: string; hash: string; deleted: number },
      []
    >("SELECT bucket, key, hash, deleted FROM documents ORDER BY bucket");
    for (const raw of query.iterate()) {
      yield {
        bucket: raw.bucket,
        key: raw.key as DocumentKey,
        hash: raw.hash,
        deleted: raw.deleted === 1,
      };
    }
  }

  /** Leaves of the buckets from `first` to `last`, both included. */
  leavesBetween(first: number, last: number): Leaf[] {
    const query = this.#sqlite.query<
      { key: string; hash: string; deleted: number },
      [number, number]
    >("SELECT key, hash, deleted FROM documents WHERE bucket BETWEEN ? AND ?");
    return this.#read(() => query.all(first, last)).map(({ key, hash, deleted }) => ({
      key: key as DocumentKey,
      hash,
      deleted: deleted === 1,
    }));
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
        state: state instanceof Uint8Array ? state : NO_STATE,
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

  /** One transaction, durable when it returns. Throws Faults of toStorageFault; nothing is written then. */
  write(rows: readonly Row[], removed: readonly DamagedRow[], now: number): void {
    const db = this.#sqlite;
    try {
      db.exec("BEGIN IMMEDIATE");
      for (const row of removed) this.#setAside(row, now);
      const upsert = db.query(UPSERT);
      for (const row of rows) {
        upsert.run(
          row.seq,
          row.key,
          row.bucket,
          row.deleted ? 1 : 0,
          row.state,
          row.json ?? null,
          row.hash,
          row.writtenAt,
          checksumOf(row),
        );
      }
      db.exec("COMMIT");
    } catch (error) {
      if (db.inTransaction) this.#rollback();
      throw toStorageFault(error, this.path);
    }
  }

  #setAside(row: DamagedRow, now: number): void {
    this.#sqlite
      .query(
        "INSERT INTO set_aside (at, why, key, state, json, hash) SELECT ?, 'damaged', coalesce(key, ''), state, json, hash FROM documents WHERE seq = ?",
      )
      .run(now, row.seq);
    // Remembered before the row goes: a number that was given out once must not name another commit.
    this.setMeta("last_seq", String(this.lastSeq()));
    this.#sqlite.query("DELETE FROM documents WHERE seq = ?").run(row.seq);
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
  INSERT INTO documents (seq, key, bucket, deleted, state, json, hash, written_at, checksum)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (key) DO UPDATE SET seq = excluded.seq, deleted = excluded.deleted,
    state = excluded.state, json = excluded.json, hash = excluded.hash,
    written_at = excluded.written_at, checksum = excluded.checksum`;

function prepare(sqlite: Sqlite, options: DatabaseOptions): void {
  sqlite.exec("PRAGMA busy_timeout = 0");
  // One process, and no shared-memory file: the lock that refuses a second process is SQLite's own.
  sqlite.exec("PRAGMA locking_mode = EXCLUSIVE");
  const tables = sqlite.query("SELECT 1 FROM sqlite_schema LIMIT 1").get();
  // Compaction gives pages back to the file system. It has to be set before the first table, and only then:
  // it writes each time, and a node on a full disk must still start and be read.
  if (tables === null) sqlite.exec("PRAGMA auto_vacuum = INCREMENTAL");
  sqlite.exec("PRAGMA journal_mode = WAL");
  sqlite.exec("PRAGMA synchronous = FULL");
  sqlite.exec(`PRAGMA cache_size = -${Math.ceil(options.cacheBytes / 1024)}`);
  sqlite.exec("PRAGMA temp_store = MEMORY");
  const pragma = (name: string) =>
    Number(
      Object.values(sqlite.query<Record<string, number>, []>(`PRAGMA ${name}`).get() ?? {})[0],
    );
  const version = pragma("user_version");
  const application = pragma("application_id");
  if (tables !== null && application !== APPLICATION_ID) {
    const sentence = `${options.path} is a database of another program; move it away or set another PEAT_DATA_DIR`;
    throw new Fault("storage_unusable", sentence);
  }
  if (version > SCHEMA_VERSION) {
    const sentence = `${options.path} was written by a later version (schema ${version}, this one knows ${SCHEMA_VERSION}); install that version again or restore a backup`;
    throw new Fault("storage_unusable", sentence);
  }
  if (tables !== null && version === 0) throw damagedFile(options.path, "no schema version");
  if (version === 0) {
    sqlite.exec(
      `BEGIN IMMEDIATE; ${SCHEMA} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`,
    );
    return;
  }
  // Takes the lock now: a second process must be refused at its start, not at its first write.
  sqlite.exec("BEGIN IMMEDIATE; COMMIT");
  if (version === 1) {
    sqlite.exec(`BEGIN IMMEDIATE; ${RENDERING_SCHEMA} PRAGMA user_version = 2; COMMIT`);
  }
}
