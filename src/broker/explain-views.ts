// JSON shapes of explanations and findings.
import type { DocumentKey } from "../store/document-key.ts";
import { splitKey } from "../store/document-key.ts";
import type { Explanation, Finding, PeerStand } from "./diagnostics.ts";

function standingShape({ here: standing, versions, writers }: Explanation, nodeName: string) {
  const present = "hash" in standing ? standing : undefined;
  const deletion = present?.deletion;
  const forgottenAt = standing.kind === "forgotten" ? standing.deletedAt : null;
  return {
    bytes: present?.bytes ?? 0,
    changed_at_ms: present?.changedAt ?? null,
    deleted_at_ms: deletion?.at ?? forgottenAt,
    deleted_by: deletion?.by ?? null,
    deleted_reason: deletion?.reason ?? null,
    hash: present?.hash ?? null,
    kept: versions?.kind ?? null,
    life: "life" in standing ? standing.life : 0,
    node_id: nodeName,
    standing: standing.kind,
    versions: versions?.count ?? null,
    writers,
    written_at_ms: present?.writtenAt ?? null,
  };
}

function peerShape(peer: PeerStand) {
  const { standing } = peer;
  return {
    bytes: standing?.bytes ?? null,
    changed_at_ms: standing?.changedAtMs ?? null,
    clock_ahead_ms: peer.clockAheadMs === null ? null : Math.round(peer.clockAheadMs),
    connected: peer.connected,
    deleted_at_ms: standing?.deletedAtMs ?? null,
    deleted_by: standing?.deletedBy ?? null,
    hash: standing?.hash ?? null,
    id: peer.id,
    last_failure: peer.lastFailure,
    last_seen_ms: peer.lastSeenMs,
    life: standing?.life ?? null,
    queued: peer.queued,
    queued_there: peer.queuedThere,
    rtt_ms: peer.rttMs === null ? null : Math.round(peer.rttMs),
    same: peer.same,
    sought: peer.sought,
    standing: standing?.kind ?? null,
    way: peer.way,
  };
}

export function viewExplanation(
  key: DocumentKey,
  nodeName: string,
  explanation: Explanation,
): string {
  const { collection, id } = splitKey(key);
  const { verdict, message, peers, causes } = explanation;
  return JSON.stringify({
    causes: causes.map(({ code, peer, message: sentence, remedy }) => ({
      code,
      message: sentence,
      peer,
      remedy,
    })),
    collection,
    here: standingShape(explanation, nodeName),
    id,
    message,
    peers: peers.map(peerShape),
    verdict,
  });
}

export function viewFindings(findings: readonly Finding[]): string {
  const told = findings.map(({ severity, code, group, message, remedy }) => ({
    code,
    group,
    message,
    remedy,
    severity,
  }));
  return JSON.stringify({ findings: told });
}
