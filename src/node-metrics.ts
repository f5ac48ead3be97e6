// What Prometheus reads of the node: names and units by its conventions, drawn from the services that know.
import { readdirSync, statSync } from "node:fs";
import { Distribution, DistributionFamily } from "./base/distribution.ts";
import { MetricRegistry, type Sample } from "./base/prometheus.ts";
import type { NodeStatus, PeerStatus } from "./node-status.ts";
import type { Store } from "./store/store.ts";
import type { Coordinator } from "./sync/coordinator.ts";

export interface MetricParts {
  readonly store: Store;
  readonly status: NodeStatus;
  readonly coordinator: Coordinator;
  /** Of the database; its write-ahead log lies beside it. */
  readonly databasePath: string;
}

/** Collections of which each is a series; the rest of them are told together. */
const COLLECTIONS_MAX = 100;
const MS_PER_SEC = 1000;

export class NodeMetrics {
  /** Seconds of each commit of the store. */
  readonly commitTimes = new Distribution();
  /** Seconds from sending changes to a peer to the acknowledgement of their commit there. */
  readonly latencies = new Distribution();
  /** Seconds of the broker's requests. */
  readonly requestTimes = new DistributionFamily(["method", "route", "status"]);
  /** Seconds of RPCs. */
  readonly callTimes = new DistributionFamily(["service", "method", "code"]);
  readonly #registry = new MetricRegistry();

  /** As one scrape shows them, in all that is told of each: their transports are asked once. */
  #peers: readonly PeerStatus[] = [];
  #listPeers: () => readonly PeerStatus[] = () => [];

  /** Everything in the text format; nothing before watch() is called. */
  readonly print = (): string => {
    this.#peers = this.#listPeers();
    return this.#registry.print();
  };

  /** Shows these from now on. Called once. */
  watch(parts: MetricParts): void {
    this.#listPeers = () => parts.status.peers();
    this.#addNode(parts);
    this.#addStore(parts);
    this.#addPeers();
    this.#addSync(parts);
    this.#addDurations();
    this.#addProcess();
  }

  #addNode({ status }: MetricParts): void {
    const registry = this.#registry;
    const { nodeName: node, version } = status;
    registry.gauge({ name: "peat_node_info", help: "Who this node is; always 1." }, () => [
      { labels: { node, version }, value: 1 },
    ]);
    registry.gauge(
      { name: "peat_node_ready", help: "1 while all conditions of readiness hold." },
      () => one(status.readiness().every(({ ready }) => ready) ? 1 : 0),
    );
    registry.gauge(
      {
        name: "peat_node_warnings",
        help: "What an operator should know, by kind: see /api/v1/ready.",
      },
      () => counted(status.readiness().map(({ name }) => name)),
    );
  }

  #addStore({ store, coordinator, databasePath }: MetricParts): void {
    const registry = this.#registry;
    const summary = () => store.summary();
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
    registry.gauge(
      { name: "peat_stuck_documents", help: "Documents that can't be made equal on all peers." },
      () => one(coordinator.stuck().size),
    );
    registry.gauge(
      { name: "peat_store_file_bytes", help: "Size of the database and its write-ahead log." },
      () => [
        { labels: { file: "database" }, value: sizeOf(databasePath) },
        { labels: { file: "wal" }, value: sizeOf(`${databasePath}-wal`) },
      ],
    );
  }

  #addPeers(): void {
    const gauge = (
      name: string,
      help: string,
      read: (peer: PeerStatus) => number | null,
      isOfAll = false,
    ) =>
      this.#registry.gauge({ name, help }, () =>
        this.#peers.flatMap((peer): Sample[] => {
          const value = isOfAll || peer.connected ? read(peer) : null;
          return value === null ? [] : [{ labels: { peer: peer.id }, value }];
        }),
      );
    gauge(
      "peat_peer_connected",
      "1 while the peer is connected.",
      ({ connected }) => Number(connected),
      true,
    );
    gauge("peat_peer_relayed", "1 while the peer is reached by a relay.", ({ path }) =>
      Number(path === "relay"),
    );
    gauge("peat_peer_guest", "1 of a peer that speaks the older protocol.", ({ dialect }) =>
      Number(dialect === "guest"),
    );
    gauge("peat_peer_rtt_seconds", "Round trip of the path in use.", ({ rttMs }) =>
      inSeconds(rttMs),
    );
    gauge(
      "peat_peer_lag_seconds",
      "From sending to the acknowledged commit, of the newest changes.",
      ({ lagMs }) => inSeconds(lagMs),
    );
    gauge(
      "peat_peer_queued_documents",
      "Documents that wait to be sent to the peer.",
      ({ queued }) => queued,
    );
    gauge(
      "peat_peer_in_sync",
      "1 while both had equal documents when they last compared, and nothing has changed here since.",
      ({ inSync }) => Number(inSync),
    );
    gauge(
      "peat_peer_last_seen_timestamp_seconds",
      "When something last came from the peer.",
      ({ lastSeenMs }) => inSeconds(lastSeenMs),
      true,
    );
  }

  #addSync({ coordinator }: MetricParts): void {
    const registry = this.#registry;
    registry.counter(
      { name: "peat_sync_bytes_total", help: "Bytes of frames to and from all peers." },
      () => {
        const { sentBytes, receivedBytes } = coordinator.traffic;
        return [
          { labels: { direction: "sent" }, value: sentBytes },
          { labels: { direction: "received" }, value: receivedBytes },
        ];
      },
    );
    registry.counter(
      { name: "peat_connections_total", help: "Connections of peers and strangers." },
      () => one(coordinator.connectionsSoFar),
    );
    registry.counter(
      {
        name: "peat_connections_refused_total",
        help: "Those that were refused, or proved nothing.",
      },
      () => one(coordinator.refusedConnections),
    );
  }

  #addDurations(): void {
    const registry = this.#registry;
    registry.histogram(
      {
        name: "peat_sync_latency_seconds",
        help: "From sending changes to a peer to the acknowledgement of their commit there.",
      },
      this.latencies,
    );
    registry.histogram(
      { name: "peat_store_commit_seconds", help: "Durable commits of the store." },
      this.commitTimes,
    );
    registry.histograms(
      { name: "peat_http_request_duration_seconds", help: "Requests of the broker." },
      this.requestTimes,
    );
    registry.histograms(
      { name: "peat_rpc_duration_seconds", help: "Calls; of streams, until they ended." },
      this.callTimes,
    );
  }

  /** By the names that dashboards know. */
  #addProcess(): void {
    const registry = this.#registry;
    const startedSecs = Date.now() / MS_PER_SEC - process.uptime();
    registry.counter(
      { name: "process_cpu_seconds_total", help: "User and system CPU time spent." },
      () => {
        const { user, system } = process.cpuUsage();
        return one((user + system) / 1e6);
      },
    );
    registry.gauge({ name: "process_resident_memory_bytes", help: "Resident memory." }, () =>
      one(process.memoryUsage.rss()),
    );
    registry.gauge(
      { name: "process_start_time_seconds", help: "Start of the process since the Unix epoch." },
      () => one(startedSecs),
    );
    registry.gauge({ name: "process_open_fds", help: "Open file descriptors." }, () =>
      one(readdirSync("/proc/self/fd").length),
    );
  }
}

function one(value: number): Sample[] {
  return [{ value }];
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / MS_PER_SEC;
}

function counted(names: readonly string[]): Sample[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, value]) => ({ labels: { name }, value }));
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

/** 0 while there is none. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
