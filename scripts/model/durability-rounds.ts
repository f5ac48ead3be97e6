// Writers, SIGKILL, restart, inspection: does the executable still have every write that it acknowledged?
//
// Two nodes that are connected, each with writers and keys of its own: what the other one writes is merged while
// they do, so a kill cuts through local writes, merges, acknowledgements and whatever runs beside them.
import type { BrokerApi } from "../support/broker-api.ts";
import { Formation } from "../support/formation.ts";
import type { NodeProcess } from "../support/node-process.ts";
import { waitFor } from "../support/waiting.ts";
import { Random } from "./random.ts";

/** Writers of each node. */
const WRITERS = [16, 8];
/** Few, so that documents are written over and over, across rounds. */
const KEYS_PER_WRITER = 4;
const COLLECTIONS = ["tracks", "notes"];
const KILL_AFTER_MS_MAX = 300;
const REQUEST_MS_MAX = 10_000;
const READY_MS_MAX = 20_000;
/** Percent of the rounds that kill this node; in the rest both lose their power at once. */
const KILLS_FIRST = 60;
const KILLS_SECOND = 25;
/** Percent of the rounds in which a node is killed once more while it starts. */
const KILLS_AT_START = 15;
/** Percent of the rounds that wait until the nodes are connected: merges are to be under way at the kill. */
const KILLS_CONNECTED = 60;
/** All nodes are compared after so many rounds, and after the last one. */
const ROUNDS_PER_COMPARISON = 25;
const EQUAL_MS_MAX = 120_000;

/** As often and as much as settings allow: a kill should meet all of it. */
const HOUSEKEEPING = {
  PEAT_COMPACTION_ENABLED: "true",
  PEAT_COMPACTION_INTERVAL_SECS: "10",
  PEAT_COMPACTION_THRESHOLD_BYTES: "1024",
  PEAT_GC_INTERVAL_SECS: "1",
} as const;

/** What a document was last told to be; `undefined` is deleted, or never written. */
type Value = number | undefined;

interface Key {
  readonly collection: string;
  readonly id: string;
  acknowledged: Value;
  /** A write that was under way when the process died: it may be there or not. */
  pending: { readonly value: Value } | undefined;
}

interface Counts {
  acknowledged: number;
  underWay: number;
  /** Of those under way: how many had been committed before the kill. */
  found: number;
  readonly lost: string[];
}

export interface RoundResult extends Readonly<Counts> {
  readonly round: number;
  /** Which nodes were killed. */
  readonly killed: readonly number[];
  readonly isKilledAtStart: boolean;
  /** Whether the nodes were known to be connected when the round began to wait for its kill. */
  readonly isConnected: boolean;
  /** From the last start to readiness, of the slower one. */
  readonly readyMs: number;
  /** Whether all nodes were brought to rest and compared document by document. */
  readonly isCompared: boolean;
}

export interface DurabilityOptions {
  readonly executable: string;
  readonly rounds: number;
  readonly seed: number;
  readonly told: (result: RoundResult) => void;
}

/** One node, its keys, and those who write to them. */
class Side {
  readonly index: number;
  readonly #keys: readonly (readonly Key[])[];
  readonly #random: Random;
  #writers: Promise<unknown> = Promise.resolve();
  #isPaused = false;
  #value = 0;
  acknowledged = 0;

