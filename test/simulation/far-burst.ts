// Far away e has two peers, a and b, near each other, and writes a burst of documents that b is to have, while some
// nodes go on writing.
import type { SimulatedNode } from "./node.ts";
import { World, type WorldOptions } from "./world.ts";

const FAR = { latencyMs: 300, bytesPerMs: 6, idleMs: 30_000 };
const STEP_MS = 200;
const PARTS = 10;
const PART_DOCUMENTS = 60;
const PATIENCE_MS = 200_000;

export class FarBurst implements AsyncDisposable {
  readonly world: World;
  readonly #writers: readonly string[];
  readonly #keys: string[] = [];
  #written = 0;

  private constructor(world: World, writers: readonly string[]) {
    this.world = world;
    this.#writers = writers;
  }

  /** Settled, and written to for four seconds. */
  static async open(
    writers: readonly string[],
    sabotage?: WorldOptions["sabotage"],
  ): Promise<FarBurst> {
    const nodes = ["a", "b", "e"];
    const world = new World({ seed: 1, nodes, latencyMs: 1, bytesPerMs: 10_000, sabotage });
    for (const near of ["a", "b"]) {
      world.net.setPath(world.node("e").id, world.node(near).id, FAR);
    }
    await world.settled();
    const burst = new FarBurst(world, writers);
    await burst.steps(20);
    return burst;
  }

  get #receiver(): SimulatedNode {
    return this.world.node("b");
  }

  async steps(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) await this.#step();
  }

  async #step(): Promise<void> {
    const n = this.#written;
    for (const name of this.#writers) {
      const key = `live:${name}-${n % 20}`;
      this.world.write(this.world.node(name), key, { kind: "put", body: { n } });
    }
    this.#written += 1;
    await this.world.clock.advance(STEP_MS);
  }

  /** e writes it, part by part; `begun` is called after the first. */
  async write(begun: () => void = () => undefined): Promise<void> {
    for (let i = 0; i < PARTS; i += 1) {
      for (let k = 0; k < PART_DOCUMENTS; k += 1) {
        const key = `tracks:${i}-${k}`;
        this.#keys.push(key);
        this.world.write(this.world.node("e"), key, { kind: "put", body: { i, k } });
      }
      await this.#step();
      if (i === 0) begun();
    }
  }

  /** Documents of it that b has not. */
  get lacking(): number {
    return this.#keys.filter((key) => this.#receiver.get(key) === undefined).length;
  }

  /** Goes on until b has all of it, or patience ends; the ms since `from`. */
  async arrived(from: number): Promise<number> {
    const { clock } = this.world;
    while (this.lacking > 0 && clock.monotonic() - from < PATIENCE_MS) await this.#step();
    return clock.monotonic() - from;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}
