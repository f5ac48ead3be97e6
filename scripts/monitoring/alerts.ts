// THE table of alert rules: the rules file of packages and chart is written from it, and each points to its symptom in
// docs/operating.md.

export interface Alert {
  readonly name: string;
  /** Anchor in docs/operating.md. */
  readonly runbook: string;
  readonly expr: string;
  /** How long it holds before somebody is told. */
  readonly holds: string;
  /** critical: a human, now; warning: a human, today; info: worth a look. */
  readonly severity: "critical" | "warning" | "info";
  readonly summary: string;
  readonly description: string;
}

const RUNBOOK = "https://github.com/defenseunicorns/peat-sidecar/blob/main/docs/operating.md#";

const NODE: readonly Alert[] = [
  {
    name: "PeatNodeDown",
    runbook: "a-node-does-not-answer",
    expr: "up == 0 and on (job, instance) max by (job, instance) (max_over_time(peat_node_info[6h]))",
    holds: "5m",
    severity: "critical",
    summary: "{{ $labels.instance }} does not answer",
    description:
      "It answered within the last six hours. Its applications can't reach it; other nodes go on.",
  },
  {
    name: "PeatNodeRestarts",
    runbook: "a-node-ends-or-restarts",
    expr: "changes(process_start_time_seconds[1h]) > 3 and on (job, instance) peat_node_info",
    holds: "0m",
    severity: "warning",
    summary: "{{ $labels.instance }} was started {{ $value }} times within an hour",
    description: "Its last lines before each end say why; the exit code tells the kind.",
  },
  {
    name: "PeatNodeNotReady",
    runbook: "a-node-is-not-ready",
    expr: "peat_node_ready == 0",
    holds: "10m",
    severity: "warning",
    summary: "{{ $labels.instance }} is not ready",
    description: "checks in the answer of /api/v1/ready name what is waited for.",
  },
  {
    name: "PeatEventLoopSlow",
    runbook: "everything-is-slow",
    expr: "histogram_quantile(0.99, sum by (job, instance, le) (rate(peat_event_loop_delay_seconds_bucket[10m]))) > 1",
    holds: "15m",
    severity: "warning",
    summary: "{{ $labels.instance }} is late by more than a second",
    description:
      "One in a hundred timers is that late: the machine gives the node too little, or a request asks for too much.",
  },
  {
    name: "PeatRequestsFail",
    runbook: "requests-fail",
    expr: 'sum by (job, instance) (rate(peat_http_request_duration_seconds_count{status=~"5.."}[10m])) / sum by (job, instance) (rate(peat_http_request_duration_seconds_count[10m])) > 0.05',
    holds: "10m",
    severity: "warning",
    summary:
      "{{ $labels.instance }} refuses {{ $value | humanizePercentage }} of the broker's requests",
    description:
      "Answers with 5xx: the store is full, too much waits, or the node stops. Each answer has a sentence that says which.",
  },
  {
    name: "PeatCertificateEnds",
    runbook: "a-certificate-ends",
    expr: "peat_tls_certificate_expiry_timestamp_seconds - time() < 14 * 86400",
    holds: "1h",
    severity: "warning",
    summary: "The certificate of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}",
    description:
      "Exchange the files of PEAT_TLS_CERT and PEAT_TLS_KEY; the node takes them within 10 s.",
  },
];

const PEERS: readonly Alert[] = [
  {
    name: "PeatPeerDown",
    runbook: "a-peer-is-not-connected",
    expr: "peat_peer_connected == 0",
    holds: "15m",
    severity: "warning",
    summary: "{{ $labels.instance }} has not reached {{ $labels.peer }} for 15 minutes",
    description: "GET /api/v1/peers says why. What is written meanwhile waits and arrives later.",
  },
  {
    name: "PeatNodeAlone",
    runbook: "a-peer-is-not-connected",
    expr: 'sum by (job, instance) (peat_peers{path!="none"}) == 0 and sum by (job, instance) (peat_peers) > 0',
    holds: "5m",
    severity: "critical",
    summary: "{{ $labels.instance }} has no connection to any peer",
    description: "It knows peers and reaches none: its network, its secret, or its clock.",
  },
  {
    name: "PeatNameTwice",
    runbook: "two-nodes-have-one-name",
    expr: 'peat_node_warnings{name="duplicate_name"} > 0',
    holds: "2m",
    severity: "critical",
    summary: "{{ $labels.instance }} sees two nodes of one name",
    description:
      "Only one of them is connected. Both addresses stand in the log; give each its own PEAT_NODE_ID.",
  },
  {
    name: "PeatSyncStopped",
    runbook: "sync-is-stopped",
    expr: "peat_sync_running == 0",
    holds: "15m",
    severity: "warning",
    summary: "Sync of {{ $labels.instance }} has been stopped by order",
    description: "Nothing goes to peers or comes from them until somebody starts it again.",
  },
  {
    name: "PeatClockAhead",
    runbook: "a-clock-is-wrong",
    expr: 'peat_node_warnings{name="clock"} > 0',
    holds: "10m",
    severity: "warning",
    summary: "{{ $labels.instance }} has documents from a peer whose clock is minutes ahead",
    description: "That peer's writes win until the others' clocks get there. The log names it.",
  },
  {
    name: "PeatRulesDiffer",
    runbook: "rules-differ",
    expr: 'peat_node_warnings{name="rules_differ"} > 0',
    holds: "30m",
    severity: "warning",
    summary: "{{ $labels.instance }} and a peer keep a collection by different rules",
    description:
      "It is sent and not compared until both have the same modes, deletion rules and lifetimes.",
  },
];

