// Documents that were not written for longer than their collection's lifetime: to the millisecond for readers, once
// for the feed, without a trace on disk in the end.
import { describe, expect, test } from "bun:test";
import { compareText } from "../../../src/base/text.ts";
import { CollectionPolicies, NO_CHOICES } from "../../../src/store/collection-policies.ts";
import { dueAt, horizonAt } from "../../../src/store/lifetimes.ts";
import { ROOT } from "../../../src/store/sums.ts";
import { AgingStore, HOUR_MS, MINUTE_MS, toldBy } from "../../support/aging-store.ts";
import { key } from "../../support/memory-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** Of beacons (without history) and of node_positions (with it), by the default preset. */
const TTL_MS = 600_000;
/** What a write takes here. */
const WRITE_MS = 1;

function world(count = 1, skewMs = 0) {
  const clock = new VirtualClock();
  const nodes = Array.from({ length: count }, () => new AgingStore({ clock, skewMs }));
  const [a = new AgingStore({ clock }), b = a] = nodes;
  const dispose = () => {
    for (const node of nodes) node[Symbol.dispose]();
  };
  return { clock, a, b, [Symbol.dispose]: dispose };
}

test("a horizon is a whole minute, and never ahead of the clock", () => {
  expect(horizonAt(1_800_000_059_999)).toBe(1_800_000_000_000);
  expect(horizonAt(1_800_000_060_000)).toBe(1_800_000_060_000);
  expect(horizonAt(-5)).toBe(0);
});

test("a moment beyond all numbers is still one", () => {
  const policies = new CollectionPolicies(NO_CHOICES);
  const due = dueAt(policies, {
    key: "beacons:1",
    isDeleted: false,
    newestAt: Number.MAX_SAFE_INTEGER,
  });
  expect(due).toBe(Number.MAX_SAFE_INTEGER);
});

test("an empty document that a PATCH begins has its lifetime, though no field of it has a time", async () => {
  using it = world();
  await it.a.patch("beacons:1", {});
  expect(it.a.read("beacons:1")).toBe("{}");
  await it.clock.advance(TTL_MS);
  expect(it.a.read("beacons:1")).toBeUndefined();
});

