// Peers that discovery has seen, and the attempts to reach them: one entry per peer, dialled for ever while it
// is known and not connected.
import { backoffMs } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { getLog } from "../base/log.ts";
import type { Formation } from "../identity/formation.ts";
import {
  type EndpointId,
  type HostPort,
  identityKey,
  type NodeName,
  type PeerAddress,
  type PeerEvent,
  type PeerIdentity,
  printHostPort,
  shortId,
} from "../identity/peer.ts";
import { ALPN_GUEST, ALPN_NATIVE } from "../wire/hello.ts";
import { type DialOutcome, firstReached } from "./dial-outcome.ts";
import { allHosts, hostsToDial, isAtHome } from "./home.ts";
import { DialError, type Link, type Network } from "./link.ts";
import { CLOSE } from "./membership.ts";
import type { NameCollisions } from "./name-collisions.ts";
import { type DialTrouble, type Obstacle, troubleOf } from "./obstacle.ts";
import { resolveAll } from "./resolve.ts";

const log = getLog("peat_mesh::peer_connector");

/** A dial is given up by the transport after 30 s; a new one beside it is begun after this. */
const ATTEMPT_MS = 3_000;
/** So many at a time: after a parting all of them would be answered at once, each with a handshake for nothing. */
const UNDER_WAY_MAX = 3;
const IDS_MAX = 4;
/** The id that worked last is tried first; for a wrong one the peer would log a refusal. */
const NEXT_ID_MS = 600;
/** A connection that ends sooner was no success: its peer turned it away, and would do so again. */
const SETTLED_MS = 5_000;
/** A peer without our protocol is a guest for so long; then our own is tried again. */
const NO_PROTOCOL_MS = 60 * 60 * 1000;
const PEERS_MAX = 4096;

export interface DialerContext {
  readonly network: Pick<Network, "id" | "hasRelay" | "boundAddresses" | "dial">;
  readonly formation: Formation;
  readonly clock: Clock;
  readonly random: () => number;
  readonly ownName: NodeName;
  /** Takes a link to a peer that has been reached; resolves when it is admitted or not needed, rejects when refused. */
  readonly reached: (link: Link) => Promise<void>;
  /** Whether a peer is connected at the moment, by whichever link. */
  readonly isConnected: (peer: PeerKey) => boolean;
  /** Resolves when a connected peer no longer is. */
  readonly disconnected: (peer: PeerKey) => Promise<void>;
  /** Ms until a guest may be dialled; 0: now. */
  readonly guestWaitMs: (peer: PeerKey) => number;
  /** A peer has other addresses than before: a connection to it may be dead. */
  readonly moved: (peer: PeerKey) => void;
  readonly collisions: NameCollisions;
}

/** A peer as those know it who ask about its connection. */
interface PeerKey {
  readonly name: NodeName | undefined;
  readonly ids: readonly EndpointId[];
}

/** What is known of a peer that is looked for. */
export interface SoughtPeer {
  readonly identity: PeerIdentity;
  readonly ids: readonly EndpointId[];
  readonly hosts: readonly HostPort[];
  readonly relayUrl: string | undefined;
  readonly sources: readonly string[];
  readonly attempts: number;
  readonly lastFailure: string | undefined;
  /** What the last attempt failed for; undefined: there was none. */
  readonly obstacle: Obstacle | undefined;
}

interface Entry {
  readonly identity: PeerIdentity;
  readonly bySource: Map<string, PeerAddress>;
  readonly abort: AbortController;
  ids: readonly EndpointId[];
  failures: number;
  /** Connections one after the other that ended at once. */
  shortLived: number;
  failure: DialTrouble | undefined;
  /** It speaks only the older protocol until then, of Clock.monotonic(). */
  guestUntil: number;
  /** Attempts that the transport has not given up yet. */
  underWay: number;
  /** Ends a wait: something new is known. */
  wake: () => void;
}

