// What was heard by mDNS, and which peers that makes: records in, events out. Pure but for its own
// memory, and bounded: everything here was said by strangers.
import { compareText } from "../base/text.ts";
import {
  type HostPort,
  isUnicast,
  type NodeName,
  type PeerEvent,
  printHostPort,
} from "../identity/peer.ts";
import {
  type DnsQuestion,
  type DnsRecord,
  decodeTxt,
  SERVICE_TYPE,
  type ServiceText,
} from "./mdns-service.ts";

const SERVICES_MAX = 4096;
/** One host that invents services shall not leave others without room. */
const SERVICES_PER_SOURCE_MAX = 512;
const ADDRESSES_PER_HOST_MAX = 8;
const HOSTS_PER_PEER_MAX = 16;
const RECORDS_PER_PACKET_MAX = 512;
const NAME_CHARS_MAX = 255;
const TTL_MIN_S = 10;
const TTL_MAX_S = 4500;
/** Records are asked for again at this part of their life, then each 7 % later (RFC 6762 §5.2). */
const REFRESH_AT = 0.8;
const REFRESH_STEP = 0.07;
const UNRESOLVED_ASK_MS_MIN = 1000;
const UNRESOLVED_ASK_MS_MAX = 64_000;
const QUESTIONS_MAX = 10;
const KNOWN_ANSWERS_MAX = 12;

interface Lease {
  readonly ttlMs: number;
  readonly untilMs: number;
}

interface Service {
  readonly instance: string;
  readonly source: string;
  pointer: Lease;
  target: (Lease & { readonly host: string; readonly port: number }) | undefined;
  text: (Lease & ServiceText) | undefined;
  /** Whether it belongs to us at all: a stranger's service keeps its place but is not asked about. */
  isForeign: boolean;
  askAtMs: number;
  asked: number;
}

export interface HeardPacket {
  readonly records: readonly DnsRecord[];
  /** IP address that sent it. */
  readonly source: string;
  readonly nowMs: number;
}

export interface MdnsCacheOptions {
  readonly ownName: NodeName;
  /** Tags of the formation's secrets; a service with another tag is not for us. */
  readonly formationTags: readonly string[];
}

export class MdnsCache {
  readonly #options: MdnsCacheOptions;
  readonly #services = new Map<string, Service>();
  readonly #servicesBySource = new Map<string, number>();
  readonly #instancesByName = new Map<NodeName, Set<string>>();
  readonly #instancesByHost = new Map<string, Set<string>>();
  readonly #addressesByHost = new Map<string, Map<string, Lease>>();
  /** What the last `seen` of a name said. */
  readonly #told = new Map<NodeName, string>();
  #refused = 0;

  constructor(options: MdnsCacheOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#services.size;
  }

  /** Services that found no room so far. */
  get refused(): number {
    return this.#refused;
  }

