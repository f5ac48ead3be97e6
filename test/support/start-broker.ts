// A broker over a store on a file, with a node whose peers a test sets, and clients of its HTTP and WebSocket.
import { systemClock } from "../../src/base/clock.ts";
import { type LogPage, type LogQuery, LogRing } from "../../src/base/log-ring.ts";
import { Secret } from "../../src/base/secret.ts";
import type {
  LogControl,
  NodeControl,
  ProcessView,
  SettingsDiff,
  SettingView,
} from "../../src/broker/node-control.ts";
import type { NodeView, PeerNews, PeerView, ReadinessCheck } from "../../src/broker/node-view.ts";
import { Broker, type BrokerOptions } from "../../src/broker/server.ts";
import { type NodeName, parseNodeName } from "../../src/identity/peer.ts";
import type { Store } from "../../src/store/store.ts";
import { openFileStore } from "./file-store.ts";
import { tempFolder } from "./temp-folder.ts";

export const TOKEN = "a-token-of-the-test";
export const JSON_TYPE = { "content-type": "application/json" };
const DEADLINE_MS = 30_000;

/** A node as the broker sees it, moved by the test. */
export class TestNode implements NodeView {
  readonly nodeName = parseNodeName("node-a");
  readonly version = "1.2.3";
  startedAt = systemClock.monotonic();
  checks: ReadinessCheck[] = [];
  startNames = new Map<string, NodeName>();
  readonly #peers = new Map<NodeName, PeerView>();
  readonly #listeners = new Set<(news: PeerNews) => void>();

  readiness(): readonly ReadinessCheck[] {
    return this.checks;
  }

