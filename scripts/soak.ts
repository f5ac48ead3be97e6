// bun scripts/soak.ts: three nodes, writes at an even pace, and the question whether anything grows.
import { parseArgs } from "node:util";
import { loadAverage, machine } from "./bench/processes.ts";
import { MEASURES } from "./soak/measures.ts";
import { type Sample, trendOf } from "./soak/trend.ts";
import { Writers } from "./soak/writers.ts";
import { exitOnSignals } from "./support/at-exit.ts";
import { ensureHostExecutable, meshNodePath } from "./support/executable.ts";
import { Formation } from "./support/formation.ts";
import { waitFor } from "./support/waiting.ts";

const USAGE = `usage: bun scripts/soak.ts [--minutes 30] [--writes 50] [--documents 500] [--seed S]

  --minutes N    how long; the first half is for warming up and not judged
  --writes N     in a second, over all nodes, deletes among them
  --documents N  that are written to, over and over

Ends with 1 when memory, files or handles of a node grow, or a write fails, or the nodes differ at the end.
`;

const NODES = 3;
const SAMPLES = 60;
/** Resident memory takes 10 to 20 minutes of even load to find its size, and then stays. */
const WARM_UP = 0.5;
/** Shown beside what is judged: how it began. */
const EARLY = 0.1;
const EQUAL_MS_MAX = 60_000;

/** Everything that a node does beside its writes, often. */
const HOUSEKEEPING = {
  PEAT_COMPACTION_ENABLED: "true",
  PEAT_COMPACTION_INTERVAL_SECS: "10",
  PEAT_COMPACTION_THRESHOLD_BYTES: "4096",
  PEAT_GC_INTERVAL_SECS: "10",
} as const;

type Samples = ReadonlyMap<string, Sample[]>;

function key(node: number, measure: string): string {
  return `${node} ${measure}`;
}

async function sample(formation: Formation, seconds: number, writers: Writers): Promise<Samples> {
  const samples = new Map<string, Sample[]>();
  const startedMs = performance.now();
  for (let i = 1; i <= SAMPLES; i += 1) {
    const untilMs = startedMs + (seconds * 1000 * i) / SAMPLES;
    await Promise.race([Bun.sleep(untilMs - performance.now()), formation.failed]);
    const at = (performance.now() - startedMs) / 1000;
    for (let node = 0; node < NODES; node += 1) {
      for (const { name, measure } of MEASURES) {
        const list = samples.get(key(node, name)) ?? [];
        list.push({ at, value: measure(formation.node(node)) });
        samples.set(key(node, name), list);
      }
    }
    if (i % 10 === 0) console.log(`${at.toFixed(0)} s: ${writers.acknowledged} writes`);
  }
  return samples;
}

/** Prints first, middle and last of each; true if nothing grows. */
function judge(samples: Samples, seconds: number): boolean {
  const columns = ["early", "first", "middle", "last", "growth"]
    .map((text) => text.padStart(9))
    .join(" ");
  console.log(`\n${"node".padEnd(8)} ${"".padEnd(12)} ${columns}`);
  let areFlat = true;
  for (let node = 0; node < NODES; node += 1) {
    for (const { name, unit, tolerance } of MEASURES) {
      const all = samples.get(key(node, name)) ?? [];
      const trend = trendOf(
        all.filter(({ at }) => at >= seconds * WARM_UP),
        tolerance,
      );
      const { first, middle, last, growth, isFlat } = trend;
      const early = all.find(({ at }) => at >= seconds * EARLY)?.value ?? Number.NaN;
      const figures = [early, first, middle, last, growth].map((n) =>
        n.toFixed(unit === "" ? 0 : 2),
      );
      console.log(
        `${`node-${node}`.padEnd(8)} ${`${name} ${unit}`.padEnd(12)} ${figures.map((text) => text.padStart(9)).join(" ")}  ${isFlat ? "flat" : "GROWS"}`,
      );
      areFlat &&= isFlat;
    }
  }
  return areFlat;
}

interface Plan {
  readonly seconds: number;
  readonly writes: number;
  readonly documents: number;
  readonly seed: number;
}

async function soak({ seconds, writes, documents, seed }: Plan): Promise<boolean> {
  await using formation = await Formation.prepare({
    executable: meshNodePath,
    nodes: NODES,
    logFilter: "info",
    env: HOUSEKEEPING,
  });
  await formation.startAll();
  const nodes = formation.running.map((node) => node.api);
  const writers = new Writers({ nodes, writesPerSecond: writes, documents, seed });
  const samples = await sample(formation, seconds, writers);
  await writers.stop();
  const startedMs = performance.now();
  await waitFor("equal nodes", EQUAL_MS_MAX, async () => {
    const summaries = await Promise.all(nodes.map((api) => api.summary()));
    return new Set(summaries.map((summary) => summary.root_hash)).size === 1 || undefined;
  });
  const areFlat = judge(samples, seconds);
  const rate = writers.acknowledged / seconds;
  console.log(
    `\n${writers.acknowledged} writes acknowledged (${rate.toFixed(1)}/s), ${writers.failures.length} failed; equal ${(performance.now() - startedMs).toFixed(0)} ms after the last`,
  );
  for (const text of writers.failures.slice(0, 10)) console.log(`  ${text}`);
  // A machine that can't keep the pace proves little.
  const isPaced = rate >= writes * 0.9;
  if (!isPaced) console.log(`the pace of ${writes}/s was not kept`);
  console.log(areFlat ? "verdict: flat" : "verdict: not flat");
  return areFlat && isPaced && writers.failures.length === 0;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "30" },
      writes: { type: "string", default: "50" },
      documents: { type: "string", default: "500" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [minutes, writes, documents] = [values.minutes, values.writes, values.documents].map(
    Number,
  );
  const seed = Number(values.seed);
  const isGood = [minutes, writes, documents].every((n) => n !== undefined && n > 0);
  if (values.help || !isGood || !Number.isInteger(seed)) {
    console.log(USAGE);
    return values.help ? 0 : 64;
  }
  await ensureHostExecutable();
  console.log(`${machine()}; load average before: ${loadAverage()}; seed ${seed}`);
  const plan = {
    seconds: (minutes ?? 0) * 60,
    writes: writes ?? 0,
    documents: documents ?? 0,
    seed,
  };
  const isFine = await soak(plan);
  console.log(`load average after: ${loadAverage()}`);
  return isFine ? 0 : 1;
}

exitOnSignals();
process.exit(await main());
