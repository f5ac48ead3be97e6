// What an outbox does with the answer to "does another slow link carry this change?".
import { expect, test } from "bun:test";
import type { Committed } from "../../../src/store/store.ts";
import { ROOT } from "../../../src/store/sums.ts";
import { Outbox } from "../../../src/sync/outbox.ts";
import { CARRIED_MS, type Carriage, type RelayPeer } from "../../../src/sync/relays.ts";
import { key, openMemoryStore, put } from "../../support/memory-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const OTHER: RelayPeer = {
  name: "other",
  neighbours: new Set(),
  isSlow: true,
  isLaden: true,
  isMoving: true,
  release: () => undefined,
  hasAllSentBy: () => true,
  otherEnded: () => undefined,
};

/** Two documents that wait; the first of them goes as `carriage` says. */
async function world(carriage: Carriage) {
  const clock = new VirtualClock();
  const store = openMemoryStore();
  const outbox = new Outbox(store, clock, (name) =>
    name === key("tracks:1") ? carriage : { kind: "alone" },
  );
  const commits: Committed[] = [];
  store.onCommit((committed) => commits.push(...committed));
  for (const name of ["tracks:1", "tracks:2"]) await put(store, name, { name });
  const push = () => {
    for (const change of commits) outbox.push(change);
  };
  const taken = () => {
    const item = outbox.take();
    return item?.kind === "states" ? item.entries.map((entry) => String(entry.key)) : undefined;
  };
  return { clock, store, outbox, push, taken, [Symbol.dispose]: () => store.close() };
}

test("what another link carries is left out of the frame, and due after its time", async () => {
  using it = await world({ kind: "held", by: OTHER });
  it.push();
  expect(it.taken()).toEqual(["tracks:2"]);
  expect(it.taken()).toBeUndefined();
  expect(it.outbox.hasHeld).toBe(true);
  await it.clock.advance(CARRIED_MS - 1);
  expect(it.outbox.takeDue()).toEqual([]);
  await it.clock.advance(1);
  expect(it.outbox.takeDue().map((held) => String(held.key))).toEqual(["tracks:1"]);
});

test("it is not due while its carrier is behind", async () => {
  let acknowledgedUntil = 0;
  const by = { ...OTHER, hasAllSentBy: (at: number) => acknowledgedUntil >= at };
  using it = await world({ kind: "held", by });
  await it.clock.advance(10);
  it.push();
  it.taken();
  await it.clock.advance(2 * CARRIED_MS);
  expect(it.outbox.takeDue()).toEqual([]);
  acknowledgedUntil = it.clock.monotonic();
  expect(it.outbox.takeDue()).toHaveLength(1);
});

test("a carrier that acknowledges nothing is not waited for beyond three times that", async () => {
  using it = await world({ kind: "held", by: { ...OTHER, hasAllSentBy: () => false } });
  it.push();
  it.taken();
  await it.clock.advance(3 * CARRIED_MS);
  expect(it.outbox.takeDue()).toHaveLength(1);
});

test("of what another link carries so many are taken at most, and none is lost", async () => {
  using it = await world({ kind: "held", by: OTHER });
  it.push();
  it.taken();
  await it.clock.advance(CARRIED_MS);
  expect(it.outbox.takeDue(0)).toEqual([]);
  expect(it.outbox.takeDue(1)).toHaveLength(1);
});

test("when that link ends it waits again, and when any other does, not", async () => {
  using it = await world({ kind: "held", by: OTHER });
  it.push();
  it.taken();
  it.outbox.carrierEnded({ ...OTHER });
  expect(it.outbox.isEmpty).toBe(true);
  it.outbox.carrierEnded(OTHER);
  expect(it.outbox.depth).toBe(1);
  expect(it.outbox.hasHeld).toBe(false);
});

test("an agreement ends all holding back", async () => {
  using it = await world({ kind: "held", by: OTHER });
  it.push();
  it.taken();
  it.outbox.forgetHeld();
  expect(it.outbox.hasHeld).toBe(false);
});

test("what the peer has asked for is sent whatever others carry", async () => {
  using it = await world({ kind: "held", by: OTHER });
  it.outbox.pushState(key("tracks:1"));
  expect(it.taken()).toEqual(["tracks:1"]);
});

test("what a catch-up finds is not", async () => {
  using it = await world({ kind: "held", by: OTHER });
  it.outbox.pushBulkBelow(ROOT);
  expect(it.taken()).toEqual(["tracks:2"]);
});

test("a frame says whether any of it is for others too", async () => {
  for (const kind of ["entrusted", "alone"] as const) {
    using it = await world({ kind });
    it.push();
    expect(it.outbox.take()).toMatchObject({ kind: "states", isEntrusted: kind === "entrusted" });
    it.push();
    it.outbox.has(key("tracks:1"), it.store.hashOf(key("tracks:1")) ?? "");
    expect(it.outbox.take()).toMatchObject({ kind: "states", isEntrusted: false });
  }
});
