// The watch under anything that can go wrong, in any order.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { RequestFailure } from "../../../src/discovery/kubernetes-watch.ts";
import { WatchWorld } from "../../support/kubernetes/watch-world.ts";

const pods = fc.subarray(["p1", "p2", "p3", "self"]);
const slice = fc.constantFrom("a", "b");
const step = fc.oneof(
  fc.record({ do: fc.constant("put" as const), slice, pods }),
  fc.record({ do: fc.constant("delete" as const), slice }),
  fc.record({
    do: fc.constantFrom(
      "compact" as const,
      "bookmark" as const,
      "mute" as const,
      "end" as const,
      "reset" as const,
    ),
  }),
  fc.record({
    do: fc.constantFrom(
      "no list" as const,
      "no watch" as const,
      "refuse" as const,
      "heal" as const,
    ),
  }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 40_000 }) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function perform(world: WatchWorld, each: Step): Promise<void> {
  const { api, clock } = world;
  switch (each.do) {
    case "put":
      world.pods(each.slice, ...each.pods);
      break;
    case "delete":
      api.delete(each.slice);
      break;
    case "compact":
      api.compact();
      break;
    case "bookmark":
      api.bookmark();
      break;
    case "mute":
      api.isMute = true;
      break;
    case "end":
      api.endWatches("good");
      break;
    case "reset":
      api.endWatches(new RequestFailure("connection reset"));
      break;
    case "no list":
      api.listTrouble = "no answer";
      break;
    case "no watch":
      api.watchTrouble = "no answer";
      break;
    case "refuse":
      api.listTrouble = new RequestFailure("forbidden", 403);
      break;
    case "heal":
      api.listTrouble = undefined;
      api.watchTrouble = undefined;
      api.isMute = false;
      break;
    case "wait":
      await clock.advance(each.ms);
      break;
  }
  await clock.advance(1);
}

test("whatever went wrong for however long, soon after it the peers are those of the server", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const world = new WatchWorld();
      const truth = new Map<string, readonly string[]>();
      for (const each of steps) {
        if (each.do === "put") truth.set(each.slice, each.pods);
        if (each.do === "delete") truth.delete(each.slice);
        await perform(world, each);
      }
      // Mute watches stay mute: only a list finds that out.
      world.api.listTrouble = undefined;
      world.api.watchTrouble = undefined;
      await world.clock.advance(80_000);
      const expected = new Set([...truth.values()].flat().filter((name) => name !== "self"));
      expect(new Set(world.peers)).toEqual(expected);
      expect(world.api.openWatches).toBe(1);
      await world.close();
    }),
    { numRuns: 300 },
  );
}, 30_000);
