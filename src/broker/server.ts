// The listener: Bun's HTTP server in front of the routes, with access, faults, deadlines and the end of it all.
import type { AnyElysia } from "elysia";
import { websocket } from "elysia/ws";
import { Access, type AccessOptions, type ApiToken } from "../access/access.ts";
import { readTls, type TlsFiles, type TlsTexts, TlsWatch } from "../access/tls-files.ts";
import { clearSocketPath, withSocketRights } from "../access/unix-socket.ts";
import type { Attachments } from "../attachments/service.ts";
import { BugError } from "../base/assert.ts";
import { type Clock, within } from "../base/clock.ts";
import type { DistributionFamily } from "../base/distribution.ts";
import { Fault, messageOf, systemCode } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { printHostPort } from "../identity/peer.ts";
import type { Store } from "../store/store.ts";
import { allowOrigin, answerFault, answerPreflight } from "./answers.ts";
import { API } from "./api-path.ts";
import { DASHBOARD_PATH, type DashboardPage } from "./dashboard-route.ts";
import type { Diagnostics } from "./diagnostics.ts";
import { type EventLimits, EventStreams } from "./event-streams.ts";
import type { NodeControl } from "./node-control.ts";
import type { NodeView } from "./node-view.ts";
import { lengthenHost, pathOf } from "./request-path.ts";
import { RouteTable } from "./route-table.ts";
import { makeRoutes, type RouteContext } from "./routes.ts";

const log = getLog("peat_mesh::broker");

export interface BrokerLimits {
  /** Longest body of a write. */
  readonly bodyBytesMax: number;
  /** Text of the documents in one answer; one document is always given. */
  readonly pageBytesMax: number;
  /** From the head of a write to its commit. */
  readonly requestMs: number;
  readonly writesMax: number;
  readonly webSocketsMax: number;
  /** Changes kept for a WebSocket client that is behind. */
  readonly eventsMax: number;
  /** Text of the documents in them. */
  readonly eventBytesMax: number;
  /** A WebSocket client that takes nothing for so long is closed. */
  readonly stallMs: number;
}

const LIMITS: BrokerLimits = {
  bodyBytesMax: 2 * 1024 ** 2,
  pageBytesMax: 16 * 1024 ** 2,
  requestMs: 30_000,
  writesMax: 1024,
  webSocketsMax: 1024,
  eventsMax: 8192,
  eventBytesMax: 16 * 1024 ** 2,
  stallMs: 30_000,
};

/** Read without the token, by probes and by who has no token yet; there is nothing to write at these. */
const OPEN_PATHS = new Set([`${API}/health`, `${API}/ready`, DASHBOARD_PATH]);

/** Read with the token also where reads are open: they tell of the machine, not of documents. */
const GUARDED = new Set(
  ["logs", "log-filter", "config", "doctor", "attachment-roots"].map((name) => `${API}/${name}`),
);

export interface BrokerOptions {
  readonly store: Store;
  readonly node: NodeView;
  readonly control: NodeControl;
  readonly clock: Clock;
  /** IP address to listen on. */
  readonly address: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly access: AccessOptions;
  /** PEM files; with them the broker speaks TLS only. */
  readonly tls?: TlsFiles | undefined;
  /** Called when it can't listen any more. */
  readonly onFatal: (error: unknown) => void;
  /** Largest document of the store: bodies may be twice as long, for their blanks and escapes. */
  readonly documentBytesMax: number;
  readonly limits?: Partial<BrokerLimits>;
  /** Undefined where no files are sent and none received. */
  readonly files?: Attachments | undefined;
  /** Text for whoever scrapes this node. */
  readonly metrics?: (() => string) | undefined;
  /** The page at `/`; without it there is none. */
  readonly dashboard?: (() => Promise<DashboardPage>) | undefined;
  /** What explains what is wrong. */
  readonly diagnostics?: Diagnostics | undefined;
  /** Seconds of each request by method, route and status are counted there. */
  readonly requestTimes?: DistributionFamily | undefined;
}

/** Silent connections end after this; longer than any request may take. */
const IDLE_SECS = 60;
/** A WebSocket client that answers no ping for so long is gone. */
const PING_SECS = 60;
/** Beyond this Bun ends a request by itself; ours, with a sentence, comes long before. */
const BODY_BYTES_HARD_MAX = 2 ** 40;
/** What requests under way have left when the broker closes. */
const CLOSE_MS = 300;

type Server = Bun.Server<unknown>;

/** What a listener's requests come to. */
interface Entrance {
  readonly access: Access;
  /** Of one listener only: it makes WebSockets of that one's requests. */
  readonly app: AnyElysia;
}

export class Broker {
  readonly #options: BrokerOptions;
  readonly #limits: BrokerLimits;
  readonly #events: EventStreams;
  readonly #routes: RouteContext;
  readonly #entrance: Entrance;
  readonly #table: RouteTable;
  #server: Server;
  /** Listens no more, and still has connections: made under an older certificate. */
  readonly #earlier = new Set<Server>();
  #control: Server | undefined;
  #tlsWatch: TlsWatch | undefined;
  #isClosing = false;

