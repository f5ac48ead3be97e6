// How often strangers may fail to prove membership: each failure costs a node a handshake and a derivation of keys,
// a millisecond or two, which a few machines that do nothing else could make into a whole core.
import type { Clock } from "../base/clock.ts";

/** So many failures at once, and then so many a second. */
interface Rate {
  readonly atOnce: number;
  readonly perSecond: number;
}

const OF_ONE_ADDRESS: Rate = { atOnce: 32, perSecond: 4 };
/** Of all addresses from which nobody has proved to be a member. */
const OF_STRANGERS: Rate = { atOnce: 100, perSecond: 100 };
const ADDRESSES_MAX = 4096;

interface Spent {
  readonly failures: number;
  readonly at: number;
}

const NOTHING: Spent = { failures: 0, at: 0 };

export class FailureBudget {
  readonly #clock: Clock;
  // In both, insertion order is order of use: the first is the one that has been quiet for longest.
  readonly #byAddress = new Map<string, Spent>();
  readonly #proved = new Set<string>();
  #strangers = NOTHING;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether nobody from this address is to be heard now. */
  isSpent(address: string): boolean {
    const own = this.#byAddress.get(address) ?? NOTHING;
    if (this.#isOver(own, OF_ONE_ADDRESS)) return true;
    return !this.#proved.has(address) && this.#isOver(this.#strangers, OF_STRANGERS);
  }

  failed(address: string): void {
    const own = this.#byAddress.get(address) ?? NOTHING;
    this.#byAddress.delete(address);
    this.#byAddress.set(address, this.#oneMore(own, OF_ONE_ADDRESS));
    dropOldest(this.#byAddress);
    if (!this.#proved.has(address)) this.#strangers = this.#oneMore(this.#strangers, OF_STRANGERS);
  }

  /** A member came from there: it gets in again, whatever strangers from elsewhere do meanwhile. */
  proved(address: string): void {
    this.#proved.delete(address);
    this.#proved.add(address);
    dropOldest(this.#proved);
  }

  #isOver(spent: Spent, rate: Rate): boolean {
    return this.#left(spent, rate) > rate.atOnce - 1;
  }

  #oneMore(spent: Spent, rate: Rate): Spent {
    return { failures: this.#left(spent, rate) + 1, at: this.#clock.monotonic() };
  }

  #left({ failures, at }: Spent, { perSecond }: Rate): number {
    const seconds = (this.#clock.monotonic() - at) / 1000;
    return Math.max(0, failures - seconds * perSecond);
  }
}

function dropOldest(addresses: Map<string, Spent> | Set<string>): void {
  if (addresses.size <= ADDRESSES_MAX) return;
  const [oldest] = addresses.keys();
  if (oldest !== undefined) addresses.delete(oldest);
}
