// What every PeerSource keeps, whatever it finds peers by.
import { describe, expect, test } from "bun:test";
import type { PeerSource } from "../../src/discovery/peer-source.ts";
import { identityKey, type PeerEvent } from "../../src/identity/peer.ts";

export interface PeerSourceWorld extends AsyncDisposable {
  readonly source: PeerSource;
  /** `identityKey` of the peers that the source can find. */
  readonly peers: readonly string[];
  /** Makes the peers announce themselves, if they are not found by themselves. */
  arrive?(): Promise<void>;
}

const DEADLINE_MS = 30_000;

function keyOf(event: PeerEvent): string {
  return identityKey(event.kind === "seen" ? event.peer.identity : event.identity);
}

/** Starts the source and resolves when every peer of its world has been seen. */
async function startAndFind(world: PeerSourceWorld): Promise<PeerEvent[]> {
  const events: PeerEvent[] = [];
  const missing = new Set(world.peers);
  const found = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => found.reject(new Error(`not found: ${[...missing].join(" ")}`)),
    DEADLINE_MS,
  );
  await world.source.start((event) => {
    events.push(event);
    if (event.kind === "seen") missing.delete(keyOf(event));
    if (missing.size === 0) found.resolve();
  });
  await world.arrive?.();
  if (missing.size === 0) found.resolve();
  await found.promise.finally(() => clearTimeout(timer));
  return events;
}

export function peerSourceContract(label: string, open: () => Promise<PeerSourceWorld>): void {
  describe(`the peer source ${label}`, () => {
    test("finds every peer, each with an address to dial", async () => {
      await using world = await open();
      const events = await startAndFind(world);
      for (const event of events) {
        if (event.kind !== "seen") continue;
        expect(world.peers).toContain(keyOf(event));
        expect(event.peer.hosts.length).toBeGreaterThan(0);
        for (const { host, port } of event.peer.hosts) {
          expect(host).not.toBe("");
          expect(port).toBeWithin(1, 65_536);
        }
      }
    });

    test("says nothing before it is started", async () => {
      await using world = await open();
      await world.arrive?.();
      expect(await startAndFind(world)).not.toEqual([]);
    });

    test("is quiet once it is closed, and may be closed again", async () => {
      await using world = await open();
      const events = await startAndFind(world);
      await world.source.close();
      const before = events.length;
      await world.arrive?.();
      await world.source.close();
      expect(events.length).toBe(before);
    });

    test("may be closed without ever having been started", async () => {
      await using world = await open();
      await world.source.close();
      expect(world.source.name).toMatch(/^[a-z]+$/);
    });

    test("closes without waiting for anybody's answer", async () => {
      await using world = await open();
      await startAndFind(world);
      const startMs = performance.now();
      await world.source.close();
      expect(performance.now() - startMs).toBeLessThan(10_000);
    });
  });
}
