// All peers of this node: who is connected by which link, what goes to whom, and what others are told of it.
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { Formation } from "../identity/formation.ts";
import { type NodeName, type PeerEvent, shortId } from "../identity/peer.ts";
import { Acceptor } from "../net/acceptor.ts";
import { Dialer, type SoughtPeer } from "../net/dialer.ts";
import type { Link, LinkEnd, Network } from "../net/link.ts";
import { CLOSE, greet, type Member } from "../net/membership.ts";
import { type NameCollision, NameCollisions } from "../net/name-collisions.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { Committed, Store } from "../store/store.ts";
import { ALPN_GUEST, ALPN_NATIVE, type Hello } from "../wire/hello.ts";
import { FEATURE_REPORTS } from "../wire/inquiry.ts";
import { FEATURE_PACKED } from "../wire/packed.ts";
import { CatchUp } from "./catch-up.ts";
import { Claims } from "./claims.ts";
import { Departures } from "./departures.ts";
import type { GuestSession } from "./guest-session.ts";
import { Guests, type SoughtKey } from "./guests.ts";
import { PeerOrders } from "./peer-orders.ts";
import { Relays } from "./relays.ts";
import { Session } from "./session.ts";
import { spread } from "./spread.ts";
import { type Traffic, TrafficTotal } from "./statistics.ts";
import type { SyncTimes } from "./sync-times.ts";

const connectorLog = getLog("peat_mesh::peer_connector");
const log = getLog("peat_mesh::storage::automerge_sync");

export interface CoordinatorOptions {
  readonly network: Network;
  readonly store: Store;
  readonly clock: Clock;
  readonly formation: Formation;
  readonly nodeName: NodeName;
  readonly version: string;
  /** In [0, 1). */
  readonly random: () => number;
  /** How long changes take to the peers is counted there. */
  readonly times?: SyncTimes | undefined;
  /** Something that can't happen has: the process has to end. */
  readonly onBug: (error: unknown) => void;
  /** Bits that this node's hello has beside the coordinator's own. */
  readonly features?: number;
  /** Takes links of other protocols. Resolves when the peer is proved; rejects when it is refused. */
  readonly arrivedBeside?: (link: Link) => Promise<void>;
}

/** Something that happened to a peer, for whoever watches. */
export type PeerNotice =
  | { readonly kind: "connected"; readonly name: NodeName }
  | { readonly kind: "disconnected"; readonly name: NodeName; readonly reason: string };

/** Peers' lists of neighbours are told together, this long after the last change. */
const NEIGHBOURS_DELAY_MS = 20;
/**
 * How long a stop waits for peers to acknowledge what was committed last: a pod without a volume takes with it what
 * no peer has, and peers on half a processor need their time. Within the deadline of the step, and of the stop.
 */
const DRAIN_MS = 900;

