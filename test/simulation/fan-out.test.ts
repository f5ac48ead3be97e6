// What one write costs a formation, counted by somebody who listens on the wires.
import { describe, expect, test } from "bun:test";
import { Random } from "../../scripts/model/random.ts";
import { parseDocumentKey } from "../../src/store/document-key.ts";
import { FrameTap } from "../support/frame-tap.ts";
import type { SimulatedNode } from "./node.ts";
import { World, type WorldOptions } from "./world.ts";

const EIGHT = ["a", "b", "c", "d", "e", "f", "g", "h"];
/** A full mesh of eight carries a change to seven; two more for whatever crosses on the way. */
const FRAMES_MAX = 9;

/** Connected, at rest, and listened to from the first byte on. */
async function listened(options: WorldOptions) {
  const world = new World(options);
  const tap = new FrameTap(world.net);
  await world.settled();
  await world.bytesAtRest();
  tap.clear();
  return { world, tap };
}

async function put(node: SimulatedNode, name: string, body: object): Promise<void> {
  const operation = { kind: "put", body: JSON.stringify(body) } as const;
  await node.store.write({ key: parseDocumentKey(name), operation });
}

describe("in a full mesh of eight", () => {
  test.each([1, 2, 3, 4])(
    "a write is carried by at most nine frames, whoever writes (seed %i)",
    async (seed) => {
      const { world, tap } = await listened({ seed, nodes: EIGHT, latencyMs: 7 * seed });
      await using _ = world;
      for (const node of world.nodes) {
        const name = `tracks:of-${node.name}`;
        void put(node, name, { by: node.index });
        await world.settled();
        await world.bytesAtRest();
        expect(tap.with(name).length).toBeGreaterThanOrEqual(7);
        expect(tap.with(name).length).toBeLessThanOrEqual(FRAMES_MAX);
        expect(world.nodes.map((n) => n.get(name))).toEqual(EIGHT.map(() => ({ by: node.index })));
      }
      expect(world.failures).toEqual([]);
    },
  );

  test("so is each of 200 writes that come from all of them at once", async () => {
    const { world, tap } = await listened({ seed: 5, nodes: EIGHT, latencyMs: 20 });
    await using _ = world;
    const names = Array.from({ length: 200 }, (_n, i) => `notes:${i}`);
    for (const [i, name] of names.entries()) {
      const node = world.nodes[i % 8];
      if (node !== undefined) void put(node, name, { i });
      if (i % 8 === 7) await world.clock.advance(50);
    }
    await world.settled();
    await world.bytesAtRest();
    const frames = names.map((name) => tap.with(name).length);
    expect(Math.max(...frames)).toBeLessThanOrEqual(FRAMES_MAX);
    expect(Math.min(...frames)).toBeGreaterThanOrEqual(7);
    expect(world.failures).toEqual([]);
  });

  test("a write arrives where the direct link is cut, at the same cost", async () => {
    const { world, tap } = await listened({ seed: 6, nodes: EIGHT, latencyMs: 10 });
    await using _ = world;
    world.cut("a", "b");
    const since = world.clock.monotonic();
    // Nobody has noticed the cut yet: the writer's own frame is lost, and the others hold theirs back.
    void put(world.node("a"), "tracks:1", { n: 1 });
    const arrives = () => world.node("b").get("tracks:1") !== undefined;
    expect(await world.clock.advanceUntil(arrives, 10_000)).toBe(true);
    expect(world.clock.monotonic() - since).toBeLessThan(2_000);
    await world.settled();
    expect(tap.with("tracks:1").length).toBeLessThanOrEqual(FRAMES_MAX);
    // Once the cut is known, whoever is connected to both passes it on at once.
    await world.clock.advance(20_000);
    tap.clear();
    const again = world.clock.monotonic();
    void put(world.node("a"), "tracks:2", { n: 1 });
    const arrivesAgain = () => world.node("b").get("tracks:2") !== undefined;
    expect(await world.clock.advanceUntil(arrivesAgain, 10_000)).toBe(true);
    expect(world.clock.monotonic() - again).toBeLessThan(100);
    await world.settled();
    expect(tap.with("tracks:2").filter(({ to }) => to !== world.node("b").id).length).toBe(6);
  });

  test("a write arrives by the only path that is left, however long it is", async () => {
    const { world } = await listened({ seed: 7, nodes: EIGHT, latencyMs: 10 });
    await using _ = world;
    const path = ["a", "c", "e", "g", "h", "f", "d", "b"];
    for (const [i, one] of path.entries()) {
      for (const other of path.slice(i + 2)) world.cut(one, other);
    }
    await world.clock.advance(20_000);
    const since = world.clock.monotonic();
    void put(world.node("a"), "tracks:1", { n: 1 });
    const arrives = () => world.node("b").get("tracks:1") !== undefined;
    expect(await world.clock.advanceUntil(arrives, 10_000)).toBe(true);
    expect(world.clock.monotonic() - since).toBeLessThan(7 * 20);
    await world.settled();
    expect(world.failures).toEqual([]);
  });
});

