// How much is measured: the whole bench, or a quick look.

export interface Plan {
  /** Repetitions of each measurement; the median is reported. */
  readonly rounds: number;
  readonly documents: number;
  readonly singleWrites: number;
  readonly oneClientWrites: number;
  readonly manyClientsWrites: number;
  /** Of each of many RPC clients. */
  readonly rpcCalls: number;
  readonly restMs: number;
  readonly attachmentMib: number;
  /** After this long, a measurement of the other system is given up and what it reached is told. */
  readonly limitMs: number;
}

export const FULL_PLAN: Plan = {
  rounds: 5,
  documents: 10_000,
  singleWrites: 300,
  oneClientWrites: 1000,
  manyClientsWrites: 10_000,
  rpcCalls: 1000,
  restMs: 60_000,
  attachmentMib: 1024,
  limitMs: 180_000,
};

export const QUICK_PLAN: Plan = {
  rounds: 1,
  documents: 1000,
  singleWrites: 100,
  oneClientWrites: 200,
  manyClientsWrites: 2000,
  rpcCalls: 100,
  restMs: 5000,
  attachmentMib: 256,
  limitMs: 30_000,
};

export const MANY_CLIENTS = 64;

/** Runs a measurement as often as the plan says. */
export async function rounds<T>(plan: Plan, measure: (round: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let round = 0; round < plan.rounds; round += 1) results.push(await measure(round));
  return results;
}