  constructor(index: number, random: Random) {
    this.index = index;
    this.#random = random;
    this.#keys = Array.from({ length: WRITERS[index] ?? 0 }, (_, writer) =>
      Array.from({ length: KEYS_PER_WRITER }, (_, i) => ({
        collection: COLLECTIONS[i % COLLECTIONS.length] ?? "",
        id: `${index}-${writer}-${i}`,
        acknowledged: undefined,
        pending: undefined,
      })),
    );
  }

  /** Lets all writers write, until the node is gone or pause() is called. */
  write(api: BrokerApi): void {
    this.#isPaused = false;
    this.#writers = Promise.all(this.#keys.map((keys) => this.#writeOn(api, keys)));
  }

  /** Resolves when nothing is under way any more. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#writers;
  }

  /** Resolves when the writers have noticed that their node is gone. Rejects when a write was refused. */
  async gone(): Promise<void> {
    await this.#writers;
  }

  async #writeOn(api: BrokerApi, keys: readonly Key[]): Promise<void> {
    while (!this.#isPaused) {
      const key = this.#random.pick(keys);
      const isDelete = key.acknowledged !== undefined && this.#random.chance(10);
      this.#value += 1;
      const value = isDelete ? undefined : this.#value;
      key.pending = { value };
      if (!(await this.#request(api, key, value))) return;
      key.acknowledged = value;
      key.pending = undefined;
      this.acknowledged += 1;
    }
  }

  /** False when the node died before it answered. */
  async #request(api: BrokerApi, key: Key, value: Value): Promise<boolean> {
    const method = value === undefined ? "DELETE" : this.#random.chance(50) ? "PUT" : "PATCH";
    const init: RequestInit = { method, signal: AbortSignal.timeout(REQUEST_MS_MAX) };
    if (value !== undefined) {
      init.headers = { "content-type": "application/json" };
      init.body = JSON.stringify({ value, ballast: "x".repeat(this.#random.below(2_000)) });
    }
    let response: Response;
    let text: string;
    try {
      response = await fetch(api.documentUrl(key.collection, key.id), init);
      text = await response.text();
    } catch {
      return false;
    }
    if (response.ok) return true;
    throw new Error(`${method} ${key.collection}/${key.id}: ${response.status} ${text}`);
  }

  /** Reads every key of this side; what was under way is settled by what is found. */
  async inspect(api: BrokerApi, counts: Counts): Promise<void> {
    const documents = await Promise.all(
      this.#keys.flat().map(async (key) => ({ key, found: await api.get(key.collection, key.id) })),
    );
    for (const { key, found } of documents) {
      const value = found?.["value"];
      const isPending = key.pending !== undefined && value === key.pending.value;
      if (key.pending !== undefined) counts.underWay += 1;
      if (isPending) {
        counts.found += 1;
        key.acknowledged = key.pending?.value;
      } else if (value !== key.acknowledged) {
        counts.lost.push(
          `${key.collection}/${key.id} is ${value} at ${api.url}, acknowledged was ${key.acknowledged}`,
        );
      }
      key.pending = undefined;
    }
  }
}

export class DurabilityRun {
  readonly #random: Random;
  readonly #formation: Formation;
  readonly #sides: readonly Side[];

  private constructor(formation: Formation, seed: number) {
    this.#formation = formation;
    this.#random = new Random(seed);
    this.#sides = WRITERS.map((_, index) => new Side(index, this.#random));
  }

  /** All rounds on one data directory for each node; every round's result is told. */
  static async run(options: DurabilityOptions): Promise<RoundResult[]> {
    const { executable, seed, rounds } = options;
    await using formation = await Formation.prepare({
      executable,
      nodes: WRITERS.length,
      logFilter: "warn",
      env: HOUSEKEEPING,
    });
    const run = new DurabilityRun(formation, seed);
    const results: RoundResult[] = [];
    await formation.startAll();
    for (const side of run.#sides) side.write(formation.node(side.index).api);
    for (let round = 1; round <= rounds; round += 1) {
      const isCompared = round % ROUNDS_PER_COMPARISON === 0 || round === rounds;
      const result = await run.#round(round, isCompared);
      results.push(result);
      options.told(result);
    }
    return results;
  }

  async #round(round: number, isCompared: boolean): Promise<RoundResult> {
    const counts: Counts = { acknowledged: 0, underWay: 0, found: 0, lost: [] };
    const before = this.#acknowledged();
    const isConnected = this.#random.chance(KILLS_CONNECTED);
    if (isConnected) await this.#formation.node(0).connected(1);
    await Bun.sleep(this.#random.below(KILL_AFTER_MS_MAX));
    const killed = this.#victims();
    await Promise.all(killed.map(({ index }) => this.#formation.kill(index)));
    await Promise.all(killed.map((side) => side.gone()));
    const isKilledAtStart = this.#random.chance(KILLS_AT_START);
    if (isKilledAtStart) await this.#killAtStart(killed);
    const nodes = await Promise.all(killed.map((side) => this.#formation.start(side.index)));
    const readyMs = await Promise.all(nodes.map((node) => node.ready(READY_MS_MAX)));
    await Promise.all(killed.map((side) => side.inspect(this.#api(side.index), counts)));
    for (const side of killed) side.write(this.#api(side.index));
    if (isCompared) await this.#compare(counts);
    counts.acknowledged = this.#acknowledged() - before;
    const indexes = killed.map(({ index }) => index);
    const told = { round, killed: indexes, isKilledAtStart, isConnected, isCompared };
    return { ...told, readyMs: Math.max(...readyMs), ...counts };
  }

  #acknowledged(): number {
    return this.#sides.reduce((sum, side) => sum + side.acknowledged, 0);
  }

  #api(index: number): BrokerApi {
    return this.#formation.node(index).api;
  }

  #victims(): readonly Side[] {
    const chosen = this.#random.below(100);
    if (chosen < KILLS_FIRST) return this.#sides.slice(0, 1);
    if (chosen < KILLS_FIRST + KILLS_SECOND) return this.#sides.slice(1);
    return this.#sides;
  }

  /** Recovery is interrupted, too. */
  async #killAtStart(sides: readonly Side[]): Promise<void> {
    const nodes: NodeProcess[] = await Promise.all(
      sides.map(({ index }) => this.#formation.start(index)),
    );
    const aboutReadyMs = 200;
    await Bun.sleep(this.#random.below(aboutReadyMs));
    await Promise.all(nodes.map((node) => node.kill()));
  }

  /** At rest both nodes hold the same, and each key what its writer was last told. */
  async #compare(counts: Counts): Promise<void> {
    await Promise.all(this.#sides.map((side) => side.pause()));
    await waitFor("both nodes to be equal at rest", EQUAL_MS_MAX, async () => {
      const summaries = await Promise.all(
        this.#sides.map(({ index }) => this.#api(index).summary()),
      );
      return new Set(summaries.map((summary) => summary.root_hash)).size === 1 || undefined;
    });
    for (const side of this.#sides) {
      for (const { index } of this.#sides) await side.inspect(this.#api(index), counts);
    }
    for (const side of this.#sides) side.write(this.#api(side.index));
  }
}
