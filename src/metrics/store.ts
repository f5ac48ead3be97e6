// What Prometheus reads of the store: documents, what lies beside them, the disk, and the work on it.
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { CompactionFigures } from "../background-compaction.ts";
import type { Attempts } from "../base/distribution.ts";
import { fileBytes } from "../base/file-bytes.ts";
import type { MetricRegistry, Sample } from "../base/prometheus.ts";
import type { GarbageFigures } from "../garbage-collector.ts";
import type { FeedReaders } from "../store/feed-readers.ts";
import type { Store } from "../store/store.ts";
import { each, one } from "./samples.ts";

export interface StoreFigures {
  readonly store: Store;
  readonly databasePath: string;
  readonly commits: Attempts;
  readonly readers: FeedReaders;
  readonly compaction: CompactionFigures;
  readonly garbage: GarbageFigures;
}

/** Collections of which each is a series; the rest of them are told together. */
const COLLECTIONS_MAX = 100;

export function addStore(registry: MetricRegistry, figures: StoreFigures): void {
  const { store } = figures;
  const summary = registry.perScrape(() => store.summary());
  registry.gauge({ name: "peat_store_documents", help: "Documents alive." }, () =>
    one(summary().documents),
  );
  registry.gauge(
    { name: "peat_store_tombstones", help: "Deleted documents that are remembered." },
    () => one(summary().tombstones),
  );
  registry.gauge(
    { name: "peat_collection_documents", help: "Documents alive, by collection." },
    () => collectionSamples(store.collections()),
  );
  registry.gauge(
    { name: "peat_store_set_aside", help: "Contents kept beside the documents, by reason." },
    () =>
      (["deleted", "orphan", "damaged"] as const).map((reason) => ({
        labels: { reason },
        value: store.contents.count(reason),
      })),
  );
  addDisk(registry, figures.databasePath);
  addCommits(registry, figures.commits);
  addReaders(registry, figures.readers);
  addCompaction(registry, figures.compaction);
  addGarbage(registry, figures.garbage);
}

function addDisk(registry: MetricRegistry, databasePath: string): void {
  registry.gauge(
    { name: "peat_store_file_bytes", help: "Bytes of the database and its write-ahead log." },
    () =>
      each("file", { database: fileBytes(databasePath), wal: fileBytes(`${databasePath}-wal`) }),
  );
  registry.gauge(
    { name: "peat_store_disk_free_bytes", help: "Bytes that are free for the node on the disk." },
    () => diskSamples(databasePath, "bavail"),
  );
  registry.gauge(
    { name: "peat_store_disk_size_bytes", help: "Bytes of the disk that the database is on." },
    () => diskSamples(databasePath, "blocks"),
  );
}

function addCommits(registry: MetricRegistry, commits: Attempts): void {
  registry.histogram(
    { name: "peat_store_commit_seconds", help: "Seconds of durable commits of the store." },
    commits.times,
  );
  registry.counter(
    {
      name: "peat_store_commit_failures_total",
      help: "Commits that failed, mostly for want of room on the disk; their writes were refused.",
    },
    () => one(commits.failures),
  );
}

function addReaders(registry: MetricRegistry, readers: FeedReaders): void {
  const load = registry.perScrape(() => readers.load());
  registry.gauge(
    {
      name: "peat_feed_readers",
      help: "Who follows the changes: WebSockets of the broker, Subscribe calls of RPC, the exchange of files.",
    },
    () => load().map(({ kind, readers: value }) => ({ labels: { reader: kind }, value })),
  );
  registry.gauge(
    { name: "peat_feed_queued_changes", help: "Changes that wait for them to read." },
    () => load().map(({ kind, queued: value }) => ({ labels: { reader: kind }, value })),
  );
}

function addCompaction(registry: MetricRegistry, figures: CompactionFigures): void {
  const { sweeps } = figures;
  registry.histogram(
    { name: "peat_compaction_seconds", help: "Seconds of background sweeps of compaction." },
    sweeps.times,
  );
  registry.counter(
    { name: "peat_compaction_failures_total", help: "Sweeps that ended early; the next go on." },
    () => one(sweeps.failures),
  );
  registry.counter(
    { name: "peat_compaction_documents_total", help: "Documents whose history was rewritten." },
    () => one(figures.documents),
  );
  registry.counter(
    {
      name: "peat_compaction_bytes_total",
      help: "Bytes of those histories before and after.",
    },
    () => each("when", { before: figures.beforeBytes, after: figures.afterBytes }),
  );
}

function addGarbage(registry: MetricRegistry, figures: GarbageFigures): void {
  const { sweeps } = figures;
  registry.histogram(
    { name: "peat_garbage_collection_seconds", help: "Seconds of the garbage collector's sweeps." },
    sweeps.times,
  );
  registry.counter(
    {
      name: "peat_garbage_collection_failures_total",
      help: "Sweeps that were put off, for want of room on the disk.",
    },
    () => one(sweeps.failures),
  );
  registry.counter(
    {
      name: "peat_garbage_collected_total",
      help: "Tombstones reduced to stubs, and documents dropped whose time was over.",
    },
    () => each("kind", { tombstone: figures.tombstones, document: figures.documents }),
  );
}

function collectionSamples(
  collections: readonly { readonly name: string; readonly count: number }[],
): Sample[] {
  const shown = collections.slice(0, COLLECTIONS_MAX);
  const samples = shown.map(({ name, count }) => ({ labels: { collection: name }, value: count }));
  const rest = collections.slice(COLLECTIONS_MAX).reduce((sum, { count }) => sum + count, 0);
  // No collection can have that name.
  return rest === 0 ? samples : [...samples, { labels: { collection: "" }, value: rest }];
}

/** No series where the system can't tell. */
function diskSamples(path: string, what: "bavail" | "blocks"): Sample[] {
  try {
    const disk = statfsSync(dirname(path));
    return one(disk[what] * disk.bsize);
  } catch {
    // A directory that went away, or a file system without figures: nothing to tell is no reason to tell nothing else.
    return [];
  }
}
