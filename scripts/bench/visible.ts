// Write to visible on all: from before the PUT until the WebSockets of both other nodes have the value.
import type { BrokerApi } from "../support/broker-api.ts";
import type { Formation } from "../support/formation.ts";
import { percentile } from "../support/percentiles.ts";
import { measureVisible } from "../support/visible-latency.ts";
import { positionReport } from "./documents.ts";
import { type Plan, rounds } from "./plan.ts";
import type { Report } from "./report.ts";

const VISIBLE_P50_MS_MAX = 6;
const VISIBLE_P99_MS_MAX = 25;
const PAUSE_MS = 5;
const LOAD_PER_SECOND = 500;
const LOAD_DOCUMENTS = 5000;
const LOAD_TICK_MS = 10;

/** Writes at a fixed rate until told to stop; says how many writes a second were acknowledged. */
class Load {
  readonly #startedMs = performance.now();
  readonly #node: BrokerApi;
  readonly #timer: Timer;
  readonly #underway = new Set<Promise<void>>();
  #sent = 0;
  #answered = 0;
  #failure: unknown;

  constructor(node: BrokerApi) {
    this.#node = node;
    this.#timer = setInterval(() => this.#tick(), LOAD_TICK_MS);
  }

  #tick(): void {
    const due = ((performance.now() - this.#startedMs) * LOAD_PER_SECOND) / 1000;
    while (this.#sent < due) {
      const number = this.#sent;
      this.#sent += 1;
      const id = `load-${number % LOAD_DOCUMENTS}`;
      const write = this.#node.put("load", id, positionReport(number)).then(
        () => {
          this.#answered += 1;
        },
        (failure: unknown) => {
          this.#failure = failure;
        },
      );
      this.#underway.add(write);
      write.finally(() => this.#underway.delete(write)).catch(() => undefined);
    }
  }

  async stop(): Promise<number> {
    clearInterval(this.#timer);
    await Promise.all(this.#underway);
    if (this.#failure !== undefined) throw this.#failure;
    return (this.#answered * 1000) / (performance.now() - this.#startedMs);
  }
}

async function measure(formation: Formation, plan: Plan): Promise<readonly number[]> {
  const { onAll } = await measureVisible({
    writer: formation.node(0).api,
    watched: [formation.node(1).api, formation.node(2).api],
    collection: "visible",
    writes: plan.singleWrites,
    pauseMs: PAUSE_MS,
  });
  return onAll;
}

function add(report: Report, name: string, results: readonly (readonly number[])[]): void {
  const all = (percent: number): number[] => results.map((ms) => percentile(ms, percent));
  report.add(`${name}, p50`, all(50), "ms", { atMost: VISIBLE_P50_MS_MAX });
  report.add(`${name}, p99`, all(99), "ms", { atMost: VISIBLE_P99_MS_MAX });
}

export async function benchVisible(
  formation: Formation,
  plan: Plan,
  report: Report,
): Promise<void> {
  report.begin("Write to visible on all three");
  add(report, "idle", await rounds(plan, () => measure(formation, plan)));
  const rates: number[] = [];
  const loaded = await rounds(plan, async () => {
    const load = new Load(formation.node(0).api);
    try {
      return await measure(formation, plan);
    } finally {
      rates.push(await load.stop());
    }
  });
  add(report, `under ${LOAD_PER_SECOND} writes/s`, loaded);
  report.add("  load that was really written", rates, "writes/s");
}