  /** Takes what a packet says and returns what that changes. */
  hear({ records, source, nowMs }: HeardPacket): PeerEvent[] {
    const touched = new Set<NodeName>();
    const heard = records.slice(0, RECORDS_PER_PACKET_MAX).filter(isPlausible);
    // Services before what hangs on them, in whatever order the packet has them.
    for (const record of heard) {
      if (record.type === "PTR") this.#hearPointer(record, { source, nowMs, touched });
    }
    for (const record of heard) {
      if (record.type === "SRV") this.#hearTarget(record, nowMs, touched);
      else if (record.type === "TXT") this.#hearText(record, nowMs, touched);
    }
    const hosts = new Set<string>();
    for (const record of heard) {
      if (record.type !== "A" && record.type !== "AAAA") continue;
      if (this.#hearAddress(record, source, nowMs)) hosts.add(record.name);
    }
    for (const host of hosts) this.#touchHost(host, touched);
    return this.#tell(touched, nowMs);
  }

  /** Drops what has outlived its TTL and returns what that changes. */
  expire(nowMs: number): PeerEvent[] {
    const touched = new Set<NodeName>();
    for (const service of [...this.#services.values()]) {
      if (service.pointer.untilMs <= nowMs) this.#remove(service, touched);
      else if (isOver(service.target, nowMs) || isOver(service.text, nowMs))
        touch(service, touched);
    }
    for (const [host, addresses] of this.#addressesByHost) {
      for (const [address, lease] of addresses) {
        if (!isOver(lease, nowMs)) continue;
        addresses.delete(address);
        this.#touchHost(host, touched);
      }
    }
    return this.#tell(touched, nowMs, { isSilent: true });
  }

  /** What to ask the network now: records that are missing, or near their end. */
  questions(nowMs: number): DnsQuestion[] {
    const questions: DnsQuestion[] = [];
    for (const service of this.#services.values()) {
      if (questions.length >= QUESTIONS_MAX) break;
      if (service.isForeign || service.askAtMs > nowMs) continue;
      questions.push(...this.#questionsAbout(service, nowMs));
    }
    return questions;
  }

  /** Services that a query need not be answered with: more than half of their time is left. */
  knownAnswers(nowMs: number): DnsRecord[] {
    const answers: DnsRecord[] = [];
    for (const { instance, pointer } of this.#services.values()) {
      if (answers.length >= KNOWN_ANSWERS_MAX) break;
      const leftMs = pointer.untilMs - nowMs;
      if (leftMs * 2 <= pointer.ttlMs) continue;
      const ttl = Math.floor(leftMs / 1000);
      answers.push({ name: SERVICE_TYPE, type: "PTR", ttl, data: instance });
    }
    return answers;
  }

  #hearPointer(record: DnsRecord, at: { source: string; nowMs: number; touched: Touched }): void {
    const instance = record.data;
    if (record.name.toLowerCase() !== SERVICE_TYPE || !isInstance(instance)) return;
    const service = this.#services.get(instance);
    if (record.ttl === 0) {
      if (service !== undefined) this.#remove(service, at.touched);
    } else if (service !== undefined) service.pointer = leaseOf(record, at.nowMs);
    else this.#add(instance, at.source, leaseOf(record, at.nowMs));
  }

  #add(instance: string, source: string, pointer: Lease): void {
    const fromSource = this.#servicesBySource.get(source) ?? 0;
    if (this.#services.size >= SERVICES_MAX || fromSource >= SERVICES_PER_SOURCE_MAX) {
      this.#refused += 1;
      return;
    }
    this.#servicesBySource.set(source, fromSource + 1);
    this.#services.set(instance, {
      instance,
      source,
      pointer,
      target: undefined,
      text: undefined,
      isForeign: false,
      askAtMs: pointer.untilMs - pointer.ttlMs + UNRESOLVED_ASK_MS_MIN,
      asked: 0,
    });
  }

  #remove(service: Service, touched: Touched): void {
    touch(service, touched);
    this.#setText(service, undefined);
    this.#setTarget(service, undefined);
    this.#services.delete(service.instance);
    const left = (this.#servicesBySource.get(service.source) ?? 1) - 1;
    if (left === 0) this.#servicesBySource.delete(service.source);
    else this.#servicesBySource.set(service.source, left);
  }

  #hearTarget(record: DnsRecord, nowMs: number, touched: Touched): void {
    const service = this.#services.get(record.name);
    if (service === undefined) return;
    const told = record.ttl === 0 ? undefined : targetOf(record.data);
    const target = told === undefined ? undefined : { ...told, ...leaseOf(record, nowMs) };
    this.#setTarget(service, target);
    if (target !== undefined) schedule(service, target);
    touch(service, touched);
  }

  #hearText(record: DnsRecord, nowMs: number, touched: Touched): void {
    const service = this.#services.get(record.name);
    if (service === undefined) return;
    touch(service, touched);
    const told = record.ttl === 0 ? undefined : decodeTxt(record.data);
    const isOurs = told !== undefined && this.#isOurs(told);
    service.isForeign = told !== undefined && !isOurs;
    this.#setText(service, isOurs ? { ...told, ...leaseOf(record, nowMs) } : undefined);
    touch(service, touched);
  }

  #isOurs({ name, formationTag }: ServiceText): boolean {
    const { ownName, formationTags } = this.#options;
    if (name === ownName) return false;
    return formationTag === undefined || formationTags.includes(formationTag);
  }

  /** Whether the record was about a host of ours. */
  #hearAddress(record: DnsRecord, source: string, nowMs: number): boolean {
    if (!this.#instancesByHost.has(record.name)) return false;
    const address = record.data;
    if (typeof address !== "string" || !isDiallable(address, source)) return false;
    const addresses = this.#addressesByHost.get(record.name) ?? new Map<string, Lease>();
    this.#addressesByHost.set(record.name, addresses);
    if (record.ttl === 0) addresses.delete(address);
    else if (addresses.has(address) || addresses.size < ADDRESSES_PER_HOST_MAX) {
      addresses.set(address, leaseOf(record, nowMs));
    }
    return true;
  }

  #setTarget(service: Service, target: Service["target"]): void {
    const before = service.target?.host;
    service.target = target;
    if (before === target?.host) return;
    if (target !== undefined) link(this.#instancesByHost, target.host, service.instance);
    if (before !== undefined && unlink(this.#instancesByHost, before, service.instance)) {
      this.#addressesByHost.delete(before);
    }
  }

  #setText(service: Service, text: Service["text"]): void {
    const before = service.text?.name;
    service.text = text;
    if (before === text?.name) return;
    if (text !== undefined) link(this.#instancesByName, text.name, service.instance);
    if (before !== undefined) unlink(this.#instancesByName, before, service.instance);
  }

  #touchHost(host: string, touched: Touched): void {
    for (const instance of this.#instancesByHost.get(host) ?? []) {
      const service = this.#services.get(instance);
      if (service !== undefined) touch(service, touched);
    }
  }

  #questionsAbout(service: Service, nowMs: number): DnsQuestion[] {
    const { instance, target, text } = service;
    const addresses = target === undefined ? [] : this.#liveAddresses(target.host, nowMs);
    const isResolved = target !== undefined && text !== undefined && addresses.length > 0;
    const stepMs = isResolved
      ? target.ttlMs * REFRESH_STEP
      : Math.min(UNRESOLVED_ASK_MS_MIN * 2 ** service.asked, UNRESOLVED_ASK_MS_MAX);
    service.asked += 1;
    service.askAtMs = nowMs + Math.max(stepMs, UNRESOLVED_ASK_MS_MIN);
    const questions: DnsQuestion[] = [{ name: instance, type: "SRV" }];
    if (text === undefined) questions.push({ name: instance, type: "TXT" });
    if (target !== undefined) questions.push({ name: target.host, type: "A" });
    return questions;
  }

  #liveAddresses(host: string, nowMs: number): string[] {
    const addresses = this.#addressesByHost.get(host) ?? new Map<string, Lease>();
    return [...addresses].flatMap(([address, lease]) => (isOver(lease, nowMs) ? [] : [address]));
  }

  /** Several services may claim one name; the truth is found by dialling, so all are told. */
  #hostsOf(name: NodeName, nowMs: number): HostPort[] {
    const hosts = new Map<string, HostPort>();
    for (const instance of this.#instancesByName.get(name) ?? []) {
      const service = this.#services.get(instance);
      const target = service?.target;
      if (target === undefined || isOver(target, nowMs) || isOver(service?.text, nowMs)) continue;
      for (const address of this.#liveAddresses(target.host, nowMs)) {
        const host = { host: address, port: target.port };
        if (hosts.size < HOSTS_PER_PEER_MAX) hosts.set(printHostPort(host), host);
      }
    }
    return [...hosts.values()];
  }

  #tell(touched: Touched, nowMs: number, how: { isSilent?: true } = {}): PeerEvent[] {
    const events: PeerEvent[] = [];
    for (const name of touched) {
      const identity = { kind: "name", name } as const;
      const hosts = this.#hostsOf(name, nowMs);
      const print = hosts.map(printHostPort).sort(compareText).join(" ");
      const before = this.#told.get(name) ?? "";
      if (print === before) continue;
      if (hosts.length === 0) {
        this.#told.delete(name);
        events.push({ kind: "gone", identity, ...how });
      } else {
        this.#told.set(name, print);
        events.push({ kind: "seen", peer: { identity, hosts } });
      }
    }
    return events;
  }
}

