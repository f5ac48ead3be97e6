// Formations over months of virtual time: what has had its time goes everywhere and quietly, what was deleted stays
// deleted, and what nobody deleted is not lost.
import { describe, expect, test } from "bun:test";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../support/aging-store.ts";
import { all, formation, GC_SECS, nobodyFor, orphansOf, put, SKEWS_MS, shownBy } from "./aging.ts";
import type { WorldOptions } from "./world.ts";

describe("at rest", () => {
  test("nothing travels while tombstones and documents have their time, one clock after the other", async () => {
    await using world = await formation({ skewsMs: SKEWS_MS });
    const [a, b, c] = world.nodes;
    if (a === undefined || b === undefined || c === undefined) throw new Error("three nodes");
    const range = Array.from({ length: 40 }, (_, n) => n);
    await all(
      world,
      range.map((n) => put(b, `tracks:${n}`, n)),
    );
    await all(
      world,
      range.map((n) => put(a, `beacons:${n}`, n)),
    );
    await all(
      world,
      range.map((n) => c.write(`tracks:${n}`, { kind: "delete" })),
    );
    expect(a.store.summary()).toMatchObject({ documents: 40, tombstones: 40 });
    // Beacons live for 10 minutes, tombstones of tracks for an hour; the clocks are 8 minutes apart.
    expect(await world.bytesAtRest(90 * MINUTE_MS)).toBe(0);
    for (const { store } of world.nodes) {
      expect(store.summary()).toMatchObject({ documents: 0, tombstones: 0 });
    }
    expect(world.judge()).toEqual([]);
  }, 60_000);

  test("a write between two such moments is agreed on at once, and then it is quiet again", async () => {
    await using world = await formation({ skewsMs: SKEWS_MS });
    const [a, b] = world.nodes;
    if (a === undefined || b === undefined) throw new Error("three nodes");
    await all(
      world,
      Array.from({ length: 30 }, (_, n) => put(a, `beacons:${n}`, n)),
    );
    const counts = () => new Set(world.nodes.map((node) => node.store.summary().documents));
    let turns = 0;
    for (let minute = 0; minute < 20; minute += 1) {
      await world.clock.advance(MINUTE_MS);
      if (counts().size === 1) continue;
      turns += 1;
      await all(world, [put(b, `notes:${minute}`, minute)]);
      expect(await world.settled()).toBe(0);
      expect(await world.bytesAtRest(20_000)).toBe(0);
    }
    // There were moments at which some nodes had let go what others had not.
    expect(turns).toBeGreaterThan(3);
    expect(world.judge()).toEqual([]);
  }, 60_000);

  test("a node that connects just then compares nothing that the others have let go", async () => {
    await using world = await formation({ skewsMs: SKEWS_MS });
    const [a, , c] = world.nodes;
    if (a === undefined || c === undefined) throw new Error("three nodes");
    await all(
      world,
      Array.from({ length: 500 }, (_, n) => put(a, `beacons:${n}`, n)),
    );
    // By c's clock they are gone, by a's they are not.
    await world.clock.advance(8 * MINUTE_MS);
    expect(c.store.count("beacons")).toBe(0);
    expect(a.store.count("beacons")).toBe(500);
    await Promise.all([c.stop(), world.clock.advance(5_000)]);
    c.restart();
    const before = world.net.traffic.bytes;
    await world.settled();
    await world.clock.advance(5_000);
    expect(world.net.traffic.bytes - before).toBeLessThan(8_000);
    expect(world.judge()).toEqual([]);
  }, 60_000);
});

