// Sync is stopped in the very moment in which a second link waits to hear whether the first still answers.
import { expect, test } from "bun:test";
import { World } from "./world.ts";

const STEP_MS = 100;

/** Links of both a minute after `a` was stopped, `stopAfterMs` after the path of the only link had fallen silent. */
async function linksAfterStop(stopAfterMs: number): Promise<readonly number[]> {
  await using world = new World({ seed: 1, nodes: ["a", "b"], latencyMs: 40, bytesPerMs: 100 });
  const [a, b] = [world.node("a"), world.node("b")];
  await world.settled();
  world.net.strand(a.id, b.id);
  world.write(a, "tracks:1", { kind: "put", body: { n: 1 } });
  await world.clock.advance(stopAfterMs);
  a.coordinator.orders.stopSync();
  await world.clock.advance(60_000);
  expect(world.failures).toEqual([]);
  return [a, b].map(({ coordinator }) => coordinator.sessions.length);
}

test("sync that was stopped stays stopped, whatever was about to be connected", async () => {
  const connected: number[] = [];
  for (let ms = 0; ms < 6_000; ms += STEP_MS) {
    if ((await linksAfterStop(ms)).some((links) => links > 0)) connected.push(ms);
  }
  expect(connected).toEqual([]);
}, 120_000);
