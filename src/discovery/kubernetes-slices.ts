// What EndpointSlices (discovery.k8s.io/v1) say of peers: objects of the API server in, peers and events out. Pure,
// and bounded: whoever may write Services or EndpointSlices in the namespace has a say in what is read here.
import { isIP } from "node:net";
import { type Fields, fieldsOf } from "../base/fields.ts";
import { compareText } from "../base/text.ts";
import {
  type HostPort,
  isUnicast,
  type NodeName,
  type PeerAddress,
  type PeerEvent,
  parseNodeName,
  printHostPort,
} from "../identity/peer.ts";

/** The controller makes slices of 100 endpoints; the API allows 1000. */
const ENDPOINTS_MAX = 1000;
const ADDRESSES_MAX = 8;
const PORTS_MAX = 100;
const SLICES_MAX = 1024;
const PEERS_MAX = 4096;
const HOSTS_PER_PEER_MAX = 16;
const NAME_CHARS_MAX = 253;
const VERSION_CHARS_MAX = 64;
const URL_CHARS_MAX = 2048;

/** Slices of names (FQDN) have no place here. */
const FAMILIES: ReadonlyMap<unknown, number> = new Map([
  ["IPv4", 4],
  ["IPv6", 6],
]);

/** The port that is ours, whatever else the Service lists beside it. */
const PORT_NAME = "iroh-quic";
const RELAY_ANNOTATION = "peat.relay_url";

/** Where a slice says that one peer is. */
interface Place {
  readonly hosts: readonly HostPort[];
  readonly relayUrl: string | undefined;
}

export interface Slice {
  readonly name: string;
  readonly version: string;
  readonly places: ReadonlyMap<NodeName, Place>;
  /** The places as text: two slices with equal texts say the same. */
  readonly print: string;
  /** Endpoints that no peer can be made of. */
  readonly unusable: number;
}

export interface SliceRules {
  /** Pods have it behind their names, as this node has. */
  readonly clusterName: string | undefined;
  /** Where a slice lists no port. */
  readonly defaultPort: number;
}

export interface SliceList {
  readonly version: string;
  readonly slices: readonly Slice[];
}

export type SliceEvent =
  | { readonly kind: "put"; readonly slice: Slice }
  | { readonly kind: "deleted"; readonly name: string; readonly version: string }
  | { readonly kind: "bookmark"; readonly version: string }
  | { readonly kind: "failed"; readonly status: number; readonly message: string };

function itemsOf(value: unknown, countMax: number): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, countMax) : [];
}

function textOf(value: unknown, lengthMax: number): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= lengthMax ? value : undefined;
}

/** `resourceVersion` of an object or list; the empty text where there is none. */
function versionOf(object: Fields): string {
  return textOf(fieldsOf(object["metadata"])["resourceVersion"], VERSION_CHARS_MAX) ?? "";
}

/** The body of a list, or undefined if it is no list. Items that are no slices are left out. */
export function readSliceList(body: unknown, rules: SliceRules): SliceList | undefined {
  const list = fieldsOf(body);
  const version = versionOf(list);
  if (version === "" || !Array.isArray(list["items"])) return undefined;
  const slices = itemsOf(list["items"], SLICES_MAX).flatMap((item) => readSlice(item, rules) ?? []);
  return { version, slices };
}

/** One event of a watch, or undefined if nothing follows from it. */
export function readSliceEvent(event: unknown, rules: SliceRules): SliceEvent | undefined {
  const { type, object } = fieldsOf(event);
  const fields = fieldsOf(object);
  switch (type) {
    case "ADDED":
    case "MODIFIED": {
      const slice = readSlice(object, rules);
      return slice === undefined ? undefined : { kind: "put", slice };
    }
    case "DELETED": {
      const name = textOf(fieldsOf(fields["metadata"])["name"], NAME_CHARS_MAX);
      return name === undefined ? undefined : { kind: "deleted", name, version: versionOf(fields) };
    }
    case "BOOKMARK":
      return { kind: "bookmark", version: versionOf(fields) };
    case "ERROR": {
      const status = typeof fields["code"] === "number" ? fields["code"] : 500;
      const message = textOf(fields["message"], URL_CHARS_MAX) ?? "no reason given";
      return { kind: "failed", status, message };
    }
    default:
      return undefined;
  }
}

function readSlice(object: unknown, rules: SliceRules): Slice | undefined {
  const fields = fieldsOf(object);
  const metadata = fieldsOf(fields["metadata"]);
  const name = textOf(metadata["name"], NAME_CHARS_MAX);
  if (name === undefined) return undefined;
  const family = FAMILIES.get(fields["addressType"]);
  const port = portOf(fields["ports"]) ?? rules.defaultPort;
  const relayUrl = relayUrlOf(metadata["annotations"]);
  const places = new Map<NodeName, Place>();
  let unusable = 0;
  for (const item of itemsOf(fields["endpoints"], ENDPOINTS_MAX)) {
    const endpoint = fieldsOf(item);
    const addresses = itemsOf(endpoint["addresses"], ADDRESSES_MAX).filter(
      (address): address is string =>
        typeof address === "string" && isIP(address) === family && isUnicast(address),
    );
    const peer = nameOf(endpoint, addresses[0], rules);
    if (peer === undefined || addresses.length === 0) {
      unusable += 1;
      continue;
    }
    const known = places.get(peer)?.hosts ?? [];
    const hosts = [...known, ...addresses.map((host) => ({ host, port }))];
    places.set(peer, { hosts: hosts.slice(0, HOSTS_PER_PEER_MAX), relayUrl });
  }
  const print = JSON.stringify([...places]);
  return { name, version: versionOf(fields), places, print, unusable };
}

