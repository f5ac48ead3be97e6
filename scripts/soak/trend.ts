// Does a measured quantity grow? The median of all slopes (Theil and Sen): a few peaks of a collector don't count.

export interface Sample {
  /** Seconds since the beginning. */
  readonly at: number;
  readonly value: number;
}

export interface Tolerance {
  /** What the growth may be over the whole measured time, as a part of the median value. */
  readonly relative: number;
  /** And in any case, in the value's own unit. */
  readonly absolute: number;
}

export interface Trend {
  readonly first: number;
  readonly middle: number;
  readonly last: number;
  /** Growth over the time of the samples. */
  readonly growth: number;
  readonly isFlat: boolean;
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** The median of each third's end: one sample says little. */
function around(samples: readonly Sample[], index: number): number {
  const from = Math.max(0, Math.min(samples.length - 3, index - 1));
  return medianOf(samples.slice(from, from + 3).map(({ value }) => value));
}

/** Throws for fewer than three samples: nothing could be said of them. */
export function trendOf(samples: readonly Sample[], tolerance: Tolerance): Trend {
  const [begin, end] = [samples[0], samples.at(-1)];
  if (begin === undefined || end === undefined || samples.length < 3) {
    throw new Error(`${samples.length} samples are too few for a trend`);
  }
  const slopes: number[] = [];
  for (const [i, a] of samples.entries()) {
    for (const b of samples.slice(i + 1)) {
      if (b.at > a.at) slopes.push((b.value - a.value) / (b.at - a.at));
    }
  }
  const growth = medianOf(slopes) * (end.at - begin.at);
  const median = medianOf(samples.map(({ value }) => value));
  const allowed = Math.max(tolerance.absolute, tolerance.relative * median);
  return {
    first: around(samples, 0),
    middle: around(samples, Math.floor(samples.length / 2)),
    last: around(samples, samples.length - 1),
    growth,
    isFlat: growth <= allowed,
  };
}
