// All guests: older nodes of the formation, let in by what discovery knows of them or by what they can prove; at
// most two nodes of ours dial each, and every one of them waits after a connection has ended, because the older
// node takes the end of an old connection for the end of the new one (F5).
import type { Clock } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { Formation } from "../identity/formation.ts";
import { type EndpointId, type NodeName, parseNodeName, shortId } from "../identity/peer.ts";
import type { SoughtPeer } from "../net/dialer.ts";
import { askForProof, authenticateTo, FORMATION_ID } from "../net/guest-auth.ts";
import type { Link, LinkEnd, Network } from "../net/link.ts";
import { CLOSE, fromStranger } from "../net/membership.ts";
import type { Committed, Store } from "../store/store.ts";
import { Departures } from "./departures.ts";
import { type GuestPeer, GuestSession } from "./guest-session.ts";
import { ORDERED } from "./peer-orders.ts";

const connectorLog = getLog("peat_mesh::peer_connector");

/** Nodes of ours that dial one guest. */
const GATEWAYS_MAX = 2;
/** The others look after it when nobody seems to serve it for so long. */
const STAND_IN_MS = 30_000;
const REVIEW_MS = 5_000;
/** After an end that both sides know of, and after one that the guest may notice only by silence. */
const REDIAL_MS = 2_000;
const REDIAL_UNNOTICED_MS = 31_000;
/** Between attempts to be heard again. */
const DEAFNESS_MS = [0, 300_000, 1_800_000, 3_600_000];
const FLUSH_MS = 1_000;
/** Guests of the past whose manners are remembered. */
const MANNERS_MAX = 4096;

/** What is remembered of a guest between its connections. */
interface Manners {
  /** Of Clock.monotonic(). */
  notBefore: number;
  /** It is somebody else's to dial since then. */
  leftToOthersAt: number | undefined;
  deafTimes: number;
  deafAt: number;
  /** It asks diallers to authenticate. */
  asksForProof: boolean;
}

export interface NativePeer {
  readonly name: NodeName;
  /** Names of the peers that it is connected to, guests too. */
  readonly neighbours: ReadonlySet<string>;
}

export interface GuestsOptions {
  readonly network: Network;
  readonly store: Store;
  readonly clock: Clock;
  readonly formation: Formation;
  readonly nodeName: NodeName;
  readonly onBug: (error: unknown) => void;
  /** Peers that discovery has told of. */
  readonly sought: () => readonly SoughtPeer[];
  readonly natives: () => readonly NativePeer[];
  readonly connected: (session: GuestSession, replaced: GuestSession | undefined) => void;
  readonly disconnected: (session: GuestSession, reason: string) => void;
}

export interface SoughtKey {
  readonly name: NodeName | undefined;
  readonly ids: readonly EndpointId[];
}

export class Guests {
  readonly #options: GuestsOptions;
  readonly #sessions = new Map<NodeName, GuestSession>();
  readonly #manners = new Map<NodeName, Manners>();
  readonly #departures = new Departures();
  #cancelReview: () => void = () => undefined;
  #cancelFlush: (() => void) | undefined;
  #isClosed = false;

  constructor(options: GuestsOptions) {
    this.#options = options;
  }

