// Documents that everybody else may have deleted and forgotten while a node was away: not taken, set aside, reinstated.
import { describe, expect, test } from "bun:test";
import { ROOT } from "../../../src/store/sums.ts";
import { AgingStore, codeOf, HOUR_MS, idOf, kept, toldBy } from "../../support/aging-store.ts";
import { key } from "../../support/memory-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function world() {
  const clock = new VirtualClock();
  const a = new AgingStore({ clock });
  const b = new AgingStore({ clock });
  const dispose = () => {
    a[Symbol.dispose]();
    b[Symbol.dispose]();
  };
  return { clock, a, b, [Symbol.dispose]: dispose };
}

describe("a document of a node that was away for too long", () => {
  const LONG_AGO = { until: 0 };

  async function withOrphan(name = "notes:1") {
    const it = world();
    await it.a.put(name, { x: 1 });
    LONG_AGO.until = it.clock.now();
    await it.clock.advance(HOUR_MS);
    return it;
  }

  test("is not taken by who has neither it nor a memory of it", async () => {
    using it = await withOrphan();
    expect(await it.b.take(it.a.sent("notes:1"), LONG_AGO.until)).toBe("orphan");
    expect(it.b.store.summary()).toMatchObject({ documents: 0, tombstones: 0 });
  });

  test("is taken by who has lost it to the disk only", async () => {
    using it = await withOrphan();
    await it.b.take(it.a.sent("notes:1"));
    it.b.tamper("UPDATE documents SET hash = 'x'");
    expect(it.b.read("notes:1")).toBeUndefined();
    await it.clock.advance(1);
    expect(it.b.store.contents.count("damaged")).toBe(1);
    expect(await it.b.take(it.a.sent("notes:1"), LONG_AGO.until)).toBe("equal");
    expect(it.b.read("notes:1")).toBe('{"x":1}');
    const [{ id } = { id: -1 }] = it.b.store.contents.list({ why: "damaged", limit: 1, after: 0 });
    expect(await codeOf(it.b.restore(id))).toBe("conflict");
  });

  test("is taken if its life began later, or if it is known", async () => {
    using it = await withOrphan();
    await it.a.put("notes:2", { x: 2 });
    expect(await it.b.take(it.a.sent("notes:2"), LONG_AGO.until)).toBe("equal");
    await it.b.take(it.a.sent("notes:1"));
    await it.a.patch("notes:1", { y: 2 });
    expect(await it.b.take(it.a.sent("notes:1"), LONG_AGO.until)).toBe("equal");
    expect(it.b.read("notes:1")).toBe('{"x":1,"y":2}');
  });

  test("is set aside once: not served, not in the sums, and told to be gone", async () => {
    using it = await withOrphan();
    const { hash } = it.a.sent("notes:1");
    const feed = it.a.store.subscribe({ capacity: 10 });
    const { revision } = it.a.store;
    const told = [{ key: key("notes:1"), hash }];
    expect(it.a.store.setAside(told, LONG_AGO.until)).toBe(1);
    expect(it.a.store.setAside(told, LONG_AGO.until)).toBe(0);
    expect(await toldBy(feed)).toEqual(["notes:1 null"]);
    expect(it.a.read("notes:1")).toBeUndefined();
    expect(it.a.store.summary()).toMatchObject({ documents: 0, tombstones: 0 });
    expect(it.a.store.sum(ROOT).count).toBe(0);
    expect(it.a.store.hashOf(key("notes:1"))).toBeUndefined();
    expect(it.a.store.stateFor(key("notes:1"))).toBeUndefined();
    expect(it.a.store.revision).toBeGreaterThan(revision);
    it.a.restart();
    expect(it.a.read("notes:1")).toBeUndefined();
    expect(kept(it.a, "orphan")).toEqual(['notes:1 {"x":1}']);
    await it.clock.advance(HOUR_MS);
    expect(it.a.collect()).toEqual({ tombstones: 0, documents: 1 });
    expect(kept(it.a, "orphan")).toEqual(['notes:1 {"x":1}']);
  });

  test("is left alone when it was written since it was offered, or when its life is younger", async () => {
    using it = await withOrphan();
    const { hash } = it.a.sent("notes:1");
    await it.a.patch("notes:1", { y: 2 });
    expect(it.a.store.setAside([{ key: key("notes:1"), hash }], LONG_AGO.until)).toBe(0);
    await it.a.put("notes:2", { x: 2 });
    const young = it.a.sent("notes:2");
    expect(it.a.store.setAside([young], LONG_AGO.until)).toBe(0);
    expect(it.a.store.count("notes")).toBe(2);
  });

  for (const when of ["at once", "after it was dropped"]) {
    test(`comes back by an explicit command, ${when}`, async () => {
      using it = await withOrphan();
      it.a.store.setAside([it.a.sent("notes:1")], LONG_AGO.until);
      if (when !== "at once") {
        await it.clock.advance(HOUR_MS);
        it.a.collect();
      }
      expect((await it.a.restore(idOf(it.a, "orphan"))).outcome).toBe("created");
      expect(it.a.read("notes:1")).toBe('{"x":1}');
      expect(kept(it.a, "orphan")).toEqual([]);
      expect(it.a.store.sum(ROOT).count).toBe(1);
      expect(await it.b.take(it.a.sent("notes:1"))).toBe("equal");
    });
  }

  for (const name of ["notes:1", "tracks:1"]) {
    test(`comes back from a peer that has it after all: ${name}`, async () => {
      using it = await withOrphan(name);
      const offered = it.a.sent(name);
      await it.b.take(offered);
      it.a.store.setAside([offered], LONG_AGO.until);
      expect(it.a.read(name)).toBeUndefined();
      expect(await it.a.take(it.b.sent(name))).toBe("equal");
      expect(it.a.read(name)).toBe('{"x":1}');
      expect(kept(it.a, "orphan")).toEqual([]);
      expect(it.a.store.summary().rootHash).toBe(it.b.store.summary().rootHash);
    });
  }
});
