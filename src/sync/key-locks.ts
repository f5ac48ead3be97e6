// One after the other for each key, side by side for different ones.
export class KeyLocks<K> {
  readonly #last = new Map<K, Promise<unknown>>();
  readonly #held = new Set<K>();

  /** Keys that something is done with, or waits for. */
  get held(): ReadonlySet<K> {
    return this.#held;
  }

  run<T>(key: K, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    this.#held.add(key);
    const done = before.then(work, work);
    this.#last.set(key, done);
    const leave = () => {
      if (this.#last.get(key) !== done) return;
      this.#last.delete(key);
      this.#held.delete(key);
    };
    done.then(leave, leave);
    return done;
  }
}
