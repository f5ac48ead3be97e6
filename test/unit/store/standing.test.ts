// What a node says that it has of a document, also where readers are told that there is none.
import { expect, test } from "bun:test";
import { AgingStore, HOUR_MS } from "../../support/aging-store.ts";
import { key } from "../../support/memory-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function world() {
  const clock = new VirtualClock();
  const a = new AgingStore({ clock });
  const of = (name: string) => a.store.standings.of(key(name));
  return { clock, a, of, [Symbol.dispose]: () => a[Symbol.dispose]() };
}

test("a document is alive, with its hash, its size and who wrote it last", async () => {
  using it = world();
  const now = it.clock.now();
  for (const [name, kind] of [
    ["notes:1", "history"],
    ["tracks:1", "latest"],
  ] as const) {
    await it.a.put(name, { x: 1, y: 2 });
    const { store } = it.a;
    expect(it.of(name)).toMatchObject({
      kind: "alive",
      life: 0,
      hash: store.hashOf(key(name)) ?? "none",
      deletion: undefined,
    });
    const versions = { kind, count: kind === "history" ? 1 : 2, starts: [store.start] };
    expect(store.standings.versionsOf(key(name))).toEqual(versions);
    const { changedAt, bytes } = it.of(name) as { changedAt: number; bytes: number };
    expect(changedAt).toBeGreaterThanOrEqual(now);
    expect(bytes).toBeGreaterThan(20);
  }
});

test("a deleted one says when, by whom and why; later only when", async () => {
  using it = world();
  await it.a.put("tracks:1", { x: 1 });
  await it.a.write("tracks:1", { kind: "delete", reason: "landed" });
  const deletion = { by: "node-a", reason: "landed" };
  expect(it.of("tracks:1")).toMatchObject({ kind: "deleted", life: 1, deletion });
  const { deletion: told } = it.of("tracks:1") as { deletion: { at: number } };
  await it.clock.advance(24 * HOUR_MS * 30);
  expect(it.a.collect().tombstones).toBe(1);
  expect(it.of("tracks:1")).toEqual({ kind: "forgotten", life: 1, deletedAt: told.at });
});

test("one that never was is absent", () => {
  using it = world();
  expect(it.of("notes:none")).toEqual({ kind: "absent" });
});

test("one that was set aside says so, also after its row has gone", async () => {
  using it = world();
  await it.a.put("notes:1", { x: 1 });
  it.a.store.setAside([it.a.sent("notes:1")], it.clock.now());
  expect(it.of("notes:1")).toMatchObject({ kind: "aside", life: 0 });
  await it.clock.advance(HOUR_MS);
  expect(it.a.collect().documents).toBe(1);
  expect(it.of("notes:1")).toEqual({ kind: "aside" });
});

test("one that the disk has damaged is neither alive nor absent", async () => {
  using it = world();
  await it.a.put("notes:1", { x: 1 });
  it.a.tamper("UPDATE documents SET hash = 'x'");
  expect(it.of("notes:1")).toEqual({ kind: "damaged" });
});

test("one that is too old to be served is expired", async () => {
  using it = world();
  await it.a.put("beacons:1", { x: 1 });
  expect(it.of("beacons:1").kind).toBe("alive");
  await it.clock.advance(24 * HOUR_MS);
  expect(it.of("beacons:1").kind).toBe("expired");
});
