// Accepted connections: which protocol each speaks, how long it may be silent, how many calls it may have open.
//
//   first bytes "PRI" ─► node:http2 (gRPC, Connect, gRPC-Web)      anything else ─► node:http (Connect, gRPC-Web)
import {
  createServer as createHttp1,
  type Server as Http1Server,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import {
  constants,
  createServer as createHttp2,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import type { Socket } from "node:net";
import type { CancelTimer, Clock } from "../base/clock.ts";
import { messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { CONNECTION_MEGABYTES_MAX, HEADER_BYTES_MAX, REFUSED_STREAMS_MAX } from "./limits.ts";
import { discardRest } from "./request-rest.ts";

const log = getLog("peat_mesh::rpc");

export type Request = IncomingMessage | Http2ServerRequest;
export type Response = ServerResponse | Http2ServerResponse;

export interface ConnectionLimits {
  /** From the first byte of an HTTP/1.1 request's head to its last; also between two requests. */
  readonly headerReadMs: number;
  /** An HTTP/2 connection without an open call. */
  readonly idleMs: number;
  /** Between two PINGs, and until the answer to one. */
  readonly pingMs: number;
  readonly pingAckMs: number;
  /** Calls that one HTTP/2 connection may have open. */
  readonly streamsMax: number;
}

export interface ConnectionsOptions {
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
  /** Whether one more connection may be taken. */
  readonly hasRoom: () => boolean;
  /** Serves one request. Must not throw. */
  readonly serve: (request: Request, response: Response) => void;
}

const PREFACE = Buffer.from("PRI");

/** Undefined: more bytes are needed. */
function isHttp2(bytes: Buffer): boolean | undefined {
  const length = Math.min(bytes.length, PREFACE.length);
  if (!bytes.subarray(0, length).equals(PREFACE.subarray(0, length))) return false;
  return length === PREFACE.length ? true : undefined;
}

/** What is watched of one HTTP/2 connection. */
interface WatchedSession {
  readonly socket: Socket;
  isGivenUp: boolean;
  open: number;
  cancelIdle: CancelTimer;
  cancelPing: CancelTimer;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #sockets = new Set<Socket>();
  /** Calls under way on HTTP/1.1 connections: more than one where a client does not wait for answers. */
  readonly #calls = new WeakMap<Socket, number>();
  readonly #sessions = new Map<ServerHttp2Session, WatchedSession>();
  /** Ends the wait for an HTTP/1.1 request's head. */
  readonly #headTimers = new WeakMap<object, CancelTimer>();
  readonly #http1: Http1Server;
  readonly #http2: Http2Server;
  #isClosing = false;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#http1 = createHttp1({ maxHeaderSize: HEADER_BYTES_MAX }, (request, response) =>
      this.#serveHttp1(request, response),
    );
    // Our own timers bound silence; node's would close what only waits for its answer.
    this.#http1.keepAliveTimeout = 0;
    this.#http1.on("clientError", (_error, socket) => socket.destroy());
    this.#http2 = createHttp2(
      {
        settings: { maxConcurrentStreams: options.limits.streamsMax },
        // A client may open many calls before it hears how many it may have: what is too much is refused, and may be
        // called again. Bun would rather end the connection at the hundredth, with all that is under way on it.
        maxSessionRejectedStreams: REFUSED_STREAMS_MAX,
        maxSessionMemory: CONNECTION_MEGABYTES_MAX,
      },
      (request, response) => this.#serveHttp2(request, response),
    );
    this.#http2.on("sessionError", (error) => {
      log.debug("RPC connection failed", { cause: messageOf(error) });
    });
  }

  get count(): number {
    return this.#sockets.size;
  }

  /** Takes a connection that a listener has accepted. */
  take(socket: Socket): void {
    socket.on("error", (error) => {
      log.debug("RPC connection broken", { cause: messageOf(error) });
    });
    if (this.#isClosing || !this.#options.hasRoom()) {
      socket.destroy();
      return;
    }
    // HTTP/1.1 has no PING: a subscriber that vanished would be kept until something is to be told.
    socket.setKeepAlive(true, this.#options.limits.pingMs);
    this.#sockets.add(socket);
    this.#calls.set(socket, 0);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#headTimers.get(socket)?.();
    });
    this.#awaitHead(socket);
    this.#sniff(socket, Buffer.alloc(0));
  }

  /** No new calls; resolves when those under way have ended. */
  drain(): Promise<void> {
    this.#isClosing = true;
    // Says GOAWAY; what is open goes on to its end.
    for (const session of this.#sessions.keys()) session.close();
    const sockets = [...this.#sockets];
    for (const socket of sockets) if (this.#calls.get(socket) === 0) socket.destroy();
    const closed = sockets
      .filter((socket) => this.#sockets.has(socket))
      .map((socket) => new Promise<void>((resolve) => socket.once("close", () => resolve())));
    return Promise.all(closed).then(() => undefined);
  }

  /** Ends whatever is left. */
  destroy(): void {
    // Never a session of these: Bun then says goodbye and leaves the connection open.
    for (const socket of this.#sockets) socket.destroy();
  }

  #sniff(socket: Socket, before: Buffer): void {
    socket.once("data", (chunk: Buffer) => {
      const bytes = before.length === 0 ? chunk : Buffer.concat([before, chunk]);
      const speaksHttp2 = isHttp2(bytes);
      if (speaksHttp2 === undefined) {
        this.#sniff(socket, bytes);
        return;
      }
      // Nothing may be read between these lines: the server's own listeners must see every byte.
      socket.pause();
      socket.unshift(bytes);
      if (speaksHttp2) {
        this.#headTimers.get(socket)?.();
        // It ends by its session.
        this.#calls.delete(socket);
        // The session is there when this returns.
        this.#http2.once("session", (session) => this.#watch(session, socket));
        this.#http2.emit("connection", socket);
      } else this.#http1.emit("connection", socket);
      socket.resume();
    });
  }

  #awaitHead(socket: Socket): void {
    const { clock, limits } = this.#options;
    this.#headTimers.get(socket)?.();
    this.#headTimers.set(
      socket,
      clock.after(limits.headerReadMs, () => socket.destroy()),
    );
  }

  #serveHttp1(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    this.#headTimers.get(socket)?.();
    this.#calls.set(socket, (this.#calls.get(socket) ?? 0) + 1);
    response.once("close", () => {
      const left = (this.#calls.get(socket) ?? 1) - 1;
      this.#calls.set(socket, left);
      if (!request.complete) void this.#awaitRest(request, socket);
      else this.#afterCalls(socket);
    });
    if (this.#isClosing) response.setHeader("connection", "close");
    this.#options.serve(request, response);
  }

  /** Nobody waits for long for what a client goes on sending after its answer. */
  async #awaitRest(request: IncomingMessage, socket: Socket): Promise<void> {
    await discardRest(request, this.#options.clock);
    if (request.complete) this.#afterCalls(socket);
    else socket.destroy();
  }

  #afterCalls(socket: Socket): void {
    if (this.#calls.get(socket) !== 0 || socket.destroyed) return;
    if (this.#isClosing) socket.destroy();
    else this.#awaitHead(socket);
  }

  #serveHttp2(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const { stream } = request;
    // A server's streams have a server's session; it is gone from the stream when that has closed.
    const session = stream.session as ServerHttp2Session;
    const watched = this.#sessions.get(session);
    if (watched === undefined) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    watched.open += 1;
    watched.cancelIdle();
    // Nobody waits for what a client goes on sending after its answer, and it may wait for room to send more.
    stream.once("finish", () => {
      if (!stream.readableEnded && !stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
    });
    stream.once("close", () => {
      if (stream.rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM) this.#giveUp(session, watched);
      watched.open -= 1;
      if (watched.open === 0) this.#awaitCall(session, watched);
    });
    this.#options.serve(request, response);
  }

  /** Too much waits for this client: streams have been dropped, and Bun does not tell it which. */
  #giveUp(session: ServerHttp2Session, watched: WatchedSession): void {
    if (watched.isGivenUp || session.destroyed) return;
    watched.isGivenUp = true;
    log.info("RPC connection closed: its client reads too little of what it asked for");
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.#options.clock.soon(() => watched.socket.destroySoon());
  }

  #watch(session: ServerHttp2Session, socket: Socket): void {
    const watched: WatchedSession = {
      socket,
      isGivenUp: false,
      open: 0,
      cancelIdle: () => undefined,
      cancelPing: () => undefined,
    };
    this.#sessions.set(session, watched);
    session.once("close", () => {
      watched.cancelIdle();
      watched.cancelPing();
      this.#sessions.delete(session);
      // A client that does not close its side would keep the connection, and its place, for ever.
      const { clock, limits } = this.#options;
      const cancel = clock.after(limits.pingAckMs, () => socket.destroy());
      socket.once("close", cancel);
    });
    session.on("error", (error) => {
      log.debug("RPC connection failed", { cause: messageOf(error) });
    });
    this.#awaitCall(session, watched);
    this.#pingLater(session, watched, socket);
  }

  #awaitCall(session: ServerHttp2Session, watched: WatchedSession): void {
    if (session.destroyed) return;
    const { clock, limits } = this.#options;
    watched.cancelIdle();
    watched.cancelIdle = clock.after(limits.idleMs, () => session.close());
  }

  /** A client that is gone without a word is found by its silence. */
  #pingLater(session: ServerHttp2Session, watched: WatchedSession, socket: Socket): void {
    const { clock, limits } = this.#options;
    watched.cancelPing = clock.after(limits.pingMs, () => {
      if (session.destroyed) return;
      watched.cancelPing = clock.after(limits.pingAckMs, () => socket.destroy());
      session.ping(() => {
        watched.cancelPing();
        if (!session.destroyed) this.#pingLater(session, watched, socket);
      });
    });
  }
}
