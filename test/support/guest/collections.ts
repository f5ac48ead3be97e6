// What the older node knows about collections (peat-mesh 0.6.0 wire, §3.8, §5.2, §5.3).

const LATEST_ONLY: ReadonlySet<string> = new Set([
  "beacons",
  "platforms",
  "tracks",
  "nodes",
  "cells",
  "node_states",
  "squad_summaries",
  "platoon_summaries",
  "company_summaries",
]);

/** Of a key, the text before the first colon; all of it without one. */
export function collectionOf(key: string): string {
  const colon = key.indexOf(":");
  return colon === -1 ? key : key.slice(0, colon);
}

/** Whether documents go out as whole snapshots. All other collections go as Automerge sync messages. */
export function isLatestOnly(key: string): boolean {
  return LATEST_ONLY.has(collectionOf(key));
}

/** Seconds after which garbage collection forgets a tombstone; undefined: never. */
export const TOMBSTONE_TTL_S: ReadonlyMap<string, number> = new Map([
  ["tracks", 3600],
  ["nodes", 86_400],
  ["cells", 86_400],
  ["alerts", 14_400],
]);

/** Collections whose documents end by their `_created_at`, after so many seconds. */
export const IMPLICIT_TTL_S: ReadonlyMap<string, number> = new Map([
  ["beacons", 3600],
  ["platforms", 3600],
]);

export type TtlPreset = "default" | "tactical" | "long_duration" | "offline_node";

const PRESETS: Readonly<Record<TtlPreset, Readonly<Record<string, number>>>> = {
  default: { beacons: 600, node_positions: 600, capabilities: 7200, cells: 3600 },
  tactical: { beacons: 300, node_positions: 600, capabilities: 7200, cells: 3600 },
  long_duration: { beacons: 600, node_positions: 3600, capabilities: 172_800, cells: 3600 },
  offline_node: { beacons: 30, node_positions: 60, capabilities: 300, cells: 3600 },
};

/** Seconds that a received document of this key lives. Here `/` separates too. */
export function ttlOf(key: string, preset: TtlPreset): number | undefined {
  const end = key.search(/[/:]/);
  const seconds = PRESETS[preset];
  const collection = end === -1 ? key : key.slice(0, end);
  return Object.hasOwn(seconds, collection) ? seconds[collection] : undefined;
}
