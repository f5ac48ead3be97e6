// What deleting means by collection, and for how long a deletion is remembered.
import { describe, expect, test } from "bun:test";
import { ROOT } from "../../../src/store/sums.ts";
import {
  AgingStore,
  codeOf,
  DAY_MS,
  HOUR_MS,
  idOf,
  kept,
  MINUTE_MS,
  toldBy,
} from "../../support/aging-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** Of tracks, by the built-in policy. */
const TOMBSTONE_MS = HOUR_MS;
const MEMORY_MS = 180 * DAY_MS;

const IMMUTABLE = {
  deletions: [{ collection: "audit_logs", policy: { kind: "immutable" } as const }],
};

function world(choices = {}) {
  const clock = new VirtualClock();
  const a = new AgingStore({ clock, choices });
  const b = new AgingStore({ clock, choices });
  const dispose = () => {
    a[Symbol.dispose]();
    b[Symbol.dispose]();
  };
  return { clock, a, b, [Symbol.dispose]: dispose };
}

describe("in an immutable collection", () => {
  const name = "audit_logs:1";

  test("a document is written once: no second write, no delete", async () => {
    using it = world(IMMUTABLE);
    await it.a.put(name, { x: 1 });
    it.a.restart();
    expect(await codeOf(it.a.put(name, { x: 2 }))).toBe("conflict");
    expect(await codeOf(it.a.patch(name, { y: 2 }))).toBe("conflict");
    expect(await codeOf(it.a.put(name, { x: 1 }))).toBe("conflict");
    expect(await codeOf(it.a.remove(name))).toBe("conflict");
    expect(it.a.read(name)).toBe('{"x":1}');
    expect(it.a.put(name, {})).rejects.toThrow("PEAT_DELETION_POLICIES");
    await it.clock.advance(1);
  });

  test("the second write of one group is refused like a later one", async () => {
    using it = world(IMMUTABLE);
    const outcomes = await Promise.all([
      codeOf(it.a.put(name, { x: 1 })),
      codeOf(it.a.put(name, { x: 2 })),
    ]);
    expect(outcomes).toEqual(["done", "conflict"]);
    expect(it.a.read(name)).toBe('{"x":1}');
  });

  test("what a member sends is joined all the same, and its delete can be taken back", async () => {
    using it = world(IMMUTABLE);
    await it.a.put(name, { x: 1 });
    it.b.restart({ deletions: [] });
    await it.b.take(it.a.sent(name));
    await it.b.put(name, { x: 2 });
    expect(await it.a.take(it.b.sent(name))).toBe("equal");
    expect(it.a.read(name)).toBe('{"x":2}');
    await it.b.remove(name);
    await it.a.take(it.b.sent(name));
    expect(await codeOf(it.a.put(name, { x: 3 }))).toBe("conflict");
    expect((await it.a.restore(idOf(it.a))).outcome).toBe("created");
    expect(it.a.read(name)).toBe('{"x":2}');
    expect(await codeOf(it.a.put(name, { x: 3 }))).toBe("conflict");
  });
});

