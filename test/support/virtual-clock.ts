// PORT Clock, for simulations: time stands still until advance() moves it, and everything that is due runs in one
// order that depends on nothing but the calls.
import type { CancelTimer, Clock } from "../../src/base/clock.ts";

interface Timer {
  readonly at: number;
  /** Of two timers for one moment the one set first runs first. */
  readonly order: number;
  run: (() => void) | undefined;
}

/** 2027-01-15, so that stamps look like those of the real world. */
const EPOCH_MS = 1_800_000_000_000;

export class VirtualClock implements Clock {
  #elapsedMs = 0;
  #order = 0;
  /** A binary heap, the next timer first. */
  readonly #timers: Timer[] = [];

  now(): number {
    return EPOCH_MS + Math.floor(this.#elapsedMs);
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, run: () => void): CancelTimer {
    // Whole microseconds, rounded up: a wait must end later than it began, however small it is.
    const at = this.#elapsedMs + Math.ceil(Math.max(0, delayMs) * 1000) / 1000;
    const timer: Timer = { at, order: this.#order, run };
    this.#order += 1;
    this.#push(timer);
    return () => {
      timer.run = undefined;
    };
  }

  soon(run: () => void): void {
    this.after(0, run);
  }

  /** The same timers under a wall clock that is wrong by what `skewMs` says then. */
  skewed(skewMs: () => number): Clock {
    return {
      now: () => this.now() + skewMs(),
      monotonic: () => this.monotonic(),
      after: (delayMs, run) => this.after(delayMs, run),
      soon: (run) => this.soon(run),
    };
  }

  /** Lets `ms` pass: runs what becomes due, each with all that follows from it at the same moment. */
  async advance(ms: number): Promise<void> {
    const until = this.#elapsedMs + ms;
    await drainMicrotasks();
    for (
      let next = this.#timers[0];
      next !== undefined && next.at <= until;
      next = this.#timers[0]
    ) {
      this.#pop();
      const { run } = next;
      if (run === undefined) continue;
      this.#elapsedMs = next.at;
      run();
      await drainMicrotasks();
    }
    this.#elapsedMs = until;
  }

  /** Advances in steps until `isDone`; false when `withinMs` pass first. */
  async advanceUntil(isDone: () => boolean, withinMs: number, stepMs = 50): Promise<boolean> {
    const until = this.#elapsedMs + withinMs;
    await drainMicrotasks();
    while (!isDone()) {
      if (this.#elapsedMs >= until) return false;
      await this.advance(Math.min(stepMs, until - this.#elapsedMs));
    }
    return true;
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#swapIfEarlier(at, above)) return;
      at = above;
    }
  }

  #pop(): void {
    const heap = this.#timers;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    let at = 0;
    while (true) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const below = isEarlier(heap[right], heap[left]) ? right : left;
      if (!this.#swapIfEarlier(below, at)) return;
      at = below;
    }
  }

  #swapIfEarlier(lower: number, upper: number): boolean {
    const heap = this.#timers;
    const [a, b] = [heap[lower], heap[upper]];
    if (a === undefined || b === undefined || !isEarlier(a, b)) return false;
    heap[lower] = b;
    heap[upper] = a;
    return true;
  }
}

function isEarlier(a: Timer | undefined, b: Timer | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.at !== b.at ? a.at < b.at : a.order < b.order;
}

/** A turn of the real event loop: before it comes back, every promise that could go on has. */
function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
