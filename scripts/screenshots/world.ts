// A made-up node for pictures of the dashboard and for what no real mesh on this machine has: always the same, one
// second further with every look at it.
import { Dashboard } from "../../src/dashboard/page.ts";

/** The moment of the first look: a ship at night. */
export const WORLD_MS = Date.UTC(2026, 10, 21, 21, 4, 7);
const DAY_MS = 86_400_000;

export interface WorldOptions {
  /** So many strangers in place of the ship's peers. */
  readonly peers?: number;
  /** In the collection `tracks`. */
  readonly documents?: number;
}

export interface World extends Disposable {
  readonly url: string;
  /** Looks so far. */
  readonly looks: number;
  /** WebSockets that are open. */
  readonly sockets: number;
  /** Writes the order anew and tells of it. */
  change(): void;
}

interface PeerFacts {
  readonly id: string;
  readonly path: "direct" | "relay" | null;
  readonly rttMs: number;
  readonly queued: number;
  readonly address: string;
  readonly neighbours: readonly string[];
  readonly bytesPerSecond: number;
  readonly failure?: string;
}

const SHIP = ["chartroom", "engine", "galley", "helm"] as const;

const LISTED: readonly PeerFacts[] = [
  ...SHIP.map((id, index) => ({
    id,
    path: "direct" as const,
    rttMs: 1 + index,
    queued: 0,
    address: `10.20.0.${11 + index}:11204`,
    neighbours: [...SHIP.filter((other) => other !== id), ...(id === "helm" ? ["tender-2"] : [])],
    bytesPerSecond: 5200 + 900 * index,
  })),
  {
    id: "drone-3",
    path: "direct",
    rttMs: 38,
    queued: 0,
    address: "10.20.4.3:11204",
    neighbours: ["helm", "tender-2"],
    bytesPerSecond: 14_600,
  },
  {
    id: "shore-north",
    path: "relay",
    rttMs: 612,
    queued: 14,
    address: "relay.north.example",
    neighbours: ["shore-south"],
    bytesPerSecond: 2_300,
  },
  {
    id: "shore-south",
    path: null,
    rttMs: 0,
    queued: 0,
    address: "192.0.2.44:11204",
    neighbours: [],
    bytesPerSecond: 0,
    failure: "no answer within 3 s",
  },
  {
    id: "tender-2",
    path: "direct",
    rttMs: 74,
    queued: 0,
    address: "10.20.4.12:11204",
    neighbours: ["drone-3", "helm"],
    bytesPerSecond: 3_100,
  },
];

const PEERS = LISTED.toSorted((a, b) => (a.id < b.id ? -1 : 1));

/** Between 0 and 1, always the same of the same. */
function noise(seed: number): number {
  const wave = Math.sin(seed * 12.9898) * 43_758.5453;
  return wave - Math.floor(wave);
}

/** What is counted by then: some each second, in bursts. */
function counted(look: number, perSecond: number): number {
  let sum = 0;
  for (let at = 0; at < look; at += 1) {
    const isBurst = at % 150 > 110 && at % 150 < 128;
    sum += perSecond * (0.75 + 0.5 * noise(at + perSecond)) * (isBurst ? 2.6 : 1);
  }
  return Math.round(sum);
}

function strangers(count: number): PeerFacts[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `node-${String(index).padStart(3, "0")}`,
    path: index % 5 === 0 ? ("relay" as const) : ("direct" as const),
    rttMs: 5 + (index % 90),
    queued: index % 7,
    address: `10.9.${index % 250}.1:11204`,
    neighbours: [],
    bytesPerSecond: 100,
  }));
}

function peerAt(facts: PeerFacts, look: number, nowMs: number): object {
  const { id, path, rttMs, queued, address, neighbours, bytesPerSecond, failure } = facts;
  const isConnected = path !== null;
  const wobble = 0.8 + 0.4 * noise(look + rttMs);
  const bytes = 3_000_000 + counted(look, bytesPerSecond);
  return {
    id,
    connected: isConnected,
    state: isConnected ? "connected" : "connecting",
    dialect: isConnected ? "native" : null,
    path,
    address,
    rtt_ms: isConnected ? Math.max(1, Math.round(rttMs * wobble)) : null,
    lag_ms: isConnected ? Math.round(18 + rttMs * 1.6 * wobble) : null,
    queued,
    in_sync: isConnected && queued === 0,
    last_seen_ms: isConnected ? nowMs - 400 : nowMs - 47 * 60_000,
    connected_at_ms: isConnected ? nowMs - DAY_MS : null,
    last_failure: failure ?? null,
    version: isConnected ? "0.1.0" : null,
    sent_bytes: isConnected ? bytes : 0,
    received_bytes: isConnected ? Math.round(bytes * 0.7) : 0,
    neighbours: isConnected ? neighbours : null,
  };
}

