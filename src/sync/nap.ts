// The pauses between two looks at the clock: long while there is nothing to do, so that a node at rest rests.
import { type Clock, sleep } from "../base/clock.ts";

/** While anything is unsettled, and while nothing is. */
const TICK_MS = 250;
const QUIET_MS = 5_000;

export class Nap {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #stir: (() => void) | undefined;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
  }

  /** Resolves after a tick, or when the signal aborts; a quiet nap lasts longer, and ends when anything stirs. */
  async take(isQuiet: boolean): Promise<void> {
    const over = new AbortController();
    const stop = () => over.abort();
    this.#stir = isQuiet ? stop : undefined;
    this.#signal.addEventListener("abort", stop, { once: true });
    await sleep(this.#clock, isQuiet ? QUIET_MS : TICK_MS, over.signal);
    this.#signal.removeEventListener("abort", stop);
    this.#stir = undefined;
  }

  /** Something has changed. */
  stir(): void {
    this.#stir?.();
  }
}
