// What keeps the older node from announcing too much to one peer (peat-mesh 0.6.0 wire, §3.6). Only what it
// initiates is held back; its answers never are.

const TOKENS_MAX = 100;
const REFILL_TOKENS = 10;
const REFILL_MS = 100;
const COOLDOWN_MS = 100;
export const FAILURES_MAX = 5;

export type Refusal = "breaker" | "rate" | "cooldown";

/** Of one peer, for the life of the process: a disconnect forgets nothing. */
export class PeerFlow {
  #tokens = TOKENS_MAX;
  #refilledAt: number;
  readonly #startedAt = new Map<string, number>();
  #failures = 0;
  #isOpen = false;

  constructor(now: number) {
    this.#refilledAt = now;
  }

  /** Nothing closes an open breaker: only a failure would look at its time-out, and none can happen any more. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Why `key` may not be initiated now. A token is spent even when the cooldown then says no. */
  refuse(key: string, now: number): Refusal | undefined {
    if (this.#isOpen) return "breaker";
    const periods = Math.floor((now - this.#refilledAt) / REFILL_MS);
    if (periods > 0) {
      this.#tokens = Math.min(TOKENS_MAX, this.#tokens + periods * REFILL_TOKENS);
      this.#refilledAt += periods * REFILL_MS;
    }
    if (this.#tokens === 0) return "rate";
    this.#tokens -= 1;
    const startedAt = this.#startedAt.get(key);
    return startedAt !== undefined && now - startedAt < COOLDOWN_MS ? "cooldown" : undefined;
  }

  succeed(key: string, now: number): void {
    this.#failures = 0;
    this.#startedAt.set(key, now);
  }

  /** True when this failure opened the breaker. */
  fail(): boolean {
    this.#failures += 1;
    if (this.#isOpen || this.#failures < FAILURES_MAX) return false;
    this.#isOpen = true;
    return true;
  }
}
