// What happens in a seeded world: writes, cuts, heals, crashes, restarts, floods of documents; then peace, and
// the questions that are asked of what is left.
import type { Operation } from "../../scripts/model/checker.ts";
import { Random } from "../../scripts/model/random.ts";
import { parseDocumentKey } from "../../src/store/document-key.ts";
import type { Backup, SimulatedNode } from "./node.ts";
import { compactAll, wrongRenderings } from "./renderings.ts";
import type { Sabotage } from "./sabotage.ts";
import { World } from "./world.ts";

export interface ScenarioResult {
  readonly seed: number;
  readonly complaints: readonly string[];
  readonly writes: number;
  /** Virtual ms from the healing of the network to equal, quiet nodes. */
  readonly settleMs: number;
  /** Directories that were replaced by older ones or by others'. */
  readonly restores: number;
  /** Of all traffic. */
  readonly trace: string;
}

const KEYS = ["tracks:1", "tracks:2", "notes:1", "notes:2"];
/** Written by older nodes as well: only that they end equal is judged. */
const SHARED_KEYS = ["tracks:shared", "notes:shared"];
const FIELDS = ["a", "b", "c"];
const GUESTS = ["old-1", "old-2"];
const NAMES = ["ann", "bob", "cid", "dan", "eve", "fay", "gil", "hal"];
const STEPS = 36;
const SABOTAGED_FRAMES_MAX = 5_000;
const SKEW_MS_MAX = 3 * 60_000;
const COMPACTION_PERCENT = 15;

class Scenario {
  readonly #world: World;
  readonly #random: Random;
  /** Compaction has dice of its own: it must not change what else happens. */
  readonly #sweeps: Random;
  /** And so has what older nodes do. */
  readonly #guests: Random;
  #values = 0;
  restores = 0;
  readonly #backups: { readonly of: SimulatedNode; readonly backup: Backup }[] = [];

  constructor(world: World, seed: number, random: Random) {
    this.#world = world;
    this.#random = random;
    this.#sweeps = new Random(seed ^ 0xc0de);
    this.#guests = new Random(seed ^ 0x901d);
  }

  async run(isSabotaged: boolean): Promise<void> {
    for (let step = 0; step < STEPS; step += 1) {
      // Broken nodes may talk without end: that is found when they are to come to rest.
      if (isSabotaged && this.#world.net.traffic.frames > SABOTAGED_FRAMES_MAX) return;
      this.#act();
      this.#compactSome();
      await this.#guestsAct();
      const pauses = [0, 3, 40, 300, 2_000, 8_000];
      await this.#world.clock.advance(this.#random.pick(pauses));
    }
  }

  #compactSome(): void {
    for (const { name, store } of this.#world.running) {
      if (!this.#sweeps.chance(COMPACTION_PERCENT)) continue;
      compactAll(store).catch((error: unknown) => {
        this.#world.failures.push(`${name} compacting: ${error}`);
      });
    }
  }

  /** They write what nodes write too, go away, and come back; their echoes touch every document. */
  async #guestsAct(): Promise<void> {
    const random = this.#guests;
    for (const guest of this.#world.guests) {
      const dice = random.below(100);
      if (!guest.isRunning) {
        if (dice < 40) await guest.restart("kept");
      } else if (dice < 20) guest.write(random.pick(SHARED_KEYS), { g: random.below(1e6) });
      else if (dice < 24) await guest.kill();
      const [node] = random.shuffle(this.#world.running);
      if (node === undefined || !random.chance(20)) continue;
      const body = { [random.pick(FIELDS)]: random.below(1e6) };
      this.#world.write(node, random.pick(SHARED_KEYS), { kind: "patch", body });
    }
  }

  #act(): void {
    const random = this.#random;
    const world = this.#world;
    const dice = random.below(100);
    const [node] = random.shuffle(world.running);
    const other = random.pick(world.nodes);
    if (node === undefined || dice >= 88) this.#restartOne();
    else if (dice < 55) this.#writeSome(node);
    else if (dice < 65) {
      if (node !== other) world.cut(node.name, other.name);
    } else if (dice < 73) {
      if (node !== other) world.heal(node.name, other.name);
    } else if (dice < 75) {
      // Of many documents an older node never announces the last ones.
      if (world.guests.length === 0) this.#flood(node);
    } else if (dice < 77) node.setClock(this.#skewMs());
    else if (dice < 85) this.#crash(node);
    else void node.stop();
  }

  #restartOne(): void {
    const stopped = this.#world.nodes.filter((node) => !node.isRunning);
    const [node] = this.#random.shuffle(stopped);
    if (node === undefined) return;
    if (this.#random.chance(60)) this.#replaceDirectory(node);
    if (this.#random.chance(25)) node.setClock(this.#skewMs());
    tryRestart(node);
  }

  #crash(node: SimulatedNode): void {
    node.crash();
    if (this.#random.chance(50)) this.#backups.push({ of: node, backup: node.backUp() });
  }

  /** A copy is put back: where it came from, or, more rarely, under another name. */
  #replaceDirectory(node: SimulatedNode): void {
    const fitting = this.#backups.filter(({ of }) => of === node || this.#random.chance(20));
    // One that is still stopping has its files open.
    if (fitting.length === 0 || node.isStopping) return;
    node.restoreFrom(this.#random.pick(fitting).backup);
    this.restores += 1;
  }

  #skewMs(): number {
    return this.#random.below(2 * SKEW_MS_MAX + 1) - SKEW_MS_MAX;
  }

  #writeSome(node: SimulatedNode): void {
    const count = this.#random.chance(20) ? 5 : 1;
    // One write of a document at a time: the judge must know what it was written upon.
    for (const key of this.#random.shuffle(KEYS).slice(0, count)) {
      this.#world.write(node, key, this.#operation());
    }
  }

