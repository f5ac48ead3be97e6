// A store in memory, written to and read from in one line each.

import { type Clock, systemClock } from "../../src/base/clock.ts";
import type { Fault } from "../../src/base/faults.ts";
import { CollectionPolicies, NO_CHOICES } from "../../src/store/collection-policies.ts";
import { type DocumentKey, parseDocumentKey } from "../../src/store/document-key.ts";
import type { FeedReaders } from "../../src/store/feed-readers.ts";
import { Store, type WriteResult } from "../../src/store/store.ts";

const MIB = 1024 * 1024;

export interface MemoryStoreOptions {
  readonly nodeName?: string;
  readonly clock?: Clock;
  readonly documentBytesMax?: number;
  readonly readers?: FeedReaders;
  /** What ends the process in production; by default it fails whatever waits for the store. */
  readonly onFatal?: (fault: Fault) => void;
}

export function openMemoryStore(options: MemoryStoreOptions = {}): Store {
  return Store.open({
    path: ":memory:",
    nodeName: options.nodeName ?? "node-a",
    clock: options.clock ?? systemClock,
    random: (bytes) => crypto.getRandomValues(bytes),
    cacheBytes: 8 * MIB,
    policies: new CollectionPolicies(NO_CHOICES),
    crdtCacheBytes: 8 * MIB,
    documentBytesMax: options.documentBytesMax ?? MIB,
    readers: options.readers,
    onFatal:
      options.onFatal ??
      ((fault) => {
        throw fault;
      }),
  });
}

export function key(text: string): DocumentKey {
  return parseDocumentKey(text);
}

export function put(store: Store, name: string, value: object): Promise<WriteResult> {
  return store.write({
    key: key(name),
    operation: { kind: "put", body: JSON.stringify(value) },
  });
}

export function remove(store: Store, name: string): Promise<WriteResult> {
  return store.write({ key: key(name), operation: { kind: "delete", reason: "" } });
}

/** The document's JSON text, or undefined when there is none that is alive. */
export function read(store: Store, name: string): string | undefined {
  return store.get(key(name))?.json;
}
