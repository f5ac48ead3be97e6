// Shapes of samples that several metrics have.
import type { Sample } from "../base/prometheus.ts";

export const MS_PER_SEC = 1000;

export function one(value: number): Sample[] {
  return [{ value }];
}

/** A series for each field of a record of counts. */
export function each(label: string, counts: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counts).map(([name, value]) => ({ labels: { [label]: name }, value }));
}

export function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / MS_PER_SEC;
}