describe("nodes that meet after a parting", () => {
  const SIDES = { a: "left", b: "left", c: "right", d: "right", e: "right" };
  const body = (i: number) => ({ name: `Unit ${i}`, lat: i / 7, lon: i / 11, status: "moving" });

  test.each([
    ["a quick network", { latencyMs: 1, bytesPerMs: 10_000 }],
    ["links of 800 kbit/s", { latencyMs: 5, bytesPerMs: 100 }],
  ])(
    "are sent about once what they lack, over %s",
    async (_name, path) => {
      const documents = 1_000;
      const nodes = Object.keys(SIDES);
      const { world, tap } = await listened({ seed: 8, nodes, ...path });
      await using _ = world;
      for (const left of ["a", "b"]) for (const right of ["c", "d", "e"]) world.cut(left, right);
      await world.clock.advance(20_000);
      for (let i = 0; i < documents; i += 1) {
        void put(world.node("a"), `tracks:left-${i}`, body(i));
        void put(world.node("c"), `tracks:right-${i}`, body(i));
        if (i % 50 === 49) await world.clock.advance(100);
      }
      await world.clock.advance(30_000);
      tap.clear();
      world.healAll();
      await world.settled();
      const carried = tap.frames.reduce((sum, frame) => sum + frame.documents.length, 0);
      const lacking = documents * (3 + 2);
      expect(carried).toBeGreaterThanOrEqual(lacking);
      expect(carried).toBeLessThan(1.5 * lacking);
      expect(world.failures).toEqual([]);
    },
    60_000,
  );
});

describe("over a link of 8 kB/s", () => {
  /** Text that does not become small by packing. */
  const noise = (n: number, bytes: number) => new Random(n).fill(new Uint8Array(bytes)).toBase64();
  const SLOW = { nodes: ["a", "b"], latencyMs: 100, bytesPerMs: 8 };

  test("a thousand writes of one document are a few frames, the last of them the last write", async () => {
    const { world, tap } = await listened({ seed: 9, ...SLOW });
    await using _ = world;
    for (let n = 0; n < 1_000; n += 1) {
      void put(world.node("a"), "tracks:1", { n, text: noise(n, 400) });
      await world.clock.advance(2);
    }
    await world.settled();
    expect(tap.with("tracks:1").length).toBeLessThan(100);
    expect(world.node("b").get("tracks:1")).toMatchObject({ n: 999 });
    expect(world.failures).toEqual([]);
  });

  test("an alert passes what waits, and waits for no more than what is on its way", async () => {
    const { world } = await listened({ seed: 10, ...SLOW });
    await using _ = world;
    const { store } = world.node("a");
    for (let n = 0; n < 300; n += 1) {
      void put(world.node("a"), `tracks:${n}`, { text: noise(n, 1_500) });
    }
    await world.clock.advance(10_000);
    const waits: number[] = [];
    for (let n = 0; n < 10; n += 1) {
      const since = world.clock.monotonic();
      void put(world.node("a"), `alerts:${n}`, { n });
      const arrives = () => world.node("b").get(`alerts:${n}`) !== undefined;
      expect(await world.clock.advanceUntil(arrives, 20_000)).toBe(true);
      waits.push(world.clock.monotonic() - since);
    }
    // All of it takes a minute.
    expect(world.node("b").store.count("tracks")).toBeLessThan(store.count("tracks"));
    expect(Math.max(...waits)).toBeLessThan(4_000);
    await world.settled();
    expect(world.failures).toEqual([]);
  });
});
