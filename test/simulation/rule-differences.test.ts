// Nodes that were told different rules for a collection: it is sent, but not compared; all else is equal, and quiet.
import { describe, expect, test } from "bun:test";
import { World } from "./world.ts";

const choicesOf = { a: { ttlPreset: "tactical" } } as const;
const apart = (world: World, name: string) =>
  world.node(name).coordinator.sessions.map((session) => session.differingCollections);

describe("a node with other lifetimes", () => {
  test("and its peer know which collections differ, and compare the others", async () => {
    await using world = new World({ seed: 1, nodes: ["a", "b"], choicesOf });
    await world.clock.advance(1_000);
    expect(apart(world, "a")).toEqual([["beacons"]]);
    expect(apart(world, "b")).toEqual([["beacons"]]);
    for (let i = 0; i < 100; i += 1) {
      world.write(world.node("a"), `tracks:${i}`, { kind: "put", body: { i } });
    }
    world.write(world.node("a"), "beacons:live", { kind: "put", body: { n: 1 } });
    await world.clock.advance(1_000);
    expect(world.node("b").get("beacons:live")).toEqual({ n: 1 });

    world.cut("a", "b");
    await world.clock.advance(20_000);
    world.write(world.node("a"), "beacons:away", { kind: "put", body: { n: 2 } });
    world.write(world.node("a"), "tracks:away", { kind: "put", body: { n: 3 } });
    await world.clock.advance(1_000);
    world.heal("a", "b");
    await world.clock.advance(30_000);
    expect(world.node("b").get("tracks:away")).toEqual({ n: 3 });
    // Each may by its own rules have what the other has dropped: nobody brings it back.
    expect(world.node("b").get("beacons:away")).toBeUndefined();
    expect(world.isQuiet).toBe(true);
    expect(await world.bytesAtRest()).toBe(0);
    expect(world.failures).toEqual([]);
  });

  test("agrees with it again once both have the same rules", async () => {
    await using world = new World({ seed: 2, nodes: ["a", "b"] });
    await world.clock.advance(1_000);
    expect(apart(world, "a")).toEqual([[]]);
    world.write(world.node("a"), "beacons:1", { kind: "put", body: { n: 1 } });
    await world.settled();
    expect(world.isEqual).toBe(true);
    expect(world.failures).toEqual([]);
  });
});
