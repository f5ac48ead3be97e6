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
