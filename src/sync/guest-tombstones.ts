// Deletions towards a guest and from it: our lives of a document, its tombstones that win over everything.
import { Fault } from "../base/faults.ts";
import type { Kind } from "../store/collection-policies.ts";
import { splitKey } from "../store/document-key.ts";
import { clipReason, type DeletedState, type State } from "../store/state.ts";
import type { Tombstone, TombstoneDirection } from "../wire/tombstone.ts";

/** The older node's directions by collection (peat-mesh 0.6.0 wire, §3.7); the others travel both ways. */
const DIRECTIONS: Readonly<Record<string, TombstoneDirection>> = {
  cells: "up-only",
  contact_reports: "up-only",
  commands: "down-only",
};

/** A time beyond the year 2200 is no clock's. */
const DELETED_AT_MS_MAX = 7_258_118_400_000;
const BY_CHARS_MAX = 253;

/** The lamport time of what we tell is the life that the document is in: odd, and greater with each delete. */
export function toTombstone(key: string, state: DeletedState): Tombstone {
  const { collection, id } = splitKey(key);
  return {
    collection,
    documentId: id,
    deletedAtMs: state.deletedAt,
    lamport: BigInt(state.life),
    deletedBy: state.by,
    reason: state.reason === "" ? undefined : state.reason,
    direction: DIRECTIONS[collection] ?? "bidirectional",
  };
}

/** For a guest that still has an earlier life of a document that was begun anew since. */
export function tombstoneOfEarlierLife(key: string, state: State, by: string): Tombstone {
  const { collection, id } = splitKey(key);
  return {
    collection,
    documentId: id,
    // Before the present life began: whoever reads it again must not take it for its end.
    deletedAtMs: Math.max(0, state.born - 1),
    lamport: BigInt(state.life - 1),
    deletedBy: by,
    reason: undefined,
    direction: DIRECTIONS[collection] ?? "bidirectional",
  };
}

/**
 * What a guest's tombstone makes of our state; undefined: nothing. It ends a first life always. A later life
 * only if it was written after that began, and is not the memory of an earlier end: guests repeat every
 * tombstone they ever saw. Fault `wire_invalid` for a time that is none.
 */
export function fromTombstone(
  { deletedAtMs, lamport, deletedBy, reason }: Tombstone,
  present: State | undefined,
  kind: Kind,
): DeletedState | undefined {
  if (deletedAtMs > DELETED_AT_MS_MAX) {
    throw new Fault("wire_invalid", `a tombstone of ${deletedAtMs} ms is from beyond all clocks`);
  }
  const life = present?.life ?? 0;
  const isDeleted = present?.form === "deleted";
  if (isDeleted && life > 1) return undefined;
  const isLater = present !== undefined && deletedAtMs > present.born && lamport >= BigInt(life);
  if (!isDeleted && life > 0 && !isLater) return undefined;
  const by = deletedBy.slice(0, BY_CHARS_MAX).toWellFormed();
  const told = clipReason(reason ?? "");
  return {
    form: "deleted",
    kind: present === undefined ? kind : present.form === "deleted" ? present.kind : present.form,
    life: isDeleted ? life : life + 1,
    born: deletedAtMs,
    deletedAt: deletedAtMs,
    by,
    reason: told,
  };
}
