// Waiting that ends with the process that waits.
import type { GuestClock } from "./link.ts";

export class GuestTimers {
  readonly #clock: GuestClock;
  readonly #waiting = new Set<() => void>();
  #isOver = false;

  constructor(clock: GuestClock) {
    this.#clock = clock;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  now(): number {
    return this.#clock.now();
  }

  sleep(delayMs: number): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        cancel();
        this.#waiting.delete(finish);
        resolve();
      };
      const cancel = this.#clock.after(delayMs, finish);
      this.#waiting.add(finish);
    });
  }

  /** Runs `work` at once and then every `periodMs`; ticks that come while it works are skipped. */
  async every(periodMs: number, work: () => Promise<void>): Promise<void> {
    const startedAt = this.now();
    while (!this.#isOver) {
      await work();
      await this.sleep(periodMs - ((this.now() - startedAt) % periodMs));
    }
  }

  /** Rejects when `work` takes longer. */
  async within<T>(limitMs: number, work: Promise<T>): Promise<T> {
    let cancel: () => void = () => undefined;
    const late = new Promise<never>((_resolve, reject) => {
      cancel = this.#clock.after(limitMs, () => reject(new Error("timed out")));
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      cancel();
    }
  }

  stop(): void {
    this.#isOver = true;
    for (const finish of [...this.#waiting]) finish();
  }
}