  peers(): readonly PeerView[] {
    return [...this.#peers.values()];
  }

  starts(): ReadonlyMap<string, NodeName> {
    return this.startNames;
  }

  onPeerEvent(listener: (news: PeerNews) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  connect(text: string): void {
    const name = parseNodeName(text);
    this.#peers.set(name, connectedPeer(name));
    for (const listener of this.#listeners) listener({ kind: "connected", name });
  }

  disconnect(text: string, reason: string): void {
    const name = parseNodeName(text);
    const peer = { ...connectedPeer(name), connected: false, state: "disconnected" };
    this.#peers.set(name, peer);
    for (const listener of this.#listeners) listener({ kind: "disconnected", name, reason });
  }
}

function connectedPeer(id: NodeName): PeerView {
  return {
    id,
    endpointId: "ab".repeat(32),
    connected: true,
    state: "connected",
    dialect: "native",
    rttMs: 1.4,
    path: "direct",
    address: "127.0.0.1:11204",
    lastSeenMs: 1_800_000_000_000,
    connectedAtMs: 1_799_999_000_000,
    queued: 3,
    lagMs: 12.4,
    inSync: false,
    neighbours: null,
    version: "0.9.1",
    lastFailure: null,
    sentBytes: 10,
    receivedBytes: 20,
    secretTag: "00112233",
  };
}

/** The switches of a node, which only remember how they were set. */
export class TestControl implements NodeControl {
  isSyncing = true;
  readonly log: LogControl;
  report: SettingsDiff & { readonly settings: readonly SettingView[] } = {
    settings: [],
    waiting: [],
    problems: [],
  };

  constructor(log: LogControl = new QuietLog()) {
    this.log = log;
  }

  settings(): readonly SettingView[] {
    return this.report.settings;
  }

  settingsDiff(): SettingsDiff {
    const { waiting, problems } = this.report;
    return { waiting, problems };
  }

  setSyncing(isWanted: boolean): void {
    this.isSyncing = isWanted;
  }

  process(): ProcessView {
    return {
      program: "peat-mesh-node",
      commit: "c0ffee",
      endpointId: "cd".repeat(32),
      formationTag: "00112233",
      startedAtMs: 1_800_000_000_000,
      databaseBytes: 4096,
      walBytes: 512,
      listeners: [{ kind: "broker", address: "127.0.0.1:8081" }],
    };
  }
}

/** Says nothing, and is told nothing. */
class QuietLog implements LogControl {
  readonly filter = { filter: "info", isOrdered: false, unknown: [] };
  readonly #ring = new LogRing(1024, 1);

  orderFilter(): void {}

  read(query: LogQuery): LogPage {
    return this.#ring.read(query);
  }
}

export interface BrokerWorld extends AsyncDisposable {
  readonly broker: Broker;
  readonly store: Store;
  readonly node: TestNode;
  /** Below /api/v1; a body is sent as it is. */
  ask(path: string, request?: RequestInit): Promise<Answer>;
  put(path: string, body: string, headers?: Record<string, string>): Promise<Answer>;
  socket(query?: string): Promise<EventClient>;
  /** Bytes as they are, over a connection of their own. */
  send(bytes: string | Uint8Array, options?: RawOptions): Promise<string>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export async function startBroker(
  options: Partial<Omit<BrokerOptions, "access">> & {
    access?: Partial<BrokerOptions["access"]>;
  } = {},
): Promise<BrokerWorld> {
  const folder = tempFolder();
  const { store } = openFileStore(folder.file("peat.db"));
  const node = new TestNode();
  const opening = Broker.open({
    store,
    node,
    control: new TestControl(),
    clock: systemClock,
    address: "127.0.0.1",
    port: 0,
    documentBytesMax: 1024 ** 2,
    onFatal: (error) => {
      throw error;
    },
    ...options,
    access: {
      token: new Secret(TOKEN),
      isTokenConfigured: true,
      reads: "open",
      open: "loopback",
      corsOrigins: [],
      ...options.access,
    },
  });
  const discard = () => {
    store.close();
    folder[Symbol.dispose]();
  };
  const broker = await opening.catch((error: unknown) => {
    discard();
    throw error;
  });
  const ask = async (path: string, request: RequestInit = {}): Promise<Answer> => {
    const response = await fetch(`${broker.url}/api/v1${path}`, request);
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return {
    broker,
    store,
    node,
    ask,
    put: (path, body, headers = {}) =>
      ask(path, { method: "PUT", body, headers: { ...JSON_TYPE, ...headers } }),
    socket: (query = "") => EventClient.open(`${broker.url}/api/v1/ws${query}`),
    send: (bytes, options) => sendRaw(broker.port, bytes, options),
    [Symbol.asyncDispose]: async () => {
      await broker.close();
      discard();
    },
  };
}

export interface RawOptions {
  /** Ends the connection's sending half after the bytes. */
  readonly isEnding?: boolean;
}

/** What a connection answers until it is closed, or for a whole answer whose length it tells. */
async function sendRaw(
  port: number,
  bytes: string | Uint8Array,
  options: RawOptions = {},
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const received: Buffer[] = [];
  const text = () => Buffer.concat(received).toString("latin1");
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_socket, chunk) => {
        received.push(Buffer.from(chunk));
        if (isWhole(text())) resolve(text());
      },
      close: () => resolve(text()),
      error: (_socket, error) => reject(error),
    },
  });
  const timer = setTimeout(() => reject(new Error(`no answer, only: ${text()}`)), DEADLINE_MS);
  try {
    let left = Buffer.from(bytes);
    while (left.length > 0 && !isWhole(text())) {
      const taken = socket.write(left);
      if (taken < 0) break;
      left = left.subarray(taken);
      if (left.length > 0) await new Promise((done) => setImmediate(done));
    }
    if (options.isEnding === true) socket.end();
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.terminate();
  }
}

function isWhole(answer: string): boolean {
  const end = answer.indexOf("\r\n\r\n");
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.slice(0, end))?.[1];
  return end >= 0 && length !== undefined && answer.length >= end + 4 + Number(length);
}

/** A WebSocket client that waits for events. */
export class EventClient implements Disposable {
  readonly #socket: WebSocket;
  readonly texts: string[] = [];
  closed: { code: number; reason: string } | undefined;
  #wake: () => void = () => undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      this.texts.push(String(data));
      this.#wake();
    });
    socket.addEventListener("close", ({ code, reason }) => {
      this.closed = { code, reason };
      this.#wake();
    });
  }

  /** `ca`: the authority of a server that speaks TLS. */
  static async open(
    url: string,
    headers: Record<string, string> = {},
    ca?: string,
  ): Promise<EventClient> {
    const tls = ca === undefined ? {} : { tls: { ca } };
    const socket = new WebSocket(url.replace(/^http/, "ws"), { headers, ...tls });
    const client = new EventClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error(`no WebSocket at ${url}`)), {
        once: true,
      });
    });
    return client;
  }

  /** Resolves when `isDone`; rejects with what came instead when that takes too long. */
  async until(isDone: () => boolean): Promise<void> {
    const until = performance.now() + DEADLINE_MS;
    while (!isDone()) {
      const leftMs = until - performance.now();
      if (leftMs <= 0) throw new Error(`in vain; there came: ${this.texts.join("\n")}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** The first so many events, parsed. */
  async events(count: number): Promise<Record<string, unknown>[]> {
    await this.until(() => this.texts.length >= count);
    return this.texts.slice(0, count).map((text) => JSON.parse(text));
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
