// Metrics as Prometheus reads them: its text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats).
// Gathered when they are asked for: whoever has a number keeps it as a plain one. A client library would keep each of
// them a second time, and prints as much.
import type { Distribution, DistributionFamily } from "./distribution.ts";

export const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Its name ends in the unit, of a counter in `_total`. */
export interface MetricName {
  readonly name: string;
  readonly help: string;
}

type Family = () => readonly string[];

export class MetricRegistry {
  readonly #families: Family[] = [];
  readonly #forgets: (() => void)[] = [];

  /** What several metrics are told from is read once for each printing. */
  perScrape<Value>(read: () => Value): () => Value {
    let kept: { readonly value: Value } | undefined;
    this.#forgets.push(() => {
      kept = undefined;
    });
    return () => {
      kept ??= { value: read() };
      return kept.value;
    };
  }

  /** What may rise and fall. */
  gauge(about: MetricName, read: () => readonly Sample[]): void {
    this.#families.push(() => [...head(about, "gauge"), ...linesOf(about.name, read())]);
  }

  /** What only rises until the process ends. */
  counter(about: MetricName, read: () => readonly Sample[]): void {
    this.#families.push(() => [...head(about, "counter"), ...linesOf(about.name, read())]);
  }

  histogram(about: MetricName, distribution: Distribution): void {
    this.#families.push(() => [
      ...head(about, "histogram"),
      ...bucketLines(about.name, {}, distribution),
    ]);
  }

  histograms(about: MetricName, family: DistributionFamily): void {
    this.#families.push(() => {
      const series = family.series().flatMap(({ values, distribution }) => {
        const pairs = family.labels.map((label, index) => [label, values[index] ?? ""]);
        return bucketLines(about.name, Object.fromEntries(pairs), distribution);
      });
      return [...head(about, "histogram"), ...series];
    });
  }

  print(): string {
    for (const forget of this.#forgets) forget();
    return `${this.#families.flatMap((family) => family()).join("\n")}\n`;
  }
}

function head({ name, help }: MetricName, type: string): string[] {
  const text = help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
  return [`# HELP ${name} ${text}`, `# TYPE ${name} ${type}`];
}

function linesOf(name: string, samples: readonly Sample[]): string[] {
  return samples.map(({ labels = {}, value }) => line(name, labels, value));
}

function bucketLines(
  name: string,
  labels: Readonly<Record<string, string>>,
  distribution: Distribution,
): string[] {
  const counts = distribution.cumulated();
  const total = counts.at(-1) ?? 0;
  const bounds = [...distribution.bounds.map(String), "+Inf"];
  return [
    ...bounds.map((le, index) => line(`${name}_bucket`, { ...labels, le }, counts[index] ?? 0)),
    line(`${name}_sum`, labels, distribution.sum),
    line(`${name}_count`, labels, total),
  ];
}

function line(name: string, labels: Readonly<Record<string, string>>, value: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`;
}

function escapeLabel(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/"/g, '\\"');
}
