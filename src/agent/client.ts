// Calls to the agent: where it listens, and in which version of HTTP it answers.
import { readFileSync } from "node:fs";
import type { ClientHttp2Session } from "node:http2";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, rootCertificates, type TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import {
  type AgentCall,
  type ExchangeOptions,
  exchangeHttp1,
  exchangeHttp2,
  openSession,
  type Protocol,
  Unanswered,
} from "./exchange.ts";

/** Where the agent listens. */
export type AgentTarget =
  | { readonly kind: "unix"; readonly path: string }
  | {
      readonly kind: "http" | "https";
      readonly host: string;
      readonly port: number;
      /** In front of the path of each call; empty or with a slash in front, never at the end. */
      readonly basePath: string;
    };

/** PEM files; read at each connection, so that renewed ones are used. */
export interface AgentTls {
  /** Certificate and key that the agent asks for. */
  readonly client: { readonly cert: string; readonly key: string } | undefined;
  /** A further authority that may have signed the agent's certificate. */
  readonly ca: string | undefined;
}

export interface AgentClientOptions {
  readonly target: AgentTarget;
  readonly tls: AgentTls;
  readonly clock: Clock;
}

/** For one call, connecting included. */
const CALL_MS_MAX = 5_000;
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;

export function printTarget(target: AgentTarget): string {
  if (target.kind === "unix") return `unix://${target.path}`;
  return `${target.kind}://${authorityOf(target)}${target.basePath}`;
}

function authorityOf(target: AgentTarget): string {
  if (target.kind === "unix") return "localhost";
  const { host, port } = target;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** One call at a time. */
export class AgentClient {
  readonly #options: AgentClientOptions;
  #connection: { readonly session: ClientHttp2Session; readonly socket: Socket } | undefined;
  #speaks: Protocol | undefined;

  constructor(options: AgentClientOptions) {
    this.#options = options;
  }

  /** The protocol of the last answer. */
  get speaks(): Protocol | undefined {
    return this.#speaks;
  }

  /**
   * The text of the answer. Without TLS nothing tells which protocol the agent wants, so the first call tries both.
   * Ends early when `signal` aborts. Faults: address_unavailable (nobody listens), not_ready (no answer, or no success), wire_invalid (no answer to
   * be read).
   */
  async call(call: AgentCall, signal: AbortSignal): Promise<string> {
    const known = this.#speaks;
    try {
      return await this.#exchange(call, known ?? "h2", signal);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      this.#speaks = undefined;
      const isDecided = known !== undefined || this.#options.target.kind === "https";
      if (isDecided || signal.aborted) throw new Fault("not_ready", error.message, {}, error);
    }
    try {
      return await this.#exchange(call, "http/1.1", signal);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      throw new Fault("not_ready", error.message, {}, error);
    }
  }

  /** Ends the connection; the next call makes a new one. */
  release(): void {
    this.#connection?.session.destroy();
    // A session that has failed by itself leaves its socket open.
    this.#connection?.socket.destroy();
    this.#connection = undefined;
  }

  async #exchange(call: AgentCall, wanted: Protocol, stop: AbortSignal): Promise<string> {
    const { clock, target } = this.#options;
    const time = new AbortController();
    const end = () => time.abort();
    const cancel = clock.after(CALL_MS_MAX, end);
    stop.addEventListener("abort", end, { once: true });
    if (stop.aborted) end();
    const basePath = target.kind === "unix" ? "" : target.basePath;
    const options: ExchangeOptions = {
      call: { ...call, path: `${basePath}${call.path}` },
      authority: authorityOf(target),
      answerBytesMax: ANSWER_BYTES_MAX,
      signal: time.signal,
    };
    try {
      return await this.#over(wanted, options);
    } finally {
      cancel();
      stop.removeEventListener("abort", end);
    }
  }

  async #over(wanted: Protocol, options: ExchangeOptions): Promise<string> {
    const present = this.#connection?.session;
    if (present !== undefined && !present.closed && !present.destroyed) {
      return await this.#overSession(present, options);
    }
    this.release();
    const socket = await this.#connect(options.signal);
    if (this.#protocolOf(socket, wanted) === "h2") {
      const session = openSession(socket, options.authority);
      this.#connection = { session, socket };
      return await this.#overSession(session, options);
    }
    return await this.#noting("http/1.1", exchangeHttp1(socket, options));
  }

  /** TLS has agreed on one; without it, it is a guess. */
  #protocolOf(socket: Socket | TLSSocket, wanted: Protocol): Protocol {
    if (!("alpnProtocol" in socket)) return wanted;
    return socket.alpnProtocol === "h2" ? "h2" : "http/1.1";
  }

  async #overSession(session: ClientHttp2Session, options: ExchangeOptions): Promise<string> {
    try {
      return await this.#noting("h2", exchangeHttp2(session, options));
    } catch (error) {
      // What broke one call may have broken all that come after it.
      this.release();
      throw error;
    }
  }

  /** Whatever it says, an answer tells which protocol it is in. */
  async #noting(protocol: Protocol, exchange: Promise<string>): Promise<string> {
    try {
      const text = await exchange;
      this.#speaks = protocol;
      return text;
    } catch (error) {
      if (!(error instanceof Unanswered)) this.#speaks = protocol;
      throw error;
    }
  }

  async #connect(signal: AbortSignal): Promise<Socket | TLSSocket> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = this.#dialled();
    const late = () => reject(new Error("no connection in time"));
    signal.addEventListener("abort", late, { once: true });
    socket.once(this.#options.target.kind === "https" ? "secureConnect" : "connect", resolve);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the connection was closed")));
    try {
      await promise;
      // From now on its failures are those of the calls over it.
      socket.on("error", () => undefined);
      return socket;
    } catch (error) {
      socket.on("error", () => undefined);
      socket.destroy();
      throw this.#unreached(error);
    } finally {
      signal.removeEventListener("abort", late);
    }
  }

  #unreached(cause: unknown): Fault {
    const place = printTarget(this.#options.target);
    const sentence = `no connection to the agent at ${place}: ${messageOf(cause)}`;
    return new Fault("address_unavailable", sentence, {}, cause);
  }

  /** What is wrong with certificates is found before anything is sent. */
  #dialled(): Socket | TLSSocket {
    try {
      return this.#dial();
    } catch (error) {
      throw this.#unreached(error);
    }
  }

  #dial(): Socket | TLSSocket {
    const { target, tls } = this.#options;
    if (target.kind === "unix") return connect(target.path);
    const { host, port } = target;
    if (target.kind === "http") return connect(port, host);
    const { client, ca } = tls;
    return connectTls({
      host,
      port,
      ALPNProtocols: ["h2", "http/1.1"],
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(client === undefined
        ? {}
        : { cert: readFileSync(client.cert, "utf8"), key: readFileSync(client.key, "utf8") }),
      ...(ca === undefined ? {} : { ca: [...rootCertificates, readFileSync(ca, "utf8")] }),
    });
  }
}
