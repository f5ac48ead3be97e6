// Kinds that name places and pairs: listeners, static peers, `name=value` lists.
import { isIP } from "node:net";
import { BY_RELAY, type PeerAddress, parsePeerAddress, printHostPort } from "../identity/peer.ts";
import { type Kind, kindOf } from "./kinds.ts";

/** Where an RPC listener is bound. */
export type ListenAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** Whether an IP address can be reached from this machine (or pod) only. */
export function isLoopback(address: string): boolean {
  return /^127\./.test(address) || address === "::1" || /^::ffff:127\./i.test(address);
}

function parseListen(text: string): ListenAddress | undefined {
  const unix = /^unix:\/\/(\/.+)$/.exec(text)?.[1];
  if (unix !== undefined) return { kind: "unix", path: unix };
  const tcp = /^(?:tcp:\/\/)?(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text);
  const host = tcp?.[1] ?? tcp?.[2] ?? "";
  const port = Number(tcp?.[3]);
  return isIP(host) !== 0 && port <= 65_535 ? { kind: "tcp", host, port } : undefined;
}

export const listenAddress: Kind<ListenAddress> = kindOf({
  placeholder: "LISTENER",
  rule: "unix:///absolute/path or tcp://address:port, with an IP address",
  read: parseListen,
  print: (address) =>
    address.kind === "unix" ? `unix://${address.path}` : `tcp://${printHostPort(address)}`,
});

/** Where the remote agent listens. */
export type AgentAddress =
  | { readonly kind: "unix"; readonly path: string }
  | {
      readonly kind: "http" | "https";
      readonly host: string;
      readonly port: number;
      /** Empty, or with a slash in front and none at the end. */
      readonly basePath: string;
    };

/** What the kernel takes; it would cut a longer one. */
const SOCKET_PATH_BYTES_MAX = 107;

function parseAgentAddress(text: string): AgentAddress | undefined {
  const unix = /^unix:\/\/(\/.+)$/.exec(text)?.[1];
  if (unix !== undefined) {
    return Buffer.byteLength(unix) > SOCKET_PATH_BYTES_MAX
      ? undefined
      : { kind: "unix", path: unix };
  }
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  // Credentials would be shown with the address; a query can't be continued by a path.
  if (`${url.username}${url.password}${url.search}${url.hash}` !== "") return undefined;
  const kind = url.protocol === "https:" ? "https" : "http";
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? (kind === "https" ? 443 : 80) : Number(url.port);
  return { kind, host, port, basePath: url.pathname.replace(/\/+$/, "") };
}

export const agentAddress: Kind<AgentAddress> = kindOf({
  placeholder: "URL",
  rule: `http://host:port, https://host:port or unix:///absolute/path (of ${SOCKET_PATH_BYTES_MAX} bytes at most), without user, password, query or fragment`,
  schema: { type: "string", format: "uri" },
  read: parseAgentAddress,
  print: (address) =>
    address.kind === "unix"
      ? `unix://${address.path}`
      : `${address.kind}://${printHostPort(address)}${address.basePath}`,
});

function printPeer({ identity, hosts }: PeerAddress): string {
  const who = identity.kind === "name" ? identity.name : identity.id;
  if (hosts.length === 0) return `${who}@${BY_RELAY}`;
  return hosts.map((host) => `${who}@${printHostPort(host)}`).join(",");
}

export const peerAddress: Kind<PeerAddress> = kindOf({
  placeholder: "PEER",
  rule: "name@host:port or endpoint-id@host:port (or @relay)",
  read: parsePeerAddress,
  print: printPeer,
});

/** How much of a collection's documents is kept and sent. */
export type SyncMode =
  | { readonly kind: "FullHistory" }
  | { readonly kind: "LatestOnly" }
  | { readonly kind: "WindowedHistory"; readonly windowSecs: number };

export interface CollectionMode {
  readonly collection: string;
  readonly mode: SyncMode;
}

