// Who may do what: which hosts and web origins are answered, and who reads and writes without a token.
import { timingSafeEqual } from "node:crypto";
import { Fault } from "../base/faults.ts";
import type { Secret } from "../base/secret.ts";

/** The token that callers send, and where it is from. */
export interface ApiToken {
  /** PEAT_API_TOKEN, or what the runtime directory's file holds where that is not set. */
  readonly token: Secret<string>;
  readonly isTokenConfigured: boolean;
}

export interface AccessOptions extends ApiToken {
  /** `token`: every read needs it, except of the listener's open paths. */
  readonly reads: "open" | "token";
  /** Who needs none at all: nobody, whoever connects from this machine (or pod), or everybody. */
  readonly open: "none" | "loopback" | "all";
  /** Web origins besides the own one, as browsers send them; `*` is any. */
  readonly corsOrigins: readonly string[];
}

/** Request headers, by names in small letters. */
export type HeaderView = Pick<Headers, "get" | "has">;

/** Of a request, what access depends on. */
export interface Caller {
  readonly method: string;
  readonly path: string;
  readonly headers: HeaderView;
  /** Address that the connection comes from; asked for only when it matters. */
  readonly address: () => string | undefined;
}

export interface ListenerFacts {
  readonly scheme: "http" | "https";
  /** IP address that is listened on, or the path of a unix socket. */
  readonly address: string;
  /** What probes ask: never needs the token. */
  readonly openPaths: ReadonlySet<string>;
  /** What tells more than documents do: reading needs what writing needs, also where reads are open. */
  readonly guardedPaths?: ReadonlySet<string>;
}

export function isLoopback(address: string): boolean {
  return /^(?:::ffff:)?127\./i.test(address) || address === "::1";
}

/** Names that only this machine can mean: a page elsewhere can't have been loaded from them. */
const LOCAL_HOST = /^(?:localhost|[a-z0-9-]+\.localhost|127\.[0-9.]+|\[::1\])(?::[0-9]+)?$/i;
const READS = new Set(["GET", "HEAD"]);
const PROXY_HEADERS = ["forwarded", "x-forwarded-for", "x-real-ip"];

function digest(text: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(text).digest();
}

/** The second protocol that a browser offers for a WebSocket: base64url of the token, for it can't send a header. */
const BEARER_PROTOCOL = /(?:^|,)\s*peat\.bearer\.([A-Za-z0-9_-]+)\s*(?:,|$)/;

/** As the value of Authorization. Of a WebSocket also what stands among its protocols, which are no part of a URL. */
function sentToken(headers: HeaderView): string | undefined {
  const sent = headers.get("authorization");
  if (sent !== null) return sent;
  if (headers.get("upgrade")?.toLowerCase() !== "websocket") return undefined;
  const encoded = BEARER_PROTOCOL.exec(headers.get("sec-websocket-protocol") ?? "")?.[1];
  return encoded && `Bearer ${Buffer.from(encoded, "base64url").toString()}`;
}

function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/.exec(origin)?.[1]?.toLowerCase();
}

export class Access {
  readonly #options: AccessOptions;
  readonly #scheme: string;
  readonly #isLocalListener: boolean;
  readonly #openPaths: ReadonlySet<string>;
  readonly #guardedPaths: ReadonlySet<string>;
  /** A digest, so that a comparison takes the same time whatever is sent. */
  #token: Uint8Array;
  #isTokenConfigured: boolean;
  readonly #originHosts: ReadonlySet<string | undefined>;

  constructor(options: AccessOptions, listener: ListenerFacts) {
    this.#options = options;
    this.#scheme = listener.scheme;
    this.#isLocalListener = isLoopback(listener.address);
    this.#openPaths = listener.openPaths;
    this.#guardedPaths = listener.guardedPaths ?? new Set();
    this.#token = digest(options.token.expose());
    this.#isTokenConfigured = options.isTokenConfigured;
    this.#originHosts = new Set(options.corsOrigins.map(hostOf));
  }

  /** From now on the old one is wrong. */
  replaceToken({ token, isTokenConfigured }: ApiToken): void {
    this.#token = digest(token.expose());
    this.#isTokenConfigured = isTokenConfigured;
  }

