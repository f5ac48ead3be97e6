// Things that arrive for somebody who takes them one by one.

/** A queue with one taker that waits. */
export class Mailbox<T> {
  readonly #items: T[] = [];
  #waiting: ((item: T | undefined) => void)[] = [];
  #isClosed = false;

  put(item: T): void {
    if (this.#isClosed) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#items.push(item);
    else waiting(item);
  }

  take(): Promise<T | undefined> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    if (this.#isClosed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Returns what nobody took. */
  close(): T[] {
    this.#isClosed = true;
    for (const waiting of this.#waiting) waiting(undefined);
    this.#waiting = [];
    return this.#items.splice(0);
  }
}
