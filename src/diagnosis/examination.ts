// What the running node finds of itself and its peers, each with a remedy: pure, from what it is given.
import type { Finding, Severity } from "../broker/diagnostics.ts";
import type { ReadinessCheck } from "../broker/node-view.ts";
import { QUEUE_MAX } from "../sync/outbox.ts";
import { absenceOf } from "./absence.ts";
import type { NativeFacts, PeerFacts } from "./facts.ts";

/** What is looked at besides the peers. */
export interface ExaminedNode {
  readonly version: string;
  /** Of the secret by which this node is known, 8 hex digits. */
  readonly secretTag: string;
  readonly status: { readiness(): readonly ReadinessCheck[] };
  readonly coordinator: {
    readonly orders: { readonly isSyncing: boolean };
    readonly refusedConnections: number;
    stuck(): ReadonlyMap<string, string>;
  };
  readonly store: { readonly standings: { readonly isDiskFull: boolean } };
}

/** A clock that is wrong by so much orders writes wrongly, and lets documents with a lifetime end too soon. */
const CLOCK_MS_MAX = 10_000;
const QUEUE_MANY = 1_000;
const LAG_MS_MANY = 30_000;
const STUCK_TOLD = 5;

/** Findings in the order in which they are shown. */
export function examine(node: ExaminedNode, peers: readonly PeerFacts[]): Finding[] {
  return [
    ...examineSync(node),
    ...examineStorage(node),
    ...examineReadiness(node),
    ...examineStuck(node),
    ...examinePeers(node, peers),
  ];
}

function finding(
  group: string,
  severity: Severity,
  code: string,
  { message, remedy = null }: { message: string; remedy?: string | null },
): Finding {
  return { group, severity, code, message, remedy };
}

function examineSync({ coordinator }: ExaminedNode): Finding[] {
  if (coordinator.orders.isSyncing) {
    return [finding("node", "ok", "sync_running", { message: "sync runs" })];
  }
  const message = "sync is stopped on this node: it exchanges nothing with any peer";
  return [
    finding("node", "problem", "sync_stopped", { message, remedy: "run peat-sidecar sync start" }),
  ];
}

function examineStorage({ store }: ExaminedNode): Finding[] {
  if (!store.standings.isDiskFull) {
    return [finding("node", "ok", "commits", { message: "the last commit was taken" })];
  }
  const message = "the disk is full: the last commit was refused, and nothing is taken from peers";
  const remedy = "free some space where PEAT_DATA_DIR is; nothing has to be restarted";
  return [finding("node", "problem", "disk_full", { message, remedy })];
}

/** Names of readiness checks, with what to do; stuck documents are told one by one. */
const REMEDIES: Readonly<Record<string, string>> = {
  listeners: "wait, or see the log for the listener that does not open",
  discovery: "see PEAT_DISCOVERY and its settings; the node tries again by itself",
  caught_up: "wait: an empty node is ready once it has the documents of a peer",
  duplicate_name: "give each node its own PEAT_NODE_ID, or each cluster its own PEAT_CLUSTER_NAME",
  clock: "set the clocks of all nodes by NTP",
  rules_differ: "set PEAT_SYNC_MODES, PEAT_DELETION_POLICIES and PEAT_TTL_PRESET alike",
  orphans: "list them by peat-sidecar orphans; recover brings one back, discard gives it up",
  agent: "see whether the remote agent runs at PEAT_AGENT_ADDR",
};
const PROBLEMS = new Set(["duplicate_name"]);

function examineReadiness({ status }: ExaminedNode): Finding[] {
  const checks = status.readiness().filter(({ name }) => name !== "stuck_documents");
  const found = checks.map(({ name, ready, message }) => {
    const severity = !ready || PROBLEMS.has(name) ? "problem" : "warning";
    const remedy = REMEDIES[name] ?? null;
    return finding("node", severity, name, { message: message ?? name, remedy });
  });
  const isReady = checks.every(({ ready }) => ready);
  return isReady
    ? [finding("node", "ok", "ready", { message: "the node is ready" }), ...found]
    : found;
}

function examineStuck({ coordinator }: ExaminedNode): Finding[] {
  const stuck = [...coordinator.stuck()];
  const remedy =
    "delete the document and write it anew; peat-sidecar explain tells where it differs";
  const told = stuck.slice(0, STUCK_TOLD).map(([key, reason]) => {
    const message = `${key.replace(":", "/")} can't be made the same everywhere: ${reason}`;
    return finding("documents", "problem", "stuck", { message, remedy });
  });
  const more = stuck.length - told.length;
  if (more <= 0) return told;
  const message = `${more} more documents can't be made the same everywhere`;
  return [...told, finding("documents", "problem", "stuck", { message, remedy })];
}

