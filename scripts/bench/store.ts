// A store alone, in this process, on a file.
import { existsSync, statSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { CollectionPolicies, NO_CHOICES } from "../../src/store/collection-policies.ts";
import type { SealOptions } from "../../src/store/seal.ts";
import { Store } from "../../src/store/store.ts";

const CACHE_BYTES = 16 * 1024 * 1024;

export function openStore(path: string, encryption?: SealOptions): Store {
  return Store.open({
    path,
    nodeName: "bench",
    policies: new CollectionPolicies(NO_CHOICES),
    clock: systemClock,
    random: (bytes) => crypto.getRandomValues(bytes),
    cacheBytes: CACHE_BYTES,
    crdtCacheBytes: CACHE_BYTES,
    documentBytesMax: CACHE_BYTES,
    encryption,
    onFatal: (fault) => {
      throw fault;
    },
  });
}

/** Of the file and its log. */
export function bytesOf(path: string): number {
  const log = `${path}-wal`;
  return statSync(path).size + (existsSync(log) ? statSync(log).size : 0);
}