  get sessions(): readonly GuestSession[] {
    return [...this.#sessions.values()];
  }

  get names(): readonly NodeName[] {
    return [...this.#sessions.keys()];
  }

  start(): void {
    this.#review();
  }

  /** Admits a connection of the older protocol. Fault `peer_refused` unless it is a member's; closed then. */
  async arrived(link: Link): Promise<void> {
    try {
      const peer = this.#known(link) ?? (await this.#stranger(link));
      if (link.direction === "outgoing" && this.#mannersOf(peer.name).asksForProof) {
        await this.#prove(peer);
      }
      this.#admit(peer);
    } catch (error) {
      link.close(CLOSE.authFailed.code, CLOSE.authFailed.reason);
      if (error instanceof Fault && error.code === "peer_refused") throw error;
      throw new Fault("peer_refused", messageOf(error), {}, error);
    }
  }

  sessionOf({ name, ids }: SoughtKey): GuestSession | undefined {
    if (name !== undefined) return this.#sessions.get(name);
    return this.sessions.find((session) => ids.includes(session.link.remoteId));
  }

  /** Resolves when a guest that is connected no longer is. */
  async disconnected(peer: SoughtKey): Promise<void> {
    const session = this.sessionOf(peer);
    if (session === undefined) return;
    await this.#departures.of(session.name);
  }

  /** How long to wait before the guest may be dialled; 0: now. */
  waitMs({ name, ids }: SoughtKey): number {
    const known = name ?? nameOfId(ids);
    if (known === undefined) return 0;
    const manners = this.#mannersOf(known);
    const now = this.#options.clock.monotonic();
    if (manners.notBefore > now) return Math.min(REVIEW_MS, manners.notBefore - now);
    if (this.#isOurs(known)) {
      manners.leftToOthersAt = undefined;
      return 0;
    }
    manners.leftToOthersAt ??= now;
    const isServed = this.#servedByBetter(known) >= GATEWAYS_MAX;
    if (isServed) manners.leftToOthersAt = now;
    return now - manners.leftToOthersAt >= STAND_IN_MS ? 0 : REVIEW_MS;
  }

  /** A commit goes to every guest but the one that it came from. */
  spread(committed: readonly Committed[]): void {
    for (const session of this.#sessions.values()) {
      const keys = committed.filter(({ origin }) => origin !== session.name).map(({ key }) => key);
      if (keys.length > 0) session.push(keys);
    }
    if (this.#sessions.size > 0) this.#flushSoon();
  }

  /** It speaks the native protocol now. */
  outgrown(name: NodeName): void {
    this.#sessions.get(name)?.close(CLOSE.normal);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelReview();
    this.#cancelFlush?.();
    const sessions = this.sessions;
    for (const session of sessions) session.close(CLOSE.normal);
    await Promise.all(sessions.map((session) => session.ended));
  }

  /**
   * A peer whose id derives from a name that discovery gave, or an id that was configured: the handshake has
   * proved it. An id that is only announced on the network proves nothing.
   */
  #known(link: Link): GuestPeer | undefined {
    const peer = this.#options.sought().find(({ ids }) => ids.includes(link.remoteId));
    if (peer === undefined) return undefined;
    const { identity, sources } = peer;
    if (identity.kind === "id") {
      if (!sources.includes("static") && !sources.includes(ORDERED)) return undefined;
      return { name: parseNodeName(identity.id), link, tag: undefined };
    }
    const tag = this.#options.formation.prove(identity.name, link.remoteId);
    return tag === undefined ? undefined : { name: identity.name, link, tag };
  }

  /** Nobody knows its name, so the name is its id; what it can prove is that it holds the secret. */
  async #stranger(link: Link): Promise<GuestPeer> {
    const { formation, clock } = this.#options;
    if (link.direction === "outgoing") {
      throw new Fault("peer_refused", "its id was neither configured nor derives from its name");
    }
    const stream = await fromStranger(clock, link.acceptStream());
    if (stream === undefined) throw new Fault("peer_refused", "left without a word");
    const keys = formation.hmacKeys(FORMATION_ID);
    if ((await askForProof(stream, { keys, random: randomBytes, clock })) !== undefined) {
      throw new Fault("peer_refused", "has an unknown id and offers no proof");
    }
    return { name: parseNodeName(link.remoteId), link, tag: undefined };
  }

  async #prove({ name, link }: GuestPeer): Promise<void> {
    const { formation, clock } = this.#options;
    const [key] = formation.hmacKeys(FORMATION_ID);
    if (key === undefined) return;
    try {
      await authenticateTo(link, key, clock);
    } catch (error) {
      // Perhaps it asks no more: the next attempt begins without.
      this.#mannersOf(name).asksForProof = false;
      throw error;
    }
  }

  #admit(peer: GuestPeer): void {
    const { link, name } = peer;
    const existing = this.#sessions.get(name);
    if (this.#isClosed || (existing !== undefined && !this.#isPreferred(link, existing))) {
      link.close(CLOSE.superseded.code, CLOSE.superseded.reason);
      return;
    }
    existing?.close(CLOSE.superseded);
    const { store, clock, nodeName, onBug, formation } = this.#options;
    const session = new GuestSession(peer, {
      store,
      clock,
      nodeName,
      onBug,
      mayEndDeafness: () => this.#mayEndDeafness(name),
      proof: { keys: formation.hmacKeys(FORMATION_ID), random: randomBytes, clock },
    });
    this.#sessions.set(name, session);
    void session.ended.then((end) => this.#finish(session, end));
    const { address } = link.path();
    connectorLog.info("Peer connected to Iroh", {
      peer: name,
      endpoint_id: shortId(link.remoteId),
      addresses: `[${address ?? ""}]`,
      dialect: "guest",
    });
    this.#options.connected(session, existing);
    this.#flushSoon();
  }

