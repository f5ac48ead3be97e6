// What was measured in the last minutes: one sample a second, the oldest forgotten. Rates come from counters.

/** Of one look at the node. */
export interface Sample {
  readonly atMs: number;
  /** Counters, which only grow while the node runs; undefined where the node does not tell. */
  readonly changes: number | undefined;
  /** Of each connection; connections end and begin again at 0. */
  readonly traffic: ReadonlyMap<string, { readonly sent: number; readonly received: number }>;
  readonly documents: number;
  readonly databaseBytes: number;
  readonly lagMs: number | undefined;
  readonly rttMs: number | undefined;
}

/** A value at a time; undefined: not known then, the line has a gap. */
export interface Point {
  readonly atMs: number;
  readonly value: number | undefined;
}

export const SAMPLES_MAX = 600;
/** Between two samples further apart than this nothing was measured. */
const GAP_MS = 5_000;

/** The samples with one more, in a new list. */
export function withSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  return [...samples.slice(-(SAMPLES_MAX - 1)), sample];
}

function trafficBetween(before: Sample, after: Sample, way: "sent" | "received"): number {
  let bytes = 0;
  for (const [peer, now] of after.traffic) {
    const then = before.traffic.get(peer)?.[way] ?? 0;
    // Less than before: a new connection, of which all is new.
    bytes += now[way] >= then ? now[way] - then : now[way];
  }
  return bytes;
}

/** Per second, at each sample but the first. */
function ratesOf(
  samples: readonly Sample[],
  grown: (before: Sample, after: Sample) => number | undefined,
): Point[] {
  return samples.slice(1).map((after, index) => {
    const before = samples[index];
    const ms = before === undefined ? 0 : after.atMs - before.atMs;
    if (before === undefined || ms <= 0 || ms > GAP_MS) {
      return { atMs: after.atMs, value: undefined };
    }
    const amount = grown(before, after);
    // A counter that has shrunk is that of another start.
    const isKnown = amount !== undefined && amount >= 0;
    return { atMs: after.atMs, value: isKnown ? (amount * 1000) / ms : undefined };
  });
}

export function changeRates(samples: readonly Sample[]): Point[] {
  return ratesOf(samples, (before, after) =>
    before.changes === undefined || after.changes === undefined
      ? undefined
      : after.changes - before.changes,
  );
}

export function trafficRates(samples: readonly Sample[], way: "sent" | "received"): Point[] {
  return ratesOf(samples, (before, after) => trafficBetween(before, after, way));
}

type Gauge = "documents" | "databaseBytes" | "lagMs" | "rttMs";

export function valuesOf(samples: readonly Sample[], gauge: Gauge): Point[] {
  return samples.map((sample) => ({ atMs: sample.atMs, value: sample[gauge] }));
}

function highestOf(points: readonly Point[], least: number): number {
  return points.reduce((max, { value }) => Math.max(max, value ?? 0), least);
}

/** The least round number (1, 2 or 5 times a power of ten) that is not less than any value. */
export function roundMax(points: readonly Point[], least: number): number {
  const highest = highestOf(points, least);
  const power = 10 ** Math.floor(Math.log10(highest));
  const step = [1, 2, 5, 10].find((one) => one * power >= highest) ?? 10;
  return step * power;
}

/** The same for bytes, which people read by powers of two. */
export function roundBytesMax(points: readonly Point[], least: number): number {
  return 2 ** Math.ceil(Math.log2(highestOf(points, least)));
}
