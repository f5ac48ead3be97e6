// bun run simulate: thousands of seeded worlds over the real stores and coordinators; with --model, whole histories
// over the pure functions alone, and the broken variants that the judge has to find.
import { parseArgs } from "node:util";
import { SABOTAGES } from "../test/simulation/sabotage.ts";
import { runScenario } from "../test/simulation/scenario.ts";
import { newerWinsWhole, stateMutants } from "./model/mutants.ts";
import { productRules, type Rules } from "./model/rules.ts";
import { type RunSummary, runHistories } from "./model/world.ts";

const USAGE = `usage: bun run simulate [--seeds N] [--seed S] [--sabotage]
       bun run simulate --model [--histories N] [--seed S]

  --seeds N       seeded worlds of the real nodes (1000)
  --sabotage      the same with one rule broken at a time: the judge has to find each
  --model         histories of the state model instead, and its mutants
  --histories N   (20000)
  --seed S        the first seed (1); with --seeds 1 this runs one world again
`;

const TELL_EVERY_MS = 10_000;
const MUTANT_SHARE = 20;

function wholeNumber(text: string, name: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new RangeError(`--${name} must be a whole number above 0, found ${JSON.stringify(text)}`);
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

async function runWorlds(count: number, firstSeed: number): Promise<number> {
  const startedMs = performance.now();
  const settleMs: number[] = [];
  let [writes, restores, failed, toldMs] = [0, 0, 0, startedMs];
  for (let seed = firstSeed; seed < firstSeed + count; seed += 1) {
    const result = await runScenario(seed);
    writes += result.writes;
    restores += result.restores;
    settleMs.push(result.settleMs);
    if (result.complaints.length > 0) {
      failed += 1;
      console.log(`seed ${seed}\n  ${result.complaints.join("\n  ")}`);
    }
    if (performance.now() - toldMs < TELL_EVERY_MS) continue;
    toldMs = performance.now();
    console.log(`${settleMs.length} of ${count} worlds, ${failed} failed`);
  }
  settleMs.sort((a, b) => a - b);
  const [p50, p99] = [percentile(settleMs, 0.5), percentile(settleMs, 0.99)];
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `${count} worlds, ${writes} judged writes, ${restores} directories replaced, ${failed} failed; equal after healing: p50 ${p50} ms, p99 ${p99} ms (virtual); ${seconds} s`,
  );
  return failed === 0 ? 0 : 1;
}

/** Until each broken rule is found out, or the seeds are used up. */
async function runSabotages(count: number, firstSeed: number): Promise<number> {
  let missed = 0;
  for (const sabotage of SABOTAGES) {
    let found: string | undefined;
    let seed = firstSeed;
    for (; found === undefined && seed < firstSeed + count; seed += 1) {
      found = (await runScenario(seed, sabotage)).complaints[0];
    }
    if (found === undefined) missed += 1;
    const told =
      found === undefined ? `NOT FOUND in ${count} worlds` : `seed ${seed - 1}: ${found}`;
    console.log(`${sabotage.name}\n  ${told}`);
  }
  console.log(`${SABOTAGES.length - missed} of ${SABOTAGES.length} broken rules found out`);
  return missed === 0 ? 0 : 1;
}

function tell({ rules, histories, writes, failedCount, failed }: RunSummary): void {
  const first = failed[0];
  const shown = first === undefined ? "" : `; seed ${first.seed}: ${first.complaints[0]}`;
  console.log(`${rules}: ${failedCount} of ${histories} wrong, ${writes} writes${shown}`);
}

function runMutant<S>(rules: Rules<S>, count: number, firstSeed: number): boolean {
  const run = runHistories(rules, { firstSeed, count });
  tell(run);
  return run.failedCount > 0;
}

function runModel(count: number, firstSeed: number): number {
  const startedMs = performance.now();
  const run = runHistories(productRules, { firstSeed, count });
  tell(run);
  const mutantCount = Math.max(200, Math.ceil(count / MUTANT_SHARE));
  const found = [
    runMutant(newerWinsWhole, count, firstSeed),
    ...stateMutants.map((mutant) => runMutant(mutant, mutantCount, firstSeed)),
  ];
  const missed = found.filter((isFound) => !isFound).length;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `${found.length - missed} of ${found.length} broken variants found out; ${seconds} s`,
  );
  return run.failedCount === 0 && missed === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "1000" },
      sabotage: { type: "boolean", default: false },
      histories: { type: "string", default: "20000" },
      seed: { type: "string", default: "1" },
      model: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const seed = wholeNumber(values.seed, "seed");
  if (values.model) return runModel(wholeNumber(values.histories, "histories"), seed);
  const seeds = wholeNumber(values.seeds, "seeds");
  return values.sabotage ? await runSabotages(seeds, seed) : await runWorlds(seeds, seed);
}

process.exitCode = await main();