describe("two parts of a formation", () => {
  test("that deleted and edited apart agree on the delete, after its tombstone has become a stub", async () => {
    await using world = await formation({ skewsMs: SKEWS_MS });
    const [a, b, c] = world.nodes;
    if (a === undefined || b === undefined || c === undefined) throw new Error("three nodes");
    const names = ["tracks:1", "alerts:1", "notes:1"];
    await all(
      world,
      names.map((name) => put(a, name, 1)),
    );
    world.cut("a", "c");
    world.cut("b", "c");
    const deletes = names.map((name) => a.write(name, { kind: "delete" }));
    const edits = names.map((name) => c.write(name, { kind: "patch", body: { m: 2 } }));
    await world.clock.advance(100);
    await Promise.all([...deletes, ...edits]);
    await world.clock.advance(6 * HOUR_MS);
    // Two of the tombstones are stubs by now, and one node starts with them.
    expect(a.store.summary().tombstones).toBe(1);
    b.crash();
    b.restart();
    world.healAll();
    await world.settled();
    expect(shownBy(world, names)).toEqual([[], [], []]);
    expect(await world.bytesAtRest(90 * MINUTE_MS)).toBe(0);
    // And the part that had edited can write them anew: the explicit write wins everywhere.
    await all(
      world,
      names.map((name) => put(c, name, 3)),
    );
    expect(shownBy(world, names)).toEqual([names, names, names]);
    expect(world.judge()).toEqual([]);
  }, 60_000);

  test("that deleted one document hours apart agree, when the earlier tombstone is a stub", async () => {
    await using world = await formation({ skewsMs: SKEWS_MS });
    const [a, b, c] = world.nodes;
    if (a === undefined || b === undefined || c === undefined) throw new Error("three nodes");
    await all(world, [put(a, "tracks:1", 1), put(a, "alerts:1", 1)]);
    world.cut("a", "c");
    world.cut("b", "c");
    const deleteBy = async (node: typeof a) => {
      const names = ["tracks:1", "alerts:1"];
      const deletes = names.map((name) => node.write(name, { kind: "delete" }));
      await world.clock.advance(100);
      await Promise.all(deletes);
    };
    await deleteBy(a);
    await world.clock.advance(5 * HOUR_MS);
    expect(a.store.summary().tombstones).toBe(0);
    await deleteBy(c);
    world.healAll();
    await world.settled();
    expect(world.nodes.map(({ store }) => store.summary().tombstones)).toEqual([2, 2, 2]);
    // The later ones have their time as well, everywhere, and nobody tells of it.
    expect(await world.bytesAtRest(5 * HOUR_MS)).toBe(0);
    expect(world.nodes.map(({ store }) => store.summary().tombstones)).toEqual([0, 0, 0]);
    expect(world.judge()).toEqual([]);
  }, 60_000);

  test("where one deleted and wrote anew: the new life wins over the other's edits", async () => {
    await using world = await formation();
    const [a, , c] = world.nodes;
    if (a === undefined || c === undefined) throw new Error("three nodes");
    await all(world, [put(a, "tracks:1", 1)]);
    world.cut("a", "c");
    world.cut("b", "c");
    await world.clock.advance(MINUTE_MS);
    const deleted = a.write("tracks:1", { kind: "delete" });
    await world.clock.advance(100);
    await deleted;
    await world.clock.advance(2 * HOUR_MS);
    expect(a.store.summary().tombstones).toBe(0);
    const [anew, edited] = [
      put(a, "tracks:1", 2),
      c.write("tracks:1", { kind: "patch", body: { m: 9 } }),
    ];
    await world.clock.advance(100);
    await Promise.all([anew, edited]);
    world.healAll();
    await world.settled();
    expect(world.nodes.map((node) => node.get("tracks:1"))).toEqual([{ n: 2 }, { n: 2 }, { n: 2 }]);
  });
});