function statusAt(look: number): object {
  return {
    node_id: "bridge",
    version: "0.1.0",
    program: "peat-sidecar",
    uptime_secs: 3 * 86_400 + 5 * 3600 + look,
    ready: true,
    checks: [
      {
        name: "orphans",
        ready: true,
        message:
          "2 documents that the formation no longer knows are set aside; see peat-sidecar orphans",
      },
    ],
    sync: { running: true },
    documents: 2_841 + Math.floor(look / 9),
    tombstones: 37,
    changes: 1_900_000 + counted(look, 42),
    queued: 14,
    database_bytes: 41_000_000 + (look % 240) * 21_000,
    wal_bytes: 3_900_000,
    rss_bytes: 118 * 1024 ** 2,
    listeners: [
      { kind: "broker", address: "127.0.0.1:8081" },
      { kind: "control", address: "/run/peat-sidecar/control.sock" },
      { kind: "rpc", address: "unix:///run/peat-sidecar/peat-sidecar.sock" },
      { kind: "iroh", address: "0.0.0.0:11204" },
    ],
  };
}

const COLLECTIONS = [
  { name: "alerts", count: 6 },
  { name: "beacons", count: 31 },
  { name: "contacts", count: 412 },
  { name: "nodes", count: 9 },
  { name: "orders", count: 57 },
  { name: "weather", count: 122 },
];

const STATES = ["open", "packed", "loaded", "delivered"];

function orderAt(index: number): Record<string, unknown> {
  return {
    _id: `resupply-${String(index).padStart(2, "0")}`,
    to: index % 3 === 0 ? "tender-2" : "shore-north",
    state: STATES[index % STATES.length],
    crates: 2 + (index % 9),
  };
}

/** The order of the pictures, before and after its change. */
function theOrder(isChanged: boolean): Record<string, unknown> {
  return {
    _id: "resupply-17",
    state: isChanged ? "loaded" : "packed",
    to: "tender-2",
    crates: 6,
    cargo: [
      { what: "diesel filter", count: 12 },
      { what: "medical kit B", count: isChanged ? 4 : 3 },
    ],
    position: { lat: 54.3221, lng: 10.1389 },
    signed: isChanged ? "m.okafor" : null,
  };
}

function theHistory(isChanged: boolean): object {
  const at = (minutes: number) => WORLD_MS - minutes * 60_000;
  const change = (
    hash: string,
    node: string | null,
    facts: { minutes: number; edits: readonly (readonly [string, string | null, string | null])[] },
  ) => ({
    actor: "5b1f09c2a7",
    at_ms: at(facts.minutes),
    bytes: 96 + 31 * facts.edits.length,
    edits: facts.edits.map(([path, before, after]) => ({ path, before, after })),
    edits_left: 0,
    hash,
    node,
  });
  const newest = change("c41e88d0", "tender-2", {
    minutes: -10,
    edits: [
      ["cargo[1].count", "3", "4"],
      ["signed", "null", '"m.okafor"'],
      ["state", '"packed"', '"loaded"'],
    ],
  });
  const earlier = [
    change("90aa17f3", "galley", { minutes: 21, edits: [["state", '"open"', '"packed"']] }),
    change("7d02c6be", "helm", {
      minutes: 64,
      edits: [["cargo[1]", null, '{"count":3,"what":"medical kit B"}']],
    }),
    change("1f9b3a55", null, {
      minutes: 190,
      edits: [
        ["cargo", null, '[{"count":12,"what":"diesel filter"}]'],
        ["crates", null, "6"],
        ["state", null, '"open"'],
        ["to", null, '"tender-2"'],
      ],
    }),
  ];
  const changes = isChanged ? [newest, ...earlier] : earlier;
  return {
    kind: "history",
    source: "document",
    born_ms: at(190),
    deleted: null,
    fields: [],
    changes,
    change_count: changes.length,
  };
}

