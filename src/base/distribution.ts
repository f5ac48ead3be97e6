// How often values of which size came, for whoever shows it: counts below fixed bounds, as Prometheus keeps them.

/** Seconds from a tenth of a millisecond to a minute. */
const SECONDS: readonly number[] = [
  0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

export class Distribution {
  readonly bounds: readonly number[];
  /** Values up to each bound that are above the one before, then those above all. */
  readonly #counts: number[];
  #sum = 0;

  /** `bounds`: ascending. */
  constructor(bounds: readonly number[] = SECONDS) {
    this.bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const index = this.bounds.findIndex((bound) => value <= bound);
    const at = index === -1 ? this.bounds.length : index;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  get sum(): number {
    return this.#sum;
  }

  /** How many values were not above each bound; the last of all is how many there were. */
  cumulated(): number[] {
    let total = 0;
    return this.#counts.map((count) => {
      total += count;
      return total;
    });
  }
}

/** Work that is done again and again: how many seconds it took where it succeeded, and how often it failed. */
export class Attempts {
  readonly times = new Distribution();
  failures = 0;
}

/** Labels of one series, in the order of the family's names. */
export type LabelValues = readonly string[];

function keyOf(values: LabelValues): string {
  return values.join("\n");
}

/** Distributions by labels; beyond `seriesMax` of them, values are counted under "other". */
export class DistributionFamily {
  readonly labels: readonly string[];
  readonly #seriesMax: number;
  readonly #series = new Map<string, { values: LabelValues; distribution: Distribution }>();

  constructor(labels: readonly string[], seriesMax = 200) {
    this.labels = labels;
    this.#seriesMax = seriesMax;
  }

  observe(values: LabelValues, value: number): void {
    const isFull = this.#series.size >= this.#seriesMax;
    const known = this.#series.get(keyOf(values));
    const series = known ?? this.#open(isFull ? values.map(() => "other") : values);
    series.distribution.observe(value);
  }

  #open(values: LabelValues): { values: LabelValues; distribution: Distribution } {
    const key = keyOf(values);
    const series = this.#series.get(key) ?? { values, distribution: new Distribution() };
    this.#series.set(key, series);
    return series;
  }

  series(): readonly { readonly values: LabelValues; readonly distribution: Distribution }[] {
    return [...this.#series.values()];
  }
}
