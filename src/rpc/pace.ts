// So many messages to all clients in one turn of the loop: what a thousand subscribers are told of one change must not
// hold up everything else that the node does, its answer to the writer included.
import type { Clock } from "../base/clock.ts";

/** Some milliseconds' work. */
const TURN_MESSAGES = 64;

export class Pace {
  readonly #clock: Clock;
  #left = TURN_MESSAGES;
  #waiting: (() => void)[] = [];
  #isTurning = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** To be awaited before each message. Whoever waits for longest has the next turn; undefined: go on at once. */
  next(): Promise<void> | undefined {
    this.#turnLater();
    if (this.#left > 0 && this.#waiting.length === 0) {
      this.#left -= 1;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #turnLater(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    this.#clock.soon(() => {
      this.#isTurning = false;
      const going = this.#waiting.splice(0, TURN_MESSAGES);
      this.#left = TURN_MESSAGES - going.length;
      if (this.#waiting.length > 0) this.#turnLater();
      for (const go of going) go();
    });
  }
}