  /** One connection at a time; of two the one stays that the bytewise lower endpoint id dialled. */
  #isPreferred(link: Link, existing: GuestSession): boolean {
    if (link.direction === existing.link.direction) return true;
    const weAreLower = this.#options.network.id < link.remoteId;
    return link.direction === (weAreLower ? "outgoing" : "incoming");
  }

  #finish(session: GuestSession, end: LinkEnd): void {
    const { name } = session;
    const manners = this.#mannersOf(name);
    const isNoticed = end.by !== "transport";
    const redialMs = isNoticed ? REDIAL_MS : REDIAL_UNNOTICED_MS;
    manners.notBefore = this.#options.clock.monotonic() + redialMs;
    if (end.by === "peer" && end.code === CLOSE.authFailed.code) manners.asksForProof = true;
    if (this.#sessions.get(name) !== session) return;
    this.#sessions.delete(name);
    const reason = end.reason === "" ? `closed by ${end.by}` : end.reason;
    if (!this.#isClosed) {
      connectorLog.info("Peer disconnected from Iroh", { peer: name, reason, dialect: "guest" });
    }
    this.#options.disconnected(session, reason);
    this.#departures.departed(name);
  }

  /** A connection that is not heard is made anew at once, the next time only much later. */
  #mayEndDeafness(name: NodeName): boolean {
    const manners = this.#mannersOf(name);
    const now = this.#options.clock.monotonic();
    const waitMs = DEAFNESS_MS[Math.min(manners.deafTimes, DEAFNESS_MS.length - 1)] ?? 0;
    if (now - manners.deafAt < waitMs) return false;
    manners.deafTimes += 1;
    manners.deafAt = now;
    return true;
  }

  /** Leaves guests to the nodes that are to serve them, once they do. */
  #review(): void {
    for (const session of this.#sessions.values()) {
      const isSurplus =
        session.link.direction === "outgoing" &&
        !this.#isOurs(session.name) &&
        this.#servedByBetter(session.name) >= GATEWAYS_MAX;
      if (isSurplus) session.close(CLOSE.normal);
      if (session.isHeard) this.#mannersOf(session.name).deafTimes = 0;
    }
    this.#cancelReview = this.#options.clock.after(REVIEW_MS, () => this.#review());
  }

  /** Whether we are among the nodes that dial the guest: a choice that all who are connected make alike. */
  #isOurs(guest: NodeName): boolean {
    return this.#better(guest).length < GATEWAYS_MAX;
  }

  #servedByBetter(guest: NodeName): number {
    return this.#better(guest).filter(({ neighbours }) => neighbours.has(guest)).length;
  }

  #better(guest: NodeName): NativePeer[] {
    const own = rankOf(this.#options.nodeName, guest);
    return this.#options.natives().filter(({ name }) => rankOf(name, guest) < own);
  }

  #mannersOf(name: NodeName): Manners {
    const known = this.#manners.get(name);
    if (known !== undefined) return known;
    const [oldest] = this.#manners.keys();
    if (this.#manners.size >= MANNERS_MAX && oldest !== undefined) this.#manners.delete(oldest);
    const fresh: Manners = {
      notBefore: 0,
      leftToOthersAt: undefined,
      deafTimes: 0,
      deafAt: Number.NEGATIVE_INFINITY,
      asksForProof: false,
    };
    this.#manners.set(name, fresh);
    return fresh;
  }

  #flushSoon(): void {
    this.#cancelFlush ??= this.#options.clock.after(FLUSH_MS, () => {
      this.#cancelFlush = undefined;
      if (this.#isClosed) return;
      this.#options.store.guests.flush();
      if (this.#sessions.size > 0) this.#flushSoon();
    });
  }
}

function nameOfId(ids: readonly EndpointId[]): NodeName | undefined {
  const [id] = ids;
  return id === undefined ? undefined : parseNodeName(id);
}

function rankOf(node: string, guest: string): string {
  return new Bun.CryptoHasher("sha256").update(`${node}\n${guest}`).digest("hex");
}

function randomBytes(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  return crypto.getRandomValues(bytes);
}