describe("in a soft_delete collection", () => {
  for (const name of ["notes:1", "track_history:1"]) {
    test(`the content of a deleted document is hidden, kept, and restored as a new life: ${name}`, async () => {
      using it = world();
      await it.a.put(name, { x: 1, y: { z: [1.0, "two"] } });
      const json = it.a.read(name);
      const feed = it.a.store.subscribe({ capacity: 10 });
      await it.a.remove(name);
      expect(await toldBy(feed)).toEqual([`${name} null`]);
      expect(it.a.read(name)).toBeUndefined();
      expect(it.a.store.list(name.split(":")[0] ?? "", { limit: 9 })).toEqual([]);
      it.a.restart();
      expect(kept(it.a)).toEqual([`${name} ${json}`]);
      await it.b.take(it.a.sent(name));
      expect((await it.a.restore(idOf(it.a))).outcome).toBe("created");
      expect(it.a.read(name)).toBe(json ?? "");
      expect(kept(it.a)).toEqual([]);
      // The new life beats the tombstone that a peer has.
      expect(await it.b.take(it.a.sent(name))).toBe("equal");
      expect(it.b.read(name)).toBe(json ?? "");
    });
  }

  test("a node keeps what a peer deletes, too", async () => {
    using it = world();
    await it.a.put("notes:1", { x: 1 });
    await it.b.take(it.a.sent("notes:1"));
    await it.a.remove("notes:1");
    await it.b.take(it.a.sent("notes:1"));
    expect(kept(it.b)).toEqual(['notes:1 {"x":1}']);
  });

  test("a document that lives again is not restored over", async () => {
    using it = world();
    await it.a.put("notes:1", { x: 1 });
    await it.a.remove("notes:1");
    await it.a.put("notes:1", { x: 2 });
    expect(await codeOf(it.a.restore(idOf(it.a)))).toBe("conflict");
    expect(it.a.read("notes:1")).toBe('{"x":2}');
    await it.a.remove("notes:1");
    expect(kept(it.a)).toEqual(['notes:1 {"x":2}']);
  });

  test("content can be given up, and what is not there is told so", async () => {
    using it = world();
    await it.a.put("notes:1", { x: 1 });
    await it.a.remove("notes:1");
    const id = idOf(it.a);
    it.a.store.contents.discard(id);
    expect(kept(it.a)).toEqual([]);
    expect(await codeOf(it.a.restore(id))).toBe("document_not_found");
    expect(() => it.a.store.contents.discard(id)).toThrow("nothing is set aside");
  });

  test("content goes with the whole tombstone; the stub that is left goes on beating it", async () => {
    using it = world();
    await it.a.put("notes:1", { x: 1 });
    const old = it.a.sent("notes:1");
    await it.a.remove("notes:1");
    await it.clock.advance(MEMORY_MS - HOUR_MS);
    expect(it.a.collect()).toEqual({ tombstones: 0, documents: 0 });
    expect(kept(it.a)).toHaveLength(1);
    await it.clock.advance(2 * HOUR_MS);
    expect(it.a.collect()).toEqual({ tombstones: 1, documents: 0 });
    expect(kept(it.a)).toEqual([]);
    await it.clock.advance(MEMORY_MS - DAY_MS);
    it.a.collect();
    expect(await it.a.take(old)).toBe("ahead");
    expect(it.a.read("notes:1")).toBeUndefined();
  });
});

describe("a tombstone", () => {
  test("keeps no content where its collection has a time for it", async () => {
    using it = world();
    await it.a.put("tracks:1", { x: 1 });
    await it.a.remove("tracks:1");
    expect(kept(it.a)).toEqual([]);
  });

  test("leaves the sums after its time and becomes a stub, which is no row any more", async () => {
    using it = world();
    await it.a.put("tracks:1", { x: 1 });
    await it.a.remove("tracks:1");
    expect(it.a.store.sum(ROOT).count).toBe(1);
    await it.clock.advance(TOMBSTONE_MS - MINUTE_MS);
    expect(it.a.collect().tombstones).toBe(0);
    await it.clock.advance(2 * MINUTE_MS);
    expect(it.a.store.sum(ROOT).count).toBe(0);
    expect(it.a.collect().tombstones).toBe(1);
    expect(it.a.store.summary()).toMatchObject({ documents: 0, tombstones: 0 });
    expect(it.a.store.leaves(ROOT)).toEqual([]);
  });
});

