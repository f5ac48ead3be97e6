// Stores on a file, and the file from outside: what SQLite itself would say of it.

import { Database as Sqlite } from "bun:sqlite";
import { systemClock } from "../../src/base/clock.ts";
import type { Fault } from "../../src/base/faults.ts";
import { CollectionPolicies, NO_CHOICES } from "../../src/store/collection-policies.ts";
import { Store, type StoreOptions } from "../../src/store/store.ts";

export interface FileStore {
  readonly store: Store;
  /** After which the process would have ended. */
  readonly fatal: Fault[];
}

export function openFileStore(path: string, options: Partial<StoreOptions> = {}): FileStore {
  const fatal: Fault[] = [];
  const store = Store.open({
    path,
    nodeName: "node-a",
    clock: systemClock,
    random: (bytes) => crypto.getRandomValues(bytes),
    cacheBytes: 1024 * 1024,
    policies: new CollectionPolicies(NO_CHOICES),
    crdtCacheBytes: 1024 * 1024,
    documentBytesMax: 1024 * 1024,
    onFatal: (fault) => fatal.push(fault),
    ...options,
  });
  return { store, fatal };
}

/** Runs SQL on the closed file of a store. */
export function tamper(path: string, sql: string): void {
  const sqlite = new Sqlite(path);
  try {
    sqlite.exec(sql);
  } finally {
    sqlite.close();
  }
}

/** Makes the closed file of a store one of the first schema, which knew neither renderings nor lifetimes. */
export function toFirstSchema(path: string): void {
  const sqlite = new Sqlite(path);
  try {
    const rows = sqlite
      .query<{ seq: number; key: string; deleted: number; state: Uint8Array } & Texts, []>(
        "SELECT seq, key, deleted, state, json, hash FROM documents",
      )
      .all();
    for (const { seq, key, deleted, state, json, hash } of rows) {
      const text = `${key}\n${hash}\n${deleted !== 0}\n${json ?? ""}`;
      const checksum = (Bun.hash.crc32(state) ^ Bun.hash.crc32(text)) >>> 0;
      sqlite.query("UPDATE documents SET checksum = ? WHERE seq = ?").run(checksum, seq);
    }
    sqlite.exec(`
      DROP TRIGGER rendering_goes_with_document; DROP TABLE renderings; DROP TABLE rendering_parts;
      DELETE FROM meta WHERE name IN ('rendered_seq', 'policies');
      ALTER TABLE documents ADD COLUMN rendering BLOB;
      DROP INDEX documents_by_due; DROP INDEX documents_by_bucket; DROP INDEX set_aside_by_why;
      ALTER TABLE documents DROP COLUMN newest_at; ALTER TABLE documents DROP COLUMN due;
      CREATE INDEX documents_by_bucket ON documents (bucket, key, hash, deleted);
      DROP TABLE stubs;
      DROP INDEX guest_histories_by_use; ALTER TABLE guest_histories DROP COLUMN used_at;
      CREATE TABLE stubs (key_hash BLOB PRIMARY KEY, life INTEGER NOT NULL, until INTEGER NOT NULL)
        WITHOUT ROWID;
      PRAGMA user_version = 1`);
  } finally {
    sqlite.close();
  }
}

interface Texts {
  readonly json: string | null;
  readonly hash: string;
}
