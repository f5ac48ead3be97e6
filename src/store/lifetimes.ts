// When a document or a tombstone has had its time. It follows from the state and the collection's policy alone, so
// that nodes with equal policies agree on it to the millisecond; only their clocks may differ.
//
//   alive    due at its newest write + the collection's lifetime: not served from then on
//   deleted  due at its deletion + the collection's tombstone time: a stub is enough from then on
//
// Whatever is due by the horizon is left out of the reconciliation sums. Two nodes compare their sums as of the
// later one of their two horizons: what the one has let go, the other leaves out for the comparison.
import type { CollectionPolicies } from "./collection-policies.ts";
import { splitKey } from "./document-key.ts";
import { highestN, type State } from "./state.ts";

/** How long a document that is too old to be served is kept, for peers whose clocks are behind. */
export const GRACE_MS = 10 * 60_000;

const HORIZON_STEP_MS = 60_000;

/** Ms since the Unix epoch up to which a node with this clock lets go: whole minutes, so that a comparison has one. */
export function horizonAt(nowMs: number): number {
  return Math.max(0, Math.floor(nowMs / HORIZON_STEP_MS) * HORIZON_STEP_MS);
}

/**
 * Ms of the newest write in a state, of its deletion if it is deleted. `changedAt` is the time of the newest
 * change of a history (HistoryDocument.changedAt).
 */
export function newestIn(state: State, changedAt = 0): number {
  switch (state.form) {
    case "deleted":
      return state.deletedAt;
    case "latest":
      // An empty document that a PATCH began has no stamp of its own.
      return Math.max(state.born, Math.floor(highestN(state) / 1024));
    case "history":
      // Changes of other programs may have no time.
      return Math.max(state.born, changedAt);
  }
}

/** Ms at which it is due; undefined: never. */
export function dueAt(
  policies: CollectionPolicies,
  { key, isDeleted, newestAt }: { key: string; isDeleted: boolean; newestAt: number },
): number | undefined {
  const { ttlSecs, tombstoneSecs } = policies.of(splitKey(key).collection);
  const secs = isDeleted ? tombstoneSecs : ttlSecs;
  return secs === undefined ? undefined : Math.min(newestAt + secs * 1000, Number.MAX_SAFE_INTEGER);
}
