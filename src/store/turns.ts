// Long work in the background, in pieces so small that nobody waits for it.
import { type Clock, sleep } from "../base/clock.ts";
import type { RenderingTable } from "./rendering-table.ts";

/** Such work goes on for this long at a time, and then leaves the core to others for as long again. */
const TURN_MS = 5;
const PAUSE_MS = 5;
const PAGES_PER_TURN = 256;

/** The time of one such work. */
export class Turn {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #untilMs: number;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    this.#untilMs = clock.monotonic() + TURN_MS;
  }

  /** To be awaited between two pieces. False once the work is to end. */
  async next(): Promise<boolean> {
    if (this.#clock.monotonic() >= this.#untilMs) {
      await sleep(this.#clock, PAUSE_MS, this.#signal);
      this.#untilMs = this.#clock.monotonic() + TURN_MS;
    }
    return !this.#signal.aborted;
  }
}

/** Gives the empty pages of the file back to the file system. */
export async function giveBackPages(table: RenderingTable, turn: Turn): Promise<void> {
  let free = table.freePages();
  if (free === 0) return;
  while (free > 0 && (await turn.next())) {
    table.vacuum(PAGES_PER_TURN);
    const left = table.freePages();
    if (left >= free) break;
    free = left;
  }
  if (await turn.next()) table.shrinkFiles();
}
