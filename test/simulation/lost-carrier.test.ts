// Far away e has two peers, near each other; the machine of one goes off. What it acknowledged and never passed on has to
// reach the other, though those that live never stop writing. Cut: a crash would be noticed at once.
import { expect, test } from "bun:test";
import { FarBurst } from "./far-burst.ts";

async function tookMs(writers: readonly string[]): Promise<{ lost: number; took: number }> {
  await using burst = await FarBurst.open(writers);
  const { world } = burst;
  // Nothing passes between a and b any more; neither knows.
  world.net.strand(world.node("a").id, world.node("b").id);
  await burst.write(() => world.cut("a", "b"));
  await burst.steps(18);
  world.cut("a", "e");
  const from = world.clock.monotonic();
  const lost = burst.lacking;
  const took = await burst.arrived(from);
  expect(world.failures).toEqual([]);
  return { lost, took };
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
