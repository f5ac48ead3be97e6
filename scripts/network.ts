// bun run network: formations of the compiled executable in network namespaces, over bad networks; prints a table.
import { parseArgs } from "node:util";
import { wiresMissing } from "../test/support/namespace.ts";
import { loadAverage, machine } from "./bench/processes.ts";
import { ADDRESS_CHANGE } from "./network/address-change.ts";
import { EDITS } from "./network/edits.ts";
import { FLAPS } from "./network/flaps.ts";
import { MUTE_PEER } from "./network/mute-peer.ts";
import { PARTITION } from "./network/partition.ts";
import { ROLL_OVER } from "./network/roll-over.ts";
import { type Figure, isGood, isMissed } from "./network/scenario.ts";
import { SILENCE } from "./network/silence.ts";
import { SLOW_LINK } from "./network/slow-link.ts";
import { URGENT } from "./network/urgent.ts";
import { exitOnSignals } from "./support/at-exit.ts";
import { ensureHostExecutable, meshNodePath } from "./support/executable.ts";
import { printNumber } from "./support/percentiles.ts";

const SCENARIOS = [
  PARTITION,
  SLOW_LINK,
  URGENT,
  EDITS,
  FLAPS,
  ADDRESS_CHANGE,
  ROLL_OVER,
  SILENCE,
  MUTE_PEER,
];

const USAGE = `usage: bun run network [--short] [NAME…]

NAME is the beginning of a scenario's name; all of them by default:
${SCENARIOS.map(({ name }) => `  ${name}`).join("\n")}
Needs root, ip and tc. Ends with 1 when a figure is worse than it may be
or is wanted.`;

function verdict(figure: Figure): string {
  if (!isGood(figure)) return "FAILED";
  return isMissed(figure) ? "MISSED" : "ok    ";
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      short: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const chosen = SCENARIOS.filter(
    ({ name }) => positionals.length === 0 || positionals.some((text) => name.startsWith(text)),
  );
  if (values.help || chosen.length === 0) {
    console.log(USAGE);
    return values.help ? 0 : 64;
  }
  const missing = wiresMissing();
  if (missing !== undefined) throw new Error(missing);
  await ensureHostExecutable();

  console.log(`${machine()}; load average before: ${loadAverage()}`);
  let isAllGood = true;
  for (const { name, run } of chosen) {
    console.log(`\n${name}`);
    const figures = await run({
      executable: meshNodePath,
      isFull: !values.short,
      told: (line) => console.log(`  … ${line}`),
    });
    for (const figure of figures) {
      const wanted = figure.most ?? figure.aim;
      const limit = wanted === undefined ? "" : `  (at most ${printNumber(wanted)})`;
      const value = `${printNumber(figure.value)} ${figure.unit}`.trim().padStart(12);
      console.log(`  ${verdict(figure)} ${value}  ${figure.what}${limit}`);
      isAllGood &&= isGood(figure) && !isMissed(figure);
    }
  }
  console.log(`\nload average after: ${loadAverage()}`);
  return isAllGood ? 0 : 1;
}

exitOnSignals();
process.exit(await main());