for (const [collection, lateMs] of [
  ["beacons", 0],
  // Automerge's times are whole seconds, taken to their end.
  ["node_positions", 999],
] as const) {
  const name = `${collection}:1`;

  describe(`a document of ${collection}`, () => {
    test("is served until its lifetime is over, to the millisecond, by every way of reading", async () => {
      using it = world();
      await it.a.put(name, { x: 1 });
      await it.clock.advance(TTL_MS + lateMs - WRITE_MS - 1);
      const seen = () => ({
        get: it.a.read(name) !== undefined,
        list: it.a.store.list(collection, { limit: 10 }).length,
        count: it.a.store.count(collection),
        collections: it.a.store.collections().length,
        documents: it.a.store.summary().documents,
      });
      expect(seen()).toEqual({ get: true, list: 1, count: 1, collections: 1, documents: 1 });
      // Nothing but time passes: whoever reads in this very moment sees it gone.
      const { now } = it.clock;
      it.clock.now = () => now.call(it.clock) + 1;
      expect(seen()).toEqual({ get: false, list: 0, count: 0, collections: 0, documents: 0 });
      it.clock.now = now;
      await it.clock.advance(2);
      expect(seen()).toEqual({ get: false, list: 0, count: 0, collections: 0, documents: 0 });
    });

    test("is told to be gone once, also by a node that was off at that moment", async () => {
      using it = world();
      await it.a.put(name, { x: 1 });
      const feed = it.a.store.subscribe({ capacity: 10 });
      await it.clock.advance(TTL_MS + 2000);
      expect(await toldBy(feed)).toEqual([`${name} null`]);
      await it.a.put(name, { x: 2 });
      const since = it.a.store.position();
      await it.a.off(TTL_MS + HOUR_MS);
      await it.clock.advance(1);
      const later = it.a.store.subscribe({ capacity: 10, since });
      const taken = await later.take();
      expect(later.lostSince).toBe(false);
      expect(taken).toMatchObject({ kind: "item", item: { document: { deleted: true } } });
      const again = it.a.store.subscribe({ capacity: 10 });
      it.a.restart();
      await it.clock.advance(HOUR_MS);
      expect(await toldBy(again)).toEqual([]);
      expect(it.a.store.position()).toBe(later.position);
    });

    test("lives on with each write, also with one that changes nothing", async () => {
      using it = world();
      await it.a.put(name, { x: 1, y: 2 });
      for (const write of [
        () => it.a.put(name, { x: 1, y: 2 }),
        () => it.a.patch(name, { x: 1 }),
        () => it.a.patch(name, { x: 3 }),
      ]) {
        await it.clock.advance(TTL_MS - MINUTE_MS);
        expect((await write()).outcome).toBe("changed");
      }
      await it.clock.advance(TTL_MS - MINUTE_MS);
      expect(it.a.read(name)).toBe('{"x":3,"y":2}');
    });

    test("is dropped ten minutes later, without a tombstone", async () => {
      using it = world();
      await it.a.put(name, { x: 1 });
      await it.clock.advance(TTL_MS + 9 * MINUTE_MS);
      expect(it.a.collect()).toEqual({ tombstones: 0, documents: 0 });
      await it.clock.advance(2 * MINUTE_MS);
      expect(it.a.collect()).toEqual({ tombstones: 0, documents: 1 });
      expect(it.a.store.summary()).toMatchObject({ documents: 0, tombstones: 0 });
      expect(it.a.store.stateFor(key(name))).toBeUndefined();
      expect(it.a.store.leaves(ROOT)).toEqual([]);
    });

    test("is not taken back from a peer while it is so old, and is once it was written again", async () => {
      using it = world(2);
      await it.a.put(name, { x: 1 });
      const old = it.a.sent(name);
      await it.clock.advance(TTL_MS + 2 * MINUTE_MS);
      const feed = it.b.store.subscribe({ capacity: 10 });
      expect(await it.b.take(old)).toBe("expired");
      expect(await toldBy(feed)).toEqual([]);
      expect(it.b.store.summary()).toMatchObject({ documents: 0, rootHash: `0-${"0".repeat(32)}` });
      await it.a.put(name, { x: 1 });
      expect(await it.b.take(it.a.sent(name))).toBe("equal");
      expect(it.b.read(name)).toBe('{"x":1}');
    });

    test("is taken, but not shown, as long as peers still count it in their sums", async () => {
      using it = world(2);
      // Between two whole minutes: it has its time after the one, and leaves the sums with the next.
      await it.clock.advance(30_000);
      await it.a.put(name, { x: 1 });
      await it.clock.advance(TTL_MS + 2_000);
      expect(it.a.read(name)).toBeUndefined();
      expect(it.a.store.sum(ROOT).count).toBe(1);
      const feed = it.b.store.subscribe({ capacity: 10 });
      expect(await it.b.take(it.a.sent(name))).toBe("equal");
      expect(await toldBy(feed)).toEqual([]);
      expect(it.b.read(name)).toBeUndefined();
      expect(it.b.store.summary()).toMatchObject({ documents: 0, tombstones: 0 });
      expect(it.b.store.sum(ROOT)).toEqual(it.a.store.sum(ROOT));
      await it.clock.advance(MINUTE_MS);
      expect(it.b.store.sum(ROOT).count).toBe(0);
    });

    test("begins anew when it is patched after its time: nothing of the old one returns", async () => {
      using it = world(2);
      await it.a.put(name, { x: 1, y: 2 });
      expect(await it.b.take(it.a.sent(name))).toBe("equal");
      await it.clock.advance(TTL_MS + 1000);
      expect((await it.a.patch(name, { z: 3 })).outcome).toBe("created");
      expect(it.a.read(name)).toBe('{"z":3}');
      expect(await it.b.take(it.a.sent(name))).toBe("equal");
      expect(it.b.read(name)).toBe('{"z":3}');
      expect(it.b.store.summary().rootHash).toBe(it.a.store.summary().rootHash);
    });

    test("can't be deleted after its time", async () => {
      using it = world();
      await it.a.put(name, { x: 1 });
      await it.clock.advance(TTL_MS + 1000);
      expect(it.a.remove(name)).rejects.toThrow("document not found");
      await it.clock.advance(1);
    });

    test("that was dropped and written again joins with what a peer kept of it", async () => {
      using it = world(2);
      await it.a.put(name, { x: 1, y: 2 });
      const old = it.a.sent(name);
      await it.b.take(old);
      await it.clock.advance(TTL_MS + 11 * MINUTE_MS);
      expect(it.a.collect().documents).toBe(1);
      // By the same process start: Automerge would refuse a second first change of one actor.
      await it.a.patch(name, { z: 3 });
      expect(await it.b.take(it.a.sent(name))).toBe("equal");
      expect(it.b.read(name)).toBe('{"z":3}');
      await it.a.put(name, { z: 4 });
      expect(await it.b.take(it.a.sent(name))).toBe("equal");
      expect(await it.a.take(it.b.sent(name))).toBe("equal");
    });
  });
}