describe("a stub", () => {
  async function withStub(name = "tracks:1") {
    const it = world();
    await it.a.put(name, { x: 1 });
    const alive = it.a.sent(name);
    await it.b.take(alive);
    await it.a.remove(name);
    const tombstone = it.a.sent(name);
    await it.clock.advance(TOMBSTONE_MS + MINUTE_MS);
    expect(it.a.collect().tombstones).toBe(1);
    it.a.restart();
    return { ...it, alive, tombstone };
  }

  for (const name of ["tracks:1", "alerts:1"]) {
    test(`tells a peer that still has an older state of the delete: ${name}`, async () => {
      const clock = new VirtualClock();
      using a = new AgingStore({ clock });
      using b = new AgingStore({ clock });
      await a.put(name, { x: 1 });
      await b.take(a.sent(name));
      await a.remove(name);
      await clock.advance(5 * HOUR_MS);
      expect(a.collect().tombstones).toBe(1);
      await b.patch(name, { y: 2 });
      const feed = b.store.subscribe({ capacity: 10 });
      expect(await a.take(b.sent(name))).toBe("ahead");
      expect(await b.take(a.sent(name))).toBe("equal");
      expect(b.read(name)).toBeUndefined();
      expect(await toldBy(feed)).toEqual([`${name} null`]);
      expect(a.store.summary().rootHash).toBe(b.store.summary().rootHash);
      // The other's tombstone is as old: it becomes a stub at once.
      expect(b.collect().tombstones).toBe(1);
      expect(await a.take({ ...b.sent(name) })).toBe("equal");
    });
  }

  test("takes the tombstone that it was for nothing new, and keeps no row of it", async () => {
    using it = await withStub();
    expect(await it.a.take(it.tombstone)).toBe("equal");
    expect(it.a.store.summary().tombstones).toBe(0);
    expect(it.a.store.revision).toBe(0);
  });

  test("takes a later tombstone of its life for as long as that is in the sums", async () => {
    using it = await withStub();
    await it.b.remove("tracks:1");
    expect(await it.a.take(it.b.sent("tracks:1"))).toBe("equal");
    expect(it.a.store.sum(ROOT)).toEqual(it.b.store.sum(ROOT));
  });

  test("becomes a tombstone again when a peer deleted the same life later: that one is counted", async () => {
    const clock = new VirtualClock();
    using a = new AgingStore({ clock });
    using b = new AgingStore({ clock });
    await a.put("tracks:1", { x: 1 });
    await b.take(a.sent("tracks:1"));
    await a.remove("tracks:1");
    await clock.advance(TOMBSTONE_MS + MINUTE_MS);
    expect(a.collect().tombstones).toBe(1);
    await b.remove("tracks:1");
    expect(await a.take(b.sent("tracks:1"))).toBe("equal");
    expect(a.store.sum(ROOT)).toEqual(b.store.sum(ROOT));
    expect(a.store.sum(ROOT).count).toBe(1);
    await clock.advance(TOMBSTONE_MS + MINUTE_MS);
    expect(a.collect().tombstones).toBe(1);
    expect(await a.take(b.sent("tracks:1"))).toBe("equal");
    expect(a.store.summary().tombstones).toBe(0);
  });

  test("is what a new document comes after: it beats the peers' tombstones", async () => {
    using it = await withStub();
    await it.b.take(it.tombstone);
    expect((await it.a.put("tracks:1", { x: 2 })).outcome).toBe("created");
    expect(await it.b.take(it.a.sent("tracks:1"))).toBe("equal");
    expect(it.b.read("tracks:1")).toBe('{"x":2}');
    expect(await it.a.take(it.tombstone)).toBe("ahead");
    expect(await it.a.take(it.alive)).toBe("ahead");
    expect(it.a.read("tracks:1")).toBe('{"x":2}');
  });

  test("gives way to a later life of a peer, and to its later delete", async () => {
    using it = await withStub();
    await it.b.take(it.tombstone);
    await it.b.put("tracks:1", { x: 2 });
    const second = it.b.sent("tracks:1");
    expect(await it.a.take(second)).toBe("equal");
    expect(it.a.read("tracks:1")).toBe('{"x":2}');
    await it.b.remove("tracks:1");
    expect(await it.a.take(it.b.sent("tracks:1"))).toBe("equal");
    expect(it.a.read("tracks:1")).toBeUndefined();
    await it.clock.advance(TOMBSTONE_MS + MINUTE_MS);
    expect(it.a.collect().tombstones).toBe(1);
    expect(await it.a.take(second)).toBe("ahead");
  });

  test("is forgotten after the memory's time, and the node knows of what time that was", async () => {
    using it = await withStub();
    expect(it.a.store.memory.marks.forgottenAt).toBe(0);
    const deletedAt = it.clock.now() - TOMBSTONE_MS - MINUTE_MS;
    await it.clock.advance(MEMORY_MS - HOUR_MS);
    it.a.collect();
    expect(await it.a.take(it.alive)).toBe("ahead");
    await it.clock.advance(2 * HOUR_MS);
    it.a.collect();
    const { forgottenAt } = it.a.store.memory.marks;
    expect(Math.abs(forgottenAt - deletedAt)).toBeLessThan(1000);
    it.a.restart();
    expect(it.a.store.memory.marks.forgottenAt).toBe(forgottenAt);
    expect(await it.a.take(it.alive)).toBe("equal");
  });

  test("of a deleter whose clock is far behind is remembered as long as any other", async () => {
    const clock = new VirtualClock();
    using a = new AgingStore({ clock, skewMs: -1000 * DAY_MS });
    using b = new AgingStore({ clock });
    await a.put("tracks:1", { x: 1 });
    const alive = a.sent("tracks:1");
    await b.take(alive);
    await a.remove("tracks:1");
    expect(await b.take(a.sent("tracks:1"))).toBe("equal");
    expect(b.read("tracks:1")).toBeUndefined();
    expect(b.collect().tombstones).toBe(1);
    await clock.advance(MEMORY_MS - DAY_MS);
    b.collect();
    expect(await b.take(alive)).toBe("ahead");
  });
});
