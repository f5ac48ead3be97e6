// How each collection is kept: with its whole history, a window of it, or its latest state only.

export type SyncMode = "FullHistory" | "LatestOnly" | "WindowedHistory";
export type Kind = "history" | "latest";

const LATEST_ONLY = [
  "beacons",
  "platforms",
  "tracks",
  "nodes",
  "cells",
  "node_states",
  "squad_summaries",
  "platoon_summaries",
  "company_summaries",
];
const WINDOWED_HISTORY = ["track_history", "capability_history"];
/** Collections whose changes travel before others', most urgent first. */
const URGENT = ["alerts", "commands", "contact_reports"];
const BULK = ["track_history", "capability_history", "audit_logs"];

const MODES = new Map<string, SyncMode>([
  ...LATEST_ONLY.map((name) => [name, "LatestOnly"] as const),
  ...WINDOWED_HISTORY.map((name) => [name, "WindowedHistory"] as const),
]);

/** The older node's table; a collection that is not in it keeps its full history. */
function syncModeOf(collection: string): SyncMode {
  return MODES.get(collection) ?? "FullHistory";
}

export function kindOf(collection: string): Kind {
  return syncModeOf(collection) === "FullHistory" ? "history" : "latest";
}

export const PRIORITY_CLASSES = 3;

/** 0 is sent first. */
export function priorityOf(collection: string): number {
  if (URGENT.includes(collection)) return 0;
  return BULK.includes(collection) ? 2 : 1;
}