  private constructor(options: BrokerOptions, tls: TlsTexts | undefined) {
    const { store, node, control, clock, address, documentBytesMax } = options;
    this.#options = options;
    const bodyBytesMax = Math.max(LIMITS.bodyBytesMax, 2 * documentBytesMax);
    this.#limits = { ...LIMITS, bodyBytesMax, ...options.limits };
    const scheme = tls === undefined ? "http" : "https";
    this.#events = new EventStreams({
      store,
      node,
      clock,
      limits: eventLimits(this.#limits),
    });
    const { files, metrics, dashboard, diagnostics } = options;
    const about = { store, node, control, clock, events: this.#events, files };
    this.#routes = { ...this.#limits, ...about, metrics, dashboard, diagnostics };
    const facts = { scheme, address, openPaths: OPEN_PATHS, guardedPaths: GUARDED } as const;
    this.#entrance = this.#makeEntrance(new Access(options.access, facts));
    this.#table = new RouteTable(this.#entrance.app.routes);
    this.#server = this.#listen(tls);
    this.#entrance.app.server = this.#server;
  }

  /** Faults: address_unavailable, settings_invalid for TLS files that can't be used. */
  static async open(options: BrokerOptions): Promise<Broker> {
    const { tls: files, clock } = options;
    const now = files === undefined ? undefined : readTls(files);
    const broker = new Broker(options, now);
    if (files !== undefined && now !== undefined) {
      const changed = (texts: TlsTexts) => broker.#listenAgain(texts);
      broker.#tlsWatch = new TlsWatch({ files, clock, log, now, changed });
    }
    const addr = printHostPort({ host: options.address, port: broker.port });
    log.info("Broker listening", { addr });
    return broker;
  }

  /**
   * The same on a unix socket, for owner and group: whoever may connect may do everything. Fault
   * `address_unavailable`, with `taken` in its details when another process listens there.
   */
  async openControl(path: string): Promise<void> {
    const { clock, access: options } = this.#options;
    await clearSocketPath({ path, setting: "PEAT_RUNTIME_DIR", clock, log });
    const facts = { scheme: "http", address: path, openPaths: OPEN_PATHS } as const;
    const access = new Access({ ...options, reads: "open", open: "all" }, facts);
    const entrance = this.#makeEntrance(access);
    // By Bun's types a unix socket has no idle time; it has, of 10 s unless it is told (measured with 1.4.5).
    const serving: object = { unix: path, ...this.#serving(entrance) };
    try {
      withSocketRights(() => {
        this.#control = Bun.serve(serving as Bun.Serve.Options<unknown>);
      });
    } catch (error) {
      const sentence = `PEAT_RUNTIME_DIR: ${path} can't be bound (${messageOf(error)})`;
      const taken = systemCode(error) === "EADDRINUSE";
      throw new Fault("address_unavailable", sentence, { taken }, error);
    }
    entrance.app.server = this.#control ?? null;
    log.info("Control socket listening", { path });
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  /** For this machine's users: a listener on all addresses is shown as localhost. */
  get url(): string {
    const { address, tls } = this.#options;
    const host = address === "0.0.0.0" || address === "::" ? "localhost" : address;
    return `${tls === undefined ? "http" : "https"}://${printHostPort({ host, port: this.port })}`;
  }

  /** No new requests; WebSocket clients are told; requests under way have a moment to end. */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#tlsWatch?.end();
    this.#events.close();
    const control = this.#control === undefined ? [] : [this.#control];
    const servers = [this.#server, ...control, ...this.#earlier];
    const ended = Promise.all(servers.map((server) => server.stop(false)));
    await within(this.#options.clock, CLOSE_MS, ended, undefined);
    await Promise.all(servers.map((server) => server.stop(true)));
  }

  replaceToken(token: ApiToken): void {
    this.#entrance.access.replaceToken(token);
  }

  /** Takes a certificate that has been exchanged now, not at the next look. */
  reloadCertificate(): void {
    this.#tlsWatch?.look();
  }

  /** Bun's server keeps its certificate for life: another one takes its port, and it ends with its connections. */
  #listenAgain(tls: TlsTexts): void {
    const earlier = this.#server;
    const { port } = this;
    this.#earlier.add(earlier);
    void earlier.stop(false).then(() => this.#earlier.delete(earlier));
    try {
      this.#server = this.#listen(tls, port);
      this.#entrance.app.server = this.#server;
    } catch (error) {
      // Somebody else has the port now.
      this.#options.onFatal(error);
    }
  }

  #listen(tls: TlsTexts | undefined, port = this.#options.port): Server {
    const { address: hostname } = this.#options;
    try {
      return Bun.serve({
        hostname,
        port,
        ...(tls === undefined ? {} : { tls }),
        // A second node on the same port must fail, not take half of the requests.
        reusePort: false,
        ...this.#serving(this.#entrance),
      });
    } catch (error) {
      throw listenFault(error, printHostPort({ host: hostname, port }));
    }
  }

  #makeEntrance(access: Access): Entrance {
    const app: AnyElysia = makeRoutes(this.#routes);
    app.onError(({ error, code, request }) => this.#explain(error, code, request));
    return { access, app };
  }

  /** What all listeners have in common. */
  #serving(entrance: Entrance) {
    return {
      development: false,
      idleTimeout: IDLE_SECS,
      maxRequestBodySize: BODY_BYTES_HARD_MAX,
      fetch: (request: Request, server: Server) => this.#answer(entrance, request, server),
      websocket: {
        ...(websocket as Bun.WebSocketHandler<unknown>),
        // What clients say is not listened to.
        maxPayloadLength: 4096,
        idleTimeout: PING_SECS,
        sendPings: true,
        closeOnBackpressureLimit: false,
        perMessageDeflate: false,
      },
    };
  }

  async #answer(entrance: Entrance, request: Request, server: Server): Promise<Response> {
    const sinceMs = performance.now();
    const response = await this.#route(entrance, request, server);
    this.#count(request, response, sinceMs);
    const origin = request.headers.get("origin");
    if (origin !== null) {
      const allowed = entrance.access.allowedOrigin(origin, request.headers);
      if (allowed !== undefined) allowOrigin(response, allowed);
    }
    return response;
  }

  #count(request: Request, response: Response | undefined, sinceMs: number): void {
    const { requestTimes } = this.#options;
    if (requestTimes === undefined) return;
    const { method } = request;
    const found = this.#table.find(pathOf(request));
    // What a stranger makes up is no series of its own.
    const isKnown = found !== undefined && (method === "OPTIONS" || found.methods.has(method));
    // A WebSocket has no response any more.
    const status = String(response?.status ?? 101);
    const seconds = (performance.now() - sinceMs) / 1000;
    requestTimes.observe([isKnown ? method : "other", found?.route ?? "none", status], seconds);
  }

