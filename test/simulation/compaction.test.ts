// Compaction is nobody else's business: whoever compacts, or not, or was away meanwhile, all end up with the same.
import { expect, test } from "bun:test";
import type { Operation } from "../../scripts/model/checker.ts";
import { key } from "../support/memory-store.ts";
import type { SimulatedNode } from "./node.ts";
import { compactAll, wrongRenderings } from "./renderings.ts";
import { simulate, type World } from "./world.ts";

const KEYS = ["tracks:1", "tracks:2", "tracks:3", "notes:1"];
const SEEDS = 8;

function randomOperation({ random }: World): Operation {
  if (random.chance(5)) return { kind: "delete" };
  const body = Object.fromEntries(
    ["a", "b", "c"].filter(() => random.chance(60)).map((name) => [name, random.below(100)]),
  );
  return random.chance(60) ? { kind: "patch", body } : { kind: "put", body };
}

async function writeSome(world: World, nodes: readonly SimulatedNode[], count: number) {
  for (let i = 0; i < count; i += 1) {
    world.write(world.random.pick(nodes), world.random.pick(KEYS), randomOperation(world));
    await world.clock.advance(world.random.below(300));
  }
}

test("a node that compacts, one that does not, and one that was away agree, and are silent then", async () => {
  let compacted = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    await using world = await simulate({
      seed,
      nodes: ["a", "b", "c"],
      keys: KEYS,
      hasFiles: true,
      skewMsMax: 60_000,
    });
    const [a, b, c] = [world.node("a"), world.node("b"), world.node("c")];
    await writeSome(world, [a, b, c], 60);
    await world.clock.advance(5_000);
    // The third is away while the first compacts, and both write on.
    world.cut("a", "c");
    world.cut("b", "c");
    for (let round = 0; round < 5; round += 1) {
      await writeSome(world, [a, b, c], 20);
      compacted += (await compactAll(a.store)).count;
      // In the middle of it all, with what was compacted a moment ago.
      if (round === 2) {
        a.crash();
        await world.clock.advance(1_000);
        a.restart();
      }
    }
    await writeSome(world, [a, b, c], 10);
    world.healAll();
    await world.settled();
    await world.clock.advance(10_000);
    compacted += (await compactAll(a.store)).count;
    expect(await world.bytesAtRest()).toBe(0);
    for (const name of KEYS) {
      const shown = [a, b, c].map(({ store }) => store.get(key(name))?.json ?? "none");
      const hashes = [a, b, c].map(({ store }) => store.hashOf(key(name)));
      expect(new Set(shown).size).toBe(1);
      expect(new Set(hashes).size).toBe(1);
    }
    expect(wrongRenderings(world, KEYS)).toEqual([]);
    expect(world.judge().map((complaint) => `seed ${seed}: ${complaint}`)).toEqual([]);
  }
  expect(compacted).toBeGreaterThan(SEEDS);
}, 120_000);