export class Dialer {
  readonly #context: DialerContext;
  readonly #entries = new Map<string, Entry>();
  readonly #loops = new Set<Promise<void>>();
  #isClosed = false;

  constructor(context: DialerContext) {
    this.#context = context;
  }

  sought(): SoughtPeer[] {
    return [...this.#entries.values()].map((entry) => ({
      identity: entry.identity,
      ids: entry.ids,
      hosts: allHosts(entry.bySource),
      relayUrl: relayOf(entry),
      sources: [...entry.bySource.keys()],
      attempts: entry.failures,
      lastFailure: entry.failure?.text,
      obstacle: entry.failure?.obstacle,
    }));
  }

  /** Takes what a discovery source says. */
  handle(source: string, event: PeerEvent): void {
    if (this.#isClosed) return;
    if (event.kind === "gone") this.#gone(source, event.identity);
    else this.#seen(source, event.peer);
  }

  /** Whether a link is to where Kubernetes has the pod of this name. */
  isAtHome(name: NodeName, link: Link): boolean {
    const told = this.#entries.get(identityKey({ kind: "name", name }))?.bySource;
    return told !== undefined && isAtHome(told, link.path().address);
  }

  /** The network is another one: what was in vain may not be any more. */
  hurry(): void {
    for (const entry of this.#entries.values()) this.#hurry(entry);
  }

  #hurry(entry: Entry): void {
    entry.failures = 0;
    entry.underWay = 0;
    entry.wake();
  }

  /** Dials a peer, if it is one that is looked for, beside the connection that it has. */
  dialBeside({ name, ids }: PeerKey): void {
    const isMeant = (entry: Entry) =>
      keyOf(entry).name === name || entry.ids.some((id) => ids.includes(id));
    const entry = [...this.#entries.values()].find(isMeant);
    if (entry === undefined || this.#isClosed) return;
    const dial = this.#tryAll(entry, ALPN_NATIVE, { isBeside: true }).then(() => undefined);
    this.#loops.add(dial);
    void dial.finally(() => this.#loops.delete(dial));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const entry of this.#entries.values()) entry.abort.abort();
    this.#entries.clear();
    await Promise.all(this.#loops);
  }

  #seen(source: string, peer: PeerAddress): void {
    const key = identityKey(peer.identity);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      const before = known.bySource.get(source);
      known.bySource.set(source, peer);
      if (JSON.stringify(before) === JSON.stringify(peer)) return;
      log.debug("Peer addresses updated in Iroh", { peer: nameOf(peer.identity) });
      this.#hurry(known);
      this.#context.moved(keyOf(known));
      this.#compare(known);
      return;
    }
    if (this.#isOwn(source, peer) || this.#entries.size >= PEERS_MAX) return;
    const entry: Entry = {
      identity: peer.identity,
      bySource: new Map([[source, peer]]),
      abort: new AbortController(),
      ids: this.#idsOf(peer.identity),
      failures: 0,
      shortLived: 0,
      failure: undefined,
      underWay: 0,
      guestUntil: 0,
      wake: () => undefined,
    };
    this.#entries.set(key, entry);
    const loop = this.#dialForever(entry).finally(() => this.#loops.delete(loop));
    this.#loops.add(loop);
  }

  #idsOf(identity: PeerIdentity): readonly EndpointId[] {
    if (identity.kind === "id") return [identity.id];
    return this.#context.formation.endpointIds(identity.name).map(({ id }) => id);
  }

  #isOwn(source: string, { identity, hosts }: PeerAddress): boolean {
    const { network, ownName, collisions } = this.#context;
    const isOwn = this.#idsOf(identity).includes(network.id);
    if (!isOwn) return false;
    const addresses = hosts.map(printHostPort);
    if (source === "static") collisions.own(ownName, addresses, [...network.boundAddresses]);
    else log.debug("Skipping self in peer discovery", { addresses });
    return true;
  }

  #compare({ identity, bySource, abort }: Entry): void {
    if (identity.kind !== "name" || bySource.size < 2) return;
    const comparing = this.#context.collisions.compare(identity.name, bySource, abort.signal);
    this.#loops.add(comparing);
    void comparing.finally(() => this.#loops.delete(comparing));
  }

  #gone(source: string, identity: PeerIdentity): void {
    const key = identityKey(identity);
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.bySource.delete(source);
    if (entry.bySource.size > 0) return;
    this.#entries.delete(key);
    entry.abort.abort();
    log.info("Peer removed from Iroh", { peer: nameOf(identity) });
  }

  async #dialForever(entry: Entry): Promise<void> {
    const { signal } = entry.abort;
    const { clock, random, isConnected, disconnected } = this.#context;
    const peer = keyOf(entry);
    while (!signal.aborted) {
      if (!isConnected(peer)) {
        const waitMs = await this.#attempt(entry, peer);
        if (waitMs > 0) await this.#wait(entry, waitMs);
        if (waitMs > 0 || isConnected(peer)) continue;
      }
      const since = clock.monotonic();
      entry.failures = 0;
      entry.failure = undefined;
      await this.#whileConnected(entry, disconnected(peer));
      if (signal.aborted) return;
      entry.shortLived = clock.monotonic() - since < SETTLED_MS ? entry.shortLived + 1 : 0;
      // Both ends notice; whoever is quicker dials, the other mostly finds the link there again.
      await this.#wait(entry, backoffMs(entry.shortLived, random()));
    }
  }

  /** A guest may have learned our protocol meanwhile: it is tried now and then beside its connection. */
  async #whileConnected(entry: Entry, disconnected: Promise<void>): Promise<void> {
    const { signal } = entry.abort;
    const { clock } = this.#context;
    const over = new AbortController();
    const end = Promise.race([disconnected, aborted(signal)]).then(() => over.abort());
    while (entry.guestUntil > 0 && !over.signal.aborted) {
      await sleep(clock, Math.max(0, entry.guestUntil - clock.monotonic()), over.signal);
      if (over.signal.aborted) break;
      const outcome = await this.#tryAll(entry, ALPN_NATIVE, { isBeside: true });
      if (outcome === "reached") entry.guestUntil = 0;
      else entry.guestUntil = clock.monotonic() + NO_PROTOCOL_MS;
    }
    await end;
  }

  /** One attempt at every id and address side by side; returns how long to wait before the next. */
  async #attempt(entry: Entry, peer: PeerKey): Promise<number> {
    const { clock, random, guestWaitMs } = this.#context;
    const isGuest = clock.monotonic() < entry.guestUntil;
    const guestMs = isGuest ? guestWaitMs(peer) : 0;
    if (guestMs > 0) return guestMs;
    const outcome = await this.#tryAll(entry, isGuest ? ALPN_GUEST : ALPN_NATIVE);
    if (outcome === "reached") return 0;
    if (outcome === "no protocol" && !isGuest) {
      entry.guestUntil = clock.monotonic() + NO_PROTOCOL_MS;
      log.info("Peer speaks only the older protocol", { peer: nameOf(entry.identity) });
      return 1;
    }
    if (outcome === "no protocol") entry.guestUntil = 0;
    entry.failures += 1;
    this.#tell(entry);
    return backoffMs(entry.failures, random());
  }

  async #tryAll(
    entry: Entry,
    alpn: string,
    options: { isBeside?: boolean } = {},
  ): Promise<DialOutcome> {
    let isOlder = false;
    if (entry.underWay >= UNDER_WAY_MAX) {
      await sleep(this.#context.clock, ATTEMPT_MS, entry.abort.signal);
      return "failed";
    }
    entry.underWay += 1;
    const dials: Promise<DialOutcome>[] = [];
    for (const id of entry.ids.slice(0, IDS_MAX)) {
      const turn = this.#turnAfter(dials.at(-1), entry.abort.signal);
      const dial = turn.then(
        async (isOver) => isOver ?? (await this.#dial(entry, { id, alpn, ...options })),
      );
      dials.push(dial);
      void dial.then((outcome) => {
        isOlder ||= outcome === "no protocol";
      });
    }
    void Promise.all(dials).then(() => {
      entry.underWay = Math.max(0, entry.underWay - 1);
    });
    const outcome = await Promise.race([
      firstReached(dials),
      sleep(this.#context.clock, ATTEMPT_MS, entry.abort.signal).then(() => "late" as const),
    ]);
    if (outcome !== "late") return outcome;
    // Of the ids that a name can have, only one has an answer.
    if (isOlder) return "no protocol";
    const text = `no answer within ${ATTEMPT_MS / 1000} s`;
    entry.failure ??= { obstacle: "unreached", text };
    return "failed";
  }

  /** When the next id is to be tried; resolves with the outcome of the one before if that is enough. */
  async #turnAfter(
    before: Promise<DialOutcome> | undefined,
    signal: AbortSignal,
  ): Promise<DialOutcome | undefined> {
    if (before === undefined) return undefined;
    const outcome = await Promise.race([before, sleep(this.#context.clock, NEXT_ID_MS, signal)]);
    return outcome === "reached" || outcome === "no protocol" ? outcome : undefined;
  }

  #tell(entry: Entry): void {
    // The first failure and then each doubling: a peer that is away for days is not a line each half minute.
    if ((entry.failures & (entry.failures - 1)) !== 0) return;
    log.debug("Peer not reached; dialling goes on", {
      peer: nameOf(entry.identity),
      attempts: entry.failures,
      cause: entry.failure?.text ?? "",
    });
  }

  async #dial(
    entry: Entry,
    { id, alpn, isBeside = false }: { id: EndpointId; alpn: string; isBeside?: boolean },
  ): Promise<DialOutcome> {
    try {
      const addresses = await resolveAll(hostsToDial(entry.bySource, entry.failures));
      if (addresses.length === 0 && !this.#context.network.hasRelay) {
        throw new DialError("no address of it can be resolved, and no relay is set", "unresolved");
      }
      const relayUrl = relayOf(entry);
      const target = { id, addresses, ...(relayUrl === undefined ? {} : { relayUrl }) };
      const link = await this.#context.network.dial(target, alpn);
      // On a slow path an attempt is begun beside one that is still answered: the later link is one too many.
      const isNeeded = isBeside || !this.#context.isConnected(keyOf(entry));
      if (entry.abort.signal.aborted || !isNeeded) link.close(CLOSE.superseded.code, "");
      else await this.#context.reached(link);
      entry.ids = [id, ...entry.ids.filter((other) => other !== id)];
      return "reached";
    } catch (error) {
      entry.failure = troubleOf(error);
      if (error instanceof DialError && error.kind === "no protocol") return "no protocol";
      return "failed";
    }
  }

  async #wait(entry: Entry, delayMs: number): Promise<void> {
    if (entry.abort.signal.aborted) return;
    const woken = new Promise<void>((resolve) => {
      entry.wake = resolve;
    });
    const over = new AbortController();
    const stop = () => over.abort();
    entry.abort.signal.addEventListener("abort", stop, { once: true });
    await Promise.race([woken, sleep(this.#context.clock, delayMs, over.signal)]);
    entry.abort.signal.removeEventListener("abort", stop);
    over.abort();
  }
}

function keyOf({ identity, ids }: Entry): PeerKey {
  return { name: identity.kind === "name" ? identity.name : undefined, ids };
}

function relayOf({ bySource }: Entry): string | undefined {
  return [...bySource.values()].find(({ relayUrl }) => relayUrl !== undefined)?.relayUrl;
}

function nameOf(identity: PeerIdentity): string {
  return identity.kind === "name" ? identity.name : shortId(identity.id);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true }),
  );
}