test("of a document whose second life had its time, the first one does not come back", async () => {
  using it = world(2);
  await it.a.put("beacons:1", { x: 1 });
  await it.b.take(it.a.sent("beacons:1"));
  await it.b.remove("beacons:1");
  const tombstone = it.b.sent("beacons:1");
  await it.a.take(tombstone);
  await it.a.put("beacons:1", { x: 2 });
  await it.clock.advance(TTL_MS + 11 * MINUTE_MS);
  expect(it.a.collect()).toEqual({ tombstones: 0, documents: 1 });
  await it.a.put("beacons:1", { x: 3 });
  // A peer that knows of the first delete only must not undo the third write with it.
  expect(await it.a.take(tombstone)).toBe("ahead");
  expect(it.a.read("beacons:1")).toBe('{"x":3}');
});

test("of a dropped second life a peer's tombstone of the first is taken, as long as it is in sums", async () => {
  using it = world(2);
  await it.a.put("beacons:1", { x: 1 });
  await it.a.remove("beacons:1");
  await it.b.take(it.a.sent("beacons:1"));
  const tombstone = it.b.sent("beacons:1");
  await it.a.put("beacons:1", { x: 2 });
  await it.clock.advance(TTL_MS + 11 * MINUTE_MS);
  expect(it.a.collect()).toEqual({ tombstones: 0, documents: 1 });
  expect(it.a.store.sum(ROOT)).not.toEqual(it.b.store.sum(ROOT));
  expect(await it.a.take(tombstone)).toBe("equal");
  expect(it.a.store.sum(ROOT)).toEqual(it.b.store.sum(ROOT));
  // Another hour, and it is taken no more.
  await it.clock.advance(HOUR_MS);
  expect([it.a.collect().tombstones, it.b.collect().tombstones]).toEqual([1, 1]);
  expect(await it.a.take(tombstone)).toBe("equal");
  expect(it.a.store.summary().tombstones).toBe(0);
});

test("a peer that is told by a stub of the end of an older life agrees with the node that has the stub", async () => {
  using it = world(2);
  await it.a.put("beacons:1", { x: 1 });
  await it.a.remove("beacons:1");
  await it.a.put("beacons:1", { x: 2 });
  await it.clock.advance(15 * MINUTE_MS);
  await it.b.put("beacons:1", { x: 3 });
  await it.clock.advance(6 * MINUTE_MS);
  expect(it.a.collect()).toEqual({ tombstones: 0, documents: 1 });
  expect(await it.a.take(it.b.sent("beacons:1"))).toBe("ahead");
  expect(await it.b.take(it.a.sent("beacons:1"))).toBe("equal");
  expect(await it.a.take(it.b.sent("beacons:1"))).toBe("equal");
  expect(it.a.store.sum(ROOT)).toEqual(it.b.store.sum(ROOT));
});

