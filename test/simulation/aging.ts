// Formations whose documents age: nodes that let go what has had its time, under clocks that differ by minutes.
import { MINUTE_MS } from "../support/aging-store.ts";
import type { SimulatedNode } from "./node.ts";
import { simulate, type World, type WorldOptions } from "./world.ts";

export const GC_SECS = 300;
export const SKEWS_MS = [-4 * MINUTE_MS, 0, 4 * MINUTE_MS];

export function formation(options: Partial<WorldOptions> = {}): Promise<World> {
  return simulate({ seed: 1, nodes: ["a", "b", "c"], hasFiles: true, gcSecs: GC_SECS, ...options });
}

export function put(node: SimulatedNode, name: string, n: number) {
  return node.write(name, { kind: "put", body: { n } });
}

export async function all(world: World, work: readonly Promise<unknown>[]): Promise<void> {
  const done = Promise.all(work);
  await world.clock.advance(50);
  await done;
  await world.settled();
}

export function shownBy(world: World, names: readonly string[]) {
  return world.running.map((node) => names.filter((name) => node.get(name) !== undefined));
}

export function orphansOf(node: SimulatedNode): string[] {
  return node.store.contents
    .list({ why: "orphan", limit: 1000, after: 0 })
    .map((entry) => String(entry.key));
}

/** Nobody runs for so long. */
export async function nobodyFor(world: World, ms: number): Promise<void> {
  await Promise.all([...world.running.map((node) => node.stop()), world.clock.advance(10_000)]);
  await world.clock.advance(ms);
}
