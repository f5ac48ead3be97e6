// The RPC listeners: unix sockets and TCP ports in front of one set of connections and one handler.
import { createServer, type Server as NetServer, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import { Access, type AccessOptions, type ApiToken, isLoopback } from "../access/access.ts";
import { readTls, type TlsFiles, type TlsTexts, TlsWatch } from "../access/tls-files.ts";
import { clearSocketPath, grantSocket, withSocketRights } from "../access/unix-socket.ts";
import { type Clock, within } from "../base/clock.ts";
import type { DistributionFamily } from "../base/distribution.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { type ConnectionLimits, Connections, type Request } from "./connections.ts";
import type { DeadlineLimits } from "./deadline.ts";
import { OPEN_PATHS, RpcHandler } from "./handler.ts";
import { CLOSE_MS, CONNECTIONS_MAX, MESSAGE_BYTES_MIN } from "./limits.ts";
import { type ListenAddress, printListenAddress } from "./listen-address.ts";
import type { RpcServices } from "./services.ts";

const log = getLog("peat_mesh::rpc");

export interface RpcServerOptions {
  readonly clock: Clock;
  readonly listen: readonly ListenAddress[];
  /** Name or number of the group that unix sockets belong to; the process's own by default. */
  readonly group?: string | undefined;
  /** For TCP listeners. */
  readonly tls?: TlsFiles | undefined;
  /** Loopback needs no token; a listener beyond it does for every call. */
  readonly access: ApiToken & Pick<AccessOptions, "corsOrigins">;
  readonly deadlines: DeadlineLimits;
  readonly connections: ConnectionLimits;
  /** Largest document of the store: messages may be twice as long, for blanks and escapes. */
  readonly documentBytesMax: number;
  readonly services: Pick<RpcServices, "register">;
  /** Seconds of each call are counted there. */
  readonly callTimes?: DistributionFamily | undefined;
}

interface Listener {
  /** As bound: with the port that was found where 0 was asked for. */
  readonly address: ListenAddress;
  readonly server: NetServer;
}

const BACKLOG = 511;

export class RpcServer {
  readonly #options: RpcServerOptions;
  readonly #handler: RpcHandler;
  /** One for each listener: who may call differs. */
  readonly #connections: Connections[] = [];
  readonly #accesses: Access[] = [];
  readonly #listeners: Listener[] = [];
  #tlsWatch: TlsWatch | undefined;
  #isClosing = false;

  private constructor(options: RpcServerOptions) {
    this.#options = options;
    const messageBytesMax = Math.max(MESSAGE_BYTES_MIN, 2 * options.documentBytesMax);
    this.#handler = new RpcHandler({ ...options, messageBytesMax });
  }

  /** Faults: address_unavailable, settings_invalid. What was opened by then is closed again. */
  static async open(options: RpcServerOptions): Promise<RpcServer> {
    const server = new RpcServer(options);
    try {
      await server.#open();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  /** Where it listens, ports as they were found. */
  get addresses(): readonly ListenAddress[] {
    return this.#listeners.map(({ address }) => address);
  }

  get connectionCount(): number {
    return this.#connections.reduce((sum, { count }) => sum + count, 0);
  }

  replaceToken(token: ApiToken): void {
    for (const access of this.#accesses) access.replaceToken(token);
  }

  /** Takes a certificate that has been exchanged now, not at the next look. */
  reloadCertificate(): void {
    this.#tlsWatch?.look();
  }

  /** No new calls; streams are told and end; what is under way then has a moment. */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#tlsWatch?.end();
    for (const { server } of this.#listeners) server.close();
    this.#handler.close();
    const all = this.#connections;
    const drained = Promise.all(all.map((connections) => connections.drain()));
    await within(this.#options.clock, CLOSE_MS, drained, undefined);
    for (const connections of all) connections.destroy();
  }

  async #open(): Promise<void> {
    const { listen, tls, clock } = this.#options;
    const usesTls = tls !== undefined && listen.some(({ kind }) => kind === "tcp");
    const texts = usesTls ? readTls(tls) : undefined;
    const tlsServers: TlsServer[] = [];
    for (const address of listen) {
      const bound = await this.#listen(address, texts);
      if ("setSecureContext" in bound) tlsServers.push(bound);
    }
    if (!usesTls || texts === undefined) return;
    this.#tlsWatch = new TlsWatch({
      files: tls,
      clock,
      log,
      now: texts,
      changed: (fresh) => {
        for (const server of tlsServers) server.setSecureContext(fresh);
      },
    });
  }

  async #listen(address: ListenAddress, tls: TlsTexts | undefined): Promise<NetServer | TlsServer> {
    const accept = this.#acceptor(address, tls !== undefined);
    const server =
      address.kind === "tcp" && tls !== undefined
        ? createTlsServer(
            {
              ...tls,
              ALPNProtocols: ["h2", "http/1.1"],
              handshakeTimeout: this.#options.connections.headerReadMs,
            },
            accept,
          )
        : createServer(accept);
    // Bun tells of a handshake that failed or took too long, and leaves the connection open.
    server.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy());
    // Also of those that have not come to `accept` yet.
    server.maxConnections = CONNECTIONS_MAX;
    if (address.kind === "unix") {
      const { path } = address;
      await clearSocketPath({ path, setting: "PEAT_LISTEN", clock: this.#options.clock, log });
    }
    await bind(server, address);
    const bound = boundAddress(server, address);
    this.#listeners.push({ address: bound, server });
    if (address.kind === "unix") grantSocket(address.path, this.#options.group);
    log.info("RPC listening", { addr: printListenAddress(bound), tls: tls !== undefined });
    return server;
  }

  #acceptor(address: ListenAddress, isTls: boolean): (socket: Socket) => void {
    const { clock, connections: limits } = this.#options;
    const access = this.#accessOf(address, isTls);
    this.#accesses.push(access);
    const connections = new Connections({
      clock,
      limits,
      hasRoom: () => this.connectionCount < CONNECTIONS_MAX,
      serve: (request, response) => {
        if (address.kind === "unix") forgetHost(request);
        this.#handler.serve(request, response, access);
      },
    });
    this.#connections.push(connections);
    return (socket) => connections.take(socket);
  }

  #accessOf(address: ListenAddress, isTls: boolean): Access {
    const { access } = this.#options;
    if (address.kind === "unix") {
      // The socket's mode says who may connect, and all of them may call.
      return new Access(
        { ...access, reads: "open", open: "all" },
        { scheme: "http", address: address.path, openPaths: OPEN_PATHS },
      );
    }
    return new Access(
      { ...access, reads: "token", open: isLoopback(address.host) ? "loopback" : "none" },
      { scheme: isTls ? "https" : "http", address: address.host, openPaths: OPEN_PATHS },
    );
  }
}

/** There is no host on a unix socket, and clients name what they like: gRPC's the path, which makes no URL. */
function forgetHost({ headers }: Request): void {
  headers[":authority"] = "localhost";
  headers.host = "localhost";
}

/** Resolves once the server listens. Fault `address_unavailable`. */
function bind(server: NetServer, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      const shown = printListenAddress(address);
      reject(
        new Fault(
          "address_unavailable",
          `PEAT_LISTEN: ${shown} can't be bound (${messageOf(error)}); name one that is free`,
          {},
          error,
        ),
      );
    };
    server.once("error", fail);
    server.once("listening", () => {
      server.off("error", fail);
      // What a listener fails at later is one connection's, e.g. that no more files may be open.
      server.on("error", (error) => log.warn("RPC listener failed", { cause: messageOf(error) }));
      resolve();
    });
    if (address.kind === "unix") withSocketRights(() => server.listen({ path: address.path }));
    else server.listen({ host: address.host, port: address.port, backlog: BACKLOG });
  });
}

function boundAddress(server: NetServer, address: ListenAddress): ListenAddress {
  const bound = server.address();
  if (address.kind === "unix" || bound === null || typeof bound === "string") return address;
  return { ...address, port: bound.port };
}
