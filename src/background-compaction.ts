// Sweeps from time to time, where the settings ask for it, and tells of each.
import { type Clock, sleep } from "./base/clock.ts";
import { Attempts } from "./base/distribution.ts";
import { Fault, messageOf } from "./base/faults.ts";
import { getLog } from "./base/log.ts";
import type { Store } from "./store/store.ts";

const log = getLog("peat_mesh::storage::automerge_store");

/** What was done since the start. */
export class CompactionFigures {
  readonly sweeps = new Attempts();
  /** Renderings that were rewritten, and their bytes before and after. */
  documents = 0;
  beforeBytes = 0;
  afterBytes = 0;
}

export interface BackgroundCompactionOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly intervalSecs: number;
  /** Only documents whose rendering is larger are compacted. */
  readonly thresholdBytes: number;
  /** None: all whose mode is LatestOnly. */
  readonly collections: readonly string[];
  readonly figures?: CompactionFigures | undefined;
}

/** Runs until `signal` aborts; the first sweep comes after one interval. */
export async function compactInBackground(
  options: BackgroundCompactionOptions,
  signal: AbortSignal,
): Promise<void> {
  const { store, clock, intervalSecs, thresholdBytes } = options;
  const { figures = new CompactionFigures() } = options;
  const collections = chooseCollections(options);
  log.info("Background compaction started (per-collection)", {
    interval_secs: intervalSecs,
    threshold_bytes: thresholdBytes,
    collections,
  });
  while (!signal.aborted) {
    await sleep(clock, intervalSecs * 1000, signal);
    if (signal.aborted) break;
    const startedMs = clock.monotonic();
    try {
      const swept = await store.renderings.compact({ collections, thresholdBytes, signal });
      const { count, before, after } = swept;
      figures.documents += count;
      figures.beforeBytes += before;
      figures.afterBytes += after;
      figures.sweeps.times.observe((clock.monotonic() - startedMs) / 1000);
      if (count > 0) log.info("background compaction complete", { count, before, after });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      figures.sweeps.failures += 1;
      // Nothing depends on it; the next sweep tries again.
      log.warn(`background compaction failed: ${messageOf(error)}`);
    }
  }
  log.info("background compaction cancelled");
}

/** The collections to sweep, with a warning for each that keeps more than its latest state. */
function chooseCollections({
  collections,
  store: { policies },
}: BackgroundCompactionOptions): readonly string[] {
  if (collections.length === 0) {
    const derived = policies.latestOnly();
    log.info("Auto-derived compaction collections from LatestOnly sync modes", {
      collections: derived,
    });
    return derived;
  }
  const chosen = [...new Set(collections)];
  for (const collection of chosen) {
    const { mode } = policies.of(collection);
    if (mode.kind === "LatestOnly") continue;
    const isWindowed = mode.kind === "WindowedHistory";
    log.warn(
      isWindowed
        ? "Compaction collection uses a non-LatestOnly sync mode; only what is older than its window goes"
        : "Compaction collection uses a non-LatestOnly sync mode and is left alone",
      { collection, sync_mode: isWindowed ? `${mode.kind}:${mode.windowSecs}` : mode.kind },
    );
  }
  return chosen.filter((collection) => policies.kindOf(collection) === "latest");
}
