// What a node says of itself by mDNS (peat-mesh 0.6.0 wire, §8.3), and how it is read:
//
//   _peat._udp.local                PTR  peat-<name>._peat._udp.local
//   peat-<name>._peat._udp.local    SRV  <port> <host>.local
//                                   TXT  node_id=<name> formation=<tag of the secret>
//   <host>.local                    A, AAAA
//
// Labels have at most 63 bytes and no dots here, names may have both: the TXT holds the true name.
import { createHash } from "node:crypto";
import { type NodeName, parseNodeName } from "../identity/peer.ts";

export const SERVICE_TYPE = "_peat._udp.local";
/** Where browsers ask which types exist at all (RFC 6763 §9). */
const TYPES_NAME = "_services._dns-sd._udp.local";

const LABEL_BYTES_MAX = 63;
const TXT_STRING_BYTES_MAX = 255;
const INSTANCE_PREFIX = "peat-";
const HASH_DIGITS = 8;

/** Seconds: names of machines and what hangs on them, and the rest (RFC 6762 §10). */
const HOST_TTL = 120;
const SERVICE_TTL = 4500;

/** A record as the DNS library takes and gives it; of what arrives nothing is certain. */
export interface DnsRecord {
  readonly name: string;
  readonly type: string;
  readonly ttl?: number;
  readonly flush?: boolean;
  readonly data?: unknown;
}

export interface DnsQuestion {
  readonly name: string;
  readonly type: string;
}

export interface ServiceIdentity {
  readonly name: NodeName;
  /** UDP port of the node's endpoint. */
  readonly port: number;
  /** Tells formations apart; never the secret itself. */
  readonly formationTag: string;
}

/** `text` as one label; a hash keeps names apart that would look alike after the replacement. */
function toLabel(text: string, bytesMax: number, allowed: RegExp): string {
  const replaced = text.replace(allowed, "-");
  if (replaced === text && text.length <= bytesMax) return text;
  const hash = createHash("sha256").update(text).digest("hex").slice(0, HASH_DIGITS);
  return `${replaced.slice(0, bytesMax - HASH_DIGITS - 1)}-${hash}`;
}

export function instanceName(name: NodeName): string {
  const label = toLabel(name, LABEL_BYTES_MAX - INSTANCE_PREFIX.length, /[^A-Za-z0-9_-]/g);
  return `${INSTANCE_PREFIX}${label}.${SERVICE_TYPE}`;
}

export function hostName(name: NodeName): string {
  return `${toLabel(name, LABEL_BYTES_MAX, /[^A-Za-z0-9-]/g)}.local`;
}

/** Names above 247 bytes don't fit a TXT string behind `node_id=`, hence the second key. */
function encodeTxt({ name, formationTag }: ServiceIdentity): Buffer[] {
  const usual = `node_id=${name}`;
  const text = usual.length <= TXT_STRING_BYTES_MAX ? usual : `n=${name}`;
  return [Buffer.from(text), Buffer.from(`formation=${formationTag}`)];
}

export interface ServiceText {
  readonly name: NodeName;
  /** Undefined: an older node, which has none. */
  readonly formationTag: string | undefined;
}

/** What a TXT record says, or undefined if it does not tell a valid name. */
export function decodeTxt(data: unknown): ServiceText | undefined {
  const values = new Map<string, string>();
  for (const string of Array.isArray(data) ? data : [data]) {
    if (!(string instanceof Uint8Array)) continue;
    const text = Buffer.from(string).toString("utf8");
    const at = text.indexOf("=");
    const key = text.slice(0, at).toLowerCase();
    // The first of a repeated key counts (RFC 6763 §6.4).
    if (at > 0 && !values.has(key)) values.set(key, text.slice(at + 1));
  }
  const name = values.get("node_id") ?? values.get("n");
  if (name === undefined) return undefined;
  try {
    return { name: parseNodeName(name), formationTag: values.get("formation") };
  } catch {
    // Anybody may announce anything; a name that can't be one is nobody's fault here.
    return undefined;
  }
}

export interface ServiceAddress {
  readonly family: "IPv4" | "IPv6";
  readonly address: string;
}

/** Everything that is announced on one interface: nothing where nobody could reach us. */
export function serviceRecords(
  identity: ServiceIdentity,
  addresses: readonly ServiceAddress[],
): DnsRecord[] {
  if (addresses.length === 0) return [];
  const instance = instanceName(identity.name);
  const host = hostName(identity.name);
  const target = { port: identity.port, target: host, priority: 0, weight: 0 };
  return [
    { name: SERVICE_TYPE, type: "PTR", ttl: SERVICE_TTL, data: instance },
    { name: TYPES_NAME, type: "PTR", ttl: SERVICE_TTL, data: SERVICE_TYPE },
    { name: instance, type: "SRV", ttl: HOST_TTL, flush: true, data: target },
    { name: instance, type: "TXT", ttl: SERVICE_TTL, flush: true, data: encodeTxt(identity) },
    ...addresses.map((address) => addressRecord(host, address)),
  ];
}

/**
 * Without the bit that flushes other addresses of the name: each interface announces its own only,
 * and who hears two of our interfaces shall keep both.
 */
function addressRecord(host: string, { family, address }: ServiceAddress): DnsRecord {
  return { name: host, type: family === "IPv4" ? "A" : "AAAA", ttl: HOST_TTL, data: address };
}

/** The farewell to addresses that an interface had and has no more. */
export function withdrawnRecords(
  name: NodeName,
  addresses: readonly ServiceAddress[],
): DnsRecord[] {
  return addresses.map((address) => ({ ...addressRecord(hostName(name), address), ttl: 0 }));
}

/** The farewell of the service; the type itself stays, others may offer it. */
export function goodbyeRecords(records: readonly DnsRecord[]): DnsRecord[] {
  return records
    .filter((record) => record.name !== TYPES_NAME)
    .map((record) => ({ ...record, ttl: 0 }));
}
