// A bounded queue with one reader. The writer never waits; a reader that is too slow is told how much it missed.

export type Taken<T> = { kind: "item"; item: T } | { kind: "gap"; missed: number };

/** A second bound beside the number of items: what they weigh together. One item fits, whatever it weighs. */
export interface Weight<T> {
  readonly of: (item: T) => number;
  readonly max: number;
}

export class BoundedQueue<T> {
  readonly #capacity: number;
  readonly #weight: Weight<T>;
  #items: T[] = [];
  #weighs = 0;
  #missed = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(capacity: number, weight: Weight<T> = { of: () => 0, max: 0 }) {
    this.#capacity = capacity;
    this.#weight = weight;
  }

  get length(): number {
    return this.#items.length;
  }

  push(item: T): void {
    if (this.#closed) return;
    // Once one is missed, all are until the reader has heard of the gap: order is part of the truth.
    if (this.#missed > 0 || !this.#hasRoom(item)) this.#missed += 1;
    else {
      this.#items.push(item);
      this.#weighs += this.#weight.of(item);
    }
    this.#wake?.();
  }

  /** The next item or gap, or undefined once closed and drained. One caller at a time. */
  async take(): Promise<Taken<T> | undefined> {
    while (true) {
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#weighs -= this.#weight.of(item);
        return { kind: "item", item };
      }
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

  #hasRoom(item: T): boolean {
    if (this.#items.length >= this.#capacity) return false;
    return this.#items.length === 0 || this.#weighs + this.#weight.of(item) <= this.#weight.max;
  }
}
