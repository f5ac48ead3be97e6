// Long, narrow links that always have something to carry: nobody may wait for a pause that does not come.
import { expect, test } from "bun:test";
import { effort } from "../support/effort.ts";
import { FrameTap } from "../support/frame-tap.ts";
import type { SimulatedNode } from "./node.ts";
import { World } from "./world.ts";

const FAR = { latencyMs: 300, bytesPerMs: 100, idleMs: 30_000 };
const OLD = 300;

function namesOf(prefix: string): string[] {
  return Array.from({ length: OLD }, (_, n) => `tracks:${prefix}-${n}`);
}

/** q and b are near each other, p is far and has much of its own; b begins empty, and p never stops writing. */
async function newlyMet(shape: "row" | "mesh") {
  const world = new World({
    seed: 1,
    nodes: ["q", "b", "p"],
    shape,
    latencyMs: 1,
    bytesPerMs: 10_000,
  });
  const [q, b, p] = [world.node("q"), world.node("b"), world.node("p")];
  world.net.setPath(b.id, p.id, FAR);
  const links = shape === "row" ? (["qb", "bp"] as const) : (["qb", "bp", "qp"] as const);
  for (const [one, other] of links) world.cut(one ?? "", other ?? "");
  await world.clock.advance(2_000);
  for (const node of [q, p]) {
    for (const name of namesOf(node === q ? "q" : "p")) {
      world.write(node, name, { kind: "put", body: { n: 1 } });
    }
  }
  await world.clock.advance(2_000);
  world.heal("b", "p");
  let n = 0;
  const writeFor = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 100) {
      world.write(p, `live:${n % 20}`, { kind: "put", body: { n } });
      n += 1;
      await world.clock.advance(100);
    }
  };
  await writeFor(2_000);
  for (const [one, other] of links) world.heal(one ?? "", other ?? "");
  return { world, b, writeFor };
}

function lacking(node: SimulatedNode, names: readonly string[]): number {
  return names.filter((name) => node.get(name) === undefined).length;
}

test("who is newly met is told what it lacks while others go on writing", async () => {
  const { world, b, writeFor } = await newlyMet("row");
  await using _ = world;
  await writeFor(60_000);
  expect(lacking(b, [...namesOf("q"), ...namesOf("p")])).toBe(0);
});

test("a node that began empty has caught up while others go on writing", async () => {
  const { world, b, writeFor } = await newlyMet("mesh");
  await using _ = world;
  await writeFor(60_000);
  const { coordinator } = b;
  expect(coordinator.hasAgreed || !coordinator.isCatchingUp).toBe(true);
});

test("four nodes on full links hear every change within a minute, and none is left to two that wait for each other", async () => {
  const nodes = ["a", "b", "c", "d"];
  const path = { latencyMs: 300, bytesPerMs: 6, idleMs: 30_000 };
  await using world = new World({ seed: 2, nodes, latencyMs: 300, bytesPerMs: 6 });
  for (const [i, one] of nodes.entries()) {
    for (const other of nodes.slice(i + 1)) {
      world.net.setPath(world.node(one).id, world.node(other).id, path);
    }
  }
  await world.settled();
  const written: string[] = [];
  for (let n = 0; n < effort(1_000, 2_000); n += 1) {
    const fields = Array.from({ length: 25 }, (_, i) => [`f${i}`, world.random.below(1e9)]);
    const name = `tracks:s-${n}`;
    written.push(name);
    world.write(world.node("a"), name, {
      kind: "put",
      body: { ...Object.fromEntries(fields), n },
    });
    await world.clock.advance(100);
    const old = written.slice(Math.max(0, n - 650), Math.max(0, n - 600));
    for (const other of ["b", "c", "d"]) expect(lacking(world.node(other), old)).toBe(0);
  }
});

test("on slow links with room one of those that hear a change passes it on, not all", async () => {
  const nodes = ["a", "b", "c", "d", "e", "f"];
  await using world = new World({ seed: 2, nodes, latencyMs: 100, bytesPerMs: 20 });
  const tap = new FrameTap(world.net);
  await world.settled();
  tap.clear();
  for (let n = 0; n < 30; n += 1) {
    world.write(world.node("a"), `tracks:${n}`, { kind: "put", body: { n } });
    await world.clock.advance(3_000);
  }
  await world.settled();
  const carried = tap.frames.reduce((sum, { documents }) => sum + documents.length, 0);
  expect(carried / 30).toBeLessThan(2 * nodes.length);
}, 120_000);