const SYNC: readonly Alert[] = [
  {
    name: "PeatSyncLag",
    runbook: "documents-arrive-late",
    expr: "peat_peer_convergence_lag_seconds > 60",
    holds: "5m",
    severity: "warning",
    summary: "{{ $labels.peer }} is {{ $value | humanizeDuration }} behind {{ $labels.instance }}",
    description:
      "The oldest change that it has not acknowledged was made so long ago, while it is connected.",
  },
  {
    name: "PeatSyncSlow",
    runbook: "documents-arrive-late",
    expr: "histogram_quantile(0.99, sum by (job, instance, le) (rate(peat_sync_convergence_seconds_bucket[15m]))) > 10",
    holds: "15m",
    severity: "info",
    summary:
      "Changes of {{ $labels.instance }} take {{ $value | humanizeDuration }} to all its peers",
    description:
      "One in a hundred takes longer than that until the last connected peer has acknowledged it.",
  },
  {
    name: "PeatQueueGrows",
    runbook: "documents-arrive-late",
    expr: "peat_peer_queued_documents > 1000 and deriv(peat_peer_queued_documents[15m]) > 0",
    holds: "15m",
    severity: "warning",
    summary:
      "{{ $value }} documents wait in {{ $labels.instance }} for {{ $labels.peer }}, and ever more",
    description: "More is written than the link or the peer takes.",
  },
  {
    name: "PeatDocumentsStuck",
    runbook: "a-document-is-not-the-same-everywhere",
    expr: "peat_stuck_documents > 0",
    holds: "15m",
    severity: "warning",
    summary: "{{ $value }} documents of {{ $labels.instance }} can't be made equal on all peers",
    description: "/api/v1/ready names the first of them and the reason.",
  },
  {
    name: "PeatOrphans",
    runbook: "documents-are-missing",
    expr: 'peat_store_set_aside{reason="orphan"} > 0',
    holds: "15m",
    severity: "warning",
    summary:
      "{{ $labels.instance }} has set {{ $value }} documents aside that the formation no longer knows",
    description:
      "It was away for longer than deletions are remembered. peat-sidecar orphans lists them.",
  },
  {
    name: "PeatFilesWithoutRoom",
    runbook: "a-file-does-not-arrive",
    expr: 'peat_files_pending{state="without_room"} > 0',
    holds: "10m",
    severity: "warning",
    summary: "{{ $value }} files find no room at {{ $labels.instance }}",
    description: "They arrive by themselves once the inbox's disk has room.",
  },
];

const STORE: readonly Alert[] = [
  {
    name: "PeatDiskLow",
    runbook: "the-disk-is-full",
    expr: "peat_store_disk_free_bytes / peat_store_disk_size_bytes < 0.1",
    holds: "15m",
    severity: "warning",
    summary: "{{ $value | humanizePercentage }} of the disk of {{ $labels.instance }} is free",
    description: "Without room writes are refused, and peers' documents wait.",
  },
  {
    name: "PeatDiskFills",
    runbook: "the-disk-is-full",
    expr: "predict_linear(peat_store_disk_free_bytes[6h], 86400) < 0",
    holds: "1h",
    severity: "warning",
    summary: "The disk of {{ $labels.instance }} is full within a day, if it goes on like that",
    description: "As the last six hours went. peat_store_file_bytes tells whether it is the node.",
  },
  {
    name: "PeatCommitsFail",
    runbook: "the-disk-is-full",
    expr: "increase(peat_store_commit_failures_total[10m]) > 0",
    holds: "0m",
    severity: "critical",
    summary: "{{ $labels.instance }} can't commit",
    description:
      "Writes are answered with 507 until it can; nothing that was acknowledged is lost.",
  },
  {
    name: "PeatDocumentsDamaged",
    runbook: "a-document-is-damaged",
    expr: 'delta(peat_store_set_aside{reason="damaged"}[1d]) > 0',
    holds: "0m",
    severity: "critical",
    summary: "{{ $labels.instance }} found damaged documents on its disk",
    description: "They are fetched from peers. A disk that damages one file damages others.",
  },
];

export const ALERTS: readonly Alert[] = [...NODE, ...PEERS, ...SYNC, ...STORE];

/** The rules file, as Prometheus reads it and as the spec of a PrometheusRule has it. */
export function renderAlerts(): string {
  const rules = ALERTS.map((alert) => [
    `      - alert: ${alert.name}`,
    `        expr: ${JSON.stringify(alert.expr)}`,
    `        for: ${alert.holds}`,
    "        labels:",
    `          severity: ${alert.severity}`,
    "        annotations:",
    `          summary: ${JSON.stringify(alert.summary)}`,
    `          description: ${JSON.stringify(alert.description)}`,
    `          runbook_url: ${RUNBOOK}${alert.runbook}`,
  ]);
  return [
    "# Generated by `bun run generate` from scripts/monitoring/alerts.ts; changes by hand are lost.",
    "groups:",
    "  - name: peat-sidecar",
    "    rules:",
    ...rules.flat(),
    "",
  ].join("\n");
}
