// Peers from the settings: all seen at start, never gone. Names are resolved by whoever dials, each time.
import { type HostPort, identityKey, type PeerAddress, type PeerEvent } from "../identity/peer.ts";
import type { PeerSource } from "./peer-source.ts";

export class StaticList implements PeerSource {
  readonly name = "static";
  readonly trouble = undefined;
  readonly #peers: readonly PeerAddress[];

  /** A peer that is listed twice is one peer with both addresses. */
  constructor(peers: readonly PeerAddress[]) {
    this.#peers = mergePeers(peers);
  }

  start(emit: (event: PeerEvent) => void): Promise<void> {
    for (const peer of this.#peers) emit({ kind: "seen", peer });
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function mergePeers(peers: readonly PeerAddress[]): readonly PeerAddress[] {
  const byIdentity = new Map<string, PeerAddress>();
  for (const peer of peers) {
    const key = identityKey(peer.identity);
    const known = byIdentity.get(key);
    byIdentity.set(key, known === undefined ? peer : mergePeer(known, peer));
  }
  return [...byIdentity.values()];
}

function mergePeer(known: PeerAddress, again: PeerAddress): PeerAddress {
  const relayUrl = known.relayUrl ?? again.relayUrl;
  const hosts = [...known.hosts, ...again.hosts.filter((host) => !hasHost(known, host))];
  return {
    identity: known.identity,
    hosts,
    ...(relayUrl === undefined ? {} : { relayUrl }),
  };
}

function hasHost(peer: PeerAddress, { host, port }: HostPort): boolean {
  return peer.hosts.some((known) => known.host === host && known.port === port);
}
