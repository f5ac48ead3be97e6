// Far away e has two peers, near each other; the disk of one is full, so it acknowledges nothing and lives on. The
// other has to hear everything within three minutes all the same. Not with the simulations: it takes a while.
import { expect, test } from "bun:test";
import { Fault } from "../../src/base/faults.ts";
import type { Sabotage } from "../simulation/sabotage.ts";
import { World } from "../simulation/world.ts";

const FAR = { latencyMs: 300, bytesPerMs: 6, idleMs: 30_000 };

async function tookMs(writers: readonly string[]): Promise<{ lost: number; took: number }> {
  let stores = 0;
  let isFull = false;
  const sabotage: Sabotage = {
    name: "a full disk",
    merge: (store) => {
      stores += 1;
      const isFirst = stores === 1;
      return async (incoming, origin) =>
        isFirst && isFull
          ? Promise.reject(new Fault("storage_full", "full"))
          : store.merge(incoming, origin);
    },
  };
  await using world = new World({
    seed: 1,
    nodes: ["a", "b", "e"],
    latencyMs: 1,
    bytesPerMs: 10_000,
    sabotage,
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
  isFull = true;
  const from = world.clock.monotonic();
  const keys: string[] = [];
  for (let i = 0; i < 10; i += 1) {
    for (let k = 0; k < 60; k += 1) {
      const key = `tracks:${i}-${k}`;
      keys.push(key);
      world.write(e, key, { kind: "put", body: { i, k } });
    }
    await step();
  }
  for (let i = 0; i < 50; i += 1) await step();
  const lacks = () => keys.filter((key) => b.get(key) === undefined).length;
  const lost = lacks();
  while (lacks() > 0 && world.clock.monotonic() - from < 200_000) await step();
  return { lost, took: world.clock.monotonic() - from };
}

test("the other has everything within three minutes", async () => {
  const { lost, took } = await tookMs(["e"]);
  expect(lost).toBeGreaterThan(0);
  expect(took).toBeLessThan(180_000);
}, 120_000);
