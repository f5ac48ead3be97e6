// What the node answers, as this page uses it. Everything is checked field by field: an older or a younger node may
// lack some of it, and then the page says less instead of failing.

export interface Check {
  readonly name: string;
  readonly ready: boolean;
  readonly message: string | undefined;
}

export interface Status {
  readonly name: string;
  readonly version: string;
  readonly program: string;
  readonly uptimeSecs: number;
  readonly ready: boolean;
  readonly checks: readonly Check[];
  readonly isSyncing: boolean;
  readonly documents: number;
  readonly tombstones: number;
  readonly queued: number;
  /** Documents committed since the node started, with each change of them. */
  readonly changes: number | undefined;
  readonly databaseBytes: number;
  readonly residentBytes: number;
  readonly listeners: readonly { readonly kind: string; readonly address: string }[];
}

export interface Peer {
  readonly name: string;
  readonly isConnected: boolean;
  readonly state: string;
  readonly dialect: string | undefined;
  readonly path: string | undefined;
  readonly address: string | undefined;
  readonly rttMs: number | undefined;
  readonly lagMs: number | undefined;
  readonly queued: number;
  readonly isInSync: boolean;
  readonly lastSeenMs: number | undefined;
  readonly connectedAtMs: number | undefined;
  readonly lastFailure: string | undefined;
  readonly version: string | undefined;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Names of the peers that it is itself connected to; undefined where it does not tell. */
  readonly neighbours: readonly string[] | undefined;
}

export interface Collection {
  readonly name: string;
  readonly count: number;
}

export interface LogLine {
  readonly n: number;
  readonly atMs: number;
  readonly level: string;
  readonly target: string;
  readonly message: string;
  readonly fields: readonly (readonly [string, string])[];
}

/** The value of a field, undefined where there is no such thing. */
export function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function parseCheck(value: unknown): Check {
  return {
    name: textOf(field(value, "name")) ?? "",
    ready: field(value, "ready") === true,
    message: textOf(field(value, "message")),
  };
}

export function parseStatus(value: unknown): Status {
  const number = (name: string) => numberOf(field(value, name)) ?? 0;
  return {
    name: textOf(field(value, "node_id")) ?? "this node",
    version: textOf(field(value, "version")) ?? "",
    program: textOf(field(value, "program")) ?? "peat-sidecar",
    uptimeSecs: number("uptime_secs"),
    ready: field(value, "ready") === true,
    checks: listOf(field(value, "checks")).map(parseCheck),
    isSyncing: field(field(value, "sync"), "running") !== false,
    documents: number("documents"),
    tombstones: number("tombstones"),
    queued: number("queued"),
    changes: numberOf(field(value, "changes")),
    databaseBytes: number("database_bytes") + number("wal_bytes"),
    residentBytes: number("rss_bytes"),
    listeners: listOf(field(value, "listeners")).map((one) => ({
      kind: textOf(field(one, "kind")) ?? "",
      address: textOf(field(one, "address")) ?? "",
    })),
  };
}

function parseNeighbours(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.flatMap((name) => textOf(name) ?? []);
}

function parsePeer(value: unknown): Peer {
  return {
    name: textOf(field(value, "id")) ?? "",
    isConnected: field(value, "connected") === true,
    state: textOf(field(value, "state")) ?? "unknown",
    dialect: textOf(field(value, "dialect")),
    path: textOf(field(value, "path")),
    address: textOf(field(value, "address")),
    rttMs: numberOf(field(value, "rtt_ms")),
    lagMs: numberOf(field(value, "lag_ms")),
    queued: numberOf(field(value, "queued")) ?? 0,
    isInSync: field(value, "in_sync") === true,
    lastSeenMs: numberOf(field(value, "last_seen_ms")),
    connectedAtMs: numberOf(field(value, "connected_at_ms")),
    lastFailure: textOf(field(value, "last_failure")),
    version: textOf(field(value, "version")),
    sentBytes: numberOf(field(value, "sent_bytes")) ?? 0,
    receivedBytes: numberOf(field(value, "received_bytes")) ?? 0,
    neighbours: parseNeighbours(field(value, "neighbours")),
  };
}

export function parsePeers(value: unknown): readonly Peer[] {
  return listOf(field(value, "peers")).map(parsePeer);
}

export function parseCollections(value: unknown): readonly Collection[] {
  return listOf(field(value, "collections")).map((one) => ({
    name: textOf(field(one, "name")) ?? "",
    count: numberOf(field(one, "count")) ?? 0,
  }));
}

function printField(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

export function parseLogLines(value: unknown): readonly LogLine[] {
  return listOf(field(value, "lines")).map((line) => ({
    n: numberOf(field(line, "n")) ?? 0,
    atMs: numberOf(field(line, "at_ms")) ?? 0,
    level: textOf(field(line, "level")) ?? "",
    target: textOf(field(line, "target")) ?? "",
    message: textOf(field(line, "message")) ?? "",
    fields: Object.entries(Object(field(line, "fields"))).map(
      ([name, one]) => [name, printField(one)] as const,
    ),
  }));
}
