// Changes that go over one slow link only, though several peers behind such links lack them. The links of one node
// mostly share its uplink: what is sent on each of them crosses it as often. The peer that has it passes it on at once.
// Holding back is a delay and never a decision: it runs out, ends with the link that carries the change, and sums find
// the rest.
import type { Clock } from "../base/clock.ts";
import { priorityOf } from "../store/collection-policies.ts";
import { type DocumentKey, splitKey } from "../store/document-key.ts";

/** How long a change may be on its way over the link that carries it. */
export const CARRIED_MS = 20_000;
/** Changes beyond that are sent on every link. */
const CARRIED_MAX = 50_000;

/** A session, as far as it matters here. */
export interface RelayPeer {
  readonly name: string;
  /** Names of those it is connected to. */
  readonly neighbours: ReadonlySet<string>;
  /** Its path is a long one. */
  readonly isSlow: boolean;
  /** Something waits for it, or is on its way: one more change is one later. */
  readonly isLaden: boolean;
  /** It is sent something at the moment, or sends. */
  readonly isMoving: boolean;
  /** Whether it has acknowledged all that was sent to it until then. */
  hasAllSentBy(at: number): boolean;
  /** What is held back for it because of another link is sent. */
  release(key: DocumentKey): void;
  /** What is held back for it because of that one is sent. */
  otherEnded(other: RelayPeer): void;
}

/** How a change goes to one peer: by itself; for others too, who wait for it; or not now, because of `by`. */
export type Carriage =
  | { readonly kind: "alone" }
  | { readonly kind: "entrusted" }
  | { readonly kind: "held"; readonly by: RelayPeer };

/** A change that was held back, and whose time has come. */
export interface DueChange {
  readonly key: DocumentKey;
  readonly hash: string;
  /** Whose link was to carry it; undefined: its author's. */
  readonly by: RelayPeer | undefined;
}

const ALONE: Carriage = { kind: "alone" };
const ENTRUSTED: Carriage = { kind: "entrusted" };

interface Carried {
  readonly hash: string;
  readonly by: RelayPeer;
  readonly until: number;
}

export class Relays {
  readonly #clock: Clock;
  readonly #peers = new Set<RelayPeer>();
  /** Those that are put in first run out first. */
  readonly #carried = new Map<DocumentKey, Carried>();
  /** Received from a peer that has sent them to nobody else, and not committed yet. */
  readonly #entrusted = new Map<DocumentKey, { readonly origin: string }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(peer: RelayPeer): void {
    this.#peers.add(peer);
  }

  /** Its link is over: what it was to pass on is sent by the others after all. */
  end(peer: RelayPeer): void {
    this.#peers.delete(peer);
    for (const other of this.#peers) other.otherEnded(peer);
  }

  /** Asked when a change's turn on the link of `peer` has come. */
  carriage(peer: RelayPeer, key: DocumentKey, hash: string): Carriage {
    // What is urgent takes every path there is.
    if (!peer.isSlow || priorityOf(splitKey(key).collection) === 0) return ALONE;
    const now = this.#clock.monotonic();
    const carried = this.#carried.get(key);
    if (carried?.hash === hash && carried.by !== peer && carried.until > now) {
      const { by } = carried;
      const isOnItsWay = this.#peers.has(by) && by.neighbours.has(peer.name);
      // One passes it on: if all did that get it, each would send it to each.
      if (isOnItsWay) return peer.isLaden ? { kind: "held", by } : ALONE;
    }
    const others = [...this.#peers].filter((other) => other !== peer && other.isSlow);
    if (!others.some(({ name }) => peer.neighbours.has(name))) return ALONE;
    this.#carried.delete(key);
    this.#forgetOld(now);
    if (this.#carried.size >= CARRIED_MAX) return ALONE;
    this.#carried.set(key, { hash, by: peer, until: now + CARRIED_MS });
    return ENTRUSTED;
  }

  /** It has told its neighbours: to those who are none it passes nothing on. */
  parted(by: RelayPeer): void {
    for (const peer of this.#peers) if (!by.neighbours.has(peer.name)) peer.otherEnded(by);
  }

  /** What we had was sent again: if `origin` leaves it to us to pass on, as we do to it, neither would. */
  crossed(key: DocumentKey, origin: string): void {
    if (!this.isEntrusted(key, origin) || !this.#carried.delete(key)) return;
    for (const peer of this.#peers) peer.release(key);
  }

  #forgetOld(now: number): void {
    for (const [key, { until }] of this.#carried) {
      if (until > now) return;
      this.#carried.delete(key);
    }
  }

  /** Whether `peer` is behind a slow link and another such link moves: what is found to differ now is probably on its way there. */
  isMovingElsewhere(peer: RelayPeer): boolean {
    if (!peer.isSlow) return false;
    return [...this.#peers].some((other) => other !== peer && other.isSlow && other.isMoving);
  }

  /** What `origin` sends is to be passed on at once; the function that is returned ends that. */
  entrust(origin: string, keys: readonly DocumentKey[]): () => void {
    // Its own: a later frame with the same document may still be under way when this one is done.
    const trust = { origin };
    for (const key of keys) this.#entrusted.set(key, trust);
    return () => {
      for (const key of keys) {
        if (this.#entrusted.get(key) === trust) this.#entrusted.delete(key);
      }
    };
  }

  isEntrusted(key: DocumentKey, origin: string | undefined): boolean {
    return origin !== undefined && this.#entrusted.get(key)?.origin === origin;
  }
}