const LOG: readonly (readonly [string, string, string, object])[] = [
  ["INFO", "peat_mesh_node", "Mesh started", { node_id: "bridge" }],
  ["INFO", "peat_mesh::broker", "Broker listening", { addr: "127.0.0.1:8081" }],
  ["INFO", "peat_mesh::peer_connector", "Peer connected to Iroh", { peer: "helm" }],
  [
    "WARNING",
    "peat_mesh::peer_connector",
    "Peer lost",
    { peer: "shore-south", cause: "timed out" },
  ],
  ["INFO", "peat_mesh::storage::automerge_store", "Compacted", { before: 245_760, after: 12_288 }],
];

function logAt(nowMs: number, after: number): object {
  const lines = LOG.map(([level, target, message, fields], index) => ({
    n: index + 1,
    at_ms: nowMs - (LOG.length - index) * 61_000,
    level,
    target,
    message,
    fields,
  })).filter(({ n }) => n > after);
  return { lines, next: LOG.length, dropped: 0 };
}

interface Moment {
  readonly look: number;
  readonly isChanged: boolean;
  readonly options: WorldOptions;
}

function trackPage(url: URL, documents: number): object {
  const after = Number((url.searchParams.get("after") ?? "track-00000").slice(6)) || 0;
  const limit = Number(url.searchParams.get("limit") ?? "100");
  const ids = Array.from({ length: Math.min(limit, documents - after) }, (_, i) => after + i + 1);
  const idOf = (index: number) => `track-${String(index).padStart(5, "0")}`;
  const last = after + ids.length;
  return {
    collection: "tracks",
    count: documents,
    documents: ids.map((index) => ({ _id: idOf(index), lat: 54 + index / 1e4, speed: index % 40 })),
    ...(last < documents ? { next: idOf(last) } : {}),
  };
}

function answerTo(url: URL, { look, isChanged, options }: Moment): object | undefined {
  const nowMs = WORLD_MS + look * 1000;
  const { peers = 0, documents = 2204 } = options;
  switch (url.pathname) {
    case "/api/v1/status":
      return statusAt(look);
    case "/api/v1/peers": {
      const facts = peers > 0 ? strangers(peers) : PEERS;
      return { peers: facts.map((one) => peerAt(one, look, nowMs)) };
    }
    case "/api/v1/collections":
      return { collections: [...COLLECTIONS, { name: "tracks", count: documents }] };
    case "/api/v1/logs":
      return logAt(nowMs, Number(url.searchParams.get("after") ?? "0"));
    case "/api/v1/documents/tracks":
      return trackPage(url, documents);
    case "/api/v1/documents/orders": {
      const all = Array.from({ length: 57 }, (_, i) => orderAt(i + 1));
      return { collection: "orders", count: all.length, documents: all };
    }
    case "/api/v1/documents/orders/resupply-17":
      return { collection: "orders", id: "resupply-17", document: theOrder(isChanged) };
    case "/api/v1/documents/orders/resupply-17/history":
      return theHistory(isChanged);
    default:
      return undefined;
  }
}

/** Serves until it is disposed of. */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const { body, policy } = await new Dashboard().page();
  let look = 0;
  let isChanged = false;
  const sockets = new Set<Bun.ServerWebSocket<unknown>>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, self) {
      const url = new URL(request.url);
      if (url.pathname === "/api/v1/ws")
        return self.upgrade(request) ? undefined : new Response("");
      if (url.pathname === "/") {
        const headers = { "content-type": "text/html", "content-security-policy": policy };
        return new Response(body, { headers });
      }
      if (url.pathname === "/api/v1/status") look += 1;
      const answer = answerTo(url, { look, isChanged, options });
      if (answer === undefined) return Response.json({ error: "not found" }, { status: 404 });
      return Response.json(answer);
    },
    websocket: {
      open: (socket) => void sockets.add(socket),
      close: (socket) => void sockets.delete(socket),
      message: () => undefined,
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    get looks() {
      return look;
    },
    get sockets() {
      return sockets.size;
    },
    change() {
      isChanged = true;
      const event = { type: "SyncEvent", collection: "orders", doc_id: "resupply-17" };
      for (const socket of sockets) socket.send(JSON.stringify(event));
    },
    [Symbol.dispose]: () => void server.stop(true),
  };
}
