// Connections that carry nothing any more while both transports go on hoping: one end has another address.
import { expect, test } from "bun:test";
import { FrameTap } from "../support/frame-tap.ts";
import { World } from "./world.ts";

/** Both at rest, and then nothing passes on the links that they have. */
async function stranded(seed: number) {
  const world = new World({ seed, nodes: ["a", "b"], latencyMs: 20 });
  await world.settled();
  const [a, b] = [world.node("a"), world.node("b")];
  world.net.strand(a.id, b.id);
  return { world, a, b };
}

test.each([1, 2, 3, 4])(
  "what is written then arrives within seconds, by a new connection (seed %i)",
  async (seed) => {
    const { world, a, b } = await stranded(seed);
    await using _ = world;
    world.write(a, "tracks:1", { kind: "put", body: { n: 1 } });
    const arrives = () => b.get("tracks:1") !== undefined;
    expect(await world.clock.advanceUntil(arrives, 6_000)).toBe(true);
    await world.settled();
    expect(await world.bytesAtRest()).toBe(0);
    expect(world.failures).toEqual([]);
  },
);

test("a node that is told of its new address asks its peers at once", async () => {
  const { world, a, b } = await stranded(5);
  await using _ = world;
  world.write(a, "tracks:1", { kind: "put", body: { n: 1 } });
  b.coordinator.networkChanged();
  const arrives = () => b.get("tracks:1") !== undefined;
  expect(await world.clock.advanceUntil(arrives, 1_500)).toBe(true);
  await world.settled();
  expect(world.failures).toEqual([]);
});

test("where nothing is written, missing keep-alives are noticed within half a minute", async () => {
  const { world, a, b } = await stranded(6);
  await using _ = world;
  const before = a.coordinator.sessions[0];
  expect(before).toBeDefined();
  const isReplaced = () => a.coordinator.sessions[0] !== before;
  expect(await world.clock.advanceUntil(isReplaced, 30_000)).toBe(true);
  world.write(b, "tracks:1", { kind: "put", body: { n: 1 } });
  const arrives = () => a.get("tracks:1") !== undefined;
  expect(await world.clock.advanceUntil(arrives, 1_000)).toBe(true);
  expect(world.failures).toEqual([]);
});

test("what waited goes on by the new connection, without comparing everything", async () => {
  await using world = new World({ seed: 7, nodes: ["a", "b"], latencyMs: 20, bytesPerMs: 20 });
  const tap = new FrameTap(world.net);
  const [a, b] = [world.node("a"), world.node("b")];
  const write = (from: number, until: number) => {
    for (let n = from; n < until; n += 1) {
      world.write(a, `tracks:${n}`, { kind: "put", body: { n, place: 7_000 + n } });
    }
  };
  write(0, 500);
  await world.settled();
  write(500, 1_500);
  const isHalfDone = () => b.get("tracks:800") !== undefined;
  expect(await world.clock.advanceUntil(isHalfDone, 30_000)).toBe(true);
  expect(b.get("tracks:1499")).toBeUndefined();
  tap.clear();
  world.net.strand(a.id, b.id);
  const isDone = () => b.get("tracks:1499") !== undefined;
  expect(await world.clock.advanceUntil(isDone, 30_000)).toBe(true);
  await world.settled();
  const carried = tap.frames.reduce((sum, { documents }) => sum + documents.length, 0);
  const named = tap.frames.reduce((sum, frame) => sum + frame.named.length, 0);
  expect({ named, isSentOnce: carried < 1_000 }).toEqual({ named: 0, isSentOnce: true });
  expect(world.failures).toEqual([]);
});
