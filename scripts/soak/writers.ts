// Writes at an even pace, over few documents, with deletes: what a busy node has to do for weeks.
import { Random } from "../model/random.ts";
import type { BrokerApi } from "../support/broker-api.ts";

/** Percent of the writes. */
const DELETES = 8;
const PATCHES = 40;
const COLLECTIONS = ["tracks", "notes"];
const WAITING_MAX = 500;

export interface WriterOptions {
  readonly nodes: readonly BrokerApi[];
  readonly writesPerSecond: number;
  readonly documents: number;
  readonly seed: number;
}

export class Writers {
  readonly #options: WriterOptions;
  readonly #random: Random;
  readonly #timer: Timer;
  readonly #waiting = new Set<Promise<void>>();
  readonly #startedMs = performance.now();
  #begun = 0;
  acknowledged = 0;
  /** Writes that were not acknowledged, with the answer. */
  readonly failures: string[] = [];

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#timer = setInterval(() => this.#writeDue(), 20);
  }

  #writeDue(): void {
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const due = Math.floor(seconds * this.#options.writesPerSecond);
    while (this.#begun < due && this.#waiting.size < WAITING_MAX) {
      this.#begun += 1;
      const write = this.#write().catch((reason: unknown) => {
        this.failures.push(String(reason));
      });
      this.#waiting.add(write);
      void write.finally(() => this.#waiting.delete(write));
    }
  }

  async #write(): Promise<void> {
    const api = this.#random.pick(this.#options.nodes);
    const n = this.#random.below(this.#options.documents);
    const url = api.documentUrl(COLLECTIONS[n % COLLECTIONS.length] ?? "", String(n));
    const chosen = this.#random.below(100);
    const isDelete = chosen < DELETES;
    const method = isDelete ? "DELETE" : chosen < DELETES + PATCHES ? "PATCH" : "PUT";
    const init: RequestInit = { method };
    if (!isDelete) {
      init.headers = { "content-type": "application/json" };
      init.body = JSON.stringify({ n: this.#begun, text: "x".repeat(this.#random.below(300)) });
    }
    const response = await fetch(url, init);
    const text = await response.text();
    // What another node, or another write, has just deleted.
    const isGone = isDelete && response.status === 404;
    if (!response.ok && !isGone) throw new Error(`${method} ${url}: ${response.status} ${text}`);
    this.acknowledged += 1;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#waiting);
  }
}
