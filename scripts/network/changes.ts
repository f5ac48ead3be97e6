// Documents that a patrol would write, and how many bytes their changes have by themselves.
import { change, getLastLocalChange, ImmutableString, init } from "@automerge/automerge";
import type { BrokerApi, Document } from "../support/broker-api.ts";
import { forEachBounded } from "../support/waiting.ts";

const LANES = 32;

/** One of many: numbers and words as in a position report, some 135 bytes of JSON. */
function report(i: number): Document {
  return {
    name: `Unit ${i}`,
    lat: 52.5 + i / 1e4,
    lon: 13.4 - i / 1e4,
    heading: i % 360,
    speed: (i % 70) / 2,
    status: "moving",
    note: `seen at checkpoint ${i % 17} by patrol ${i % 5}`,
  };
}

/** Bytes of the one Automerge change that makes a document, strings as scalars; nothing that carries it. */
function changeBytes(document: Document): number {
  const made = change(init<Record<string, unknown>>(), { time: 0 }, (draft) => {
    for (const [name, value] of Object.entries(document)) {
      draft[name] = typeof value === "string" ? new ImmutableString(value) : value;
    }
  });
  const bytes = getLastLocalChange(made);
  if (bytes === undefined) throw new Error("a change has no bytes");
  return bytes.length;
}

/** Of the reports 0 to `count` - 1 together. */
export function changesBytes(count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i += 1) sum += changeBytes(report(i));
  return sum;
}

/** Writes so many reports, each under an id of its own; resolves when all are acknowledged. */
export async function writeReports(
  api: BrokerApi,
  options: { collection: string; prefix: string; count: number },
): Promise<void> {
  const { collection, prefix, count } = options;
  const numbers = Array.from({ length: count }, (_, i) => i);
  await forEachBounded(numbers, LANES, (i) => api.put(collection, `${prefix}-${i}`, report(i)));
}
