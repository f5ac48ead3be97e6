// What the node tells of itself: readiness with reasons, and its peers, drawn from the services that know.
import type { Clock } from "./base/clock.ts";
import { compareText } from "./base/text.ts";
import type { NodeView, PeerNews, PeerView, ReadinessCheck } from "./broker/node-view.ts";
import type { PeerSource } from "./discovery/peer-source.ts";
import { type NodeName, parseNodeName, printHostPort } from "./identity/peer.ts";
import type { SoughtPeer } from "./net/dialer.ts";
import type { Store } from "./store/store.ts";
import type { Coordinator } from "./sync/coordinator.ts";
import type { GuestSession } from "./sync/guest-session.ts";
import type { Session } from "./sync/session.ts";

/**
 * An empty store is not served before it has caught up with a peer, unless none that was found answers for so long:
 * a rolling restart goes on as soon as this node is ready, and takes from the others what it has not got yet.
 */
const CATCH_UP_MS_MAX = 10_000;
/** How long peers that announce themselves may take until nobody means that there is none. */
const SEARCH_MS = 3_000;

/** What a node that follows a remote agent knows of it. */
export interface AgentView {
  readonly address: string;
  readonly kind: "waiting" | "answering" | "partly" | "away";
  readonly problem: string | undefined;
}

export interface StatusParts {
  readonly nodeName: NodeName;
  readonly version: string;
  readonly clock: Clock;
  readonly store: Store;
  readonly coordinator: Coordinator;
  /** When peers that are away were last connected. */
  readonly partings?: { of(name: NodeName): { readonly atMs: number } | undefined };
  /** Undefined where none is followed. */
  readonly agent?: (() => AgentView) | undefined;
}

export class NodeStatus implements NodeView {
  readonly nodeName: NodeName;
  readonly version: string;
  readonly startedAt: number;
  readonly #parts: StatusParts;
  readonly #wasEmpty: boolean;
  #sources: readonly PeerSource[] = [];
  /** When all sources had begun to work; undefined until then. */
  #searchingSince: number | undefined;
  #searchMs = 0;
  #isListening = false;

  constructor(parts: StatusParts) {
    this.#parts = parts;
    this.nodeName = parts.nodeName;
    this.version = parts.version;
    this.startedAt = parts.clock.monotonic();
    const { documents, tombstones } = parts.store.summary();
    this.#wasEmpty = documents + tombstones === 0;
  }

  /** What is asked from now on for why nobody is found. */
  watchDiscovery(sources: readonly PeerSource[]): void {
    this.#sources = sources;
  }

  /**
   * All sources work. `isSearching`: peers are not all known from a list, so nobody found yet does not mean nobody
   * there.
   */
  discoveryStarted(isSearching: boolean): void {
    this.#searchingSince = this.#parts.clock.monotonic();
    this.#searchMs = isSearching ? SEARCH_MS : 0;
  }

  listenersOpened(): void {
    this.#isListening = true;
  }

