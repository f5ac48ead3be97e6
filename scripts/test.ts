// bun run test: builds the executable when it is stale, runs every test, and ends with one line of counts.
import { findAddon, hostTarget } from "./support/build-targets.ts";
import { ensureExecutable, executablePath } from "./support/executable.ts";
import { skipReason, type TestCase, type TestResult } from "./support/junit.ts";
import { findTestFiles, runTests } from "./support/test-run.ts";

interface Suite {
  readonly name: string;
  readonly paths: readonly string[];
  readonly testTimeoutMs: number;
}

// The rules about the source and the cheap tests come first: they fail in seconds.
const SUITES: readonly Suite[] = [
  {
    name: "source",
    paths: ["test/tidy.test.ts", "test/generated.test.ts", "test/parity.test.ts"],
    testTimeoutMs: 30_000,
  },
  { name: "unit", paths: ["test/unit"], testTimeoutMs: 30_000 },
  { name: "contracts", paths: ["test/contracts"], testTimeoutMs: 60_000 },
  { name: "simulation", paths: ["test/simulation"], testTimeoutMs: 300_000 },
  { name: "integration", paths: ["test/integration"], testTimeoutMs: 120_000 },
  { name: "e2e", paths: ["test/e2e"], testTimeoutMs: 300_000 },
  { name: "packaging", paths: ["test/packaging"], testTimeoutMs: 600_000 },
];

/** Against what hangs, for each test has a limit of its own: a slow machine takes its time. */
const SUITE_TIMEOUT_MS = 75 * 60_000;

function count(cases: readonly TestCase[], result: TestResult): number {
  return cases.filter((c) => c.result === result).length;
}

async function main(): Promise<number> {
  const startedMs = performance.now();
  const cases: TestCase[] = [];
  const accidents: string[] = [];
  const seconds: string[] = [];

  const addon = await findAddon(hostTarget());
  if (typeof addon === "string") accidents.push(`the executable was not built: ${addon}`);
  else if (await ensureExecutable(addon)) console.log("built dist/peat-sidecar");

  for (const suite of SUITES) {
    const suiteStartedMs = performance.now();
    const files = findTestFiles(suite.paths);
    if (files.length === 0) continue;
    console.log(`\n──── ${suite.name}: ${files.length} files`);
    const run = await runTests({
      ...suite,
      files,
      runTimeoutMs: SUITE_TIMEOUT_MS,
      env: { PEAT_TEST_EXECUTABLE: executablePath, PEAT_TEST_FULL: "1" },
      output: "inherit",
    });
    cases.push(...run.cases);
    accidents.push(...run.accidents);
    seconds.push(`${suite.name} ${((performance.now() - suiteStartedMs) / 1000).toFixed(1)} s`);
  }

  console.log(`\n──── summary\n${seconds.join(", ")}`);
  for (const { file, name, result } of cases) {
    if (result === "skipped") console.log(`skipped  ${file}: ${name}: ${skipReason(name)}`);
  }
  for (const { file, name, result } of cases) {
    if (result === "failed") console.log(`failed   ${file}: ${name}`);
  }
  for (const accident of accidents) console.log(`failed   ${accident}`);
  const failed = count(cases, "failed") + accidents.length;
  console.log(`finished in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  console.log(
    `${count(cases, "passed")} passed, ${failed} failed, ${count(cases, "skipped")} skipped`,
  );
  // Nothing at all is not success.
  return failed === 0 && cases.length > 0 ? 0 : 1;
}

process.exitCode = await main();
