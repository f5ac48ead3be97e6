// The listener: Bun's HTTP server in front of the routes, with access, faults, deadlines and the end of it all.
import type { AnyElysia } from "elysia";
import { websocket } from "elysia/ws";
import { Access, type AccessOptions, type ApiToken } from "../access/access.ts";
import { readTls, type TlsFiles, type TlsTexts, TlsWatch } from "../access/tls-files.ts";
import { BugError } from "../base/assert.ts";
import { type Clock, within } from "../base/clock.ts";
import type { DistributionFamily } from "../base/distribution.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { printHostPort } from "../identity/peer.ts";
import type { Store } from "../store/store.ts";
import { allowOrigin, answerFault, answerPreflight } from "./answers.ts";
import { API } from "./api-path.ts";
import { type EventLimits, EventStreams } from "./event-streams.ts";
import type { NodeView } from "./node-view.ts";
import { RouteTable } from "./route-table.ts";
import { makeRoutes } from "./routes.ts";

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

/** Read without the token; there is nothing to write at these. */
const PROBES = new Set([`${API}/health`, `${API}/ready`]);

export interface BrokerOptions {
  readonly store: Store;
  readonly node: NodeView;
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
  /** Text for whoever scrapes this node. */
  readonly metrics?: (() => string) | undefined;
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

export class Broker {
  readonly #options: BrokerOptions;
  readonly #limits: BrokerLimits;
  readonly #access: Access;
  readonly #events: EventStreams;
  readonly #app: AnyElysia;
  readonly #table: RouteTable;
  #server: Server;
  /** Listens no more, and still has connections: made under an older certificate. */
  readonly #earlier = new Set<Server>();
  #tlsWatch: TlsWatch | undefined;
  #isClosing = false;

  private constructor(options: BrokerOptions, tls: TlsTexts | undefined) {
    const { store, node, clock, address, documentBytesMax } = options;
    this.#options = options;
    const bodyBytesMax = Math.max(LIMITS.bodyBytesMax, 2 * documentBytesMax);
    this.#limits = { ...LIMITS, bodyBytesMax, ...options.limits };
    const scheme = tls === undefined ? "http" : "https";
    this.#access = new Access(options.access, { scheme, address, openPaths: PROBES });
    this.#events = new EventStreams({
      store,
      node,
      clock,
      limits: eventLimits(this.#limits),
    });
    const about = { store, node, clock, events: this.#events, metrics: options.metrics };
    this.#app = makeRoutes({ ...this.#limits, ...about });
    this.#app.onError(({ error, code, request }) => this.#explain(error, code, request));
    this.#table = new RouteTable(this.#app.routes);
    this.#server = this.#listen(tls);
    this.#app.server = this.#server;
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
    const servers = [this.#server, ...this.#earlier];
    const ended = Promise.all(servers.map((server) => server.stop(false)));
    await within(this.#options.clock, CLOSE_MS, ended, undefined);
    await Promise.all(servers.map((server) => server.stop(true)));
  }

  replaceToken(token: ApiToken): void {
    this.#access.replaceToken(token);
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
      this.#app.server = this.#server;
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
        development: false,
        idleTimeout: IDLE_SECS,
        maxRequestBodySize: BODY_BYTES_HARD_MAX,
        fetch: (request, server) => this.#answer(request, server),
        websocket: {
          ...(websocket as Bun.WebSocketHandler<unknown>),
          // What clients say is not listened to.
          maxPayloadLength: 4096,
          idleTimeout: PING_SECS,
          sendPings: true,
          closeOnBackpressureLimit: false,
          perMessageDeflate: false,
        },
      });
    } catch (error) {
      throw listenFault(error, printHostPort({ host: hostname, port }));
    }
  }

  async #answer(request: Request, server: Server): Promise<Response> {
    const sinceMs = performance.now();
    const response = await this.#route(request, server);
    this.#count(request, response, sinceMs);
    const origin = request.headers.get("origin");
    if (origin !== null) {
      const allowed = this.#access.allowedOrigin(origin, request.headers);
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

  #route(request: Request, server: Server): Response | Promise<Response> {
    const { method, headers } = request;
    try {
      if (this.#isClosing) throw new Fault("not_ready", "the node is stopping");
      const address = () => server.requestIP(request)?.address;
      this.#access.check({ method, path: pathOf(request), headers, address });
    } catch (error) {
      return this.#explain(error, undefined, request);
    }
    if (method === "OPTIONS") return answerPreflight();
    lengthenHost(request);
    // Bun leaves the body out of what it answers to HEAD.
    const asked = method === "HEAD" ? new Request(request.url, { headers }) : request;
    return this.#app.fetch(asked);
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

/** Elysia looks for the path behind the first 11 characters of a URL: too late when the host has less than four. */
function lengthenHost(request: Request): void {
  const { url } = request;
  const hostStart = url.indexOf("//") + 2;
  const pathStart = url.indexOf("/", hostStart);
  if (pathStart >= 11) return;
  // Not a new request: only the one that came in can become a WebSocket.
  const longer = `${url.slice(0, hostStart)}localhost${url.slice(pathStart)}`;
  Object.defineProperty(request, "url", { value: longer });
}

function pathOf({ url }: Request): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", start);
  return end < 0 ? url.slice(start) : url.slice(start, end);
}

function hasCode(error: unknown, codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}

const ADDRESS_CODES = ["EADDRINUSE", "EADDRNOTAVAIL", "EACCES", "EPERM"];

function listenFault(error: unknown, address: string): Fault {
  if (hasCode(error, ADDRESS_CODES)) {
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
