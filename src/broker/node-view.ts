// What the broker asks of the rest of the node: who it is, whether it is ready, and its peers.
import type { NodeName } from "../identity/peer.ts";

/** One condition of readiness; `message` says why not. */
export interface ReadinessCheck {
  readonly name: string;
  readonly ready: boolean;
  readonly message: string | null;
}

/** A peer as operators see it. */
export interface PeerView {
  readonly id: NodeName;
  /** 64 hex digits, once the peer's key is known. */
  readonly endpointId: string | null;
  readonly connected: boolean;
  /** One word: `connected`, `connecting`, … */
  readonly state: string;
  /** `native`, or `guest` of a peer that speaks the older protocol; null while that is unknown. */
  readonly dialect: "native" | "guest" | null;
  readonly rttMs: number | null;
  /** `direct`, `relay` or `unknown`. */
  readonly path: string | null;
  /** Remote `ip:port` in use, or the last that was tried. */
  readonly address: string | null;
  /** Ms since the Unix epoch. */
  readonly lastSeenMs: number | null;
  /** Ms since the Unix epoch; null while it is not connected. */
  readonly connectedAtMs: number | null;
  /** Documents that wait to be sent to it. */
  readonly queued: number;
  /** From sending a change to its commit there, of the newest one acknowledged. */
  readonly lagMs: number | null;
  /** Both had equal documents when they last compared, and nothing changed here since. */
  readonly inSync: boolean;
  /** Names of the peers that it is connected to, as it says; null where it does not. */
  readonly neighbours: readonly string[] | null;
  /** Of its program, as it says. */
  readonly version: string | null;
  /** Why it is not connected, of the last attempt. */
  readonly lastFailure: string | null;
  /** Bytes of this connection so far. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Tag of the formation secret by which the peer is known, 8 hex digits. */
  readonly secretTag: string | null;
}

/** Something that happened to a peer. When it is told, `peers()` shows it already. */
export type PeerNews =
  | { readonly kind: "connected"; readonly name: NodeName }
  | { readonly kind: "disconnected"; readonly name: NodeName; readonly reason: string };

export interface NodeView {
  readonly nodeName: NodeName;
  readonly version: string;
  /** Clock.monotonic() of the start. */
  readonly startedAt: number;
  /** Every check, also those that hold; the node is ready when all are. */
  readiness(): readonly ReadinessCheck[];
  peers(): readonly PeerView[];
  /** Names by process starts: of this node and of the peers that are connected. */
  starts(): ReadonlyMap<string, NodeName>;
  /** Returns the way to end it. */
  onPeerEvent(listener: (news: PeerNews) => void): () => void;
}
