// THE table of the Grafana dashboard's panels, row by row.

export interface Query {
  readonly expr: string;
  /** Grafana's template of each series' name. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  readonly help: string;
  readonly kind: "plot" | "figure" | "states" | "table";
  /** Grafana's unit id. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Of the 24 columns. */
  readonly width: number;
  /** From which value on a figure is yellow, and red; or the other way round where less is worse. */
  readonly bounds?: { readonly yellow: number; readonly red: number };
}

export interface PanelRow {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const SEEN = 'job=~"$job", instance=~"$instance"';
const BY_NODE = "{{instance}}";
const BY_PEER = "{{instance}} → {{peer}}";

const quantile = (share: number, metric: string, by = "instance") =>
  `histogram_quantile(${share}, sum by (${by}, le) (rate(${metric}_bucket{${SEEN}}[$__rate_interval])))`;
const rate = (metric: string, more = "") => `rate(${metric}{${SEEN}${more}}[$__rate_interval])`;

const OVERVIEW: PanelRow = {
  title: "Overview",
  panels: [
    {
      title: "Nodes that answer",
      help: "Scraped within the last minutes.",
      kind: "figure",
      unit: "short",
      width: 4,
      queries: [{ expr: `count(peat_node_info{${SEEN}})`, legend: "nodes" }],
    },
    {
      title: "Not ready",
      help: "What is waited for stands in checks of /api/v1/ready.",
      kind: "figure",
      unit: "short",
      width: 4,
      bounds: { yellow: 1, red: 1 },
      queries: [{ expr: `count(peat_node_ready{${SEEN}} == 0) or vector(0)`, legend: "not ready" }],
    },
    {
      title: "Connections missing",
      help: "Peers that a node seeks and does not reach, over all nodes.",
      kind: "figure",
      unit: "short",
      width: 4,
      bounds: { yellow: 1, red: 3 },
      queries: [{ expr: `sum(peat_peers{${SEEN}, path="none"})`, legend: "missing" }],
    },
    {
      title: "Greatest lag",
      help: "Age of the oldest change that a connected peer has not acknowledged.",
      kind: "figure",
      unit: "s",
      width: 4,
      bounds: { yellow: 10, red: 60 },
      queries: [{ expr: `max(peat_peer_convergence_lag_seconds{${SEEN}})`, legend: "lag" }],
    },
    {
      title: "Documents",
      help: "On the node that has most.",
      kind: "figure",
      unit: "short",
      width: 4,
      queries: [{ expr: `max(peat_store_documents{${SEEN}})`, legend: "documents" }],
    },
    {
      title: "Warnings",
      help: "What an operator should know, by kind, over all nodes.",
      kind: "figure",
      unit: "short",
      width: 4,
      bounds: { yellow: 1, red: 10 },
      queries: [{ expr: `sum(peat_node_warnings{${SEEN}}) or vector(0)`, legend: "warnings" }],
    },
    {
      title: "Connections",
      help: "Of each node to each peer.",
      kind: "states",
      unit: "short",
      width: 24,
      queries: [{ expr: `peat_peer_connected{${SEEN}}`, legend: BY_PEER }],
    },
  ],
};

const SYNC: PanelRow = {
  title: "Sync",
  panels: [
    {
      title: "Until every connected peer has a change",
      help: "From its commit to the last acknowledgement; of up to 20 changes a second of each node.",
      kind: "plot",
      unit: "s",
      width: 12,
      queries: [
        { expr: quantile(0.5, "peat_sync_convergence_seconds"), legend: `${BY_NODE} half` },
        { expr: quantile(0.99, "peat_sync_convergence_seconds"), legend: `${BY_NODE} 99 %` },
      ],
    },
    {
      title: "Lag of peers",
      help: "Age of the oldest change that the peer has not acknowledged.",
      kind: "plot",
      unit: "s",
      width: 12,
      queries: [{ expr: `peat_peer_convergence_lag_seconds{${SEEN}}`, legend: BY_PEER }],
    },
    {
      title: "Round trips",
      help: "Of the path in use.",
      kind: "plot",
      unit: "s",
      width: 8,
      queries: [{ expr: `peat_peer_rtt_seconds{${SEEN}}`, legend: BY_PEER }],
    },
    {
      title: "Waiting for peers",
      help: "Documents to be sent.",
      kind: "plot",
      unit: "short",
      width: 8,
      queries: [{ expr: `peat_peer_queued_documents{${SEEN}}`, legend: BY_PEER }],
    },
    {
      title: "Paths",
      help: "Peers by how they are reached.",
      kind: "plot",
      unit: "short",
      width: 8,
      queries: [{ expr: `sum by (path) (peat_peers{${SEEN}})`, legend: "{{path}}" }],
    },
    {
      title: "Traffic with peers",
      help: "Bytes of frames.",
      kind: "plot",
      unit: "Bps",
      width: 12,
      queries: [{ expr: rate("peat_sync_bytes_total"), legend: `${BY_NODE} {{direction}}` }],
    },
    {
      title: "From sending to the peer's commit",
      help: "Of each frame of changes.",
      kind: "plot",
      unit: "s",
      width: 12,
      queries: [
        { expr: quantile(0.5, "peat_sync_latency_seconds"), legend: `${BY_NODE} half` },
        { expr: quantile(0.99, "peat_sync_latency_seconds"), legend: `${BY_NODE} 99 %` },
      ],
    },
  ],
};

const STORE: PanelRow = {
  title: "Store",
  panels: [
    {
      title: "Documents by collection",
      help: "On the node that has most of each.",
      kind: "plot",
      unit: "short",
      width: 8,
      queries: [
        {
          expr: `max by (collection) (peat_collection_documents{${SEEN}})`,
          legend: "{{collection}}",
        },
      ],
    },
    {
      title: "Commits",
      help: "Durable ones; each may hold many writes.",
      kind: "plot",
      unit: "cps",
      width: 8,
      queries: [
        { expr: rate("peat_store_commit_seconds_count"), legend: BY_NODE },
        { expr: rate("peat_store_commit_failures_total"), legend: `${BY_NODE} failed` },
      ],
    },
    {
      title: "Time of commits",
      help: "99 of 100 take less.",
      kind: "plot",
      unit: "s",
      width: 8,
      queries: [{ expr: quantile(0.99, "peat_store_commit_seconds"), legend: BY_NODE }],
    },
    {
      title: "Files of the store",
      help: "The database and its write-ahead log.",
      kind: "plot",
      unit: "bytes",
      width: 8,
      queries: [{ expr: `peat_store_file_bytes{${SEEN}}`, legend: `${BY_NODE} {{file}}` }],
    },
    {
      title: "Free on the disk",
      help: "As a share of its size.",
      kind: "plot",
      unit: "percentunit",
      width: 8,
      queries: [
        {
          expr: `peat_store_disk_free_bytes{${SEEN}} / peat_store_disk_size_bytes{${SEEN}}`,
          legend: BY_NODE,
        },
      ],
    },
    {
      title: "Set aside, deleted, stuck",
      help: "Contents beside the documents; tombstones; documents that can't be made equal everywhere.",
      kind: "plot",
      unit: "short",
      width: 8,
      queries: [
        { expr: `peat_store_set_aside{${SEEN}}`, legend: `${BY_NODE} {{reason}}` },
        { expr: `peat_store_tombstones{${SEEN}}`, legend: `${BY_NODE} tombstones` },
        { expr: `peat_stuck_documents{${SEEN}}`, legend: `${BY_NODE} stuck` },
      ],
    },
    {
      title: "Compaction",
      help: "Bytes of histories that it took away.",
      kind: "plot",
      unit: "Bps",
      width: 12,
      queries: [
        {
          expr: `sum by (instance) (${rate("peat_compaction_bytes_total", ', when="before"')}) - sum by (instance) (${rate("peat_compaction_bytes_total", ', when="after"')})`,
          legend: BY_NODE,
        },
      ],
    },
    {
      title: "Garbage collection",
      help: "Tombstones reduced to stubs, documents dropped.",
      kind: "plot",
      unit: "short",
      width: 12,
      queries: [{ expr: rate("peat_garbage_collected_total"), legend: `${BY_NODE} {{kind}}` }],
    },
  ],
};

const CLIENTS: PanelRow = {
  title: "Applications",
  panels: [
    {
      title: "Requests of the broker",
      help: "By status.",
      kind: "plot",
      unit: "reqps",
      width: 8,
      queries: [
        {
          expr: `sum by (status) (${rate("peat_http_request_duration_seconds_count")})`,
          legend: "{{status}}",
        },
      ],
    },
    {
      title: "Time of requests",
      help: "99 of 100 take less, by route.",
      kind: "plot",
      unit: "s",
      width: 8,
      queries: [
        {
          expr: quantile(0.99, "peat_http_request_duration_seconds", "method, route"),
          legend: "{{method}} {{route}}",
        },
      ],
    },
    {
      title: "Calls of RPC",
      help: "By method and code; streams when they end.",
      kind: "plot",
      unit: "reqps",
      width: 8,
      queries: [
        {
          expr: `sum by (method, code) (${rate("peat_rpc_duration_seconds_count")})`,
          legend: "{{method}} {{code}}",
        },
      ],
    },
    {
      title: "Followers of changes",
      help: "WebSockets, Subscribe calls, the exchange of files.",
      kind: "plot",
      unit: "short",
      width: 8,
      queries: [{ expr: `peat_feed_readers{${SEEN}}`, legend: `${BY_NODE} {{reader}}` }],
    },
    {
      title: "Waiting for followers",
      help: "Changes that they have not read.",
      kind: "plot",
      unit: "short",
      width: 8,
      queries: [{ expr: `peat_feed_queued_changes{${SEEN}}`, legend: `${BY_NODE} {{reader}}` }],
    },
    {
      title: "Files",
      help: "To be sent and received, by how far they are.",
      kind: "plot",
      unit: "short",
      width: 8,
      queries: [
        { expr: `peat_files_pending{${SEEN}}`, legend: `${BY_NODE} {{direction}} {{state}}` },
      ],
    },
  ],
};

const PROCESS: PanelRow = {
  title: "Processes",
  panels: [
    {
      title: "CPU",
      help: "Cores in use.",
      kind: "plot",
      unit: "short",
      width: 6,
      queries: [
        {
          expr: `${rate("process_cpu_seconds_total")} and on (job, instance) peat_node_info`,
          legend: BY_NODE,
        },
      ],
    },
    {
      title: "Memory",
      help: "Resident.",
      kind: "plot",
      unit: "bytes",
      width: 6,
      queries: [
        {
          expr: `process_resident_memory_bytes{${SEEN}} and on (job, instance) peat_node_info`,
          legend: BY_NODE,
        },
      ],
    },
    {
      title: "Delay of the event loop",
      help: "99 of 100 timers are less late.",
      kind: "plot",
      unit: "s",
      width: 6,
      queries: [{ expr: quantile(0.99, "peat_event_loop_delay_seconds"), legend: BY_NODE }],
    },
    {
      title: "Versions",
      help: "Who runs which.",
      kind: "table",
      unit: "short",
      width: 6,
      queries: [{ expr: `peat_node_info{${SEEN}}`, legend: "" }],
    },
  ],
};

export const PANEL_ROWS: readonly PanelRow[] = [OVERVIEW, SYNC, STORE, CLIENTS, PROCESS];
