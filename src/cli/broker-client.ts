// One request to a broker, for commands and probes: this machine's by its socket or as the settings say, or one named
// by its URL.
import { X509Certificate } from "node:crypto";
import {
  type Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from "node:http";
import { request as httpsRequest } from "node:https";
import { TLSSocket } from "node:tls";
import { Fault, systemCode } from "../base/faults.ts";
import type { Secret } from "../base/secret.ts";
import type { Config } from "../config/settings.ts";

/** Settings that say where the broker is and how to speak to it. */
export const BROKER_SETTING_NAMES = [
  "brokerAddr",
  "brokerPort",
  "apiToken",
  "runtimeDir",
  "tlsCert",
] as const;

export type BrokerSettings = Pick<Config, (typeof BROKER_SETTING_NAMES)[number]>;

/** A broker, and how it proves itself. */
export interface BrokerPlace {
  /** `http` or `https`; its path goes before that of a request. */
  readonly url: URL;
  /** The file of the one certificate that is accepted; without it, `https` is checked by name and authority. */
  readonly certificate: string | undefined;
  /** The unix socket behind which it is; the URL's host means nothing then. */
  readonly socketPath?: string;
}

export interface BrokerAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export type BrokerMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface BrokerCall {
  readonly method: BrokerMethod;
  readonly place: BrokerPlace;
  /** Path with query, beginning with a slash. */
  readonly path: string;
  /** JSON that is sent along. */
  readonly body?: string | undefined;
  /** Besides authorization; `content-type` is that of JSON unless it is here. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Keeps connections for further requests; none is kept where a certificate is compared. */
  readonly agent?: Agent | undefined;
  readonly token: Secret<string> | undefined;
  readonly timeoutMs: number;
  readonly readText: (path: string) => string;
}

const BODY_BYTES_MAX = 256 * 1024 * 1024;

/** A listener on all addresses is asked on loopback. */
function dialHost(address: string): string {
  if (address === "0.0.0.0") return "127.0.0.1";
  return address === "::" ? "::1" : address;
}

/** The broker of the node on this machine. */
export function ownBroker({ brokerAddr, brokerPort, tlsCert }: BrokerSettings): BrokerPlace {
  const host = dialHost(brokerAddr);
  const bracketed = host.includes(":") ? `[${host}]` : host;
  const scheme = tlsCert === undefined ? "http" : "https";
  return { url: new URL(`${scheme}://${bracketed}:${brokerPort}`), certificate: tlsCert };
}

/** The node whose control socket this is. */
export function controlledBroker(socketPath: string): BrokerPlace {
  return { url: new URL("http://localhost"), certificate: undefined, socketPath };
}

/** A broker by its URL, given as the option `name`. Fault `invalid_argument` for what is none. */
export function parseBrokerUrl(text: string, { name }: { name: string }): BrokerPlace {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (url === undefined || !isHttp) {
    throw new Fault("invalid_argument", `--${name} must be like http://10.0.0.7:8081`);
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new Fault("invalid_argument", `--${name} must have no user, query or fragment`);
  }
  return { url, certificate: undefined };
}

/** The path as the request line has it: nothing in it is rewritten. */
function requestPath({ place, path }: BrokerCall): string {
  return `${place.url.pathname.replace(/\/$/, "")}${path}`;
}

/**
 * The certificate is compared with the one in the settings, byte for byte: this machine's own, whatever
 * name or authority stands in it. Nothing is sent before that.
 */
function sendWhenPinned(
  request: ClientRequest,
  certificate: X509Certificate,
  body: string | undefined,
): void {
  request.on("socket", (socket) => {
    socket.on("secureConnect", () => {
      const peer = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined;
      if (peer?.fingerprint256 === certificate.fingerprint256) request.end(body);
      else request.destroy(new Error("the certificate is not the one of PEAT_TLS_CERT"));
    });
  });
}

function headersOf({ token, body, headers }: BrokerCall): Record<string, string> {
  return {
    ...(token === undefined ? {} : { authorization: `Bearer ${token.expose()}` }),
    ...(body === undefined ? {} : { "content-type": "application/json" }),
    ...headers,
  };
}

function send(call: BrokerCall): ClientRequest {
  const { url, certificate, socketPath } = call.place;
  const isTls = url.protocol === "https:";
  const address = {
    host: url.hostname.replaceAll(/[[\]]/g, ""),
    port: url.port === "" ? (isTls ? 443 : 80) : url.port,
  };
  const options = {
    ...(socketPath === undefined ? address : { socketPath }),
    path: requestPath(call),
    method: call.method,
    headers: headersOf(call),
    signal: AbortSignal.timeout(call.timeoutMs),
  };
  if (certificate !== undefined) {
    const request = httpsRequest({ ...options, agent: false, rejectUnauthorized: false });
    sendWhenPinned(request, new X509Certificate(call.readText(certificate)), call.body);
    return request;
  }
  const kept = { ...options, agent: call.agent ?? false };
  const request = isTls ? httpsRequest(kept) : httpRequest(kept);
  request.end(call.body);
  return request;
}

function receive(response: IncomingMessage): Promise<BrokerAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > BODY_BYTES_MAX) response.destroy(new Error("the answer is too large"));
      else chunks.push(chunk);
    });
    response.on("error", reject);
    response.on("end", () => {
      const { statusCode: status = 0, headers } = response;
      resolve({ status, headers, body: Buffer.concat(chunks).toString("utf8") });
    });
  });
}

/** Fault `not_ready` when nobody answers in time. */
export async function askBroker(call: BrokerCall): Promise<BrokerAnswer> {
  try {
    return await new Promise<BrokerAnswer>((resolve, reject) => {
      const request = send(call);
      request.on("error", reject);
      request.on("response", (response) => {
        receive(response).then(resolve, reject);
      });
    });
  } catch (cause) {
    const isLate = cause instanceof Error && cause.name === "AbortError";
    const reason = isLate ? `none within ${call.timeoutMs} ms` : reasonOf(cause);
    const where = whereOf(call);
    throw new Fault("not_ready", `no answer from ${where}: ${reason}`, {}, cause);
  }
}

function whereOf(call: BrokerCall): string {
  const { socketPath, url } = call.place;
  const path = requestPath(call);
  return socketPath === undefined ? `${url.origin}${path}` : `${socketPath} for ${path}`;
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return systemCode(cause) === "ECONNREFUSED"
    ? "connection refused; is the node running?"
    : cause.message;
}
