// A node behind a slow uplink, and four that are near each other.
import { expect, test } from "bun:test";
import { FrameTap } from "../support/frame-tap.ts";
import { World } from "./world.ts";

const NEAR = ["a", "b", "c", "d"];
const DOCUMENTS = 400;

/** e's own path to each of the others is long and slow; they are quick among themselves. */
async function world(seed: number) {
  const world = new World({ seed, nodes: [...NEAR, "e"], latencyMs: 1, bytesPerMs: 10_000 });
  const far = world.node("e");
  const path = { latencyMs: 300, bytesPerMs: 2, idleMs: 30_000 };
  for (const name of NEAR) world.net.setPath(far.id, world.node(name).id, path);
  const tap = new FrameTap(world.net);
  await world.settled();
  tap.clear();
  return { world, far, tap };
}

function writeAll(world: World, name: string, prefix: string): string[] {
  const keys = Array.from({ length: DOCUMENTS }, (_, i) => `tracks:${prefix}-${i}`);
  for (const [i, key] of keys.entries()) {
    world.write(world.node(name), key, { kind: "put", body: { unit: i, lat: i / 7, lon: i / 11 } });
  }
  return keys;
}

test.each([1, 2, 3])(
  "what it writes crosses its uplink about once, and reaches all (seed %i)",
  async (seed) => {
    const { world: it, far, tap } = await world(seed);
    await using _ = it;
    const keys = writeAll(it, "e", "far");
    await it.settled();
    const crossing = tap.frames.filter(({ from }) => from === far.id);
    const carried = crossing.reduce((sum, { documents }) => sum + documents.length, 0);
    expect(carried).toBeGreaterThanOrEqual(DOCUMENTS);
    // Four times without; what goes out before anything is known to be full goes to all.
    expect(carried).toBeLessThan(1.7 * DOCUMENTS);
    for (const name of NEAR) expect(it.node(name).get(keys.at(-1) ?? "")).toBeDefined();
    // Answers that cross on so long a path.
    await it.clock.advance(5_000);
    expect(await it.bytesAtRest()).toBe(0);
    expect(it.failures).toEqual([]);
  },
);

test("what a link was to carry when it is cut goes by the others", async () => {
  const { world: it } = await world(4);
  await using _ = it;
  const keys = writeAll(it, "e", "far");
  await it.clock.advance(2_000);
  it.cut("e", "a");
  const arrives = () =>
    NEAR.every((name) => keys.every((key) => it.node(name).get(key) !== undefined));
  expect(await it.clock.advanceUntil(arrives, 120_000)).toBe(true);
  await it.settled();
  expect(it.failures).toEqual([]);
});
