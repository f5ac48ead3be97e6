// How late the event loop is: everything else on it waits as long.
import { type Clock, sleep, untilBeat } from "../base/clock.ts";
import { Distribution } from "../base/distribution.ts";

/** Often enough to meet what stands in the way for long. */
const LOOK_MS = 200;
/** The longest pause while nothing does: each look wakes a process that may be at rest. */
const REST_MS = 2_000;
const NOTICEABLE_MS = 5;

export class LoopDelay {
  /** Seconds by which timers were late. */
  readonly delays = new Distribution();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let pauseMs = LOOK_MS;
    while (!signal.aborted) {
      const waitMs = pauseMs < REST_MS ? pauseMs : untilBeat(this.#clock, REST_MS);
      const dueAt = this.#clock.monotonic() + waitMs;
      await sleep(this.#clock, waitMs, signal);
      const lateMs = Math.max(0, this.#clock.monotonic() - dueAt);
      if (!signal.aborted) this.delays.observe(lateMs / 1000);
      pauseMs = lateMs >= NOTICEABLE_MS ? LOOK_MS : Math.min(REST_MS, 2 * pauseMs);
    }
  }
}
