import { describe, expect, test } from "bun:test";
import { type Peer, parsePeers } from "../../../../src/dashboard/page/answers.ts";
import { layRing, PLACES_MAX } from "../../../../src/dashboard/page/ring.ts";

const SIZE = { width: 760, height: 430 };

function peers(...given: readonly object[]): readonly Peer[] {
  return parsePeers({ peers: given });
}

describe("the ring", () => {
  test("shows so many peers, those with trouble before others, and tells how many are left", () => {
    const many = Array.from({ length: 200 }, (_, i) => ({
      id: `p${String(i).padStart(3, "0")}`,
      connected: i !== 199,
      in_sync: i !== 198,
    }));
    const ring = layRing(peers(...many), SIZE);
    const names = ring.places.map(({ peer }) => peer.name);
    expect(names).toHaveLength(PLACES_MAX);
    expect(names).toEqual(names.toSorted((a, b) => (a < b ? -1 : 1)));
    expect(names).toContain("p198");
    expect(names).toContain("p199");
    expect(ring.left).toBe(200 - PLACES_MAX);
  });

  test("keeps every mark inside the picture, apart from the others and from the center", () => {
    for (const count of [1, 2, 3, 7, PLACES_MAX]) {
      const ring = layRing(
        peers(...Array.from({ length: count }, (_, i) => ({ id: `p${i}` }))),
        SIZE,
      );
      const spots = [ring.center, ...ring.places];
      for (const [i, a] of spots.entries()) {
        expect(a.x).toBeWithin(0, SIZE.width);
        expect(a.y).toBeWithin(0, SIZE.height);
        for (const b of spots.slice(i + 1)) {
          expect(Math.hypot(a.x - b.x, a.y - b.y)).toBeGreaterThan(20);
        }
      }
    }
  });

  test("draws a connection of two peers once, also when only one of them tells of it", () => {
    const ring = layRing(
      peers(
        { id: "a", neighbours: ["b", "self", "unknown"] },
        { id: "b", neighbours: ["a", "c"] },
        { id: "c" },
      ),
      SIZE,
    );
    expect(ring.chords.map(({ from, to }) => `${from.peer.name}-${to.peer.name}`)).toEqual([
      "a-b",
      "b-c",
    ]);
  });
});

test("what a node does not tell, or tells in another shape, is less and not wrong", () => {
  expect(parsePeers(undefined)).toEqual([]);
  expect(parsePeers({ peers: "none" })).toEqual([]);
  const [peer] = peers({ id: 7, rtt_ms: "fast", neighbours: [1, "b"], connected: "yes" });
  expect(peer).toMatchObject({ name: "", isConnected: false, neighbours: ["b"] });
  expect(peer?.rttMs).toBeUndefined();
});