test("other lifetimes hold from the next start on, for what is stored already", async () => {
  using it = world();
  await it.a.put("beacons:1", { x: 1 });
  await it.a.put("node_positions:1", { x: 1 });
  await it.a.put("notes:1", { x: 1 });
  it.a.restart({ ttlPreset: "offline_node" });
  await it.clock.advance(31_000);
  expect(it.a.read("beacons:1")).toBeUndefined();
  expect(it.a.read("node_positions:1")).toBe('{"x":1}');
  it.a.restart({
    deletions: [{ collection: "notes", policy: { kind: "implicit_ttl", ttlSecs: 60 } }],
  });
  expect(it.a.read("notes:1")).toBe('{"x":1}');
  await it.clock.advance(31_000);
  expect(it.a.read("notes:1")).toBeUndefined();
  it.a.restart({});
  // What was told to be gone stays so.
  expect(it.a.read("notes:1")).toBeUndefined();
});

test("many documents that are too old at once are hidden in turns, and none is told twice", async () => {
  using it = world();
  const names = Array.from({ length: 700 }, (_, n) => `beacons:${n}`);
  await Promise.all(names.map((name) => it.a.put(name, { x: 1 })));
  const feed = it.a.store.subscribe({ capacity: 10_000 });
  await it.clock.advance(TTL_MS);
  expect(it.a.store.count("beacons")).toBe(0);
  await it.clock.advance(1000);
  const told = (await toldBy(feed)).toSorted(compareText);
  expect(told).toEqual(names.map((name) => `${name} null`).toSorted(compareText));
  await it.clock.advance(11 * MINUTE_MS);
  expect(it.a.collect()).toEqual({ tombstones: 0, documents: 700 });
});

describe("sums", () => {
  test("are the same as of one horizon, whatever the clocks of the nodes say", async () => {
    const clock = new VirtualClock();
    using a = new AgingStore({ clock });
    using b = new AgingStore({ clock, skewMs: 4 * MINUTE_MS });
    for (let n = 0; n < 50; n += 1) {
      await a.put(`beacons:${n}`, { n });
      await b.take(a.sent(`beacons:${n}`));
      await clock.advance(7_000);
    }
    for (let minute = 0; minute < 20; minute += 1) {
      await clock.advance(MINUTE_MS);
      const horizon = Math.max(a.store.horizon, b.store.horizon);
      expect(a.store.sum(ROOT, horizon)).toEqual(b.store.sum(ROOT, horizon));
      const leaves = (store: typeof a.store) =>
        store.leaves(ROOT, horizon).map((leaf) => `${leaf.key} ${leaf.hash}`);
      expect(new Set(leaves(a.store))).toEqual(new Set(leaves(b.store)));
      expect(a.store.sum(ROOT, horizon).count).toBe(leaves(a.store).length);
      // Writes meanwhile go into the sums of every horizon.
      await a.put(`beacons:late-${minute}`, { minute });
      await b.take(a.sent(`beacons:late-${minute}`));
    }
    a.restart();
    const horizon = Math.max(a.store.horizon, b.store.horizon);
    expect(a.store.sum(ROOT, horizon)).toEqual(b.store.sum(ROOT, horizon));
  });

  test("change without a revision when something has had its time", async () => {
    using it = world();
    await it.a.put("beacons:1", { x: 1 });
    const { revision } = it.a.store;
    const before = it.a.store.sum(ROOT);
    await it.clock.advance(TTL_MS + MINUTE_MS);
    expect(it.a.store.sum(ROOT)).not.toEqual(before);
    await it.clock.advance(11 * MINUTE_MS);
    it.a.collect();
    expect(it.a.store.revision).toBe(revision);
    await it.a.put("beacons:1", { x: 1 });
    expect(it.a.store.revision).toBeGreaterThan(revision);
  });
});
