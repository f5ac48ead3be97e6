// How long changes take to the peers: from sending to the acknowledged commit of each, and of some of this node's own
// changes until every connected peer has them. What is kept for it has one size, however much is written.
import type { Clock } from "../base/clock.ts";
import { Distribution } from "../base/distribution.ts";
import type { NodeName } from "../identity/peer.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { Committed } from "../store/store.ts";

/** What one peer's acknowledgements tell. */
export interface PeerTimes {
  /** The commit of a frame with these documents, sent at `sentAt` (Clock.monotonic()) and acknowledged `lagMs` later. */
  acknowledged(keys: readonly DocumentKey[], sentAt: number, lagMs: number): void;
  /** The peer has all that this node has. */
  agreed(): void;
}

/** A change that is followed on its way. */
interface Followed {
  readonly key: DocumentKey;
  readonly committedAt: number;
  /** Peers that were connected when it was made, and have not acknowledged it. */
  readonly missing: Set<NodeName>;
}

/** Changes followed at one time, and how long after one the next is: the oldest tell of a lag. */
const FOLLOWED_MAX = 64;
const FOLLOW_EVERY_MS = 50;

export class SyncTimes {
  /** Seconds from sending changes to a peer to the acknowledgement of their commit there. */
  readonly latencies = new Distribution();
  /** Seconds from the commit of a change of this node to the acknowledgement by the last of the connected peers. */
  readonly convergence = new Distribution();
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #followed = new Map<DocumentKey, Followed>();
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** To be called after each commit; `peers`: those that acknowledge what they are sent. */
  committed(changes: readonly Committed[], peers: () => readonly NodeName[]): void {
    const now = this.#clock.monotonic();
    if (now - this.#lastAt < FOLLOW_EVERY_MS || this.#followed.size >= FOLLOWED_MAX) return;
    const own = changes.find(({ key, origin }) => origin === undefined && !this.#followed.has(key));
    if (own === undefined) return;
    const missing = new Set(peers());
    // Nobody to agree with: that is no delay.
    if (missing.size === 0) return;
    this.#lastAt = now;
    this.#followed.set(own.key, { key: own.key, committedAt: now, missing });
  }

  of(peer: NodeName): PeerTimes {
    return {
      acknowledged: (keys, sentAt, lagMs) => {
        this.latencies.observe(lagMs / 1000);
        if (this.#followed.size > 0) this.#acknowledged(peer, keys, sentAt);
      },
      agreed: () => {
        for (const change of [...this.#followed.values()]) this.#reached(change, peer);
      },
    };
  }

  /** What it has not acknowledged is told no more: it is no longer one of the connected. */
  departed(peer: NodeName): void {
    for (const change of [...this.#followed.values()]) {
      change.missing.delete(peer);
      // Nobody is left who could have told when it arrived.
      if (change.missing.size === 0) this.#followed.delete(change.key);
    }
  }

  /** Seconds since the commit of the oldest followed change that the peer has not acknowledged; 0 without one. */
  lagSecs(peer: NodeName): number {
    for (const { missing, committedAt } of this.#followed.values()) {
      if (missing.has(peer)) return (this.#clock.monotonic() - committedAt) / 1000;
    }
    return 0;
  }

  #acknowledged(peer: NodeName, keys: readonly DocumentKey[], sentAt: number): void {
    for (const key of keys) {
      const change = this.#followed.get(key);
      // A frame from before the commit held an older version.
      if (change !== undefined && sentAt >= change.committedAt) this.#reached(change, peer);
    }
  }

  #reached(change: Followed, peer: NodeName): void {
    const { key, committedAt, missing } = change;
    if (!missing.delete(peer) || missing.size > 0) return;
    this.#followed.delete(key);
    this.convergence.observe((this.#clock.monotonic() - committedAt) / 1000);
  }
}
