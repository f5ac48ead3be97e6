// Changes that one peer probably gets from another one: told later, if they still matter then.
import type { Clock } from "../base/clock.ts";
import type { DocumentKey } from "../store/document-key.ts";
import { CARRIED_MS, type DueChange, type RelayPeer } from "./relays.ts";

/** How long a change is held back for a peer that its author is connected to. */
const HOLD_MS = 1000;
/** How long a carrier may be behind. */
const BEHIND_MS = 3 * CARRIED_MS;

interface Held {
  readonly hash: string;
  readonly since: number;
  /** Whose link carries it; undefined: its author's. */
  readonly by: RelayPeer | undefined;
}

export class HeldChanges {
  readonly #clock: Clock;
  readonly #held = new Map<DocumentKey, Held>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#held.size;
  }

  hold(key: DocumentKey, hash: string, by?: RelayPeer): void {
    this.#held.set(key, { hash, since: this.#clock.monotonic(), by });
  }

  delete(key: DocumentKey): void {
    this.#held.delete(key);
  }

  clear(): void {
    this.#held.clear();
  }

  /** The peer is known to have this state now. */
  has(key: DocumentKey, hash: string): void {
    if (this.#held.get(key)?.hash === hash) this.#held.delete(key);
  }

  waits(key: DocumentKey): boolean {
    return this.#held.has(key);
  }

  /** Keys of what waits for that peer's link. */
  carriedBy(peer: RelayPeer): DocumentKey[] {
    return [...this.#held].flatMap(([key, { by }]) => (by === peer ? [key] : []));
  }

  /** Takes out what waits for another peer's link; its hash. */
  take(key: DocumentKey): string | undefined {
    const held = this.#held.get(key);
    if (held?.by === undefined) return undefined;
    this.#held.delete(key);
    return held.hash;
  }

  /** Takes out those whose time has come; of those that another link carries so many at most. */
  takeDue(carriedMax = Number.POSITIVE_INFINITY): DueChange[] {
    const now = this.#clock.monotonic();
    const due: DueChange[] = [];
    let carried = 0;
    for (const [key, { hash, since, by }] of this.#held) {
      if (now - since < (by === undefined ? HOLD_MS : CARRIED_MS)) continue;
      if (by !== undefined) {
        // A carrier that is behind has more time; one that can't commit is not waited for.
        if (!by.hasAllSentBy(since) && now - since < BEHIND_MS) continue;
        if (carried >= carriedMax) continue;
        carried += 1;
      }
      this.#held.delete(key);
      due.push({ key, hash, by });
    }
    return due;
  }
}
