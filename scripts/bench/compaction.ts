// What the history of one track costs: bytes on disk per change, what a sweep leaves of them, and the time that
// rendering takes of a core. In this process, on a file.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseDocumentKey } from "../../src/store/document-key.ts";
import { beginRendering, decodeTip, encodeTip, growRendering } from "../../src/store/rendering.ts";
import type { StartId } from "../../src/store/stamp.ts";
import { decodeState, type LatestState } from "../../src/store/state.ts";
import type { Store } from "../../src/store/store.ts";
import { waitFor } from "../support/waiting.ts";
import { positionReport } from "./documents.ts";
import { type Plan, rounds } from "./plan.ts";
import type { Report } from "./report.ts";
import { bytesOf, openStore } from "./store.ts";

const KEY = parseDocumentKey("tracks:unit-7");
async function write(store: Store, revision: number): Promise<LatestState> {
  const body = JSON.stringify(positionReport(7, revision));
  await store.write({ key: KEY, operation: { kind: "patch", body } });
  const state = decodeState(store.stateFor(KEY)?.bytes ?? new Uint8Array());
  if (state.form !== "latest") throw new Error("tracks are kept as their latest state");
  return state;
}

interface Sizes {
  /** The file with the track written once. */
  readonly once: number;
  readonly grown: number;
  readonly after: number;
  readonly states: readonly LatestState[];
  readonly start: StartId;
  readonly sweepMs: number;
}

async function measure(path: string, changes: number, limitMs: number): Promise<Sizes> {
  const fresh = openStore(path);
  const states = [await write(fresh, 0)];
  // A stop writes the log back into the file.
  fresh.close();
  const once = bytesOf(path);
  const store = openStore(path);
  for (let revision = 1; revision < changes; revision += 1) {
    states.push(await write(store, revision));
  }
  const isDone = () => (store.renderings.waiting === 0 ? true : undefined);
  await waitFor("the renderings", limitMs, isDone);
  store.close();
  const grown = bytesOf(path);
  const again = openStore(path);
  const { signal } = new AbortController();
  const startedMs = performance.now();
  await again.renderings.compact({ collections: ["tracks"], thresholdBytes: 0, signal });
  const sweepMs = performance.now() - startedMs;
  again.close();
  return { once, grown, after: bytesOf(path), states, start: store.start, sweepMs };
}

/** µs per change, without the disk. */
function renderingUs({ states, start }: Sizes): number {
  const [first, ...others] = states;
  if (first === undefined) return 0;
  let tip = encodeTip(beginRendering(KEY, first).tip);
  const context = { key: KEY, start, timeSecs: 0 };
  const startedMs = performance.now();
  for (const state of others) tip = encodeTip(growRendering(decodeTip(tip), state, context).tip);
  return ((performance.now() - startedMs) * 1000) / others.length;
}

export async function benchCompaction(plan: Plan, report: Report): Promise<void> {
  const changes = plan.documents;
  report.begin(`One track of eight fields, ${changes} changes, compacted`);
  const folder = mkdtempSync(join(tmpdir(), "peat-bench-"));
  try {
    const results = await rounds(plan, (round) =>
      measure(join(folder, `${round}.db`), changes, plan.limitMs),
    );
    const perChange = results.map(({ once, grown }) => (grown - once) / changes);
    report.add("bytes of the file per change, before", perChange, "bytes");
    const left = results.map(({ once, after }) => after - once);
    report.add("bytes of the file beyond those of one write, afterwards", left, "bytes", {
      atMost: 2048,
    });
    report.add(
      "sweep",
      results.map(({ sweepMs }) => sweepMs),
      "ms",
    );
    report.add("rendering, of a core", results.map(renderingUs), "µs/write");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