const COLLECTION = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}";

export const collectionName: Kind<string> = kindOf({
  placeholder: "COLLECTION",
  rule: "a collection: 1 to 128 letters, digits, dots, underscores, hyphens; a letter or digit first",
  schema: { type: "string", pattern: `^${COLLECTION}$` },
  read: (text) => (new RegExp(`^${COLLECTION}$`).test(text) ? text : undefined),
});

function parseMode(text: string): SyncMode | undefined {
  const match = /^([A-Za-z_-]+)(?::([0-9]{1,8}))?$/.exec(text);
  const word = match?.[1]?.replaceAll(/[_-]/g, "").toLowerCase();
  const windowSecs = match?.[2] === undefined ? undefined : Number(match[2]);
  if (word === "windowedhistory" && windowSecs !== 0) {
    return { kind: "WindowedHistory", windowSecs: windowSecs ?? 300 };
  }
  if (windowSecs !== undefined) return undefined;
  if (word === "fullhistory") return { kind: "FullHistory" };
  return word === "latestonly" ? { kind: "LatestOnly" } : undefined;
}

export const collectionMode: Kind<CollectionMode> = kindOf({
  placeholder: "COLLECTION=MODE",
  rule: "collection=mode, with mode LatestOnly, FullHistory or WindowedHistory:seconds",
  read(text) {
    const match = new RegExp(`^(${COLLECTION})=(.+)$`).exec(text);
    const mode = parseMode(match?.[2] ?? "");
    return match?.[1] === undefined || mode === undefined
      ? undefined
      : { collection: match[1], mode };
  },
  print({ collection, mode }) {
    const window = mode.kind === "WindowedHistory" ? `:${mode.windowSecs}` : "";
    return `${collection}=${mode.kind}${window}`;
  },
});

/** What becomes of a collection's deleted documents. */
export type DeletionPolicy =
  | { readonly kind: "soft_delete" }
  | { readonly kind: "immutable" }
  | { readonly kind: "tombstone"; readonly ttlSecs: number }
  | { readonly kind: "implicit_ttl"; readonly ttlSecs: number };

export interface CollectionPolicy {
  readonly collection: string;
  readonly policy: DeletionPolicy;
}

function parsePolicy(text: string): DeletionPolicy | undefined {
  if (text === "soft_delete" || text === "immutable") return { kind: text };
  const match = /^(tombstone|implicit_ttl):([1-9][0-9]{0,9})$/.exec(text);
  if (match === null) return undefined;
  const kind = match[1] === "tombstone" ? "tombstone" : "implicit_ttl";
  return { kind, ttlSecs: Number(match[2]) };
}

export const collectionPolicy: Kind<CollectionPolicy> = kindOf({
  placeholder: "COLLECTION=POLICY",
  rule: "collection=policy, with policy soft_delete, immutable, tombstone:seconds or implicit_ttl:seconds",
  read(text) {
    const match = new RegExp(`^(${COLLECTION})=(.+)$`).exec(text);
    const policy = parsePolicy(match?.[2] ?? "");
    return match?.[1] === undefined || policy === undefined
      ? undefined
      : { collection: match[1], policy };
  },
  print({ collection, policy }) {
    const ttl = "ttlSecs" in policy ? `:${policy.ttlSecs}` : "";
    return `${collection}=${policy.kind}${ttl}`;
  },
});

/** A directory under a name. */
export interface NamedPath {
  readonly name: string;
  readonly path: string;
}

export const namedPath: Kind<NamedPath> = kindOf({
  placeholder: "NAME=PATH",
  rule: "name=/absolute/path, with a name of letters, digits, underscores and hyphens",
  read(text) {
    const match = /^([A-Za-z0-9_-]+)=(\/.*)$/.exec(text);
    return match?.[1] === undefined || match[2] === undefined
      ? undefined
      : { name: match[1], path: match[2] };
  },
  print: ({ name, path }) => `${name}=${path}`,
});
