// bun scripts/durability.ts: two nodes, parallel writers, SIGKILL at a random moment, restart; every acknowledged
// write is there.
import { parseArgs } from "node:util";
import { DurabilityRun } from "./model/durability-rounds.ts";
import { ensureHostExecutable, meshNodePath } from "./support/executable.ts";

const USAGE = `usage: bun scripts/durability.ts [--rounds N] [--seed S]

  --rounds N  kills, all on one data directory for each node (1000)
  --seed S    what is written, and when it ends (the clock)
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "1000" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      help: { type: "boolean", default: false },
    },
  });
  const [rounds, seed] = [Number(values.rounds), Number(values.seed)];
  if (values.help || !Number.isInteger(rounds) || rounds < 1 || !Number.isInteger(seed)) {
    console.log(USAGE);
    return values.help ? 0 : 64;
  }
  await ensureHostExecutable();
  console.log(`${rounds} rounds, seed ${seed}`);
  const results = await DurabilityRun.run({
    executable: meshNodePath,
    rounds,
    seed,
    told: (result) => {
      const { round, acknowledged, underWay, found, readyMs, lost } = result;
      const killed = `node ${result.killed.join(" and ")}${result.isKilledAtStart ? ", again at its start" : ""}`;
      console.log(
        `round ${round}: ${acknowledged} writes acknowledged, killed ${killed}${result.isConnected ? " (connected)" : ""}, ready in ${readyMs.toFixed(0)} ms, ${found} of ${underWay} under way were committed, ${lost.length} lost${result.isCompared ? "; both nodes equal" : ""}`,
      );
      for (const text of lost) console.log(`  ${text}`);
    },
  });
  const total = (pick: (result: (typeof results)[number]) => number) =>
    results.reduce((sum, result) => sum + pick(result), 0);
  const lost = total((result) => result.lost.length);
  console.log(
    `${results.length} rounds, ${total((r) => r.killed.length + (r.isKilledAtStart ? r.killed.length : 0))} kills, ${total((r) => r.acknowledged)} acknowledged writes, ${lost} lost; of ${total((r) => r.underWay)} under way at a kill ${total((r) => r.found)} had been committed`,
  );
  return lost === 0 ? 0 : 1;
}

process.exitCode = await main();
