// What the broker asks of the rest of the node about what is wrong: with one document, or with the node.
import type { DocumentKey } from "../store/document-key.ts";
import type { Standing, Versions } from "../store/standing.ts";

/** Why a document is not the same somewhere. One word for programs; a test of six of them stands for all. */
export type CauseCode =
  /** Nothing answers at the peer's addresses. */
  | "unreachable"
  /** Somebody else answers there: another secret, or another name. */
  | "other_identity"
  /** No address of the peer is known. */
  | "unresolved"
  /** Nobody here looks for the peer. */
  | "gone"
  | "sync_stopped"
  | "kept_away"
  | "duplicate_name"
  | "disk_full"
  | "queued"
  | "stuck"
  | "rules_differ"
  | "clock"
  | "deleted"
  | "set_aside"
  | "damaged"
  | "expired"
  | "catching_up"
  /** Both compare within seconds. */
  | "comparing"
  | "guest"
  | "older_version"
  | "no_answer";

/** One reason, with what to do; about this node where there is no peer. */
export interface Cause {
  readonly code: CauseCode;
  readonly peer: string | null;
  readonly message: string;
  readonly remedy: string | null;
}

/** What a peer has of the document, by its own word. */
export interface StandingThere {
  readonly kind: string;
  readonly life: number;
  /** Null where it has none. */
  readonly hash: string | null;
  readonly bytes: number;
  /** Ms by the peer's clock; null for never. */
  readonly changedAtMs: number | null;
  readonly deletedAtMs: number | null;
  readonly deletedBy: string | null;
}

export interface PeerStand {
  readonly id: string;
  readonly connected: boolean;
  /** False: it was connected once, and nothing here looks for it any more. */
  readonly sought: boolean;
  /** Null where nobody knows. */
  readonly same: boolean | null;
  readonly standing: StandingThere | null;
  /** Where the document is on its way to the peer. */
  readonly way: "queued" | "held" | "sent" | null;
  /** Documents that wait here for it, and there for us. */
  readonly queued: number;
  readonly queuedThere: number | null;
  /** How far its clock is ahead of ours, to half a round trip. */
  readonly clockAheadMs: number | null;
  readonly rttMs: number | null;
  readonly lastSeenMs: number | null;
  readonly lastFailure: string | null;
}

export interface Explanation {
  /** unknown: no peer is known to differ, but not all could be asked. */
  readonly verdict: "equal" | "differs" | "unknown";
  /** One line for people. */
  readonly message: string;
  readonly here: Standing;
  readonly versions: Versions | undefined;
  /** Names of who wrote it last, as far as their starts are known. */
  readonly writers: readonly string[];
  readonly peers: readonly PeerStand[];
  /** The weightiest first. */
  readonly causes: readonly Cause[];
}

export type Severity = "ok" | "warning" | "problem";

/** One thing that was looked at. */
export interface Finding {
  readonly severity: Severity;
  /** One word for programs. */
  readonly code: string;
  /** Under which it is shown: `peers`, `storage`, … */
  readonly group: string;
  readonly message: string;
  readonly remedy: string | null;
}

export interface Diagnostics {
  /** Asks every peer that is connected, for `withinMs` at most. Fault `overloaded` when too many ask already. */
  explain(key: DocumentKey, withinMs: number): Promise<Explanation>;
  /** Everything that the running node can say of itself and its peers. */
  examine(withinMs: number): Promise<readonly Finding[]>;
}
