// Older nodes as guests of ours: what they write and what we write, both ways, over virtual time.
import { describe, expect, test } from "bun:test";
import type { GuestEmulator } from "../support/guest/guest-emulator.ts";
import { type FormationNode, GuestFormation } from "../support/guest-formation.ts";

/** The documents of both, in one text each; floats that are whole look alike in the guest's broker. */
function same(node: FormationNode, guest: GuestEmulator, key: string): boolean {
  const text = node.read(key);
  const ours = text === undefined ? undefined : JSON.stringify(JSON.parse(text));
  const theirs = guest.json(key);
  return ours === (theirs === undefined ? undefined : sorted(theirs));
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

describe("a guest and one node", () => {
  test("have each other's documents, with history and without", async () => {
    await using world = new GuestFormation();
    const guest = await world.guest("old-1");
    guest.write("notes:1", { from: "guest" });
    guest.write("tracks:1", { from: "guest", lat: 1.5 });
    guest.write("track_history:1", { from: "guest" });
    const node = await world.node("new-1");
    await node.put("notes:2", { from: "node", n: 5, list: [1, "two", { three: 3 }] });
    await node.put("tracks:2", { from: "node", lat: 2.5 });
    await node.put("track_history:2", { from: "node" });
    const keys = [
      "notes:1",
      "notes:2",
      "tracks:1",
      "tracks:2",
      "track_history:1",
      "track_history:2",
    ];
    await world.until("both have all", () =>
      keys.every((key) => node.read(key) !== undefined && guest.json(key) !== undefined),
    );
    expect(node.read("notes:1")).toBe('{"from":"guest"}');
    expect(node.read("tracks:1")).toBe('{"from":"guest","lat":1.5}');
    expect(guest.json("notes:2")).toEqual({ from: "node", n: 5, list: [1, "two", { three: 3 }] });
    expect(guest.json("tracks:2")).toEqual({ from: "node", lat: 2.5 });
    expect(guest.json("track_history:2")).toEqual({ from: "node" });
    expect(world.bugs).toEqual([]);
  });

  test("hear of each other's changes: pushed by us at once, polled by it within 5 s", async () => {
    await using world = new GuestFormation();
    const guest = await world.guest("old-1");
    const node = await world.node("new-1");
    for (const key of ["notes:1", "tracks:1"]) await node.put(key, { n: 0, gone: true });
    await world.until(
      "the guest has them",
      () => same(node, guest, "notes:1") && same(node, guest, "tracks:1"),
    );
    await world.seconds(10);
    for (const key of ["notes:1", "tracks:1"]) {
      await node.patch(key, { n: 1, gone: null, text: "scalar" });
      expect(await world.until(key, () => same(node, guest, key))).toBeLessThan(1_000);
      expect(guest.json(key)).toEqual({ n: 1, text: "scalar" });
      guest.write(key, { n: 2, text: "scalar", mine: [1.5] });
      expect(await world.until(key, () => same(node, guest, key))).toBeLessThan(6_000);
      expect(node.read(key)).toBe('{"mine":[1.5],"n":2,"text":"scalar"}');
    }
    expect(world.bugs).toEqual([]);
  });

  test("serve a guest's documents with a lifetime from when they came, and again when they are rewritten", async () => {
    await using world = new GuestFormation();
    const guest = await world.guest("old-1");
    const node = await world.node("new-1");
    // 10 minutes each; the one is kept without history, the other with it.
    const keys = ["beacons:1", "node_positions:1"];
    for (const key of keys) guest.write(key, { n: 1 });
    await world.until("the node has them", () => keys.every((key) => same(node, guest, key)));
    await world.seconds(300);
    for (const key of keys) guest.write(key, { n: 2 });
    await world.until("the node has them", () => keys.every((key) => same(node, guest, key)));
    await world.seconds(500);
    expect(keys.map((key) => node.read(key))).toEqual(['{"n":2}', '{"n":2}']);
    await world.seconds(120);
    expect(keys.map((key) => node.read(key))).toEqual([undefined, undefined]);
    // The guest goes on saying what it said, also to a node that has restarted.
    await world.seconds(1500);
    await node.stop();
    node.restart();
    await world.seconds(90);
    expect(keys.map((key) => node.read(key))).toEqual([undefined, undefined]);
    for (const key of keys) guest.write(key, { n: 3 });
    await world.until("the node has them", () => keys.every((key) => same(node, guest, key)));
    expect(guest.breakerOf(node.id)).toBe("closed");
    expect(world.bugs).toEqual([]);
  });

  test("delete for each other, and nothing comes back", async () => {
    await using world = new GuestFormation();
    const guest = await world.guest("old-1");
    const node = await world.node("new-1");
    const keys = ["notes:1", "tracks:1", "notes:2", "tracks:2"];
    for (const key of keys) await node.put(key, { n: 1 });
    await world.until("the guest has all", () => keys.every((key) => same(node, guest, key)));
    await node.remove("notes:1");
    await node.remove("tracks:1");
    for (const documentId of ["notes:2", "tracks:2"]) {
      const [collection = "", id = ""] = documentId.split(":");
      await guest.applyTombstone({
        collection,
        documentId: id,
        deletedAtMs: world.clock.now(),
        lamport: 4n,
        deletedBy: "old-1",
        reason: "done",
        direction: "bidirectional",
      });
    }
    await world.until("all are gone", () =>
      keys.every((key) => node.read(key) === undefined && guest.json(key) === undefined),
    );
    await world.seconds(120);
    expect(guest.keys()).toEqual([]);
    expect(node.store.summary()).toMatchObject({ documents: 0, tombstones: 4 });
    expect(guest.tombstones().map(({ lamport }) => lamport)).toEqual([1n, 4n, 1n, 4n]);
    expect(world.bugs).toEqual([]);
  });

  test("a document without history that is written anew shows at the guest again, and ends there again", async () => {
    await using world = new GuestFormation();
    const guest = await world.guest("old-1");
    const node = await world.node("new-1");
    await node.put("tracks:1", { life: 0 });
    await world.until("the first life", () => same(node, guest, "tracks:1"));
    await node.remove("tracks:1");
    await world.until("its end", () => guest.json("tracks:1") === undefined);
    await node.put("tracks:1", { life: 2 });
    await world.until("the second life", () => same(node, guest, "tracks:1"));
    await world.seconds(60);
    expect(node.read("tracks:1")).toBe('{"life":2}');
    await node.remove("tracks:1");
    await world.seconds(60);
    // It has a tombstone already and takes no other, so it is left with nothing in the document.
    expect(guest.json("tracks:1") ?? {}).toEqual({});
    expect(node.read("tracks:1")).toBeUndefined();
    expect(world.bugs).toEqual([]);
  });

  test("a history that the guest kept through a delete and a new life does not come back", async () => {
    await using world = new GuestFormation();
    const guest = await world.guest("old-1");
    const node = await world.node("new-1");
    await node.put("notes:1", { old: true });
    await world.until("the first life", () => same(node, guest, "notes:1"));
    await guest.kill();
    await world.seconds(40);
    await node.remove("notes:1");
    await node.put("notes:1", { new: true });
    await guest.restart("kept");
    await world.seconds(120);
    expect(node.read("notes:1")).toBe('{"new":true}');
    expect(guest.json("notes:1")).toBeUndefined();
    expect(guest.breakerOf(node.id)).toBe("closed");
    expect(world.bugs).toEqual([]);
  });
});

describe("the breaker", () => {
  test("stays closed though a document of the guest is refused", async () => {
    await using world = new GuestFormation();
    const guest = await world.guest("old-1");
    for (let n = 0; n < 8; n += 1) guest.write(`${n}${"x".repeat(2000)}:1`, { n });
    const node = await world.node("new-1");
    await world.seconds(600);
    expect(guest.breakerOf(node.id)).toBe("closed");
    expect(guest.counters.initiatesFailed).toBe(0);
    expect(node.store.summary().documents).toBe(0);
    expect(node.guestSession("old-1")?.refused.size).toBe(8);
  });
});

describe("connections", () => {
  test("a restarted node is heard again, though the guest drops the new connection for the old one's end", async () => {
    await using world = new GuestFormation();
    const guest = await world.guest("old-1");
    const node = await world.node("new-1");
    await node.put("notes:1", { n: 1 });
    await world.until("the guest has it", () => same(node, guest, "notes:1"));
    node.crash();
    await world.seconds(1);
    node.restart();
    await world.until("connected", () => node.guestSession("old-1") !== undefined);
    // The old connection is silent until it times out, and takes the new one's entry with it.
    await world.seconds(35);
    guest.write("notes:2", { n: 2 });
    await world.until("the node has it", () => same(node, guest, "notes:2"), 120);
    await world.seconds(300);
    guest.write("notes:3", { n: 3 });
    expect(await world.until("heard", () => same(node, guest, "notes:3"))).toBeLessThan(6_000);
    expect(guest.connected).toEqual([node.id]);
    expect(world.bugs).toEqual([]);
  });

  test("a stopped node comes back to a guest that has noticed, and there is one connection at a time", async () => {
    await using world = new GuestFormation();
    const guest = await world.guest("old-1");
    const node = await world.node("new-1");
    await node.put("tracks:1", { n: 1 });
    await world.until("the guest has it", () => same(node, guest, "tracks:1"));
    for (let round = 0; round < 3; round += 1) {
      await node.stop();
      guest.write("tracks:1", { round });
      await world.seconds(1);
      node.restart();
      await world.until("the node has it", () => same(node, guest, "tracks:1"), 30);
      const { linksAccepted, linksEnded } = guest.counters;
      expect(linksAccepted - linksEnded).toBe(1);
    }
    await world.seconds(60);
    expect(guest.counters.linksAccepted).toBe(4);
    expect(world.bugs).toEqual([]);
  });

  test("a guest that restarts, with its storage and without, has everything again", async () => {
    await using world = new GuestFormation();
    const guest = await world.guest("old-1");
    const node = await world.node("new-1");
    for (const key of ["notes:1", "tracks:1"]) await node.put(key, { n: 1 });
    const has = () => same(node, guest, "notes:1") && same(node, guest, "tracks:1");
    await world.until("the guest has them", has);
    for (const [turn, storage] of (["kept", "lost", guest.backup()] as const).entries()) {
      await guest.restart(storage);
      for (const key of ["notes:1", "tracks:1"]) await node.patch(key, { [`f${turn}`]: 1 });
      await world.until("the guest has them again", has, 120);
    }
    await world.seconds(60);
    expect(guest.breakerOf(node.id)).toBe("closed");
    expect(world.bugs).toEqual([]);
  });
});
