// Who a peer is and where it may be: names, endpoint ids, addresses, and what discovery says of them.
import { isIP } from "node:net";
import { fromHex, toHex } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";

declare const brand: unique symbol;

/** A node's name, unique in its formation, verbatim. Made by parseNodeName only. */
export type NodeName = string & { readonly [brand]: "NodeName" };

/** An Ed25519 public key as 64 lower-case hex digits. Made by parseEndpointId and toEndpointId only. */
export type EndpointId = string & { readonly [brand]: "EndpointId" };

/** Fault `invalid_argument` unless 1 to 253 of `[A-Za-z0-9._-]`. */
export function parseNodeName(text: string): NodeName {
  if (!/^[A-Za-z0-9._-]{1,253}$/.test(text)) {
    throw new Fault(
      "invalid_argument",
      `node name ${JSON.stringify(text.slice(0, 64))} must be 1 to 253 letters, digits, dots, underscores or hyphens`,
    );
  }
  return text as NodeName;
}

/** Fault `invalid_argument` unless 64 hex digits. */
export function parseEndpointId(text: string): EndpointId {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) {
    throw new Fault("invalid_argument", "an endpoint id is 64 hexadecimal digits");
  }
  return text.toLowerCase() as EndpointId;
}

export function toEndpointId(publicKey: Uint8Array): EndpointId {
  return parseEndpointId(toHex(publicKey));
}

export function endpointIdBytes(id: EndpointId): Uint8Array {
  return fromHex(id);
}

/** The ten digits that logs show. */
export function shortId(id: EndpointId): string {
  return id.slice(0, 10);
}

/** How a peer is known before it is met: by name, or (static lists only) by endpoint id. */
export type PeerIdentity =
  | { readonly kind: "name"; readonly name: NodeName }
  | { readonly kind: "id"; readonly id: EndpointId };

/** Host and port of a peer; the host is an IP address or a DNS name, resolved at every dial. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface PeerAddress {
  readonly identity: PeerIdentity;
  readonly hosts: readonly HostPort[];
  readonly relayUrl?: string;
}

/**
 * What a discovery source says. A source that sees a peer anew repeats `seen`; `gone` ends what it said, `isSilent`
 * because it hears nothing of the peer any more: it may have left, or the network between may be cut.
 */
export type PeerEvent =
  | { readonly kind: "seen"; readonly peer: PeerAddress }
  | { readonly kind: "gone"; readonly identity: PeerIdentity; readonly isSilent?: true };

/** A key for maps: two identities of one kind and value are the same peer to a source. */
export function identityKey(identity: PeerIdentity): string {
  return identity.kind === "name" ? `name:${identity.name}` : `id:${identity.id}`;
}

/** `host:port`, with an IPv6 host in brackets. Fault `invalid_argument` names what is wrong. */
export function parseHostPort(text: string): HostPort {
  const match = /^(?:\[([0-9A-Fa-f:.%A-Za-z]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port >= 1 && port <= 65535)) {
    throw new Fault(
      "invalid_argument",
      `address ${JSON.stringify(text.slice(0, 300))} must be host:port, with an IPv6 host in brackets`,
    );
  }
  return { host, port };
}

export function printHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether an IP address can be one machine's: no wildcard, no multicast, and none that needs a zone beside it. */
export function isUnicast(address: string): boolean {
  const family = isIP(address);
  if (family === 6) return address === "::1" || !/^(?:::|ff|fe[89ab])/i.test(address);
  const first = Number(address.split(".", 1)[0]);
  return family === 4 && first >= 1 && first < 224;
}

/** In the place of `host:port`: the peer has no address of its own, and is reached by a relay. */
export const BY_RELAY = "relay";

/** `name@host:port` or `<64 hex endpoint id>@host:port`, or either `@relay`, as in PEAT_STATIC_PEERS. */
export function parsePeerAddress(text: string): PeerAddress {
  const at = text.indexOf("@");
  if (at < 1) {
    throw new Fault(
      "invalid_argument",
      `static peer ${JSON.stringify(text.slice(0, 300))} must be name@host:port or endpoint-id@host:port (or @relay)`,
    );
  }
  const who = text.slice(0, at);
  const identity: PeerIdentity = /^[0-9a-fA-F]{64}$/.test(who)
    ? { kind: "id", id: parseEndpointId(who) }
    : { kind: "name", name: parseNodeName(who) };
  const where = text.slice(at + 1);
  return { identity, hosts: where === BY_RELAY ? [] : [parseHostPort(where)] };
}
