// A bounded queue with one reader. The writer never waits; a reader that is too slow is told how much it missed.

export type Taken<T> = { kind: "item"; item: T } | { kind: "gap"; missed: number };

export class BoundedQueue<T> {
  readonly #capacity: number;
  #items: T[] = [];
  #missed = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get length(): number {
    return this.#items.length;
  }

  push(item: T): void {
    if (this.#closed) return;
    // Once one is missed, all are until the reader has heard of the gap: order is part of the truth.
    if (this.#missed === 0 && this.#items.length < this.#capacity) this.#items.push(item);
    else this.#missed += 1;
    this.#wake?.();
  }

  /** The next item or gap, or undefined once closed and drained. One caller at a time. */
  async take(): Promise<Taken<T> | undefined> {
    while (true) {
      const item = this.#items.shift();
      if (item !== undefined) return { kind: "item", item };
      if (this.#missed > 0) {
        const missed = this.#missed;
        this.#missed = 0;
        return { kind: "gap", missed };
      }
      if (this.#closed) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  /** No more items; the reader drains what is left and then sees the end. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }
}
