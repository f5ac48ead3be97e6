// bun scripts/fuzz.ts: millions of inputs, nearly right, for everything that takes what others send; prints a table.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { FuzzPool, type FuzzTotal } from "./fuzz/pool.ts";
import { TARGETS } from "./fuzz/targets.ts";

const USAGE = `usage: bun scripts/fuzz.ts [--inputs N] [--seed S] [--only TARGET [--from INDEX]]

  --inputs N   in all, shared out among the targets (10000000)
  --seed S     what they are (the clock)
  --only NAME  one target, with all of the inputs
  --from N     index of its first input: to run a failure again
  --workers N  threads (one for each core)

Ends with 1 at an input that is neither accepted nor refused by a fault, that takes 50 ms, or that is another one
when it is written and read again; prints the seed, the index and the input.
targets: ${TARGETS.map(({ name }) => name).join(", ")}
`;

function printTotal(total: FuzzTotal): string {
  const codes = Object.entries(total.codes)
    .toSorted(([, a], [, b]) => b - a)
    .map(([code, count]) => `${code} ${count}`)
    .join(", ");
  const rate = total.seconds === 0 ? 0 : total.inputs / total.seconds;
  const figures = [
    total.target.padEnd(32),
    String(total.inputs).padStart(9),
    `${rate.toFixed(0)}/s`.padStart(9),
    String(total.accepted).padStart(9),
    String(total.refused).padStart(9),
    `${total.slowestMs.toFixed(1)} ms`.padStart(9),
  ];
  return `${figures.join(" ")}  ${codes}`;
}

const HEAD = `${"target".padEnd(32)} ${["inputs", "rate", "accepted", "refused", "slowest"].map((text) => text.padStart(9)).join(" ")}  refused by`;

function wholeNumber(text: string | undefined, fallback: number): number {
  return text === undefined ? fallback : Number(text);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      inputs: { type: "string" },
      seed: { type: "string" },
      only: { type: "string" },
      from: { type: "string" },
      workers: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const inputs = wholeNumber(values.inputs, 10_000_000);
  const seed = wholeNumber(values.seed, Date.now() % 1_000_000);
  const from = wholeNumber(values.from, 0);
  const workers = wholeNumber(values.workers, availableParallelism());
  const targets = TARGETS.filter(({ name }) => values.only === undefined || name === values.only);
  const areNumbers = [inputs, seed, from, workers].every((n) => Number.isSafeInteger(n) && n >= 0);
  if (values.help || !areNumbers || targets.length === 0 || inputs === 0 || workers === 0) {
    console.log(USAGE);
    return values.help ? 0 : 64;
  }
  console.log(`seed ${seed}, ${workers} workers\n${HEAD}`);
  const shares = targets.reduce((sum, { share }) => sum + share, 0);
  const startedMs = performance.now();
  await using pool = new FuzzPool(workers);
  const totals = await pool.run(
    targets.map(({ name, share }) => ({
      target: name,
      seed,
      from,
      count: Math.ceil((inputs * share) / shares),
    })),
    (total) => console.log(printTotal(total)),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  const sum = totals.reduce((all, { inputs: some }) => all + some, 0);
  console.log(`${sum} inputs in ${seconds.toFixed(0)} s, ${(sum / seconds).toFixed(0)}/s`);
  const failures = totals.flatMap(({ failure }) => (failure === undefined ? [] : [failure]));
  for (const { target, index, reason, inputHex } of failures) {
    console.log(
      `\nFAILED ${target}: ${reason}\n  bun scripts/fuzz.ts --seed ${seed} --only "${target}" --from ${index} --inputs 1\n  input ${inputHex}`,
    );
  }
  return failures.length === 0 ? 0 : 1;
}

process.exit(await main());
