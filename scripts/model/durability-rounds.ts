// Writers, SIGKILL, restart, inspection: does the executable still have every write that it acknowledged?
import { Formation } from "../support/formation.ts";
import type { NodeProcess } from "../support/node-process.ts";
import { Random } from "./random.ts";

const WRITERS = 24;
/** Few, so that documents are written over and over, across rounds. */
const KEYS_PER_WRITER = 4;
const COLLECTIONS = ["tracks", "notes"];
const KILL_AFTER_MS_MAX = 400;
const REQUEST_MS_MAX = 10_000;

/** What a document was last told to be; `undefined` is deleted, or never written. */
type Value = number | undefined;

interface Key {
  readonly collection: string;
  readonly id: string;
  acknowledged: Value;
  /** A write that was under way when the process died: it may be there or not. */
  pending: { readonly value: Value } | undefined;
}

export interface RoundResult {
  readonly round: number;
  readonly acknowledged: number;
  readonly underWay: number;
  /** Of those under way: how many had been committed before the kill. */
  readonly found: number;
  readonly readyMs: number;
  readonly lost: readonly string[];
}

export interface DurabilityOptions {
  readonly executable: string;
  readonly rounds: number;
  readonly seed: number;
  readonly told: (result: RoundResult) => void;
}

export class DurabilityRun {
  readonly #random: Random;
  readonly #formation: Formation;
  readonly #keys: readonly (readonly Key[])[];
  #value = 0;

  private constructor(formation: Formation, seed: number) {
    this.#formation = formation;
    this.#random = new Random(seed);
    this.#keys = Array.from({ length: WRITERS }, (_, writer) =>
      Array.from({ length: KEYS_PER_WRITER }, (_, i) => ({
        collection: COLLECTIONS[i % COLLECTIONS.length] ?? "",
        id: `${writer}-${i}`,
        acknowledged: undefined,
        pending: undefined,
      })),
    );
  }

  /** All rounds on one data directory; every round's result is told. */
  static async run(options: DurabilityOptions): Promise<RoundResult[]> {
    const { executable, seed } = options;
    await using formation = await Formation.prepare({ executable, nodes: 1, logFilter: "warn" });
    const run = new DurabilityRun(formation, seed);
    const results: RoundResult[] = [];
    for (let round = 1; round <= options.rounds; round += 1) {
      const result = await run.#round(round);
      results.push(result);
      options.told(result);
    }
    return results;
  }

  async #round(round: number): Promise<RoundResult> {
    const node = await this.#started();
    const readyMs = await node.ready();
    const counts = { acknowledged: 0 };
    const writers = this.#keys.map((keys) => this.#writeOn(node, keys, counts));
    await Bun.sleep(this.#random.below(KILL_AFTER_MS_MAX));
    await this.#formation.kill(0);
    await Promise.all(writers);
    const again = await this.#started();
    await again.ready();
    const inspected = await this.#inspect(again);
    // Half of all rounds go on from a clean stop: what was recovered must outlive that too.
    if (this.#random.chance(50)) await this.#formation.stop(0);
    else await this.#formation.kill(0);
    return { round, readyMs, ...counts, ...inspected };
  }

  #started(): Promise<NodeProcess> {
    return this.#formation.start(0);
  }

  /** One write after another, until the node is gone. */
  async #writeOn(node: NodeProcess, keys: readonly Key[], counts: { acknowledged: number }) {
    while (true) {
      const key = this.#random.pick(keys);
      const isDelete = key.acknowledged !== undefined && this.#random.chance(10);
      this.#value += 1;
      const value = isDelete ? undefined : this.#value;
      key.pending = { value };
      if (!(await this.#request(node, key, value))) return;
      key.acknowledged = value;
      key.pending = undefined;
      counts.acknowledged += 1;
    }
  }

  /** False when the node died before it answered. */
  async #request(node: NodeProcess, key: Key, value: Value): Promise<boolean> {
    const method = value === undefined ? "DELETE" : this.#random.chance(50) ? "PUT" : "PATCH";
    const init: RequestInit = { method, signal: AbortSignal.timeout(REQUEST_MS_MAX) };
    if (value !== undefined) {
      init.headers = { "content-type": "application/json" };
      init.body = JSON.stringify({ value, ballast: "x".repeat(this.#random.below(2_000)) });
    }
    let response: Response;
    try {
      response = await fetch(node.api.documentUrl(key.collection, key.id), init);
      await response.arrayBuffer();
    } catch {
      return false;
    }
    if (response.ok) return true;
    throw new Error(`${method} ${key.collection}/${key.id}: ${response.status}`);
  }

  async #inspect(node: NodeProcess): Promise<Pick<RoundResult, "underWay" | "found" | "lost">> {
    const lost: string[] = [];
    let [underWay, found] = [0, 0];
    for (const key of this.#keys.flat()) {
      const document = await node.api.get(key.collection, key.id);
      const value = document?.["value"];
      const isPending = key.pending !== undefined && value === key.pending.value;
      if (key.pending !== undefined) underWay += 1;
      if (isPending) found += 1;
      else if (value !== key.acknowledged) {
        lost.push(`${key.collection}/${key.id} is ${value}, acknowledged was ${key.acknowledged}`);
      }
      if (isPending) key.acknowledged = key.pending?.value;
      key.pending = undefined;
    }
    return { underWay, found, lost };
  }
}
