// Far away e has two peers, near each other; the disk of one is full, so it acknowledges nothing and lives on. The
// other has to hear everything within three minutes all the same. Not with the simulations: it takes a while.
import { expect, test } from "bun:test";
import { Fault } from "../../src/base/faults.ts";
import { FarBurst } from "../simulation/far-burst.ts";
import type { Sabotage } from "../simulation/sabotage.ts";

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
  await using burst = await FarBurst.open(writers, sabotage);
  isFull = true;
  const from = burst.world.clock.monotonic();
  await burst.write();
  await burst.steps(50);
  const lost = burst.lacking;
  return { lost, took: await burst.arrived(from) };
}

test("the other has everything within three minutes", async () => {
  const { lost, took } = await tookMs(["e"]);
  expect(lost).toBeGreaterThan(0);
  expect(took).toBeLessThan(180_000);
}, 120_000);
