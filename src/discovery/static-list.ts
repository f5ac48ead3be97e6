// Peers from the settings: all seen at start, gone only when the list becomes another. Names are resolved by whoever
// dials, each time.
import { type HostPort, identityKey, type PeerAddress, type PeerEvent } from "../identity/peer.ts";
import type { PeerSource } from "./peer-source.ts";

export class StaticList implements PeerSource {
  readonly name = "static";
  readonly trouble = undefined;
  #peers: ReadonlyMap<string, PeerAddress>;
  #emit: ((event: PeerEvent) => void) | undefined;

  /** A peer that is listed twice is one peer with both addresses. */
  constructor(peers: readonly PeerAddress[]) {
    this.#peers = mergePeers(peers);
  }

  start(emit: (event: PeerEvent) => void): Promise<void> {
    this.#emit = emit;
    for (const peer of this.#peers.values()) emit({ kind: "seen", peer });
    return Promise.resolve();
  }

  /** Tells only of what is another list's: peers that are new or have other addresses, and those that are gone. */
  replace(peers: readonly PeerAddress[]): void {
    const before = this.#peers;
    this.#peers = mergePeers(peers);
    for (const [key, { identity }] of before) {
      if (!this.#peers.has(key)) this.#emit?.({ kind: "gone", identity });
    }
    for (const [key, peer] of this.#peers) {
      if (JSON.stringify(before.get(key)) !== JSON.stringify(peer)) {
        this.#emit?.({ kind: "seen", peer });
      }
    }
  }

  close(): Promise<void> {
    this.#emit = undefined;
    return Promise.resolve();
  }
}

function mergePeers(peers: readonly PeerAddress[]): ReadonlyMap<string, PeerAddress> {
  const byIdentity = new Map<string, PeerAddress>();
  for (const peer of peers) {
    const key = identityKey(peer.identity);
    const known = byIdentity.get(key);
    byIdentity.set(key, known === undefined ? peer : mergePeer(known, peer));
  }
  return byIdentity;
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
