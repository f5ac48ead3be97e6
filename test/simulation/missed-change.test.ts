// A change that was left to a link which then died, and another one right after it, while the document itself is still on
// its way as a whole: who missed the first asks for both, and is answered.
import { expect, test } from "bun:test";
import { put } from "../support/memory-store.ts";
import { filler } from "../support/outbox-world.ts";
import { World } from "./world.ts";

test.each([
  ["compared", {}],
  ["not compared, for the peer keeps them otherwise", { b: { ttlPreset: "long_duration" } }],
] as const)("arrives within half a minute where documents are %s", async (_how, choicesOf) => {
  const path = "capabilities:1";
  await using world = new World({ seed: 1, nodes: ["a", "b", "c"], choicesOf, latencyMs: 1 });
  const [a, b, c] = [world.node("a"), world.node("b"), world.node("c")];
  world.net.setPath(a.id, b.id, { latencyMs: 100, bytesPerMs: 20, idleMs: 30_000 });
  world.net.setPath(c.id, b.id, { latencyMs: 1_000, bytesPerMs: 0.5, idleMs: 120_000 });
  await world.clock.advance(60_000);
  // The link of c is full for longer than c lives.
  void put(c.store, "reports:1", { text: filler(60_000) });
  await world.clock.advance(2_000);
  const text = filler(60_000);
  void put(a.store, path, { text, n: 0 });
  await world.clock.advanceUntil(() => c.get(path) !== undefined, 10_000, 10);
  await world.clock.advance(500);
  world.write(c, path, { kind: "patch", body: { c: 1 } });
  await world.clock.advanceUntil(
    () => c.get(path)?.["c"] === 1 && a.get(path)?.["c"] === 1,
    5_000,
    1,
  );
  void put(a.store, path, { text, c: 1, more: filler(60_000), n: 1 });
  await world.clock.advance(5);
  c.crash();
  const arrived = () => b.get(path)?.["n"] === 1 && b.get(path)?.["c"] === 1;
  expect(await world.clock.advanceUntil(arrived, 30_000, 50)).toBe(true);
  expect(world.failures).toEqual([]);
});
