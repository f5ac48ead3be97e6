// JSON shapes of the routes for operators: snake_case keys, one function each.

import type { LogPage } from "../base/log-ring.ts";
import type { StoreSummary } from "../store/store.ts";
import type {
  FilterView,
  NodeControl,
  ProcessView,
  SettingsDiff,
  SettingView,
} from "./node-control.ts";
import type { NodeView, PeerView } from "./node-view.ts";

export interface StatusParts {
  readonly node: NodeView;
  readonly control: NodeControl;
  readonly summary: StoreSummary;
  readonly collections: number;
  readonly uptimeMs: number;
}

function peersShape(peers: readonly PeerView[]) {
  const connected = peers.filter((peer) => peer.connected);
  return {
    known: peers.length,
    connected: connected.length,
    in_sync: connected.filter(({ inSync }) => inSync).length,
    relayed: connected.filter(({ path }) => path === "relay").length,
  };
}

function processShape({ program, commit, endpointId, startedAtMs }: ProcessView) {
  return {
    program,
    commit,
    pid: process.pid,
    endpoint_id: endpointId,
    started_at_ms: startedAtMs,
    rss_bytes: process.memoryUsage.rss(),
  };
}

export function viewStatus(parts: StatusParts): string {
  const { node, control, summary, collections, uptimeMs } = parts;
  const checks = node.readiness();
  const peers = node.peers();
  const about = control.process();
  return JSON.stringify({
    node_id: node.nodeName,
    version: node.version,
    ...processShape(about),
    uptime_secs: Math.max(0, Math.floor(uptimeMs / 1000)),
    ready: checks.every((check) => check.ready),
    checks: checks.map(({ name, ready, message }) => ({ name, ready, message })),
    sync: { running: control.isSyncing },
    documents: summary.documents,
    tombstones: summary.tombstones,
    changes: summary.changes,
    collections,
    queued: peers.reduce((sum, { queued }) => sum + queued, 0),
    database_bytes: about.databaseBytes,
    wal_bytes: about.walBytes,
    peers: peersShape(peers),
    listeners: about.listeners.map(({ kind, address }) => ({ kind, address })),
  });
}

export function viewSync({ isSyncing }: NodeControl): string {
  return JSON.stringify({ running: isSyncing });
}

/** Lines are JSON already. */
export function viewLogs({ lines, next, dropped }: LogPage): string {
  return `{"lines":[${lines.join(",")}],"next":${next},"dropped":${dropped}}`;
}

export function viewFilter({ filter, isOrdered, unknown }: FilterView): string {
  return JSON.stringify({ filter, ordered: isOrdered, unknown });
}

function settingShape({ name, variable, value, isSecret, isSet, origin }: SettingView) {
  return { name, variable, value, is_secret: isSecret, is_set: isSet, origin };
}

/** `diff` where it was asked for. */
export function viewConfig(settings: readonly SettingView[], diff?: SettingsDiff): string {
  const told = diff && {
    waiting: diff.waiting.map((one) => ({ ...settingShape(one), taken_by: one.takenBy })),
    problems: diff.problems,
  };
  return JSON.stringify({ settings: settings.map(settingShape), ...told });
}
