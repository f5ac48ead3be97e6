// What a commit is to those who listen: changes for readers, news for peers.

import { type Entry, toDelta } from "./entry.ts";
import type { Envelopes } from "./envelope.ts";
import { type Change, toStoredDocument } from "./feed.ts";
import type { Row } from "./row.ts";
import type { Committed } from "./store-options.ts";

/** For readers of the feed. What nobody was told to be there is not told to be gone. */
export function toChanges(
  changed: readonly Entry[],
  rows: readonly Row[],
  envelopes: Envelopes,
): readonly Omit<Change, "token">[] {
  const changes = rows.map((row, index) => {
    const before = changed[index]?.before;
    const was = before === undefined ? "absent" : before.deleted ? "deleted" : "alive";
    return {
      seq: row.seq,
      document: toStoredDocument(row, envelopes),
      before: was,
      hidden: row.hidden,
    } as const;
  });
  return changes
    .filter(({ hidden, before }) => !hidden || before === "alive")
    .map(({ hidden: _, ...change }) => change);
}

/** For peers: states that are others than before. */
export function toCommitted(changed: readonly Entry[]): readonly Committed[] {
  return changed
    .filter((entry) => entry.isNews)
    .map((entry) => {
      const { key, hash = "", origin, encoded } = entry;
      const delta = toDelta(entry);
      return { key, hash, delta, isWhole: delta === encoded, origin };
    });
}

/** Whether the sums change with it: peers have to compare theirs. */
export function isTold({ isNews, aside }: Entry): boolean {
  return isNews || aside?.why === "orphan";
}
