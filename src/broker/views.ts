// JSON shapes of /api/v1, one function each. Keys stand in the order that the older node prints them
// (peat-mesh 0.6.0 broker, §9.2): sorted, except for health and readiness.
import { splitKey } from "../store/document-key.ts";
import type { AsideEntry } from "../store/set-aside.ts";
import type { StoredDocument, StoreSummary } from "../store/store.ts";
import { withId } from "./document-text.ts";
import type { NodeView, PeerView, ReadinessCheck } from "./node-view.ts";

export function viewHealth(node: NodeView): string {
  return JSON.stringify({ status: "healthy", node_id: node.nodeName });
}

export function viewReadiness(node: NodeView, checks: readonly ReadinessCheck[]): string {
  const ready = checks.every((check) => check.ready);
  const told = checks.map(({ name, ready: holds, message }) => ({ name, ready: holds, message }));
  return JSON.stringify({ ready, node_id: node.nodeName, checks: told });
}

export function viewNode(node: NodeView, uptimeMs: number): string {
  return JSON.stringify({
    node_id: node.nodeName,
    uptime_secs: Math.max(0, Math.floor(uptimeMs / 1000)),
    version: node.version,
  });
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}

function peerShape(peer: PeerView) {
  return {
    address: peer.address,
    connected: peer.connected,
    connected_at_ms: peer.connectedAtMs,
    dialect: peer.dialect,
    endpoint_id: peer.endpointId,
    id: peer.id,
    in_sync: peer.inSync,
    lag_ms: rounded(peer.lagMs),
    last_failure: peer.lastFailure,
    last_seen_ms: peer.lastSeenMs,
    neighbours: peer.neighbours,
    path: peer.path,
    queued: peer.queued,
    received_bytes: peer.receivedBytes,
    rtt_ms: rounded(peer.rttMs),
    secret_tag: peer.secretTag,
    sent_bytes: peer.sentBytes,
    state: peer.state,
    version: peer.version,
  };
}

export function viewPeer(peer: PeerView): string {
  return JSON.stringify(peerShape(peer));
}

export function viewPeers(peers: readonly PeerView[]): string {
  return JSON.stringify({ count: peers.length, peers: peers.map(peerShape) });
}

export interface Topology {
  readonly role: "standalone" | "member";
  readonly peerCount: number;
}

/** The role follows from the connected peers: this node knows no other hierarchy. */
export function topologyOf(peers: readonly PeerView[]): Topology {
  const peerCount = peers.filter((peer) => peer.connected).length;
  return { role: peerCount === 0 ? "standalone" : "member", peerCount };
}

export function viewTopology({ role, peerCount }: Topology): string {
  return JSON.stringify({ hierarchy_level: 0, peer_count: peerCount, role });
}

export function viewSummary(summary: StoreSummary): string {
  return JSON.stringify({
    documents: summary.documents,
    root_hash: summary.rootHash,
    store_id: summary.storeId,
    tombstones: summary.tombstones,
  });
}

export function viewCollections(collections: readonly { name: string; count: number }[]): string {
  const told = collections.map(({ name, count }) => ({ count, name }));
  return JSON.stringify({ collections: told, count: told.length });
}

function asideShape({ id, why, key, at, bytes }: AsideEntry) {
  const { collection, id: documentId } = splitKey(key);
  return {
    at_ms: at,
    bytes: bytes ?? null,
    collection,
    doc_id: documentId,
    id,
    restorable: why !== "damaged" && bytes !== undefined,
    why,
  };
}

export function viewAsideEntry(entry: AsideEntry): string {
  return JSON.stringify(asideShape(entry));
}

export interface AsidePage {
  /** Of all entries of that reason, not of this page only. */
  readonly count: number;
  readonly entries: readonly AsideEntry[];
  /** Last number of a page that is not the last one. */
  readonly next: number | undefined;
}

export function viewAsidePage({ count, entries, next }: AsidePage): string {
  return JSON.stringify({ count, entries: entries.map(asideShape), next });
}

/** The document with its `_id`; `null` for a deleted one. */
export function documentText({ deleted, json, id }: StoredDocument): string {
  return deleted ? "null" : withId(json, id);
}

export function viewDocument(document: StoredDocument): string {
  const { collection, id } = document;
  return `{"collection":${JSON.stringify(collection)},"document":${documentText(document)},"id":${JSON.stringify(id)}}`;
}

export interface Page {
  readonly collection: string;
  /** Of all documents of the collection, not of this page only. */
  readonly count: number;
  readonly documents: readonly StoredDocument[];
  /** Where the next page begins, of a page that is not the last one. */
  readonly next: string | undefined;
}

export function viewPage({ collection, count, documents, next }: Page): string {
  const head = `{"collection":${JSON.stringify(collection)},"count":${count},"documents":[`;
  const tail = next === undefined ? "]}" : `],"next":${JSON.stringify(next)}}`;
  return `${head}${documents.map(documentText).join(",")}${tail}`;
}
