// What Prometheus reads of the peers, and of what goes to and from them.
import type { MetricRegistry, Sample } from "../base/prometheus.ts";
import type { PeerView } from "../broker/node-view.ts";
import type { Coordinator } from "../sync/coordinator.ts";
import type { SyncTimes } from "../sync/sync-times.ts";
import { each, inSeconds, one } from "./samples.ts";

interface PeerMetric {
  readonly name: string;
  readonly help: string;
  /** Null: no series of this peer. */
  readonly read: (peer: PeerView) => number | null;
  /** Also of peers that are not connected. */
  readonly isOfAll?: true;
}

const PEER_METRICS: readonly PeerMetric[] = [
  {
    name: "peat_peer_connected",
    help: "1 while the peer is connected.",
    read: ({ connected }) => Number(connected),
    isOfAll: true,
  },
  {
    name: "peat_peer_relayed",
    help: "1 while the peer is reached by a relay.",
    read: ({ path }) => Number(path === "relay"),
  },
  {
    name: "peat_peer_guest",
    help: "1 of a peer that speaks the older protocol.",
    read: ({ dialect }) => Number(dialect === "guest"),
  },
  {
    name: "peat_peer_rtt_seconds",
    help: "Seconds of a round trip on the path in use.",
    read: ({ rttMs }) => inSeconds(rttMs),
  },
  {
    name: "peat_peer_lag_seconds",
    help: "Seconds from sending to the acknowledged commit, of the newest changes.",
    read: ({ lagMs }) => inSeconds(lagMs),
  },
  {
    name: "peat_peer_queued_documents",
    help: "Documents that wait to be sent to the peer.",
    read: ({ queued }) => queued,
  },
  {
    name: "peat_peer_in_sync",
    help: "1 while both had equal documents when they last compared, and nothing has changed here since.",
    read: ({ inSync }) => Number(inSync),
  },
  {
    name: "peat_peer_last_seen_timestamp_seconds",
    help: "When something last came from the peer, in seconds since the Unix epoch.",
    read: ({ lastSeenMs }) => inSeconds(lastSeenMs),
    isOfAll: true,
  },
];

/** `peers`: as this scrape shows them in all that is told of each. */
export function addPeers(
  registry: MetricRegistry,
  peers: () => readonly PeerView[],
  times: SyncTimes,
): void {
  registry.gauge(
    { name: "peat_peers", help: "Peers by how they are reached; none: they are not connected." },
    () => each("path", pathsOf(peers())),
  );
  const convergence: PeerMetric = {
    name: "peat_peer_convergence_lag_seconds",
    help: "Seconds since this node's oldest followed change that the peer has not acknowledged; 0 if there is none.",
    read: ({ id, dialect }) => (dialect === "native" ? times.lagSecs(id) : null),
  };
  for (const { name, help, read, isOfAll = false } of [...PEER_METRICS, convergence]) {
    registry.gauge({ name, help }, () =>
      peers().flatMap((peer): Sample[] => {
        const value = isOfAll || peer.connected ? read(peer) : null;
        return value === null ? [] : [{ labels: { peer: peer.id }, value }];
      }),
    );
  }
}

function pathsOf(peers: readonly PeerView[]): Record<string, number> {
  const counts = { direct: 0, relay: 0, none: 0 };
  for (const { connected, path } of peers) {
    if (!connected) counts.none += 1;
    else counts[path === "relay" ? "relay" : "direct"] += 1;
  }
  return counts;
}

export function addSync(registry: MetricRegistry, coordinator: Coordinator, times: SyncTimes) {
  registry.histogram(
    {
      name: "peat_sync_latency_seconds",
      help: "Seconds from sending changes to a peer to the acknowledgement of their commit there.",
    },
    times.latencies,
  );
  registry.histogram(
    {
      name: "peat_sync_convergence_seconds",
      help: "Seconds from the commit of this node's changes, up to twenty a second of them, until every connected peer has acknowledged it.",
    },
    times.convergence,
  );
  registry.gauge({ name: "peat_sync_running", help: "0 while sync is stopped by order." }, () =>
    one(Number(coordinator.orders.isSyncing)),
  );
  registry.gauge(
    { name: "peat_stuck_documents", help: "Documents that can't be made equal on all peers." },
    () => one(coordinator.stuck().size),
  );
  registry.counter(
    { name: "peat_sync_bytes_total", help: "Bytes of frames to and from all peers." },
    () => {
      const { sentBytes: sent, receivedBytes: received } = coordinator.traffic;
      return each("direction", { sent, received });
    },
  );
  registry.counter(
    { name: "peat_connections_total", help: "Connections of peers and strangers." },
    () => one(coordinator.connectionsSoFar),
  );
  registry.counter(
    { name: "peat_connections_refused_total", help: "Those that were refused, or proved nothing." },
    () => one(coordinator.refusedConnections),
  );
}