  #operation(): Operation {
    const random = this.#random;
    if (random.chance(15)) return { kind: "delete" };
    const names = random.shuffle(FIELDS).slice(0, 1 + random.below(3));
    const value = () => {
      this.#values += 1;
      return this.#values;
    };
    if (random.chance(30)) {
      return { kind: "put", body: Object.fromEntries(names.map((name) => [name, value()])) };
    }
    const body = names.map((name) => [name, random.chance(25) ? null : value()] as const);
    return { kind: "patch", body: Object.fromEntries(body) };
  }

  /** Many documents, or a few large ones: catch-up, parts, back-pressure. The judge sees them by their sums. */
  #flood(node: SimulatedNode): void {
    const isLarge = this.#random.chance(40);
    const count = isLarge ? 2 : 150;
    for (let i = 0; i < count; i += 1) {
      const collection = this.#random.pick(["tracks", "files"]);
      const key = parseDocumentKey(`${collection}:flood-${this.#random.below(300)}`);
      const bytes = isLarge ? this.#random.fill(new Uint8Array(120_000)).toBase64() : "";
      const body = JSON.stringify({ n: this.#random.below(1e6), bytes });
      node.store.write({ key, operation: { kind: "put", body } }).catch(() => undefined);
    }
  }
}

/** A node that is still stopping keeps its address; it starts a little later then. */
export function tryRestart(node: SimulatedNode): boolean {
  try {
    node.restart();
    return true;
  } catch (error) {
    if (String(error).includes("in use")) return false;
    throw error;
  }
}

function worldOf(seed: number, random: Random, sabotage: Sabotage | undefined): World {
  const dice = new Random(seed ^ 0x9e57).below(100);
  const guests = sabotage !== undefined || dice >= 35 ? 0 : dice < 10 ? 2 : 1;
  return new World({
    seed,
    nodes: NAMES.slice(0, 2 + random.below(random.chance(20) ? 7 : 4)),
    shape: random.chance(70) ? "mesh" : "row",
    latencyMs: random.pick([0.2, 5, 60]),
    bytesPerMs: random.pick([200, 1_000, 10_000]),
    skewMsMax: SKEW_MS_MAX,
    keys: KEYS,
    hasFiles: true,
    sabotage,
    guests: GUESTS.slice(0, guests),
  });
}

/** Some pairs of nodes have a path of their own: slow, far, or full of losses. */
function layPaths(world: World, random: Random): void {
  const worst = [{ bytesPerMs: 20 }, { latencyMs: 600 }, { lossPercent: 20 }];
  for (const a of world.nodes) {
    for (const b of world.nodes) {
      if (a.index < b.index && random.chance(15)) world.net.setPath(a.id, b.id, random.pick(worst));
    }
  }
}

export async function runScenario(seed: number, sabotage?: Sabotage): Promise<ScenarioResult> {
  const random = new Random(seed ^ 0x5eed);
  await using world = worldOf(seed, random, sabotage);
  layPaths(world, random);
  await world.startGuests();
  await world.clock.advance(random.pick([0, 20, 1_000]));
  const scenario = new Scenario(world, seed, random);
  await scenario.run(sabotage !== undefined);
  world.healAll();
  while (world.running.length < world.nodes.length) {
    for (const node of world.nodes) if (!node.isRunning) tryRestart(node);
    await world.clock.advance(100);
  }
  for (const guest of world.guests) if (!guest.isRunning) await guest.restart("kept");
  const settleMs = await world.settled();
  if (world.failures.length > 0) {
    // Nodes that never come to rest are not waited for twice.
  } else if (world.guests.length > 0) {
    await world.guestsSettled([...KEYS, ...SHARED_KEYS]);
  } else {
    const atRest = await world.bytesAtRest();
    if (atRest > 0) world.failures.push(`${atRest} bytes passed while nobody wrote anything`);
  }
  if (world.failures.length === 0) world.failures.push(...wrongRenderings(world, KEYS));
  const { restores } = scenario;
  const { trace } = world.net;
  return { seed, complaints: world.judge(), writes: world.writeCount, settleMs, restores, trace };
}
