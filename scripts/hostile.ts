// bun scripts/hostile.ts: thousands of hostile connections against the compiled executable; prints a table.
import { parseArgs } from "node:util";
import { loadAverage, machine } from "./bench/processes.ts";
import { KEPT_MB_MAX, PHASE_HEAD, printPhase, printResult, runLoad } from "./hostile/load.ts";
import { Victim } from "./hostile/victim.ts";
import { exitOnSignals } from "./support/at-exit.ts";
import { ensureHostExecutable, meshNodePath } from "./support/executable.ts";

const USAGE = `usage: bun scripts/hostile.ts [--connections 10000]

Ends with 1 when the attacked node keeps more than 10 MB, or floods its log.`;

const CONNECTIONS = 10_000;
/** Refusals are told every ten seconds at most. */
const LINES_PER_SECOND_MAX = 0.2;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      connections: { type: "string", default: String(CONNECTIONS) },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const connections = Number(values.connections);
  if (values.help || !Number.isSafeInteger(connections) || connections < 100) {
    console.log(USAGE);
    return values.help ? 0 : 64;
  }
  await ensureHostExecutable();

  console.log(`${machine()}; load average before: ${loadAverage()}\n\n${PHASE_HEAD}`);
  await using victim = await Victim.start(meshNodePath);
  const result = await runLoad({
    victim,
    connections,
    told: (phase) => console.log(printPhase(phase)),
  });
  console.log(printResult(result));
  console.log(`load average after: ${loadAverage()}`);
  const keptMb = result.residentMb.after - result.residentMb.before;
  const seconds = result.phases.reduce((sum, phase) => sum + phase.seconds, 0);
  const isFlooded = result.logLines.length > 10 + seconds * LINES_PER_SECOND_MAX;
  if (keptMb > KEPT_MB_MAX) console.log(`keeps ${keptMb.toFixed(1)} MB, more than ${KEPT_MB_MAX}`);
  if (isFlooded) console.log(`wrote ${result.logLines.length} lines in ${seconds.toFixed(0)} s`);
  return keptMb > KEPT_MB_MAX || isFlooded ? 1 : 0;
}

exitOnSignals();
process.exit(await main());
