// Seeded randomness: one number names a whole run, so that any failure can be run again.

export class Random {
  #state: number;

  constructor(seed: number) {
    // Neighbouring seeds must not give neighbouring runs: mixed as SplitMix32 does.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
    this.next();
    this.next();
  }

  /** At least 0, below 1. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  }

  /** A whole number, at least 0, below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** Text of so many characters, a multiple of four, of which compression leaves three quarters. */
  text(chars: number): string {
    return this.fill(new Uint8Array(Math.ceil((chars * 3) / 4))).toBase64();
  }

  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.next() * 100 < percent;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  shuffle<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      const [a, b] = [result[i], result[j]];
      if (a === undefined || b === undefined) continue;
      result[i] = b;
      result[j] = a;
    }
    return result;
  }

  /** Fills `bytes`; shaped like crypto.getRandomValues. */
  readonly fill = (bytes: Uint8Array<ArrayBuffer>): Uint8Array => {
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = this.below(256);
    return bytes;
  };
}