describe("a node that was away", () => {
  /** Documents that c has, some of which the others delete; then c's time away begins. */
  async function left(options: Partial<WorldOptions> = {}) {
    const world = await formation(options);
    const [a, b, c] = world.nodes;
    if (a === undefined || b === undefined || c === undefined) throw new Error("three nodes");
    const names = Array.from({ length: 10 }, (_, n) => [`tracks:${n}`, `alerts:${n}`]).flat();
    await all(
      world,
      names.map((name, n) => put(a, name, n)),
    );
    await world.clock.advance(HOUR_MS);
    const backup = async () => {
      await Promise.all([c.stop(), world.clock.advance(5_000)]);
      return c.backUp();
    };
    const copy = await backup();
    const deleted = names.filter((_, n) => n % 4 < 2);
    await all(
      world,
      deleted.map((name) => a.write(name, { kind: "delete" })),
    );
    // Their tombstones become stubs, and the days of those begin.
    await world.clock.advance(5 * HOUR_MS);
    const kept = names.filter((name) => !deleted.includes(name));
    return { world, a, b, c, names, deleted, kept, copy };
  }

  for (const days of [2, 100, 179]) {
    test(`for ${days} days: what was deleted meanwhile is deleted there too`, async () => {
      const { world, c, kept } = await left();
      await using _ = world;
      const others = world.running;
      await nobodyFor(world, days * DAY_MS);
      for (const node of others) node.restart();
      await world.clock.advance(2 * GC_SECS * 1000);
      c.restart();
      await world.settled();
      expect(shownBy(world, kept)).toEqual([kept, kept, kept]);
      expect(c.store.summary().documents).toBe(kept.length);
      expect(orphansOf(c)).toEqual([]);
      expect(world.judge()).toEqual([]);
    }, 60_000);
  }

  for (const start of ["as it was", "from a copy of its directory"]) {
    test(`for 200 days, ${start}: nothing deleted returns; what the others lack is set aside`, async () => {
      const { world, a, b, c, deleted, kept, copy } = await left();
      await using _ = world;
      await nobodyFor(world, 200 * DAY_MS);
      a.restart();
      b.restart();
      await world.clock.advance(2 * GC_SECS * 1000);
      // The others have forgotten by now that these were deleted.
      expect(a.store.memory.marks.forgottenAt).toBeGreaterThan(0);
      if (start !== "as it was") c.restoreFrom(copy);
      c.restart();
      // Written by a user of c who has met nobody yet.
      const alone = put(c, "alerts:new", 1);
      await world.clock.advance(1);
      await alone;
      await world.settled();
      expect(shownBy(world, deleted)).toEqual([[], [], []]);
      const there = [...kept, "alerts:new"];
      expect(shownBy(world, there)).toEqual([there, there, there]);
      expect(new Set(orphansOf(c))).toEqual(new Set(deleted));
      expect(await world.bytesAtRest(30 * MINUTE_MS)).toBe(0);
      // Again, and nothing changes.
      c.crash();
      c.restart();
      await world.settled();
      expect(shownBy(world, deleted)).toEqual([[], [], []]);
      const [first] = c.store.contents.list({ why: "orphan", limit: 1, after: 0 });
      if (first === undefined) throw new Error("there are orphans");
      await all(world, [c.store.contents.restore(first.id)]);
      expect(shownBy(world, deleted)).toEqual([[first.key], [first.key], [first.key]]);
      expect(orphansOf(c)).toHaveLength(deleted.length - 1);
      expect(world.judge()).toEqual([]);
    }, 60_000);
  }

  test("for 200 days, with documents that were edited there before it met anybody", async () => {
    const { world, a, b, c, deleted, kept } = await left();
    await using _ = world;
    await nobodyFor(world, 200 * DAY_MS);
    c.restart();
    const edits = [...deleted, ...kept].map((name) =>
      c.write(name, { kind: "patch", body: { edited: 1 } }),
    );
    await world.clock.advance(10);
    await Promise.all(edits);
    a.restart();
    b.restart();
    // The others forget only after they have met it: the stubs still hold then.
    await world.settled();
    await world.clock.advance(2 * GC_SECS * 1000);
    expect(shownBy(world, deleted)).toEqual([[], [], []]);
    expect(shownBy(world, kept)).toEqual([kept, kept, kept]);
    expect(a.get(kept[0] ?? "")).toMatchObject({ edited: 1 });
    expect(world.judge()).toEqual([]);
  }, 60_000);

  test("for 200 days, and edits what was deleted when the others have forgotten it", async () => {
    const { world, a, b, c, deleted, kept } = await left();
    await using _ = world;
    await nobodyFor(world, 200 * DAY_MS);
    a.restart();
    b.restart();
    await world.clock.advance(2 * GC_SECS * 1000);
    world.cut("a", "c");
    world.cut("b", "c");
    c.restart();
    const edits = deleted.map((name) => c.write(name, { kind: "patch", body: { edited: 1 } }));
    await world.clock.advance(10);
    await Promise.all(edits);
    world.healAll();
    await world.settled();
    // An edit is no revival.
    expect(shownBy(world, deleted)).toEqual([[], [], []]);
    expect(shownBy(world, kept)).toEqual([kept, kept, kept]);
    expect(world.judge()).toEqual([]);
  }, 60_000);

  test("for 200 days, and meets at first only another one that was, too", async () => {
    const { world, a, b, c, deleted, kept } = await left();
    await using _ = world;
    await Promise.all([b.stop(), world.clock.advance(5_000)]);
    await nobodyFor(world, 200 * DAY_MS);
    a.restart();
    await world.clock.advance(2 * GC_SECS * 1000);
    world.cut("a", "c");
    world.cut("a", "b");
    b.restart();
    c.restart();
    await world.clock.advance(MINUTE_MS);
    world.healAll();
    await world.settled();
    expect(shownBy(world, kept)).toEqual([kept, kept, kept]);
    expect(shownBy(world, deleted)).toEqual([[], [], []]);
    expect(world.judge()).toEqual([]);
  }, 60_000);
});

describe("a formation that was switched off as a whole for a year", () => {
  for (const order of ["together", "one after the other, days apart"]) {
    test(`loses nothing, when its nodes start ${order}`, async () => {
      await using world = await formation({ skewsMs: SKEWS_MS });
      const [a, b, c] = world.nodes;
      if (a === undefined || b === undefined || c === undefined) throw new Error("three nodes");
      const names = Array.from({ length: 20 }, (_, n) => `alerts:${n}`);
      await all(
        world,
        names.map((name, n) => put(a, name, n)),
      );
      await all(
        world,
        ["alerts:0", "alerts:1"].map((name) => b.write(name, { kind: "delete" })),
      );
      await world.clock.advance(5 * HOUR_MS);
      // The last words of a node that was cut off before the others stopped.
      world.cut("a", "c");
      world.cut("b", "c");
      await world.clock.advance(HOUR_MS);
      const last = put(c, "alerts:last", 1);
      await world.clock.advance(10);
      await last;
      await nobodyFor(world, 365 * DAY_MS);
      world.healAll();
      for (const node of [c, a, b]) {
        node.restart();
        await world.clock.advance(10);
        if (order === "together") continue;
        // Each forgets, alone, what is older than its memory.
        await world.clock.advance(2 * GC_SECS * 1000);
        await nobodyFor(world, 3 * DAY_MS);
      }
      for (const node of world.nodes) if (!node.isRunning) node.restart();
      await world.settled();
      await world.clock.advance(2 * GC_SECS * 1000);
      const there = [...names.slice(2), "alerts:last"];
      expect(shownBy(world, there)).toEqual([there, there, there]);
      expect(shownBy(world, ["alerts:0", "alerts:1"])).toEqual([[], [], []]);
      expect(world.nodes.map(orphansOf)).toEqual([[], [], []]);
      expect(world.judge()).toEqual([]);
    }, 60_000);
  }
});
