// How often somebody may fail to prove membership: each failure costs a node a handshake and a derivation of keys,
// a millisecond or two, which a machine that does nothing else could make into a whole core.
import type { Clock } from "../base/clock.ts";

/** From one address: so many at once, and then so many a second. */
const AT_ONCE = 32;
const PER_SECOND = 4;
const ADDRESSES_MAX = 4096;

interface Spent {
  readonly failures: number;
  readonly at: number;
}

export class FailureBudget {
  readonly #clock: Clock;
  // Insertion order is order of failure: the first is the one that has been quiet for longest.
  readonly #spent = new Map<string, Spent>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isSpent(address: string): boolean {
    return this.#failuresOf(address) > AT_ONCE - 1;
  }

  spend(address: string): void {
    const failures = this.#failuresOf(address) + 1;
    this.#spent.delete(address);
    this.#spent.set(address, { failures, at: this.#clock.monotonic() });
    if (this.#spent.size <= ADDRESSES_MAX) return;
    const [quietest] = this.#spent.keys();
    if (quietest !== undefined) this.#spent.delete(quietest);
  }

  #failuresOf(address: string): number {
    const spent = this.#spent.get(address);
    if (spent === undefined) return 0;
    const seconds = (this.#clock.monotonic() - spent.at) / 1000;
    return Math.max(0, spent.failures - seconds * PER_SECOND);
  }
}
