// A peer that owes us acknowledgements and says nothing at all has stopped reading, even if its transport lives on.
// One that only can't commit (a full disk) still answers pings, and is waited for.
import type { Clock } from "../base/clock.ts";

/** Silence after which it is asked, and after which it is given up. */
const ASK_MS = 30_000;
const SILENT_MS = 60_000;

interface Steps {
  /** Its answer is a sign of life. */
  readonly ask: () => void;
  readonly giveUp: () => void;
}

export class Liveness {
  readonly #clock: Clock;
  readonly #steps: Steps;
  #since: number;
  #hasAsked = false;

  constructor(clock: Clock, steps: Steps) {
    this.#clock = clock;
    this.#steps = steps;
    this.#since = clock.monotonic();
  }

  /** Something came from the peer. */
  heard(): void {
    this.#since = this.#clock.monotonic();
    this.#hasAsked = false;
  }

  /** Called now and then; `isOwed`: whether anything that was sent is unacknowledged. */
  check(isOwed: boolean): void {
    if (!isOwed) this.heard();
    const silentMs = this.#clock.monotonic() - this.#since;
    if (silentMs >= SILENT_MS) this.#steps.giveUp();
    else if (silentMs >= ASK_MS && !this.#hasAsked) {
      this.#hasAsked = true;
      this.#steps.ask();
    }
  }
}
