// From what is known of a document here and on its peers to why it differs: pure.
import type { Cause, CauseCode, PeerStand, StandingThere } from "../broker/diagnostics.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { Standing } from "../store/standing.ts";
import { QUEUE_MAX } from "../sync/outbox.ts";
import { NO_HASH } from "../wire/native.ts";
import { absenceOf } from "./absence.ts";
import type { GuestFacts, NativeFacts, PeerFacts } from "./facts.ts";

export interface DocumentFacts {
  readonly key: DocumentKey;
  readonly nodeName: string;
  readonly here: Standing;
  readonly isSyncing: boolean;
  readonly isDiskFull: boolean;
  readonly peers: readonly PeerFacts[];
}

/** Stamps further ahead win over whatever others write meanwhile. */
const CLOCK_AHEAD_MS_MAX = 5 * 60_000;

/** Pairs of what leaves readers of both with nothing: nobody has to take anything over. */
const NOTHING = new Set(["absent absent", "absent forgotten", "forgotten absent"]);
/** One remembers its deletion for longer. */
const ENDED = new Set(["forgotten forgotten", "forgotten deleted", "deleted forgotten"]);

/** Null where nobody knows. */
function isSame(here: Standing, peer: PeerFacts): boolean | null {
  if (peer.kind === "guest") return peer.isLevel ? true : null;
  if (peer.kind === "away" || peer.report === undefined) return null;
  const { standing, hash } = peer.report;
  const both = `${here.kind} ${standing}`;
  if (NOTHING.has(both) || ENDED.has(both)) return true;
  return "hash" in here && here.hash === hash && here.kind === standing;
}

export function standOf(here: Standing, peer: PeerFacts): PeerStand {
  const common = { id: peer.name, same: isSame(here, peer) };
  if (peer.kind === "away") {
    const { parting, lastFailure } = peer;
    return {
      ...common,
      connected: false,
      sought: peer.isSought,
      standing: null,
      way: null,
      queued: 0,
      queuedThere: null,
      clockAheadMs: null,
      rttMs: null,
      lastSeenMs: parting?.atMs ?? null,
      lastFailure: lastFailure ?? parting?.reason ?? null,
    };
  }
  const native = peer.kind === "native" ? peer : undefined;
  return {
    ...common,
    connected: true,
    sought: true,
    standing: native === undefined ? null : standingThere(native),
    way: native?.way ?? null,
    queued: peer.queued,
    queuedThere: native?.report?.queued ?? null,
    clockAheadMs: native?.clockAheadMs ?? null,
    rttMs: peer.rttMs ?? null,
    lastSeenMs: peer.lastSeenMs,
    lastFailure: null,
  };
}

function standingThere({ report }: NativeFacts): StandingThere | null {
  if (report === undefined) return null;
  const orNull = (ms: number) => (ms === 0 ? null : ms);
  return {
    kind: report.standing,
    life: report.life,
    hash: report.hash === NO_HASH ? null : report.hash,
    bytes: report.bytes,
    changedAtMs: orNull(report.changedAt),
    deletedAtMs: orNull(report.deletedAt),
    deletedBy: report.by === "" ? null : report.by,
  };
}

/** The weightiest first: what concerns every peer, then peer by peer. */
export function causesOf(facts: DocumentFacts): Cause[] {
  const peers = facts.peers.flatMap((peer) => causesOfPeer(facts, peer));
  return [...causesHere(facts), ...peers];
}

