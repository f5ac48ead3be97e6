// Nodes that are replaced by older backups, which were copied while they ran and wrote: their own, and now and then
// those of others.
import { expect, test } from "bun:test";
import type { Operation } from "../../scripts/model/checker.ts";
import { Random } from "../../scripts/model/random.ts";
import { effort } from "../support/effort.ts";
import type { Backup, SimulatedNode } from "./node.ts";
import { tryRestart } from "./scenario.ts";
import { World } from "./world.ts";

const SEEDS = effort(2, 60);
const STEPS = 60;
const KEYS = ["tracks:1", "tracks:2", "notes:1", "notes:2"];
const FIELDS = ["a", "b", "c"];

interface Copying {
  readonly of: SimulatedNode;
  readonly end: () => Backup | undefined;
}

class Operators {
  readonly #world: World;
  readonly #random: Random;
  #copying: Copying | undefined;
  readonly #backups: { readonly of: SimulatedNode; readonly backup: Backup }[] = [];
  #values = 0;
  restores = 0;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  act(): void {
    const dice = this.#random.below(100);
    const [node] = this.#random.shuffle(this.#world.running);
    if (node === undefined || dice < 24) this.#restartOne();
    else if (dice < 55) this.#write(node);
    else if (dice < 80) this.#copy(node);
    else if (dice < 84) this.#world.cut(node.name, this.#random.pick(this.#world.nodes).name);
    else if (dice < 88) this.#world.healAll();
    else node.crash();
  }

  #operation(): Operation {
    if (this.#random.chance(15)) return { kind: "delete" };
    const body = FIELDS.filter(() => this.#random.chance(60)).map((name) => {
      this.#values += 1;
      return [name, this.#values] as const;
    });
    return { kind: this.#random.chance(30) ? "put" : "patch", body: Object.fromEntries(body) };
  }

  #write(node: SimulatedNode): void {
    for (const key of KEYS)
      if (this.#random.chance(50)) this.#world.write(node, key, this.#operation());
  }

  /** Begins a copy, or ends the one that was begun some writes ago. */
  #copy(node: SimulatedNode): void {
    const begun = this.#copying;
    if (begun === undefined) {
      this.#copying = { of: node, end: node.beginBackUp() };
      return;
    }
    this.#copying = undefined;
    const backup = begun.end();
    if (backup !== undefined) this.#backups.push({ of: begun.of, backup });
  }

  #restartOne(): void {
    const [node] = this.#random.shuffle(this.#world.nodes.filter((one) => !one.isRunning));
    if (node === undefined || node.isStopping) return;
    const fitting = this.#backups.filter(({ of }) => of === node || this.#random.chance(20));
    if (fitting.length > 0) {
      node.restoreFrom(this.#random.pick(fitting).backup);
      this.restores += 1;
    }
    tryRestart(node);
  }
}

async function runWorld(seed: number): Promise<{ complaints: string[]; restores: number }> {
  const random = new Random(seed ^ 0xbac0);
  await using world = new World({
    seed,
    nodes: ["ann", "bob", "cid"],
    keys: KEYS,
    hasFiles: true,
    skewMsMax: 60_000,
  });
  const operators = new Operators(world, random);
  for (let step = 0; step < STEPS; step += 1) {
    operators.act();
    await world.clock.advance(random.pick([0, 3, 40, 300, 2_000]));
  }
  world.healAll();
  while (world.running.length < world.nodes.length) {
    for (const node of world.nodes) if (!node.isRunning) tryRestart(node);
    await world.clock.advance(100);
  }
  await world.settled();
  return { complaints: world.judge(), restores: operators.restores };
}

test(`in ${SEEDS} worlds nodes that go back to backups end equal, and bring nothing deleted back`, async () => {
  const failures: string[] = [];
  let restores = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const result = await runWorld(seed);
    restores += result.restores;
    failures.push(...result.complaints.map((complaint) => `seed ${seed}: ${complaint}`));
  }
  expect(failures).toEqual([]);
  expect(restores).toBeGreaterThan(0);
}, 1_200_000);
