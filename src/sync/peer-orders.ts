// What people order: no sync at all, this peer now, that peer no more. Everything else about peers is discovery's.
import { type Clock, sleep } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import { type EndpointId, type HostPort, type PeerEvent, shortId } from "../identity/peer.ts";
import type { SoughtPeer } from "../net/dialer.ts";
import { DialError, type Link, type Network } from "../net/link.ts";
import { CLOSE } from "../net/membership.ts";

const log = getLog("peat_mesh::peer_connector");

/** Source of the peers that somebody has ordered by their ids. */
export const ORDERED = "ordered";
/** Attempts after which an ordered peer is said to be out of reach. */
const ATTEMPTS_MAX = 3;
const LOOK_MS = 25;
/** Peers that are kept away at a time. */
const AWAY_MAX = 4_096;

interface Connected {
  readonly link: Pick<Link, "remoteId">;
  close(end: { code: number; reason: string }): void;
}

export interface OrderedPeer {
  readonly id: EndpointId;
  readonly hosts: readonly HostPort[];
  readonly relayUrl?: string;
}

export interface PeerOrdersOptions {
  readonly clock: Clock;
  readonly ownId: EndpointId;
  /** Every connection that there is. */
  readonly connected: () => readonly Connected[];
  readonly sought: () => readonly SoughtPeer[];
  /** Tells the dialler of a peer, as a source would. */
  readonly tell: (source: string, event: PeerEvent) => void;
  /** What was not permitted may be now. */
  readonly hurry: () => void;
}

export class PeerOrders {
  readonly #options: PeerOrdersOptions;
  readonly #away = new Set<EndpointId>();
  #isSyncing = true;

  constructor(options: PeerOrdersOptions) {
    this.#options = options;
  }

  /** Whether peers may be connected. */
  get isSyncing(): boolean {
    return this.#isSyncing;
  }

  /** Whether a connection to this peer may be, whoever makes it. */
  permits(id: EndpointId): boolean {
    return this.#isSyncing && !this.#away.has(id);
  }

  /** Closes a link that may not be, with the reason; true if it did. */
  turnsAway(link: Pick<Link, "remoteId" | "close">): boolean {
    if (this.permits(link.remoteId)) return false;
    const { code, reason } = this.#isSyncing ? CLOSE.unwanted : CLOSE.stopped;
    link.close(code, reason);
    return true;
  }

  /** The network, for a dialler: it is not asked for what is not permitted. */
  gate(network: Network): Pick<Network, "id" | "hasRelay" | "boundAddresses" | "dial"> {
    return {
      id: network.id,
      get hasRelay() {
        return network.hasRelay;
      },
      get boundAddresses() {
        return network.boundAddresses;
      },
      dial: async (target, alpn) => {
        if (this.permits(target.id)) return await network.dial(target, alpn);
        const reason = this.#isSyncing ? "it has been disconnected by order" : "sync is stopped";
        throw new DialError(reason, "held");
      },
    };
  }

  /** Closes every connection; none is made or taken until startSync(). */
  stopSync(): void {
    if (!this.#isSyncing) return;
    this.#isSyncing = false;
    log.info("Sync stopped; peers are disconnected until it is started");
    for (const peer of this.#options.connected()) peer.close(CLOSE.stopped);
  }

  startSync(): void {
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    log.info("Sync started");
    this.#options.hurry();
  }

  /**
   * Looks for the peer from now on, and resolves once it is connected. Faults: invalid_argument for this node's own
   * id, conflict while sync is stopped, peer_unreachable, request_timeout when `signal` aborts; a peer that was not
   * looked for before is not afterwards then.
   */
  async connect(peer: OrderedPeer, signal: AbortSignal): Promise<void> {
    const { tell, hurry, ownId } = this.#options;
    const { id } = peer;
    if (id === ownId) throw new Fault("invalid_argument", "is this node's own id");
    if (!this.#isSyncing) throw new Fault("conflict", "sync is stopped; start it first");
    const identity = { kind: "id", id } as const;
    const before = this.#find(id);
    this.#away.delete(id);
    tell(ORDERED, { kind: "seen", peer: { ...peer, identity } });
    hurry();
    try {
      await this.#reached(id, signal);
    } catch (error) {
      if (before === undefined) tell(ORDERED, { kind: "gone", identity });
      throw error;
    }
  }

  /** Closes the connection and keeps the peer away, whoever dials, until connect() names it or the node restarts. */
  disconnect(id: EndpointId): void {
    if (!this.#away.has(id) && this.#away.size >= AWAY_MAX) {
      throw new Fault("overloaded", `${AWAY_MAX} peers are kept away already`);
    }
    this.#away.add(id);
    this.#options.tell(ORDERED, { kind: "gone", identity: { kind: "id", id } });
    log.info("Peer disconnected by order", { endpoint_id: shortId(id) });
    for (const peer of this.#options.connected())
      if (peer.link.remoteId === id) peer.close(CLOSE.unwanted);
  }

  #find(id: EndpointId): SoughtPeer | undefined {
    const isMeant = ({ identity }: SoughtPeer) => identity.kind === "id" && identity.id === id;
    return this.#options.sought().find(isMeant);
  }

  async #reached(id: EndpointId, signal: AbortSignal): Promise<void> {
    const { clock, connected } = this.#options;
    while (!connected().some(({ link }) => link.remoteId === id)) {
      const sought = this.#find(id);
      if (sought === undefined) {
        throw new Fault("overloaded", "too many peers are looked for already");
      }
      if (sought.attempts >= ATTEMPTS_MAX) {
        const cause = sought.lastFailure ?? "no answer";
        throw new Fault("peer_unreachable", `the peer was not reached: ${cause}`);
      }
      if (signal.aborted) throw new Fault("request_timeout", "the peer was not reached in time");
      await sleep(clock, LOOK_MS, signal);
    }
  }
}
