// Lets go what has had its time, from time to time, a little in each turn of the event loop.
import { type Clock, sleep } from "./base/clock.ts";
import { Attempts } from "./base/distribution.ts";
import { Fault, messageOf } from "./base/faults.ts";
import { getLog } from "./base/log.ts";
import type { Store } from "./store/store.ts";

const log = getLog("peat_mesh::qos::garbage_collection");

/** Between two turns of one sweep, for everybody else. */
const PAUSE_MS = 20;

/** What was done since the start. */
export class GarbageFigures {
  readonly sweeps = new Attempts();
  /** Tombstones that became stubs, and documents that were dropped. */
  tombstones = 0;
  documents = 0;
}

export interface GarbageCollectorOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly intervalSecs: number;
  readonly figures?: GarbageFigures | undefined;
}

/** Runs until `signal` aborts; the first sweep comes after one interval. */
export async function collectGarbage(
  options: GarbageCollectorOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock, intervalSecs, figures = new GarbageFigures() } = options;
  log.info(`Garbage collector started (interval=${printInterval(intervalSecs)})`);
  while (!signal.aborted) {
    await sleep(clock, intervalSecs * 1000, signal);
    if (signal.aborted) return;
    try {
      await sweep({ ...options, figures }, signal);
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== "storage_full") throw error;
      figures.sweeps.failures += 1;
      log.warn("Periodic GC put off", { cause: messageOf(error) });
    }
  }
}

async function sweep(
  { store, clock, figures }: GarbageCollectorOptions & { readonly figures: GarbageFigures },
  signal: AbortSignal,
) {
  const startedMs = clock.monotonic();
  let tombstones = 0;
  let documents = 0;
  while (!signal.aborted) {
    const turn = store.collectGarbage();
    tombstones += turn.tombstones;
    documents += turn.documents;
    if (!turn.hasMore) break;
    await sleep(clock, PAUSE_MS, signal);
  }
  const tookMs = clock.monotonic() - startedMs;
  figures.sweeps.times.observe(tookMs / 1000);
  figures.tombstones += tombstones;
  figures.documents += documents;
  if (tombstones + documents === 0) {
    log.debug("Periodic GC: no work to do");
    return;
  }
  const took = printDuration(tookMs);
  log.info(`Periodic GC: collected ${tombstones} tombstones, ${documents} documents in ${took}`);
}

function printInterval(secs: number): string {
  return secs % 60 === 0 ? `${secs / 60}m` : `${secs}s`;
}

function printDuration(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(3)}ms` : `${(ms / 1000).toFixed(3)}s`;
}