/** Named `iroh-quic`, else the first UDP port, else the first of all. */
function portOf(ports: unknown): number | undefined {
  const usable = itemsOf(ports, PORTS_MAX)
    .map(fieldsOf)
    .flatMap(({ name, protocol, port }) =>
      typeof port === "number" && Number.isInteger(port) && port >= 1 && port <= 65_535
        ? [{ name, protocol, port }]
        : [],
    );
  const best =
    usable.find(({ name }) => name === PORT_NAME) ??
    usable.find(({ protocol }) => protocol === "UDP") ??
    usable[0];
  return best?.port;
}

function relayUrlOf(annotations: unknown): string | undefined {
  const url = textOf(fieldsOf(annotations)[RELAY_ANNOTATION], URL_CHARS_MAX);
  return url !== undefined && /^https?:\/\//.test(url) && URL.canParse(url) ? url : undefined;
}

/**
 * A pod's name, with the cluster's behind it. Where somebody lists machines that are no pods: the host name or the
 * address that the slice gives, verbatim.
 */
function nameOf(
  endpoint: Fields,
  address: string | undefined,
  { clusterName }: SliceRules,
): NodeName | undefined {
  const pod = textOf(fieldsOf(endpoint["targetRef"])["name"], NAME_CHARS_MAX);
  const suffix = clusterName === undefined ? "" : `.${clusterName}`;
  const name = pod === undefined ? (endpoint["hostname"] ?? address) : `${pod}${suffix}`;
  try {
    return typeof name === "string" ? parseNodeName(name) : undefined;
  } catch {
    // The API server checks names; one that can't be a node's is an IPv6 address, or somebody's mischief.
    return undefined;
  }
}

/** The slices of a namespace, and what was last told of each peer in them. */
export class SliceTable {
  readonly #ownName: NodeName;
  readonly #slices = new Map<string, Slice>();
  readonly #told = new Map<NodeName, string>();
  #refused = 0;

  constructor(ownName: NodeName) {
    this.#ownName = ownName;
  }

  /** Slices and peers that found no room so far. */
  get refused(): number {
    return this.#refused;
  }

  /** Takes a whole list: what is not in it is gone. Slices that say what they said cost nothing. */
  replace(slices: readonly Slice[]): PeerEvent[] {
    const now = new Map(slices.map((slice) => [slice.name, slice]));
    const names = new Set<NodeName>();
    for (const name of new Set([...this.#slices.keys(), ...now.keys()])) {
      const [was, is] = [this.#slices.get(name), now.get(name)];
      if (is === undefined) this.#slices.delete(name);
      else this.#slices.set(name, is);
      // For who found no room before there may be some now.
      if (this.#refused === 0 && was?.print === is?.print) continue;
      for (const peer of [...namesIn(was), ...namesIn(is)]) names.add(peer);
    }
    return this.#tell(names);
  }

  put(slice: Slice): PeerEvent[] {
    const before = this.#slices.get(slice.name);
    if (before === undefined && this.#slices.size >= SLICES_MAX) {
      this.#refused += 1;
      return [];
    }
    this.#slices.set(slice.name, slice);
    if (before?.print === slice.print) return [];
    return this.#tell([...namesIn(before), ...namesIn(slice)]);
  }

  delete(name: string): PeerEvent[] {
    const before = this.#slices.get(name);
    this.#slices.delete(name);
    return this.#tell(namesIn(before));
  }

  #tell(names: Iterable<NodeName>): PeerEvent[] {
    const events: PeerEvent[] = [];
    const present = new Map<NodeName, PeerAddress>();
    for (const name of new Set(names)) {
      // For who finds no room nothing is gathered: a hundred thousand names would take seconds, every half minute.
      const isKnown = this.#told.has(name);
      if (!isKnown && present.size >= PEERS_MAX) {
        this.#refused += 1;
        continue;
      }
      const peer = name === this.#ownName ? undefined : this.#peer(name);
      if (peer !== undefined) present.set(name, peer);
      else if (this.#told.delete(name))
        events.push({ kind: "gone", identity: { kind: "name", name } });
    }
    // Who has left makes room for who comes.
    for (const [name, peer] of present) {
      const print = JSON.stringify([peer.hosts, peer.relayUrl]);
      const before = this.#told.get(name);
      if (print === before) continue;
      if (before === undefined && this.#told.size >= PEERS_MAX) {
        this.#refused += 1;
        continue;
      }
      this.#told.set(name, print);
      events.push({ kind: "seen", peer });
    }
    return events;
  }

  /** All slices together: with two address families, or while endpoints move, a pod is in several. */
  #peer(name: NodeName): PeerAddress | undefined {
    const places = [...this.#slices.values()].flatMap(({ places }) => places.get(name) ?? []);
    const all = new Map(
      places.flatMap(({ hosts }) => hosts).map((host) => [printHostPort(host), host]),
    );
    const hosts = [...all]
      .sort(([a], [b]) => compareText(a, b))
      .slice(0, HOSTS_PER_PEER_MAX)
      .map(([, host]) => host);
    if (hosts.length === 0) return undefined;
    const [relayUrl] = places.flatMap((place) => place.relayUrl ?? []).sort(compareText);
    const identity = { kind: "name", name } as const;
    return { identity, hosts, ...(relayUrl === undefined ? {} : { relayUrl }) };
  }
}

function namesIn(slice: Slice | undefined): Iterable<NodeName> {
  return slice?.places.keys() ?? [];
}