export class Coordinator {
  /** What people order about peers. */
  readonly orders: PeerOrders;
  readonly #options: CoordinatorOptions;
  readonly #hello: Omit<Hello, "policies">;
  readonly #catchUp: CatchUp;
  readonly #claims: Claims;
  readonly #relays: Relays;
  readonly #dialer: Dialer;
  readonly #acceptor: Acceptor;
  readonly #guests: Guests;
  readonly #sessions = new Map<NodeName, Session>();
  /** Links are admitted one after another for each name. */
  readonly #admissions = new Map<NodeName, Promise<void>>();
  readonly #listeners = new Set<(notice: PeerNotice) => void>();
  readonly #collisions: NameCollisions;
  readonly #departures = new Departures();
  readonly #traffic = new TrafficTotal();
  #endCommits: () => void = () => undefined;
  #endDamage: () => void = () => undefined;
  #endRules: () => void = () => undefined;
  #accepting: Promise<void> = Promise.resolve();
  #cancelNeighbours: (() => void) | undefined;
  #admitted = 0;
  #isClosed = false;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    const { network, formation, clock, random, nodeName, version, store } = options;
    this.#hello = {
      name: nodeName,
      version,
      start: store.start,
      features: FEATURE_PACKED | FEATURE_REPORTS | (options.features ?? 0),
    };
    this.#catchUp = new CatchUp(clock);
    this.#claims = new Claims(clock);
    this.#relays = new Relays(clock);
    this.#acceptor = new Acceptor({ network, clock, arrived: (link) => this.#greet(link) });
    this.#collisions = new NameCollisions(clock);
    this.orders = new PeerOrders({
      clock,
      ownId: network.id,
      connected: () => [...this.sessions, ...this.guests],
      sought: () => this.#dialer.sought(),
      tell: (source, event) => this.#dialer.handle(source, event),
      hurry: () => this.#dialer.hurry(),
    });
    this.#dialer = new Dialer({
      collisions: this.#collisions,
      network: this.orders.gate(network),
      formation,
      clock,
      random,
      ownName: nodeName,
      reached: (link) => this.#greet(link),
      isConnected: (peer) => (this.#sessionOf(peer) ?? this.#guests.sessionOf(peer)) !== undefined,
      disconnected: (peer) => this.#disconnected(peer),
      guestWaitMs: (peer) => this.#guests.waitMs(peer),
      moved: (peer) => void this.#check(this.#sessionOf(peer)),
    });
    this.#guests = new Guests({
      ...options,
      sought: () => this.#dialer.sought(),
      natives: () => this.sessions.map(({ carrier }) => carrier),
      connected: (guest, replaced) => this.#guestConnected(guest, replaced),
      disconnected: (guest, reason) => this.#guestDisconnected(guest, reason),
    });
  }

  start(): void {
    this.#endCommits = this.#options.store.onCommit((committed) => this.#spread(committed));
    // Peers learn each other's rules when they meet.
    this.#endRules = this.#options.store.configs.onChange(() => {
      for (const session of this.#sessions.values()) session.close(CLOSE.rulesChanged);
    });
    this.#endDamage = this.#options.store.damage.onDamage(() => {
      for (const session of this.#sessions.values()) session.reconcile();
    });
    this.#accepting = this.#acceptor.run();
    this.#guests.start();
  }

  /** Takes what a discovery source says. */
  handle(source: string, event: PeerEvent): void {
    this.#dialer.handle(source, event);
  }

  /** This machine has other addresses: connections may be dead, and what was out of reach may not be. */
  networkChanged(): void {
    connectorLog.info("Addresses of this machine have changed; asking all peers");
    this.#dialer.hurry();
    for (const session of this.#sessions.values()) void this.#check(session);
  }

  get sessions(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  /** Older nodes that are connected. */
  get guests(): readonly GuestSession[] {
    return this.#guests.sessions;
  }

  get refusedConnections(): number {
    return this.#acceptor.refused;
  }

  /** Since the start, with peers that are gone, too. */
  get traffic(): Traffic {
    return this.#traffic.with([...this.sessions, ...this.guests]);
  }

  /** Whatever became of them. */
  get connectionsSoFar(): number {
    return this.#acceptor.refused + this.#admitted;
  }

  /** Names that several nodes have. */
  get collisions(): readonly NameCollision[] {
    return this.#collisions.all;
  }

  sought(): readonly SoughtPeer[] {
    return this.#dialer.sought();
  }

  /** Whether any peer and this node have ever had equal documents. */
  get hasAgreed(): boolean {
    return this.#catchUp.hasAgreed;
  }

  /** Whether a peer is sending what this node lacks. */
  get isCatchingUp(): boolean {
    return this.#catchUp.isRunning;
  }

  onPeer(listener: (notice: PeerNotice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** No new peers; peers have the last commits, if they can take them quickly; links closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#acceptor.close();
    this.#endCommits();
    this.#endDamage();
    this.#endRules();
    this.#cancelNeighbours?.();
    const dialing = this.#dialer.close();
    const guests = this.#guests.close();
    const sessions = [...this.#sessions.values()];
    await Promise.all(sessions.map((session) => session.drain(DRAIN_MS)));
    for (const session of sessions) session.close(CLOSE.normal);
    await Promise.all([dialing, guests, ...sessions.map((session) => session.ended)]);
  }

  /** Resolves when no more connections arrive: after the network has been closed. */
  get accepted(): Promise<void> {
    return this.#accepting;
  }

  async #greet(link: Link): Promise<void> {
    if (this.orders.turnsAway(link)) return;
    if (link.alpn === ALPN_GUEST) return await this.#guests.arrived(link);
    const { formation, clock, store, arrivedBeside } = this.#options;
    if (link.alpn !== ALPN_NATIVE) return await arrivedBeside?.(link);
    const { fingerprint: policies } = store.policies;
    const member = await greet(link, { ...this.#hello, policies }, { formation, clock });
    const { name } = member;
    const admission = (this.#admissions.get(name) ?? Promise.resolve())
      .then(() => this.#admit(member))
      .catch((error: unknown) => {
        connectorLog.warn("Connection not admitted", { peer: name, cause: messageOf(error) });
      });
    this.#admissions.set(name, admission);
    await admission;
    if (this.#admissions.get(name) === admission) this.#admissions.delete(name);
  }

  async #admit(member: Member): Promise<void> {
    if (this.#isClosed) member.link.close(CLOSE.normal.code, CLOSE.normal.reason);
    if (this.#isClosed || this.orders.turnsAway(member.link)) return;
    const existing = this.#sessions.get(member.name);
    if (existing === undefined) {
      this.#begin(member);
      return;
    }
    const isPreferred = this.#isPreferred(member, existing);
    const isTwin = member.hello.start !== existing.member.hello.start;
    // A link that should stay may be a dead one: a restarted peer is not made to wait until that shows.
    const isAlive = (isTwin || !isPreferred) && (await existing.probe(member.link));
    const addresses = [existing, member].map(({ link }) => link.path().address ?? "unknown");
    if (isAlive && isTwin) this.#collisions.twins(member.name, addresses);
    const close = isTwin ? CLOSE.duplicateName : CLOSE.superseded;
    if (isAlive && !isPreferred) {
      member.link.close(close.code, close.reason);
      return;
    }
    // Much may have happened meanwhile: an order to stop, another link, the end of everything.
    const isPermitted = this.orders.permits(member.link.remoteId);
    if (this.#isClosed || !isPermitted || this.#sessions.get(existing.name) !== existing) {
      await this.#admit(member);
      return;
    }
    existing.close(isAlive ? close : CLOSE.superseded);
    this.#begin(member, existing);
  }

  /**
   * Of two links between two nodes the one stays that the bytewise lower endpoint id dialled. Of two nodes of one
   * name the earlier stays, but a pod of the own cluster is never kept out by somebody else.
   */
  #isPreferred({ link, hello, name }: Member, existing: Session): boolean {
    if (hello.start !== existing.member.hello.start) {
      return this.#dialer.isAtHome(name, link) && !this.#dialer.isAtHome(name, existing.link);
    }
    if (link.direction === existing.link.direction) return false;
    const weAreLower = this.#options.network.id < link.remoteId;
    return link.direction === (weAreLower ? "outgoing" : "incoming");
  }

  #begin(member: Member, replaced?: Session): void {
    if (replaced !== undefined) this.#traffic.add(replaced.statistics);
    const { store, clock, onBug, times } = this.#options;
    this.#admitted += 1;
    const shared = { catchUp: this.#catchUp, claims: this.#claims, relays: this.#relays };
    const onDoubt = (silent: Session) => this.#dialBeside(silent);
    const isSame = replaced?.member.hello.start === member.hello.start;
    const context = { store, clock, times, ...shared, onDoubt, onBug };
    const session = new Session(member, context, isSame ? replaced?.legacy : undefined);
    this.#sessions.set(session.name, session);
    this.#relays.add(session.carrier);
    void session.ended.then((end) => this.#finish(session, end));
    this.#guests.outgrown(session.name);
    this.#scheduleNeighbours();
    const { address } = member.link.path();
    connectorLog.info("Peer connected to Iroh", {
      peer: session.name,
      endpoint_id: shortId(member.link.remoteId),
      addresses: `[${address ?? ""}]`,
    });
    if (replaced === undefined) this.#notify({ kind: "connected", name: session.name });
  }

  #finish(session: Session, end: LinkEnd): void {
    const current = this.#sessions.get(session.name);
    // A link that took its place goes on with what it carried.
    const goesOn = current !== session && current?.carrier === session.carrier;
    if (!goesOn) this.#relays.end(session.carrier);
    if (current !== session) return;
    this.#sessions.delete(session.name);
    this.#traffic.add(session.statistics);
    const reason = end.reason === "" ? `closed by ${end.by}` : end.reason;
    if (!this.#isClosed) {
      connectorLog.info("Peer disconnected from Iroh", { peer: session.name, reason });
      log.debug("Cleaned up sync state for disconnected peer", { peer: session.name });
    }
    this.#notify({ kind: "disconnected", name: session.name, reason });
    this.#scheduleNeighbours();
    this.#departures.departed(session.name);
  }

  async #check(session: Session | undefined): Promise<void> {
    if (session !== undefined && !(await session.probe())) this.#dialBeside(session);
  }

  /** Of a silent connection and the one that this makes, that stays which answers. */
  #dialBeside(silent: Session): void {
    const { name, link } = silent;
    if (this.#isClosed || this.#sessions.get(name) !== silent) return;
    connectorLog.debug("Peer is silent; dialling it beside its connection", { peer: name });
    this.#dialer.dialBeside({ name, ids: [link.remoteId] });
  }

  #notify(notice: PeerNotice): void {
    for (const listener of this.#listeners) listener(notice);
  }

  #sessionOf({ name, ids }: SoughtKey): Session | undefined {
    if (name !== undefined) return this.#sessions.get(name);
    return this.sessions.find((session) => ids.includes(session.link.remoteId));
  }

  async #disconnected(peer: SoughtKey): Promise<void> {
    const session = this.#sessionOf(peer);
    if (session === undefined) return await this.#guests.disconnected(peer);
    await this.#departures.of(session.name);
  }

  #guestConnected(guest: GuestSession, replaced?: GuestSession): void {
    const { name, link } = guest;
    if (replaced !== undefined) this.#traffic.add(replaced.statistics);
    if (!this.orders.permits(link.remoteId)) guest.close(CLOSE.unwanted);
    this.#admitted += 1;
    this.#scheduleNeighbours();
    this.#notify({ kind: "connected", name });
  }

  #guestDisconnected({ name, statistics }: GuestSession, reason: string): void {
    this.#traffic.add(statistics);
    this.#scheduleNeighbours();
    this.#notify({ kind: "disconnected", name, reason });
  }

  #scheduleNeighbours(): void {
    this.#cancelNeighbours?.();
    this.#cancelNeighbours = this.#options.clock.after(NEIGHBOURS_DELAY_MS, () => {
      const names = [...this.#sessions.keys(), ...this.#guests.names];
      for (const session of this.#sessions.values()) session.tellNeighbours(names);
    });
  }

  #spread(committed: readonly Committed[]): void {
    this.#guests.spread(committed);
    const { nodeName } = this.#options;
    spread(committed, { nodeName, sessions: this.#sessions, relays: this.#relays });
  }

  /** Documents that stay unequal, by key: they could not be joined, or can't be sent. */
  stuck(): ReadonlyMap<DocumentKey, string> {
    const stuck = new Map<DocumentKey, string>();
    for (const session of this.#sessions.values()) {
      for (const [key, reason] of session.stuck) stuck.set(key as DocumentKey, reason);
    }
    for (const { refused } of this.#guests.sessions) {
      for (const [key, reason] of refused) {
        if (key.includes(":")) stuck.set(key as DocumentKey, reason);
      }
    }
    return stuck;
  }
}
