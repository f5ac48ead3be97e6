// A link that is replaced while the first comparison is under way, between two that never stop writing.
import { expect, test } from "bun:test";
import type { SimulatedNode } from "./node.ts";
import { World } from "./world.ts";

const FAR = { latencyMs: 300, bytesPerMs: 100, idleMs: 30_000 };
const OLD = 300;

async function tookMs(strandAfterMs: number): Promise<number> {
  await using world = new World({ seed: 1, nodes: ["a", "b"], latencyMs: 300, bytesPerMs: 100 });
  const [a, b] = [world.node("a"), world.node("b")];
  world.net.setPath(a.id, b.id, FAR);
  await world.settled();
  world.cut("a", "b");
  await world.clock.advance(60_000);
  const old: string[] = [];
  for (const node of [a, b]) {
    for (let n = 0; n < OLD; n += 1) {
      old.push(`tracks:${node.name}-${n}`);
      world.write(node, `tracks:${node.name}-${n}`, { kind: "put", body: { n } });
    }
  }
  await world.clock.advance(2_000);
  world.heal("a", "b");
  let n = 0;
  const step = async () => {
    for (const node of [a, b]) {
      world.write(node, `live:${node.name}-${n % 20}`, { kind: "put", body: { n } });
    }
    n += 1;
    await world.clock.advance(100);
  };
  const isConnected = () => [a, b].every(({ coordinator }) => coordinator.sessions.length > 0);
  while (!isConnected()) await step();
  for (let ms = 0; ms < strandAfterMs; ms += 100) await step();
  world.net.strand(a.id, b.id);
  const lacks = (node: SimulatedNode) => old.some((key) => node.get(key) === undefined);
  const from = world.clock.monotonic();
  while ((lacks(a) || lacks(b)) && world.clock.monotonic() - from < 200_000) await step();
  expect(world.failures).toEqual([]);
  return world.clock.monotonic() - from;
}

test.each([600, 900])(
  "a link that is replaced %i ms after it began has brought all within three minutes",
  async (ms) => {
    expect(await tookMs(ms)).toBeLessThan(180_000);
  },
  60_000,
);
