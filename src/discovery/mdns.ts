// Peers of the local network by mDNS (peat-mesh 0.6.0 wire, §8.3): announces this node and hears of
// others on every interface, also where there is no route for multicast.
import { networkInterfaces } from "node:os";
import { type CancelTimer, type Clock, systemClock } from "../base/clock.ts";
import { messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { PeerEvent } from "../identity/peer.ts";
import { MdnsCache } from "./mdns-cache.ts";
import { MdnsChannel } from "./mdns-channel.ts";
import { type InterfaceTable, type MdnsInterface, usableInterfaces } from "./mdns-interfaces.ts";
import {
  type DnsRecord,
  goodbyeRecords,
  instanceName,
  SERVICE_TYPE,
  type ServiceAddress,
  type ServiceIdentity,
  serviceRecords,
  withdrawnRecords,
} from "./mdns-service.ts";
import type { PeerSource } from "./peer-source.ts";

const log = getLog("peat_mesh::discovery::mdns");

const TICK_MS = 1000;
/** An announcement is repeated after a second, then before the records' 120 s are half over. */
const ANNOUNCE_AGAIN_MS = 1000;
const ANNOUNCE_EVERY_MS = 60_000;
/** Questions come after 1 s, 2 s, 4 s and so on until this. */
const ASK_EVERY_MS_MAX = 60_000;
/** A machine that roams for months leaves many addresses behind. */
const LOST_ADDRESSES_MAX = 16;
/** Peers that come and go are told at info this often per minute, then at debug. */
const PEER_LINES_MAX = 100;
const PEER_LINES_WINDOW_MS = 60_000;

export interface MdnsOptions extends ServiceIdentity {
  /** Tags of all secrets of the formation; services with other tags are ignored. */
  readonly formationTags: readonly string[];
  /** IP address that the endpoint is bound to: `0.0.0.0`, `::`, or one of this machine. */
  readonly bindHost: string;
  readonly clock?: Clock;
  /** The system's list of interfaces, if not told. */
  readonly interfaces?: () => InterfaceTable;
}

interface OpenLink {
  readonly link: MdnsInterface;
  readonly records: readonly DnsRecord[];
  readonly channel: MdnsChannel;
  announceAtMs: number;
  announceAfterMs: number;
}

export class MdnsSource implements PeerSource {
  readonly name = "mdns";
  readonly #options: MdnsOptions;
  readonly #clock: Clock;
  readonly #cache: MdnsCache;
  readonly #links = new Map<string, OpenLink>();
  readonly #unusable = new Map<string, string>();
  /** Addresses that were announced and are ours no more, until others have been told. */
  readonly #lost = new Map<string, ServiceAddress>();
  #emit: (event: PeerEvent) => void = () => undefined;
  #cancelTick: CancelTimer = () => undefined;
  #ticking: Promise<void> = Promise.resolve();
  #isClosed = false;
  #isWorking: boolean | undefined;
  #askAtMs = 0;
  #askAfterMs = TICK_MS;
  #linesEndMs = 0;
  #lines = 0;
  #hasToldFull = false;

  constructor(options: MdnsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#cache = new MdnsCache({
      ownName: options.name,
      formationTags: options.formationTags,
    });
  }

  get trouble(): string | undefined {
    return this.#isWorking === false ? "no network interface works for mDNS" : undefined;
  }

  /** Never rejects: without a usable interface it warns and goes on looking for one. */
  async start(emit: (event: PeerEvent) => void): Promise<void> {
    this.#emit = emit;
    log.info(`Starting mDNS discovery for ${SERVICE_TYPE}.`);
    this.#ticking = this.#tick();
    await this.#ticking;
  }

  /** Says goodbye on every interface; takes at most a second and a half. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTick();
    const goodbyes = async () => {
      await Promise.all(
        [...this.#links.values()].map(({ channel, records }) =>
          channel.close(goodbyeRecords(records)),
        ),
      );
      this.#links.clear();
    };
    await goodbyes();
    // A tick that was under way may just have opened an interface.
    await this.#ticking;
    await goodbyes();
  }

  async #tick(): Promise<void> {
    // Listing costs some 50 µs, and no library tells of changes.
    await this.#followInterfaces();
    const nowMs = this.#clock.monotonic();
    this.#tell(this.#cache.expire(nowMs));
    const sent = await Promise.all([...this.#announce(nowMs), ...this.#ask(nowMs)]);
    this.#noteWorking(this.#links.size > 0 && (sent.length === 0 || sent.includes(true)), sent);
    if (this.#isClosed) return;
    this.#cancelTick = this.#clock.after(TICK_MS, () => {
      this.#ticking = this.#tick();
    });
  }

  /** Opens interfaces that came, closes those that went, and both for those that changed. */
  async #followInterfaces(): Promise<void> {
    const usable = this.#listInterfaces();
    const byName = new Map(usable.map((link) => [link.name, link]));
    for (const [name, open] of this.#links) {
      if (byName.get(name)?.fingerprint === open.link.fingerprint) continue;
      this.#links.delete(name);
      this.#noteLost(open.link.announced);
      await open.channel.close([]);
      if (!byName.has(name)) log.info("mDNS discovery lost interface", { interface: name });
    }
    for (const name of this.#unusable.keys()) if (!byName.has(name)) this.#unusable.delete(name);
    for (const link of usable) if (!this.#links.has(link.name)) await this.#openLink(link);
  }

  #noteLost(addresses: readonly ServiceAddress[]): void {
    for (const address of addresses) this.#lost.set(address.address, address);
    const oldest = [...this.#lost.keys()].slice(0, -LOST_ADDRESSES_MAX);
    for (const address of oldest) this.#lost.delete(address);
  }

  #listInterfaces(): MdnsInterface[] {
    const { bindHost, interfaces = networkInterfaces } = this.#options;
    try {
      const usable = usableInterfaces(interfaces(), bindHost);
      this.#unusable.delete("");
      return usable;
    } catch (error) {
      // A sandbox that forbids netlink sockets does this.
      this.#noteUnusable("", messageOf(error));
      return [];
    }
  }

  async #openLink(link: MdnsInterface): Promise<void> {
    if (this.#isClosed) return;
    const { name } = this.#options;
    const records = serviceRecords(this.#options, link.announced);
    try {
      const channel = await MdnsChannel.open({
        link,
        records,
        instance: instanceName(name),
        clock: this.#clock,
        onRecords: (heard, source) => this.#hear(heard, source),
      });
      const nowMs = this.#clock.monotonic();
      const open = { link, records, channel, announceAtMs: nowMs, announceAfterMs: 0 };
      this.#links.set(link.name, open);
      this.#unusable.delete(link.name);
      const addresses = link.announced.map(({ address }) => address);
      log.info(`Advertising node ${name} on port ${this.#options.port} via mDNS`, {
        interface: link.name,
        addresses,
      });
      for (const address of addresses) this.#lost.delete(address);
      this.#askAtMs = nowMs;
      this.#askAfterMs = TICK_MS;
    } catch (error) {
      this.#noteUnusable(link.name, messageOf(error));
    }
  }

  #noteUnusable(name: string, cause: string): void {
    if (this.#unusable.get(name) === cause) return;
    this.#unusable.set(name, cause);
    log.warn("Interface can't be used for mDNS discovery, trying again", {
      ...(name === "" ? {} : { interface: name }),
      cause,
    });
  }

  #noteWorking(isWorking: boolean, sent: readonly boolean[]): void {
    // Nothing was sent in this turn: what was known stays known.
    if (isWorking && sent.length === 0 && this.#isWorking !== undefined) return;
    if (isWorking === this.#isWorking || this.#isClosed) return;
    const interfaces = [...this.#links.keys()];
    if (!isWorking) {
      log.warn("mDNS discovery hears and says nothing: no network interface works", { interfaces });
    } else if (this.#isWorking === false) log.info("mDNS discovery works again", { interfaces });
    this.#isWorking = isWorking;
  }

  #announce(nowMs: number): Promise<boolean>[] {
    const due = [...this.#links.values()].filter(
      (open) => open.records.length > 0 && open.announceAtMs <= nowMs,
    );
    const withdrawn = withdrawnRecords(this.#options.name, [...this.#lost.values()]);
    return due.map((open) => {
      // Twice is enough: after the second announcement of an interface nobody has the old address.
      if (open.announceAfterMs === ANNOUNCE_AGAIN_MS) this.#lost.clear();
      open.announceAfterMs = open.announceAfterMs === 0 ? ANNOUNCE_AGAIN_MS : ANNOUNCE_EVERY_MS;
      open.announceAtMs = nowMs + open.announceAfterMs;
      return open.channel.announce([...open.records, ...withdrawn]);
    });
  }

  #ask(nowMs: number): Promise<boolean>[] {
    const links = [...this.#links.values()];
    const sent: Promise<boolean>[] = [];
    if (nowMs >= this.#askAtMs) {
      this.#askAtMs = nowMs + this.#askAfterMs;
      this.#askAfterMs = Math.min(this.#askAfterMs * 2, ASK_EVERY_MS_MAX);
      const known = this.#cache.knownAnswers(nowMs);
      const question = { name: SERVICE_TYPE, type: "PTR" };
      for (const { channel } of links) sent.push(channel.ask([question], known));
    }
    const questions = this.#cache.questions(nowMs);
    if (questions.length === 0) return sent;
    for (const { channel } of links) sent.push(channel.ask(questions, []));
    return sent;
  }

  #hear(records: readonly DnsRecord[], source: string): void {
    if (this.#isClosed) return;
    const nowMs = this.#clock.monotonic();
    this.#tell(this.#cache.hear({ records, source, nowMs }));
    if (this.#cache.refused === 0 || this.#hasToldFull) return;
    this.#hasToldFull = true;
    log.warn("More mDNS services are announced than are kept; some are ignored", {
      kept: this.#cache.size,
      source,
    });
  }

  #tell(events: readonly PeerEvent[]): void {
    for (const event of events) {
      if (this.#isClosed) return;
      const { identity } = event.kind === "seen" ? event.peer : event;
      const who = identity.kind === "name" ? identity.name : identity.id;
      const write = this.#mayWriteLine() ? log.info : log.debug;
      write(event.kind === "seen" ? `Discovered peer: ${who}` : `Lost peer: ${who}`);
      this.#emit(event);
    }
  }

  #mayWriteLine(): boolean {
    const nowMs = this.#clock.monotonic();
    if (nowMs >= this.#linesEndMs) {
      this.#linesEndMs = nowMs + PEER_LINES_WINDOW_MS;
      this.#lines = 0;
    }
    this.#lines += 1;
    return this.#lines <= PEER_LINES_MAX;
  }
}