type Touched = Set<NodeName>;

function touch(service: Service, touched: Touched): void {
  if (service.text !== undefined) touched.add(service.text.name);
}

/** The next time to ask is counted from the record that lives shortest: the service's target. */
function schedule(service: Service, target: Lease): void {
  service.asked = 0;
  service.askAtMs = target.untilMs - target.ttlMs * (1 - REFRESH_AT);
}

function isOver(lease: Lease | undefined, nowMs: number): boolean {
  return lease !== undefined && lease.untilMs <= nowMs;
}

function leaseOf(record: DnsRecord, nowMs: number): Lease {
  const ttlMs = Math.min(Math.max(record.ttl ?? 0, TTL_MIN_S), TTL_MAX_S) * 1000;
  return { ttlMs, untilMs: nowMs + ttlMs };
}

function isPlausible(record: DnsRecord): boolean {
  return (
    typeof record.name === "string" &&
    record.name.length <= NAME_CHARS_MAX &&
    Number.isInteger(record.ttl)
  );
}

function isInstance(data: unknown): data is string {
  return (
    typeof data === "string" &&
    data.length <= NAME_CHARS_MAX &&
    data.length > SERVICE_TYPE.length + 1 &&
    data.toLowerCase().endsWith(`.${SERVICE_TYPE}`)
  );
}

function targetOf(data: unknown): { host: string; port: number } | undefined {
  if (typeof data !== "object" || data === null || !("port" in data && "target" in data)) {
    return undefined;
  }
  const { port, target } = data;
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65535) {
    return undefined;
  }
  if (typeof target !== "string" || target.length > NAME_CHARS_MAX) return undefined;
  return { host: target, port };
}

/** Whether a peer can be meant; a loopback address only if loopback is where it was said. */
function isDiallable(address: string, source: string): boolean {
  if (!isUnicast(address) || address === "::1") return false;
  return !address.startsWith("127.") || source.startsWith("127.");
}

function link<K>(index: Map<K, Set<string>>, key: K, instance: string): void {
  const instances = index.get(key);
  if (instances === undefined) index.set(key, new Set([instance]));
  else instances.add(instance);
}

/** Whether nothing is left under `key`. */
function unlink<K>(index: Map<K, Set<string>>, key: K, instance: string): boolean {
  const instances = index.get(key);
  instances?.delete(instance);
  if (instances === undefined || instances.size > 0) return false;
  index.delete(key);
  return true;
}
