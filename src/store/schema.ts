// The tables of the file, and how a connection to it is set up.
import type { Database as Sqlite } from "bun:sqlite";
import { Fault } from "../base/faults.ts";
import { RENDERING_SCHEMA } from "./rendering-table.ts";
import { damagedFile } from "./storage-fault.ts";

export const SCHEMA_VERSION = 5;
/** "peat" in ASCII: tells our files from other SQLite databases. */
const APPLICATION_ID = 0x70656174;

const STUBS = `
  CREATE TABLE stubs (
    key_hash BLOB PRIMARY KEY, life INTEGER NOT NULL, deleted_at INTEGER NOT NULL,
    until INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX stubs_by_until ON stubs (until);
`;

const DOCUMENT_INDEXES = `
  CREATE INDEX documents_by_bucket ON documents (bucket, key, hash, deleted, due);
  CREATE INDEX documents_by_due ON documents (deleted, due) WHERE due IS NOT NULL;
`;

const GUEST_HISTORIES_INDEX = "CREATE INDEX guest_histories_by_use ON guest_histories (used_at);";

const SET_ASIDE_INDEX = "CREATE INDEX set_aside_by_why ON set_aside (why, key);";

const SCHEMA = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE documents (
    seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, bucket INTEGER NOT NULL,
    deleted INTEGER NOT NULL, state BLOB NOT NULL, json TEXT, hash TEXT NOT NULL,
    written_at INTEGER NOT NULL, newest_at INTEGER NOT NULL, due INTEGER,
    checksum INTEGER NOT NULL
  );
  ${DOCUMENT_INDEXES}
  ${STUBS}
  CREATE TABLE guest_histories (
    guest TEXT NOT NULL, key TEXT NOT NULL, chunks BLOB NOT NULL, used_at INTEGER NOT NULL,
    PRIMARY KEY (guest, key)
  ) WITHOUT ROWID;
  ${GUEST_HISTORIES_INDEX}
  CREATE TABLE set_aside (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, why TEXT NOT NULL, key TEXT NOT NULL,
    state BLOB, json TEXT, hash TEXT
  );
  ${SET_ASIDE_INDEX}
  ${RENDERING_SCHEMA}
`;

/** From the schema of that number to the next one. What has to be computed for the rows is done when the store opens. */
const STEPS: Readonly<Record<number, string>> = {
  1: RENDERING_SCHEMA,
  2: `
    ALTER TABLE documents ADD COLUMN newest_at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE documents ADD COLUMN due INTEGER;
    DROP INDEX documents_by_bucket;
    ${DOCUMENT_INDEXES}
    DROP TABLE stubs;
    ${STUBS}
    ${SET_ASIDE_INDEX}
  `,
  3: `
    ALTER TABLE guest_histories ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
    UPDATE guest_histories SET used_at = unixepoch() * 1000;
    ${GUEST_HISTORIES_INDEX}
  `,
  // From here on cells may be encrypted, which an earlier version would take for damage.
  4: "",
};

/** Sets up a connection; makes the tables of a new file. Faults: storage_locked, storage_unusable. */
export function prepare(sqlite: Sqlite, options: { path: string; cacheBytes: number }): void {
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
  for (let from = version; from < SCHEMA_VERSION; from += 1) {
    sqlite.exec(`BEGIN IMMEDIATE; ${STEPS[from]} PRAGMA user_version = ${from + 1}; COMMIT`);
  }
}