  /** What readiness waits for, and what an operator should know though it doesn't; nothing is all well. */
  readiness(): ReadinessCheck[] {
    const { coordinator } = this.#parts;
    const checks: ReadinessCheck[] = [];
    const wait = (name: string, message: string) => checks.push({ name, ready: false, message });
    if (!this.#isListening) wait("listeners", "not all listeners are open yet");
    checks.push(...this.#discoveryChecks());
    if (!this.#isCaughtUp()) wait("caught_up", "waiting for the documents of a first peer");
    for (const { message } of coordinator.collisions) {
      checks.push({ name: "duplicate_name", ready: true, message });
    }
    for (const [peer, count] of this.#parts.store.futureStamps) {
      const message = `the clock of ${peer} is minutes ahead of ours (${count} documents)`;
      checks.push({ name: "clock", ready: true, message });
    }
    for (const { name, differingCollections } of coordinator.sessions) {
      if (differingCollections.length === 0) continue;
      const message = `${name} keeps ${differingCollections.join(", ")} by other rules; set PEAT_SYNC_MODES, PEAT_DELETION_POLICIES and PEAT_TTL_PRESET alike`;
      checks.push({ name: "rules_differ", ready: true, message });
    }
    const orphans = this.#parts.store.contents.count("orphan");
    if (orphans > 0) {
      const message = `${orphans} documents that the formation no longer knows are set aside; see peat-sidecar orphans`;
      checks.push({ name: "orphans", ready: true, message });
    }
    const [first, ...more] = coordinator.stuck();
    if (first !== undefined) {
      const others = more.length === 0 ? "" : `, and ${more.length} more documents`;
      const message = `${first[0]} is not the same on all peers: ${first[1]}${others}`;
      checks.push({ name: "stuck_documents", ready: true, message });
    }
    const agent = this.#parts.agent?.();
    if (agent?.kind === "away" || agent?.kind === "partly") {
      const what = agent.kind === "away" ? "does not answer" : "answers some calls only";
      const message = `the remote agent at ${agent.address} ${what}: ${agent.problem}`;
      checks.push({ name: "agent", ready: true, message });
    }
    return checks;
  }

  /** One line for who looks at the service. */
  summary(): string {
    const { coordinator, store } = this.#parts;
    const connected = coordinator.sessions.length + coordinator.guests.length;
    return `${connected} of ${this.peers().length} peers connected, ${store.summary().documents} documents`;
  }

  /** A source that worked once and can't now is told of only: the peers that it found are still there. */
  #discoveryChecks(): ReadinessCheck[] {
    const hasStarted = this.#searchingSince !== undefined;
    const checks = this.#sources.flatMap(({ name, trouble }): ReadinessCheck[] =>
      trouble === undefined
        ? []
        : [{ name: "discovery", ready: hasStarted, message: `${name}: ${trouble}` }],
    );
    if (hasStarted || checks.length > 0) return checks;
    return [{ name: "discovery", ready: false, message: "discovery has not started yet" }];
  }

  #isCaughtUp(): boolean {
    const { coordinator, clock } = this.#parts;
    if (!this.#wasEmpty || coordinator.hasAgreed) return true;
    if (this.#searchingSince === undefined) return false;
    const searchedMs = clock.monotonic() - this.#searchingSince;
    if (searchedMs > CATCH_UP_MS_MAX) return !coordinator.isCatchingUp;
    return searchedMs >= this.#searchMs && coordinator.sought().length === 0;
  }

  peers(): PeerView[] {
    const { coordinator } = this.#parts;
    const guests = coordinator.guests.map(guestView);
    const connected = [...coordinator.sessions.map(nativeView), ...guests];
    const ids = new Set<string | null>(connected.map((view) => view.endpointId));
    const sought = coordinator
      .sought()
      .filter((peer) => !peer.ids.some((id) => ids.has(id)))
      .map((peer) => soughtView(peer, this.#parts.partings));
    return [...connected, ...sought].sort((a, b) => compareText(a.id, b.id));
  }

  starts(): ReadonlyMap<string, NodeName> {
    const { coordinator, store, nodeName } = this.#parts;
    const sessions = coordinator.sessions.map(
      ({ name, member }) => [member.hello.start, name] as const,
    );
    return new Map([[store.start, nodeName], ...sessions]);
  }

  onPeerEvent(listener: (news: PeerNews) => void): () => void {
    return this.#parts.coordinator.onPeer(listener);
  }
}

/** What is told alike of every connected peer. */
function connectedView({ name, link, statistics }: Session | GuestSession) {
  const path = link.path();
  const traffic = link.traffic();
  return {
    id: name,
    connected: true,
    state: "connected",
    rttMs: path.rttMs ?? null,
    endpointId: link.remoteId,
    path: path.kind,
    address: path.address ?? null,
    connectedAtMs: statistics.connectedAtMs,
    lastSeenMs: statistics.lastSeenMs,
    sentBytes: traffic?.sentBytes ?? statistics.sentBytes,
    receivedBytes: traffic?.receivedBytes ?? statistics.receivedBytes,
    lastFailure: null,
  };
}

function nativeView(session: Session): PeerView {
  return {
    ...connectedView(session),
    dialect: "native",
    queued: session.queueDepth,
    lagMs: session.lagMs,
    inSync: session.isAgreed,
    neighbours: [...session.carrier.neighbours],
    version: session.member.hello.version,
    secretTag: session.member.tag,
  };
}

function guestView(guest: GuestSession): PeerView {
  return {
    ...connectedView(guest),
    dialect: "guest",
    queued: guest.queueDepth,
    lagMs: null,
    inSync: guest.isLevel,
    neighbours: null,
    version: null,
    secretTag: guest.peer.tag ?? null,
  };
}

function soughtView(peer: SoughtPeer, partings: StatusParts["partings"]): PeerView {
  const { identity } = peer;
  const [host] = peer.hosts;
  // An endpoint id is a possible name too: 64 hex digits.
  const name = identity.kind === "name" ? identity.name : parseNodeName(identity.id);
  return {
    id: name,
    connected: false,
    state: "connecting",
    rttMs: null,
    endpointId: peer.ids[0] ?? null,
    dialect: null,
    path: null,
    address: host === undefined ? null : printHostPort(host),
    connectedAtMs: null,
    lastSeenMs: partings?.of(name)?.atMs ?? null,
    queued: 0,
    lagMs: null,
    inSync: false,
    neighbours: null,
    version: null,
    secretTag: null,
    sentBytes: 0,
    receivedBytes: 0,
    lastFailure: peer.lastFailure ?? null,
  };
}
