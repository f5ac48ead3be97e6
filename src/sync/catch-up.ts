// From whom this node takes what it lacks: from one peer at a time, or every peer would send all of it.
import type { Clock } from "../base/clock.ts";

/** A peer that sends nothing for so long is no longer waited for. */
const PATIENCE_MS = 10_000;
/** However much it sends: then the others are compared with as well. */
const LONGEST_MS = 300_000;
/** A peer that has so many documents more than we is one to catch up with. */
const FAR_BEHIND = 200;

export class CatchUp {
  readonly #clock: Clock;
  #from: object | undefined;
  /** Who was the last one. */
  #last: object | undefined;
  #at = 0;
  #since = 0;
  #hasAgreed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Whether sums may be compared with `peer` now. Where we are far behind, or can't know yet (`theirs`
   * undefined), the others wait from then on until done(), or until the peer falls silent.
   */
  mayCompare(peer: object, ours: number, theirs: number | undefined): boolean {
    if (this.isFromOther(peer)) return false;
    if (theirs === undefined || theirs > ours + FAR_BEHIND) this.#hold(peer);
    return true;
  }

  isFrom(peer: object): boolean {
    return this.#from === peer;
  }

  /** Whether somebody else is being caught up with. */
  isFromOther(peer: object): boolean {
    return this.#from !== undefined && this.#from !== peer && !this.#isLate;
  }

  /** Whether some peer is being caught up with, and goes on sending. */
  get isRunning(): boolean {
    return this.#from !== undefined && !this.#isLate;
  }

  get #isLate(): boolean {
    const now = this.#clock.monotonic();
    return now - this.#at >= PATIENCE_MS || now - this.#since >= LONGEST_MS;
  }

  /** The peer goes on sending. */
  progress(peer: object): void {
    if (this.#from === peer) this.#hold(peer);
  }

  /** Some peer and this node hold the same. */
  agreed(): void {
    this.#hasAgreed = true;
  }

  /** Whether any peer and this node have ever held the same. */
  get hasAgreed(): boolean {
    return this.#hasAgreed;
  }

  /** Nothing more is to come from the peer. */
  done(peer: object): void {
    if (this.#from === peer) this.#from = undefined;
  }

  #hold(peer: object): void {
    const now = this.#clock.monotonic();
    // A peer that says it is done, and goes on, has not begun anew.
    if (this.#last !== peer || now - this.#at >= PATIENCE_MS) this.#since = now;
    this.#at = now;
    this.#last = peer;
    this.#from = peer;
  }
}
