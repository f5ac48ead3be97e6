import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { projectDir } from "../../../scripts/support/project.ts";
import { type FinishedTestRun, runTests } from "../../../scripts/support/test-run.ts";

let folder = "";

beforeAll(async () => {
  // Inside the project, as its configuration applies; outside of test/, as no other run may find it.
  await mkdir(join(projectDir, ".cache"), { recursive: true });
  folder = await mkdtemp(join(projectDir, ".cache/planted-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs one planted test file as the test runner would. */
async function runPlanted(name: string, text: string): Promise<FinishedTestRun> {
  const path = join(folder, `${name}.test.ts`);
  await writeFile(path, `import { expect, test } from "bun:test";\n${text}\n`);
  return runTests({
    name: `planted-${name}`,
    files: [relative(projectDir, path)],
    testTimeoutMs: 5000,
    runTimeoutMs: 20_000,
    output: "failures",
  });
}

test("a run with a pass, a failure and a skip reports each and no accident", async () => {
  const run = await runPlanted(
    "mixed",
    'test("a", () => {}); test("b", () => { expect(1).toBe(2); }); test.skip("c", () => {});',
  );
  expect(run.cases.map((c) => c.result)).toEqual(["passed", "failed", "skipped"]);
  expect(run.accidents).toEqual([]);
});

test("a test that ends the process with status 0 is no success", async () => {
  const run = await runPlanted("exit", 'test("a", () => { process.exit(0); });');
  expect(run.cases).toEqual([]);
  expect(run.accidents.join()).toContain("no test of this file was reported");
});

test("a file that can't be loaded is no success", async () => {
  const run = await runPlanted("broken", 'import "./there-is-no-such-file.ts";');
  expect(run.accidents.length + run.cases.filter((c) => c.result === "failed").length).not.toBe(0);
});

test("a failure outside of any test is no success", async () => {
  const run = await runPlanted(
    "stray",
    'test("a", () => {}); setTimeout(() => { throw new Error("stray"); }, 0); await Bun.sleep(20);',
  );
  expect(run.accidents.length + run.cases.filter((c) => c.result === "failed").length).not.toBe(0);
});
