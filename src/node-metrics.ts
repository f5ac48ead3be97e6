// What Prometheus reads of the node: names and units by its conventions, drawn from the services that know.
import type { Attachments } from "./attachments/service.ts";
import { CompactionFigures } from "./background-compaction.ts";
import type { Clock } from "./base/clock.ts";
import { Attempts, DistributionFamily } from "./base/distribution.ts";
import { MetricRegistry, type Sample } from "./base/prometheus.ts";
import { GarbageFigures } from "./garbage-collector.ts";
import { addFiles } from "./metrics/files.ts";
import { LoopDelay } from "./metrics/loop-delay.ts";
import { addPeers, addSync } from "./metrics/peers.ts";
import { addCertificate, addProcess } from "./metrics/process.ts";
import { one } from "./metrics/samples.ts";
import { addStore } from "./metrics/store.ts";
import type { NodeStatus } from "./node-status.ts";
import { FeedReaders } from "./store/feed-readers.ts";
import type { Store } from "./store/store.ts";
import type { Coordinator } from "./sync/coordinator.ts";
import { SyncTimes } from "./sync/sync-times.ts";

export interface MetricParts {
  readonly store: Store;
  readonly status: NodeStatus;
  readonly coordinator: Coordinator;
  /** Undefined where files are neither sent nor received. */
  readonly files: Pick<Attachments, "figures"> | undefined;
  /** Of the database; its write-ahead log lies beside it. */
  readonly databasePath: string;
  /** Of the listeners' certificate in PEM, where they have one. */
  readonly tlsCert: string | undefined;
}

export class NodeMetrics {
  /** Commits of the store. */
  readonly commits = new Attempts();
  readonly readers = new FeedReaders();
  readonly compaction = new CompactionFigures();
  readonly garbage = new GarbageFigures();
  readonly times: SyncTimes;
  /** To be run as long as the node does. */
  readonly loop: LoopDelay;
  /** Seconds of the broker's requests. */
  readonly requestTimes = new DistributionFamily(["method", "route", "status"]);
  /** Seconds of RPCs. */
  readonly callTimes = new DistributionFamily(["service", "method", "code"]);
  readonly #registry = new MetricRegistry();

  constructor(clock: Clock) {
    this.times = new SyncTimes(clock);
    this.loop = new LoopDelay(clock);
  }

  /** Everything in the text format; nothing before watch() is called. */
  readonly print = (): string => this.#registry.print();

  /** Shows these from now on. Called once. */
  watch(parts: MetricParts): void {
    const registry = this.#registry;
    const { store, status, coordinator, files, databasePath, tlsCert } = parts;
    const { commits, readers, compaction, garbage } = this;
    this.#follow(parts);
    this.#addNode(status);
    addStore(registry, { store, databasePath, commits, readers, compaction, garbage });
    addPeers(
      registry,
      registry.perScrape(() => status.peers()),
      this.times,
    );
    addSync(registry, coordinator, this.times);
    if (files !== undefined)
      addFiles(
        registry,
        registry.perScrape(() => files.figures()),
      );
    this.#addRequests();
    if (tlsCert !== undefined) addCertificate(registry, tlsCert);
    addProcess(registry, this.loop.delays);
  }

  /** Some of the changes on their way to the peers, until the store closes. */
  #follow({ store, coordinator }: MetricParts): void {
    const peers = () => coordinator.sessions.map(({ name }) => name);
    store.onCommit((committed) => this.times.committed(committed, peers));
    coordinator.onPeer(({ kind, name }) => {
      if (kind === "disconnected") this.times.departed(name);
    });
  }

  #addNode(status: NodeStatus): void {
    const registry = this.#registry;
    const { nodeName: node, version } = status;
    const readiness = registry.perScrape(() => status.readiness());
    registry.gauge({ name: "peat_node_info", help: "Who this node is; always 1." }, () => [
      { labels: { node, version }, value: 1 },
    ]);
    registry.gauge(
      { name: "peat_node_ready", help: "1 while all conditions of readiness hold." },
      () => one(Number(readiness().every(({ ready }) => ready))),
    );
    registry.gauge(
      {
        name: "peat_node_warnings",
        help: "What an operator should know, by kind: see /api/v1/ready.",
      },
      () => counted(readiness().map(({ name }) => name)),
    );
  }

  #addRequests(): void {
    const registry = this.#registry;
    registry.histograms(
      { name: "peat_http_request_duration_seconds", help: "Seconds of the broker's requests." },
      this.requestTimes,
    );
    registry.histograms(
      {
        name: "peat_rpc_duration_seconds",
        help: "Seconds of calls; of streams, until they ended.",
      },
      this.callTimes,
    );
  }
}

function counted(names: readonly string[]): Sample[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, value]) => ({ labels: { name }, value }));
}
