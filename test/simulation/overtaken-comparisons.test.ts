// A node between two others, over slow links, that writes now and then: the comparison with one of them begins while
// nothing moves to the other, and something does when its second step comes.
import { expect, test } from "bun:test";
import type { SimulatedNode } from "./node.ts";
import { World } from "./world.ts";

const FAR = { latencyMs: 300, bytesPerMs: 100, idleMs: 30_000 };
const OLD = 600;

async function tookMs(everyMs: number): Promise<number> {
  await using world = new World({
    seed: 1,
    nodes: ["b", "a", "c"],
    shape: "row",
    latencyMs: 300,
    bytesPerMs: 100,
  });
  const [a, b, c] = [world.node("a"), world.node("b"), world.node("c")];
  world.net.setPath(a.id, b.id, FAR);
  world.net.setPath(a.id, c.id, FAR);
  await world.settled();
  world.cut("a", "b");
  await world.clock.advance(40_000);
  const old: string[] = [];
  for (const node of [a, b]) {
    for (let n = 0; n < OLD; n += 1) {
      old.push(`tracks:${node.name}-${n}`);
      world.write(node, `tracks:${node.name}-${n}`, { kind: "put", body: { n } });
    }
  }
  await world.clock.advance(40_000);
  world.heal("a", "b");
  let n = 0;
  const lacks = (node: SimulatedNode) => old.some((key) => node.get(key) === undefined);
  const from = world.clock.monotonic();
  while ((lacks(a) || lacks(b)) && world.clock.monotonic() - from < 250_000) {
    world.write(a, `live:${n % 20}`, { kind: "put", body: { n } });
    n += 1;
    await world.clock.advance(everyMs);
  }
  expect(world.failures).toEqual([]);
  return world.clock.monotonic() - from;
}

// At the first of them each comparison once began in a pause, and met the next write at its second step.
test.each([1_500, 2_500])(
  "with a write each %i ms all has arrived three minutes after both met",
  async (everyMs) => {
    expect(await tookMs(everyMs)).toBeLessThan(180_000);
  },
  60_000,
);