function causesHere({ here, isSyncing, isDiskFull, nodeName }: DocumentFacts): Cause[] {
  const causes: Cause[] = [];
  const add = (code: CauseCode, message: string, remedy: string) =>
    causes.push({ code, peer: null, message, remedy });
  if (!isSyncing) {
    add(
      "sync_stopped",
      `sync is stopped on this node (${nodeName})`,
      "run peat-sidecar sync start",
    );
  }
  if (isDiskFull) {
    add(
      "disk_full",
      `the disk of this node (${nodeName}) is full: its last commit was refused`,
      "free some space where PEAT_DATA_DIR is; nothing has to be restarted",
    );
  }
  if (here.kind === "deleted" || here.kind === "forgotten") {
    add(
      "deleted",
      deletionHere(here),
      "write it again to begin a new life of it; what can be brought back is listed by peat-sidecar deleted",
    );
  }
  if (here.kind === "aside") {
    add(
      "set_aside",
      "it was set aside here: while this node was away for too long it was deleted elsewhere",
      "see peat-sidecar orphans; recover brings it back, discard gives it up",
    );
  }
  if (here.kind === "damaged") {
    add(
      "damaged",
      "it was damaged on the disk of this node and is being fetched from a peer",
      "look at the disk; the next peer that has it sends it",
    );
  }
  if (here.kind === "expired") {
    add(
      "expired",
      "it has had its time here: its collection has a lifetime",
      "write it again, or set PEAT_TTL_PRESET and PEAT_DELETION_POLICIES otherwise, alike on all nodes",
    );
  }
  return causes;
}

function deletionHere(
  here: Extract<Standing, { kind: "deleted" | "forgotten" }> | Standing,
): string {
  if (here.kind === "forgotten") return `it was deleted at ${iso(here.deletedAt)}`;
  const deletion = "deletion" in here ? here.deletion : undefined;
  if (deletion === undefined) return "it was deleted";
  const why = deletion.reason === "" ? "" : ` (${deletion.reason})`;
  const by = deletion.by === "" ? "" : ` by ${deletion.by}`;
  return `it was deleted${by} at ${iso(deletion.at)}${why}`;
}

function iso(ms: number): string {
  return new Date(Math.min(ms, 8.64e15)).toISOString();
}

function causesOfPeer(facts: DocumentFacts, peer: PeerFacts): Cause[] {
  if (peer.kind === "away") return facts.isSyncing ? [absenceOf(peer)] : [];
  const same = isSame(facts.here, peer);
  if (same === true) return [];
  return peer.kind === "guest" ? causesOfGuest(peer) : causesOfNative(facts, peer);
}

function causesOfGuest({ name, queued, stuck }: GuestFacts): Cause[] {
  if (stuck !== undefined) {
    const message = `the document can't be exchanged with ${name}: ${stuck}`;
    return [
      { code: "stuck", peer: name, message, remedy: "delete the document and write it anew" },
    ];
  }
  const waits = queued === 0 ? "" : `; ${queued} documents wait for it`;
  const message = `${name} speaks the older protocol, by which it can't be asked what it has${waits}`;
  return [{ code: "guest", peer: name, message, remedy: `read the document on ${name}` }];
}

/** Of a peer that is connected and does not have the same, or does not say. */
function causesOfNative(facts: DocumentFacts, peer: NativeFacts): Cause[] {
  const causes = [...lastingCauses(facts, peer), ...causesThere(peer)];
  const { name, report, clockAheadMs } = peer;
  // What lasts keeps the document in a queue, too: the queue is its effect then.
  if (causes.length === 0 && !facts.isDiskFull) causes.push(...passingCauses(peer));
  if (Math.abs(clockAheadMs ?? 0) > CLOCK_AHEAD_MS_MAX) causes.push(clockCause(peer));
  if (report === undefined) {
    const message = peer.isAnswered
      ? `${name} is connected, but did not say in time what it has`
      : `${name} (version ${peer.version}) is too old to say what it has`;
    const remedy = peer.isAnswered
      ? "ask again: where its link is cut, the connection is given up after 30 s without an answer"
      : `update ${name}`;
    const code = peer.isAnswered ? "no_answer" : "older_version";
    const cause = { code, peer: name, message, remedy } as const;
    // What waits for a peer that is silent waits because it is.
    if (peer.isAnswered && peer.way !== undefined) causes.unshift(cause);
    else causes.push(cause);
  }
  return causes;
}

