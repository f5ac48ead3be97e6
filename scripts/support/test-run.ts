// Runs `bun test` on some files and says what every test did; nothing that went wrong may count as passed.
import { mkdir, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseJunit, type TestCase } from "./junit.ts";
import { distDir, projectDir } from "./project.ts";

export interface TestRun {
  readonly cases: readonly TestCase[];
  /** What failed outside of any test: a file that could not be loaded, a process that died. */
  readonly accidents: readonly string[];
}

export interface TestRunOptions {
  /** Names the report's file and the accidents. */
  readonly name: string;
  readonly files: readonly string[];
  readonly testTimeoutMs: number;
  readonly runTimeoutMs: number;
  /** Added to the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>;
  /** Processes that share the files; without it there is one. */
  readonly workers?: number;
  /** `failures` is piped, and only of failed tests. */
  readonly output: "inherit" | "failures";
}

export interface FinishedTestRun extends TestRun {
  /** The output, when it was piped. */
  readonly text: string;
}

/** Test files below some paths, which may be folders or files or not be there yet. */
export function findTestFiles(paths: readonly string[]): string[] {
  const files: string[] = [];
  for (const path of paths) {
    const pattern = path.endsWith(".ts") ? path : `${path}/**/*.test.ts`;
    files.push(...new Bun.Glob(pattern).scanSync({ cwd: projectDir }));
  }
  return files.sort((a, b) => (a < b ? -1 : 1));
}

function accidentsOf(
  options: TestRunOptions,
  cases: readonly TestCase[],
  exitCode: number | null,
): string[] {
  const accidents: string[] = [];
  // A test that ends the process leaves no report, and perhaps a happy exit status.
  const seen = new Set(cases.map((c) => relative(projectDir, join(projectDir, c.file))));
  for (const file of options.files) {
    if (!seen.has(file)) accidents.push(`${file}: no test of this file was reported`);
  }
  if (exitCode === null) {
    accidents.push(`${options.name}: ended by a signal, or after ${options.runTimeoutMs / 1000} s`);
  } else if (exitCode !== 0 && !cases.some((c) => c.result === "failed")) {
    accidents.push(`${options.name}: bun test exited with ${exitCode}`);
  }
  return accidents;
}

export async function runTests(options: TestRunOptions): Promise<FinishedTestRun> {
  if (options.files.length === 0) return { cases: [], accidents: [], text: "" };
  const report = join(distDir, "test-reports", `${options.name}.xml`);
  await mkdir(join(distDir, "test-reports"), { recursive: true });
  await rm(report, { force: true });
  const stdout = options.output === "inherit" ? "inherit" : "pipe";
  const child = Bun.spawn(
    [
      process.execPath,
      "test",
      `--timeout=${options.testTimeoutMs}`,
      "--reporter=junit",
      `--reporter-outfile=${report}`,
      // Files share a process as they do without workers.
      ...(options.workers === undefined ? [] : [`--parallel=${options.workers}`, "--no-isolate"]),
      ...(options.output === "failures" ? ["--only-failures"] : []),
      ...options.files.map((file) => `./${file}`),
    ],
    {
      cwd: projectDir,
      env: { ...Bun.env, ...options.env },
      stdin: "ignore",
      stdout,
      stderr: stdout,
      timeout: options.runTimeoutMs,
    },
  );
  const texts = await Promise.all(
    [child.stdout, child.stderr].map((stream) => (stream ? new Response(stream).text() : "")),
  );
  await child.exited;
  const xml = Bun.file(report);
  const cases = (await xml.exists()) ? parseJunit(await xml.text()) : [];
  return { cases, accidents: accidentsOf(options, cases, child.exitCode), text: texts.join("") };
}
