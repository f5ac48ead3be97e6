// Garbage collection and the TTL sweep of the older node (peat-mesh 0.6.0 wire, §5.2, §5.3).
import {
  collectionOf,
  IMPLICIT_TTL_S,
  TOMBSTONE_TTL_S,
  type TtlPreset,
  ttlOf,
} from "./collections.ts";
import type { GuestStorage } from "./storage.ts";
import type { GuestTimers } from "./timers.ts";

const GC_PERIOD_MS = 300_000;
const SWEEP_PERIOD_MS = 10_000;
const TOMBSTONES_MAX = 1000;
const DOCUMENTS_MAX = 500;

/** Drops old tombstones and documents whose `_created_at` is too old. */
function collectGarbage(storage: GuestStorage, now: number): void {
  for (const tombstone of storage.tombstones().slice(0, TOMBSTONES_MAX)) {
    const ttl = TOMBSTONE_TTL_S.get(tombstone.collection);
    if (ttl !== undefined && now - tombstone.deletedAtMs > ttl * 1000) storage.forget(tombstone);
  }
  for (const [collection, ttl] of IMPLICIT_TTL_S) {
    const expired = storage.keys().filter((key) => {
      if (collectionOf(key) !== collection) return false;
      const createdAt = storage.get(key)?.createdAt();
      return createdAt !== undefined && now - createdAt > ttl * 1000;
    });
    for (const key of expired.slice(0, DOCUMENTS_MAX)) storage.drop(key);
  }
}

/** Expiries of received documents, in memory only: the earliest one deletes, whatever came later. */
export class GuestTtl {
  readonly #preset: TtlPreset;
  readonly #expiries: { readonly at: number; readonly key: string }[] = [];

  constructor(preset: TtlPreset) {
    this.#preset = preset;
  }

  received(key: string, now: number): void {
    const ttl = ttlOf(key, this.#preset);
    if (ttl !== undefined) this.#expiries.push({ at: now + ttl * 1000, key });
  }

  /** Without tombstones. */
  sweep(storage: GuestStorage, now: number): void {
    const due = this.#expiries.filter(({ at }) => at <= now);
    const later = this.#expiries.filter(({ at }) => at > now);
    this.#expiries.splice(0, this.#expiries.length, ...later);
    for (const { key } of due) storage.drop(key);
  }
}

/** Runs what is asked for until the process ends. */
export function keepHouse(
  { storage, timers }: { storage: GuestStorage; timers: GuestTimers },
  { collects, ttl }: { collects: boolean; ttl: GuestTtl | undefined },
): void {
  const after = async (periodMs: number, work: () => void) => {
    while (!timers.isOver) {
      await timers.sleep(periodMs);
      if (!timers.isOver) work();
    }
  };
  if (collects) void after(GC_PERIOD_MS, () => collectGarbage(storage, timers.now()));
  if (ttl !== undefined) void after(SWEEP_PERIOD_MS, () => ttl.sweep(storage, timers.now()));
}
