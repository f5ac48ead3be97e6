// What is known of every peer at one moment: from its session, its answer to an inquiry, or the attempts to reach it.
import type { Clock } from "../base/clock.ts";
import { compareText } from "../base/text.ts";
import { parseNodeName, printHostPort } from "../identity/peer.ts";
import type { SoughtPeer } from "../net/dialer.ts";
import { type Obstacle, obstacleOfReason } from "../net/obstacle.ts";
import { type DocumentKey, splitKey } from "../store/document-key.ts";
import type { Coordinator } from "../sync/coordinator.ts";
import type { GuestSession } from "../sync/guest-session.ts";
import type { Waits } from "../sync/inquiries.ts";
import type { Session } from "../sync/session.ts";
import type { Report } from "../wire/inquiry.ts";
import type { Partings } from "./partings.ts";

/** A peer of the native dialect that is connected. */
export interface NativeFacts {
  readonly kind: "native";
  readonly name: string;
  readonly version: string;
  readonly secretTag: string;
  readonly lastSeenMs: number;
  readonly rttMs: number | undefined;
  readonly lagMs: number;
  readonly inSync: boolean;
  /** Documents that wait here for it. */
  readonly queued: number;
  readonly way: Waits | undefined;
  /** Why the document can't be joined here, or sent there. */
  readonly stuck: string | undefined;
  /** Collections that both keep by different rules. */
  readonly differing: readonly string[];
  /** Whether the document's collection is one of them. */
  readonly isRuledOtherwise: boolean;
  /** False: an older version, which can't be asked. */
  readonly isAnswered: boolean;
  readonly report: Report | undefined;
  /** How far its clock is ahead of ours, give or take half a round trip. */
  readonly clockAheadMs: number | undefined;
}

/** An older node. */
export interface GuestFacts {
  readonly kind: "guest";
  readonly name: string;
  readonly lastSeenMs: number;
  readonly rttMs: number | undefined;
  readonly queued: number;
  /** It has all that it is to have. */
  readonly isLevel: boolean;
  readonly stuck: string | undefined;
}

export interface AwayFacts {
  readonly kind: "away";
  readonly name: string;
  /** Whether a source of discovery names it; else it was connected once. */
  readonly isSought: boolean;
  readonly sources: readonly string[];
  readonly hosts: readonly string[];
  readonly attempts: number;
  readonly obstacle: Obstacle;
  readonly lastFailure: string | undefined;
  /** When it was last connected, in this start, and how that ended. */
  readonly parting: { readonly atMs: number; readonly reason: string } | undefined;
}

export type PeerFacts = NativeFacts | GuestFacts | AwayFacts;

export interface FactSources {
  readonly coordinator: Pick<Coordinator, "sessions" | "guests" | "sought">;
  readonly clock: Clock;
  readonly partings: Partings;
}

/** Whoever parted longer ago and is not looked for is no peer any more. */
const PARTED_MS_MAX = 60 * 60_000;

/** In the order of their names. `key` empty: nothing is asked of a document. */
export async function lookAtPeers(
  sources: FactSources,
  key: DocumentKey | "",
  withinMs: number,
): Promise<PeerFacts[]> {
  const { sessions, guests } = sources.coordinator;
  const natives = await Promise.all(
    sessions.map((session) => lookAtSession(session, sources.clock, { key, withinMs })),
  );
  const looks = [
    ...natives,
    ...guests.map((guest) => lookAtGuest(guest, key)),
    ...awayPeers(sources),
  ];
  return looks.sort((a, b) => compareText(a.name, b.name));
}

async function lookAtSession(
  session: Session,
  clock: Clock,
  { key, withinMs }: { key: DocumentKey | ""; withinMs: number },
): Promise<NativeFacts> {
  const askedAt = clock.monotonic();
  const report = await session.inquiries.ask(key, withinMs);
  const tookMs = clock.monotonic() - askedAt;
  const { member, statistics, differingCollections } = session;
  return {
    kind: "native",
    name: session.name,
    version: member.hello.version,
    secretTag: member.tag,
    lastSeenMs: statistics.lastSeenMs,
    rttMs: session.link.path().rttMs,
    lagMs: session.lagMs,
    inSync: session.isAgreed,
    queued: session.queueDepth,
    way: key === "" ? undefined : session.waits(key),
    stuck: session.stuck.get(key),
    differing: differingCollections,
    isRuledOtherwise: key !== "" && differingCollections.includes(splitKey(key).collection),
    isAnswered: session.inquiries.isAnswered,
    report,
    clockAheadMs: report === undefined ? undefined : report.now - (clock.now() - tookMs / 2),
  };
}

function lookAtGuest(guest: GuestSession, key: DocumentKey | ""): GuestFacts {
  const { name, link, statistics } = guest;
  return {
    kind: "guest",
    name,
    lastSeenMs: statistics.lastSeenMs,
    rttMs: link.path().rttMs,
    queued: guest.queueDepth,
    isLevel: guest.isLevel,
    stuck: guest.refused.get(key),
  };
}

function awayPeers({ coordinator, clock, partings }: FactSources): AwayFacts[] {
  const { sessions, guests } = coordinator;
  const connected = [...sessions, ...guests];
  const ids = new Set<string>(connected.map(({ link }) => link.remoteId));
  const sought = coordinator.sought().filter((peer) => !peer.ids.some((id) => ids.has(id)));
  const away = sought.map((peer) => soughtFacts(peer, partings));
  const names = new Set([...connected, ...away].map(({ name }) => String(name)));
  const since = clock.now() - PARTED_MS_MAX;
  const gone = partings.all.filter(({ name, atMs }) => !names.has(name) && atMs > since);
  return [
    ...away,
    ...gone.map(
      (parting): AwayFacts => ({
        kind: "away",
        name: parting.name,
        isSought: false,
        sources: [],
        hosts: [],
        attempts: 0,
        obstacle: obstacleOfReason(parting.reason) ?? "unreached",
        lastFailure: undefined,
        parting,
      }),
    ),
  ];
}

function soughtFacts(peer: SoughtPeer, partings: Partings): AwayFacts {
  const { identity, hosts, sources, attempts, lastFailure } = peer;
  const name = identity.kind === "name" ? identity.name : parseNodeName(identity.id);
  const parting = partings.of(name);
  const byParting = parting === undefined ? undefined : obstacleOfReason(parting.reason);
  return {
    kind: "away",
    name,
    isSought: true,
    sources,
    hosts: hosts.map(printHostPort),
    attempts,
    obstacle: peer.obstacle ?? byParting ?? "unreached",
    lastFailure,
    parting,
  };
}
