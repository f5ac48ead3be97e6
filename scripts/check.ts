// bun run check: types, style, dead code and the quick tests beside each other.
import { projectDir } from "./support/project.ts";
import { findTestFiles, runTests } from "./support/test-run.ts";

interface Outcome {
  readonly stage: string;
  readonly seconds: number;
  readonly isGood: boolean;
  readonly text: string;
}

type Stage = () => Promise<Omit<Outcome, "seconds">>;

const RUN_TIMEOUT_MS = 10 * 60_000;

function tool(stage: string, ...command: readonly string[]): Stage {
  return async () => {
    const child = Bun.spawn([process.execPath, "x", "--bun", ...command], {
      cwd: projectDir,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: RUN_TIMEOUT_MS,
    });
    const texts = await Promise.all(
      [child.stdout, child.stderr].map((s) => new Response(s).text()),
    );
    return { stage, isGood: (await child.exited) === 0, text: texts.join("") };
  };
}

/** Test processes beside the tools: more than the two cores of small machines, for some tests wait most of their time. */
const TEST_WORKERS = 3;

function tests(name: string, ...paths: readonly string[]): Stage {
  return async () => {
    const run = await runTests({
      name: `check-${name}`,
      files: findTestFiles(paths),
      testTimeoutMs: 30_000,
      runTimeoutMs: RUN_TIMEOUT_MS,
      output: "failures",
      workers: TEST_WORKERS,
    });
    const failed = run.cases.filter((c) => c.result === "failed");
    return {
      stage: `${name} tests (${run.cases.length})`,
      isGood: failed.length === 0 && run.accidents.length === 0,
      text: [run.text, ...run.accidents].join("\n"),
    };
  };
}

async function lane(stages: readonly Stage[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const stage of stages) {
    const startedMs = performance.now();
    const result = await stage();
    const seconds = (performance.now() - startedMs) / 1000;
    outcomes.push({ ...result, seconds });
    const mark = result.isGood ? "ok    " : "FAILED";
    console.log(`${mark} ${seconds.toFixed(1).padStart(6)} s  ${result.stage}`);
  }
  return outcomes;
}

const startedMs = performance.now();
const outcomes = await Promise.all([
  lane([
    tool("tsc", "tsc", "--noEmit"),
    tool("tsc of the page", "tsc", "--noEmit", "-p", "src/dashboard/page"),
    tool("biome", "biome", "ci", "--error-on-warnings", "--colors=off"),
    tool("knip", "knip", "--no-progress"),
  ]),
  lane([
    tests(
      "unit and simulation",
      "test/simulation",
      "test/unit",
      "test/tidy.test.ts",
      "test/generated.test.ts",
      "test/parity.test.ts",
    ),
  ]),
]);
const failed = outcomes.flat().filter((outcome) => !outcome.isGood);
for (const outcome of failed) console.log(`\n──── ${outcome.stage}\n${outcome.text.trimEnd()}`);
const total = ((performance.now() - startedMs) / 1000).toFixed(1);
console.log(
  failed.length === 0 ? `\nall good in ${total} s` : `\n${failed.length} failed in ${total} s`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
