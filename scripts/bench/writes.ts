// Durable writes per second on one node of three: each counted when its PUT was answered.
import type { Formation } from "../support/formation.ts";
import { forEachBounded } from "../support/waiting.ts";
import type { BareAutomerge } from "./bare-automerge.ts";
import { BENCH_COLLECTION, positionReport } from "./documents.ts";
import { MANY_CLIENTS, type Plan, rounds } from "./plan.ts";
import type { Report } from "./report.ts";

/** Everything around the CRDT may cost as much as the CRDT. */
const SHARE_OF_BARE = 0.5;

export interface WriteOptions {
  readonly formation: Formation;
  readonly clients: number;
  /** Numbers of the documents to write. */
  readonly from: number;
  readonly count: number;
  readonly revision: number;
}

/** Writes the documents and returns how many per second were acknowledged. */
export async function writeDocuments(options: WriteOptions): Promise<number> {
  const { api } = options.formation.node(0);
  const numbers = Array.from({ length: options.count }, (_, index) => options.from + index);
  const startedMs = performance.now();
  await forEachBounded(numbers, options.clients, (number) =>
    api.put(BENCH_COLLECTION, `r-${number}`, positionReport(number, options.revision)),
  );
  return (options.count * 1000) / (performance.now() - startedMs);
}

export async function benchWrites(
  formation: Formation,
  plan: Plan,
  bare: BareAutomerge,
  report: Report,
): Promise<void> {
  report.begin("Durable writes on node-0 of three");
  let next = 0;
  const write = async (clients: number, count: number): Promise<number> => {
    const from = next;
    next += count;
    const rate = await writeDocuments({ formation, clients, from, count, revision: 0 });
    // Each round begins with the others having caught up: their work must not fall into the next.
    await formation.equal(next, plan.limitMs);
    return rate;
  };
  const one = await rounds(plan, () => write(1, plan.oneClientWrites));
  report.add("new documents, 1 client", one, "writes/s");
  const many = await rounds(plan, () => write(MANY_CLIENTS, plan.manyClientsWrites));
  const newRate = report.add(`new documents, ${MANY_CLIENTS} clients`, many, "writes/s");
  report.add("  as a share of the bare loop (new)", [newRate / bare.newPerSecond], "ratio", {
    atLeast: SHARE_OF_BARE,
  });
  const again = await rounds(plan, async (round) => {
    const count = Math.min(next, plan.manyClientsWrites);
    const rate = await writeDocuments({
      formation,
      clients: MANY_CLIENTS,
      from: 0,
      count,
      revision: round + 1,
    });
    await formation.equal(next, plan.limitMs);
    return rate;
  });
  const changeRate = report.add(`changed documents, ${MANY_CLIENTS} clients`, again, "writes/s");
  report.add(
    "  as a share of the bare loop (changed)",
    [changeRate / bare.changePerSecond],
    "ratio",
    {
      atLeast: SHARE_OF_BARE,
    },
  );
}