  #route(
    { access, app }: Entrance,
    request: Request,
    server: Server,
  ): Response | Promise<Response> {
    const { method, headers } = request;
    try {
      if (this.#isClosing) throw new Fault("not_ready", "the node is stopping");
      const address = () => server.requestIP(request)?.address;
      access.check({ method, path: pathOf(request), headers, address });
    } catch (error) {
      return this.#explain(error, undefined, request);
    }
    if (method === "OPTIONS") return answerPreflight();
    lengthenHost(request);
    // Bun leaves the body out of what it answers to HEAD.
    const asked = method === "HEAD" ? new Request(request.url, { headers }) : request;
    return app.fetch(asked);
  }

  /** What was thrown as an answer. A bug of ours is answered, and ends the process all the same. */
  #explain(error: unknown, code: unknown, request: Request): Response {
    if (error instanceof Fault) {
      if (error.cause !== undefined) log.debug(error.message, { cause: messageOf(error.cause) });
      return answerFault(error);
    }
    if (code === "NOT_FOUND") return this.#explainPath(request);
    log.error("Request failed", { cause: messageOf(error) });
    if (error instanceof BugError) {
      queueMicrotask(() => {
        throw error;
      });
    }
    return answerFault(new Fault("internal", "the node failed at this; its log says why"));
  }

  #explainPath(request: Request): Response {
    const path = pathOf(request);
    const methods = this.#table.methodsOf(path);
    const shown = path.slice(0, 200);
    if (methods.length === 0) {
      return answerFault(new Fault("route_not_found", `there is no path ${shown}`));
    }
    const allow = methods.join(", ");
    if (methods.includes(request.method)) {
      const sentence = `${shown} is a WebSocket; ask with the header Upgrade: websocket`;
      return answerFault(new Fault("invalid_argument", sentence));
    }
    const sentence = `${request.method} is not possible on ${shown}; possible are ${allow}`;
    return answerFault(new Fault("method_not_allowed", sentence), { allow });
  }
}

function eventLimits(limits: BrokerLimits): EventLimits {
  return {
    clientsMax: limits.webSocketsMax,
    capacity: limits.eventsMax,
    capacityBytes: limits.eventBytesMax,
    stallMs: limits.stallMs,
  };
}

const ADDRESS_CODES = ["EADDRINUSE", "EADDRNOTAVAIL", "EACCES", "EPERM"];

function listenFault(error: unknown, address: string): Fault {
  if (ADDRESS_CODES.includes(systemCode(error))) {
    return new Fault(
      "address_unavailable",
      `the broker can't listen on ${address} (${messageOf(error)}); set PEAT_BROKER_PORT or PEAT_BROKER_ADDR to a free one`,
      {},
      error,
    );
  }
  return new Fault(
    "settings_invalid",
    `the broker can't start (${messageOf(error)}); PEAT_TLS_CERT and PEAT_TLS_KEY must be a certificate and its key in PEM`,
    {},
    error,
  );
}