/** What somebody has to mend. */
function lastingCauses({ key }: DocumentFacts, peer: NativeFacts): Cause[] {
  const { name, report, stuck, isRuledOtherwise } = peer;
  const causes: Cause[] = [];
  const add = (code: CauseCode, message: string, remedy: string) =>
    causes.push({ code, peer: name, message, remedy });
  if (report?.isDiskFull === true) {
    add(
      "disk_full",
      `the disk of ${name} is full: its last commit was refused`,
      `free some space on ${name}; nothing has to be restarted`,
    );
  }
  const stuckThere = report?.stuck === undefined || report.stuck === "" ? undefined : report.stuck;
  if (stuck !== undefined || stuckThere !== undefined) {
    const told = stuck ?? `${stuckThere} (says ${name})`;
    add(
      "stuck",
      `it can't be made the same on ${name}: ${told}`,
      "delete the document and write it anew, smaller",
    );
  }
  if (isRuledOtherwise) {
    const collection = key.slice(0, key.indexOf(":"));
    add(
      "rules_differ",
      `${name} keeps ${collection} by another sync mode, deletion policy or lifetime, so it is not compared`,
      "set PEAT_SYNC_MODES, PEAT_DELETION_POLICIES and PEAT_TTL_PRESET alike on all nodes",
    );
  }
  return causes;
}

/** What the peer says of its own copy. */
function causesThere({ name, report }: NativeFacts): Cause[] {
  if (report === undefined) return [];
  const of = (code: CauseCode, message: string, remedy: string): Cause[] => [
    { code, peer: name, message, remedy },
  ];
  switch (report.standing) {
    case "deleted":
    case "forgotten": {
      const by = report.by === "" ? "" : ` by ${report.by}`;
      const message = `it was deleted${by} at ${iso(report.deletedAt)}, says ${name}; this node has not taken that over yet`;
      return of(
        "deleted",
        message,
        "ask again in some seconds; write it again to begin a new life of it",
      );
    }
    case "aside":
      return of(
        "set_aside",
        `${name} has set it aside: while it was away for too long it was deleted elsewhere`,
        `see peat-sidecar orphans on ${name}`,
      );
    case "damaged":
      return of(
        "damaged",
        `it was damaged on the disk of ${name}, which fetches it from its peers`,
        `look at the disk of ${name}`,
      );
    case "expired":
      return of(
        "expired",
        `it has had its time on ${name}`,
        "set PEAT_TTL_PRESET and PEAT_DELETION_POLICIES alike, and the clocks of all nodes",
      );
    default:
      return [];
  }
}

/** What time mends, if the link carries it. */
function passingCauses(peer: NativeFacts): Cause[] {
  const { name, way, queued, report } = peer;
  const of = (code: CauseCode, message: string, remedy: string): Cause[] => [
    { code, peer: name, message, remedy },
  ];
  if (way === "queued" || way === "sent") return [queueCause(peer)];
  if (report?.isQueued === true) {
    const message = `it waits on ${name} to be sent here, as do ${report.queued} documents`;
    return of("queued", message, `wait; the link from ${name} is slow`);
  }
  if (report?.isCatchingUp === true || queued > 0) {
    const message = `${name} is being caught up with: ${queued} documents wait for it`;
    return of("catching_up", message, "wait; peat-sidecar peers shows how far it is");
  }
  if (report === undefined) return [];
  const message = `${name} has another version; both compare their documents every few seconds`;
  return of("comparing", message, "ask again in some seconds, or wait with --wait");
}

function queueCause({ name, way, queued, lagMs, rttMs }: NativeFacts): Cause {
  const state =
    way === "sent" ? `is on its way to ${name}, not acknowledged yet` : `waits for ${name}`;
  const full = queued >= QUEUE_MAX ? "; the queue is full" : "";
  const seconds = (ms: number) =>
    ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
  const round = rttMs === undefined ? "" : `, round trip ${seconds(rttMs)}`;
  return {
    code: "queued",
    peer: name,
    message: `it ${state}, with ${queued} documents in the queue${full} (last acknowledged after ${seconds(lagMs)}${round})`,
    remedy: `wait: the link to ${name} is slow, or ${name} is busy; peat-sidecar peers shows how fast the queue shrinks`,
  };
}

function clockCause({ name, clockAheadMs = 0 }: NativeFacts): Cause {
  const minutes = Math.round(Math.abs(clockAheadMs) / 60_000);
  const message = `the clock of ${name} is ${minutes} min ${clockAheadMs > 0 ? "ahead of" : "behind"} this node's: what is written by the later clock wins for so long`;
  return { code: "clock", peer: name, message, remedy: "set both clocks by NTP" };
}
