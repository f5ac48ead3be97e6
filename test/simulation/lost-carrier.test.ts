// Far away e has two peers, near each other; the machine of one goes off. What it acknowledged and never passed on has to
// reach the other, though those that live never stop writing. Cut: a crash would be noticed at once.
import { expect, test } from "bun:test";
import { World } from "./world.ts";

const FAR = { latencyMs: 300, bytesPerMs: 6, idleMs: 30_000 };

async function tookMs(writers: readonly string[]): Promise<{ lost: number; took: number }> {
  await using world = new World({
    seed: 1,
    nodes: ["a", "b", "e"],
    latencyMs: 1,
    bytesPerMs: 10_000,
  });
  const [a, b, e] = [world.node("a"), world.node("b"), world.node("e")];
  for (const near of [a, b]) world.net.setPath(e.id, near.id, FAR);
  await world.settled();
  let n = 0;
  const step = async () => {
    for (const name of writers) {
      world.write(world.node(name), `live:${name}-${n % 20}`, { kind: "put", body: { n } });
    }
    n += 1;
    await world.clock.advance(200);
  };
  for (let i = 0; i < 20; i += 1) await step();
  // Nothing passes between a and b any more; neither knows.
  world.net.strand(a.id, b.id);
  const keys: string[] = [];
  for (let i = 0; i < 10; i += 1) {
    for (let k = 0; k < 60; k += 1) {
      const key = `tracks:${i}-${k}`;
      keys.push(key);
      world.write(e, key, { kind: "put", body: { i, k } });
    }
    await step();
    if (i === 0) world.cut("a", "b");
  }
  for (let i = 0; i < 18; i += 1) await step();
  world.cut("a", "e");
  const from = world.clock.monotonic();
  const lacks = () => keys.filter((key) => b.get(key) === undefined).length;
  const lost = lacks();
  while (lacks() > 0 && world.clock.monotonic() - from < 200_000) await step();
  expect(world.failures).toEqual([]);
  return { lost, took: world.clock.monotonic() - from };
}

test.each([[["e"]], [["e", "b"]]])(
  "what a carrier took with it has arrived three minutes later, while %p go on writing",
  async (writers) => {
    const { lost, took } = await tookMs(writers);
    expect(lost).toBeGreaterThan(0);
    expect(took).toBeLessThan(180_000);
  },
  60_000,
);