  /** Faults: `forbidden` for a host or origin that is not answered, `unauthenticated` for a missing token. */
  check(caller: Caller): void {
    this.#checkHost(caller.headers);
    this.#checkOrigin(caller.headers);
    if (caller.method !== "OPTIONS") this.#checkToken(caller);
  }

  /** The value of access-control-allow-origin for an origin, or undefined when its pages may not read. */
  allowedOrigin(origin: string, headers: HeaderView): string | undefined {
    if (this.#options.corsOrigins.includes("*")) return "*";
    return this.#isNamedOrigin(origin, headers) ? origin : undefined;
  }

  /** Our own pages, and those of origins that are named one by one. */
  #isNamedOrigin(origin: string, headers: HeaderView): boolean {
    const isOwn = origin.toLowerCase() === `${this.#scheme}://${headers.get("host")}`.toLowerCase();
    return isOwn || this.#options.corsOrigins.includes(origin);
  }

  /** DNS rebinding: a page's own name made to point here. Its browser still sends that name. */
  #checkHost(headers: HeaderView): void {
    const host = headers.get("host") ?? "";
    if (!this.#isLocalListener || this.#isKnownHost(host)) return;
    throw new Fault(
      "forbidden",
      `host ${JSON.stringify(host.slice(0, 100))} is not one of this machine; ask for localhost, or name its origin in PEAT_CORS_ORIGINS`,
    );
  }

  #isKnownHost(host: string): boolean {
    return LOCAL_HOST.test(host) || this.#originHosts.has(host.toLowerCase());
  }

  #checkOrigin(headers: HeaderView): void {
    const origin = headers.get("origin");
    if (origin === null || this.allowedOrigin(origin, headers) !== undefined) return;
    throw new Fault(
      "forbidden",
      `origin ${JSON.stringify(origin.slice(0, 100))} is not allowed; name it in PEAT_CORS_ORIGINS`,
    );
  }

  #checkToken(caller: Caller): void {
    const isRead = READS.has(caller.method);
    if (this.#options.open === "all" || this.#openPaths.has(caller.path)) return;
    const isGuarded = this.#guardedPaths.has(caller.path);
    const areReadsOpen = this.#options.reads === "open";
    if (isRead && areReadsOpen && !isGuarded) return;
    const sent = sentToken(caller.headers);
    if (sent !== undefined) {
      if (this.#isToken(sent)) return;
      throw new Fault(
        "unauthenticated",
        this.#isTokenConfigured
          ? "the token sent as Authorization: Bearer is not that of PEAT_API_TOKEN"
          : "the token sent as Authorization: Bearer is not that of this node; no PEAT_API_TOKEN is set on it",
      );
    }
    // Where reads are closed they are so for everybody.
    const isLikeWrite = !isRead || (isGuarded && areReadsOpen);
    if (isLikeWrite && this.#options.open === "loopback" && this.#isNearby(caller)) return;
    const doing = isRead ? "reading" : "writing";
    const remedy = this.#isTokenConfigured
      ? "send the value of PEAT_API_TOKEN"
      : "no PEAT_API_TOKEN is set on this node; set it, or send what the file token in its runtime directory holds";
    throw new Fault(
      "unauthenticated",
      `${doing} here needs the header Authorization: Bearer with a token: ${remedy}`,
    );
  }

  #isToken(authorization: string): boolean {
    const token = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
    return token !== undefined && timingSafeEqual(this.#token, digest(token));
  }

  /** From this machine, and neither for somebody behind a proxy nor by a page that was rebound to it. */
  #isNearby({ address, headers }: Caller): boolean {
    if (PROXY_HEADERS.some((name) => headers.has(name))) return false;
    const origin = headers.get("origin");
    // A browser on this machine shows pages from anywhere: `*` lets them read, never write without the token.
    if (origin !== null && !this.#isNamedOrigin(origin, headers)) return false;
    return isLoopback(address() ?? "") && this.#isKnownHost(headers.get("host") ?? "");
  }
}