function examinePeers(node: ExaminedNode, peers: readonly PeerFacts[]): Finding[] {
  const refused = node.coordinator.refusedConnections;
  const found: Finding[] = [];
  if (peers.length === 0) {
    const message = "no peer is known";
    const remedy = "name one in PEAT_STATIC_PEERS, or see what PEAT_DISCOVERY finds";
    found.push(finding("peers", "warning", "no_peers", { message, remedy }));
  }
  for (const peer of peers) found.push(...examinePeer(node, peer));
  if (refused > 0) {
    const message = `${refused} connections were refused since the start: strangers, or nodes with another formation secret`;
    const remedy = "the log names their addresses (Connection refused)";
    found.push(finding("peers", "warning", "refused", { message, remedy }));
  }
  return found;
}

function examinePeer(node: ExaminedNode, peer: PeerFacts): Finding[] {
  if (peer.kind === "away") {
    if (!node.coordinator.orders.isSyncing) return [];
    const { code, message, remedy } = absenceOf(peer);
    const severity = peer.isSought ? "problem" : "warning";
    return [finding("peers", severity, code, { message, remedy })];
  }
  if (peer.kind === "guest") {
    const message = `${peer.name} is connected by the older protocol`;
    return [
      finding("peers", "ok", "guest", { message }),
      ...examineQueue(peer.name, peer.queued, 0),
    ];
  }
  const found = doubtsOf(node, peer);
  if (found.length > 0) return found;
  const state = peer.inSync ? "in sync" : "syncing";
  const message = `${peer.name} is connected (version ${peer.version}, ${state})`;
  return [finding("peers", "ok", "connected", { message })];
}

/** What is doubtful about a peer that is connected. */
function doubtsOf(node: ExaminedNode, peer: NativeFacts): Finding[] {
  const { name, report, clockAheadMs = 0, rttMs = 0 } = peer;
  const found: Finding[] = [];
  const add = (severity: Severity, code: string, message: string, remedy: string) =>
    found.push(finding("peers", severity, code, { message, remedy }));
  if (report?.isDiskFull === true) {
    const message = `the disk of ${name} is full: its last commit was refused`;
    add("problem", "disk_full", message, `free some space on ${name}; nothing has to be restarted`);
  } else found.push(...examineQueue(name, peer.queued, peer.lagMs));
  if (Math.abs(clockAheadMs) > CLOCK_MS_MAX + rttMs / 2) {
    const by = `${(Math.abs(clockAheadMs) / 1000).toFixed(0)} s ${clockAheadMs > 0 ? "ahead of" : "behind"}`;
    add("warning", "clock", `the clock of ${name} is ${by} this node's`, "set both clocks by NTP");
  }
  if (peer.version !== node.version) {
    const message = `${name} runs version ${peer.version}, this node ${node.version}`;
    add(
      "warning",
      "versions",
      message,
      "update the older one; nodes of one formation may differ for a while",
    );
  }
  if (peer.secretTag !== node.secretTag) {
    const message = `${name} is known by the secret with tag ${peer.secretTag}, this node by ${node.secretTag}: a roll-over is under way`;
    add(
      "warning",
      "secrets",
      message,
      "finish it: the same PEAT_FORMATION_SECRET on all nodes, then drop PEAT_FORMATION_SECRET_ALSO",
    );
  }
  if (peer.isAnswered && report === undefined) {
    add(
      "warning",
      "no_answer",
      `${name} is connected but did not answer in time`,
      "ask again: its link may be slow; where it is cut, the connection is given up after 30 s without an answer",
    );
  }
  return found;
}

function examineQueue(name: string, queued: number, lagMs: number): Finding[] {
  if (queued < QUEUE_MANY && (queued === 0 || lagMs < LAG_MS_MANY)) return [];
  const isFull = queued >= QUEUE_MAX;
  const message = isFull
    ? `the queue for ${name} is full: ${queued} documents wait, and more are found by comparing later`
    : `${queued} documents wait for ${name}, the last was acknowledged after ${(lagMs / 1000).toFixed(1)} s`;
  const remedy = `wait if the queue shrinks (peat-sidecar peers); else the link to ${name} is slow, or ${name} is busy`;
  return [finding("peers", isFull ? "problem" : "warning", "queued", { message, remedy })];
}
