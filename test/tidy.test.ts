// Reads the source and holds it to the rules of its tree; each rule is also shown a text that breaks it.
import { describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import {
  filesWithoutPurpose,
  importsOf,
  importsWithoutEnding,
  LINES_MAX,
  longFiles,
  looseVersions,
  machinePaths,
  processUses,
  type SourceFile,
  settingsBelowApp,
  strayModules,
  unfinishedWork,
  upwardImports,
} from "./support/tidy-rules.ts";

const projectDir = resolve(import.meta.dirname, "..");

async function readFiles(pattern: string): Promise<SourceFile[]> {
  const paths = [...new Bun.Glob(pattern).scanSync({ cwd: projectDir, dot: true })];
  return Promise.all(
    paths.map(async (path) => ({ path, text: await Bun.file(join(projectDir, path)).text() })),
  );
}

const isWritten = ({ path }: SourceFile): boolean => !path.includes("/gen/");
const source = (await readFiles("src/**/*.{ts,tsx}")).filter(isWritten);
// Bun's Glob finds nothing by a brace that holds slashes.
const scripts = [
  ...(await readFiles("scripts/**/*.ts")),
  ...(await readFiles("test/support/**/*.ts")),
];
const code = (await readFiles("{src,scripts,test}/**/*.{ts,tsx}")).filter(isWritten);
const everything = [
  ...(await readFiles("{src,scripts,test,docs,packaging,systemd,chart,.ci}/**/*")),
  ...(await readFiles("*")).filter(({ path }) => ![".git", "bun.lock"].includes(path)),
  // Bytes of a picture are no words.
].filter(({ path }) => !path.endsWith(".png"));
const file = (path: string, text: string): SourceFile => ({ path, text });

describe("the source", () => {
  test("is there to be judged", () => {
    expect(source.length).toBeGreaterThan(10);
    expect(scripts.length).toBeGreaterThan(10);
    expect(everything.length).toBeGreaterThan(code.length);
  });

  test("imports only downwards, and neighbours don't know each other", () => {
    expect(upwardImports(source)).toEqual([]);
  });

  test("keeps the settings out of everything below app.ts", () => {
    expect(settingsBelowApp(source)).toEqual([]);
  });

  test("keeps third-party types in the one place that is theirs", () => {
    expect(strayModules(source)).toEqual([]);
  });

  test("names the files it imports by their full name", () => {
    expect(importsWithoutEnding([...source, ...scripts])).toEqual([]);
  });

  test("reads environment and arguments, and exits, in main.ts only", () => {
    expect(processUses(source)).toEqual([]);
  });

  test(`has no file over ${LINES_MAX} lines`, () => {
    expect(longFiles(code)).toEqual([]);
  });

  test("says at the top of each file what it is for", () => {
    expect(filesWithoutPurpose([...source, ...scripts])).toEqual([]);
  });

  test("leaves no work undone behind a word", () => {
    expect(unfinishedWork(everything)).toEqual([]);
  });

  test("names no path of the machine it was written on", () => {
    expect(machinePaths(everything)).toEqual([]);
  });

  test("depends on exact versions only", async () => {
    expect(looseVersions(await Bun.file(join(projectDir, "package.json")).text())).toEqual([]);
  });
});

describe("a rule finds", () => {
  test("imports of every form", () => {
    const text = [
      'import { a } from "./a.ts";',
      'import type {\n  B,\n} from "../b.ts";',
      'export { c } from "./c.ts";',
      'import "./d.ts";',
      'type E = import("./e.ts").E;',
      'const f = await import("./f.ts");',
    ].join("\n");
    expect(importsOf(text)).toEqual(["./a.ts", "../b.ts", "./c.ts", "./d.ts", "./e.ts", "./f.ts"]);
  });

  test.each([
    ["an upward import", file("src/base/a.ts", 'import type { S } from "../store/s.ts";')],
    ["a neighbour", file("src/net/a.ts", 'import { s } from "../store/s.ts";')],
    ["the entry used by a part", file("src/cli/a.ts", 'import { m } from "../main.ts";')],
    ["a test used by the product", file("src/net/a.ts", 'import { t } from "../../test/t.ts";')],
    ["a folder without a level", file("src/utils/a.ts", "")],
  ])("%s", (_, offender) => {
    expect(upwardImports([offender])).toHaveLength(1);
  });

  test("nothing wrong with a downward import that skips levels", () => {
    const text = 'import { s } from "../base/s.ts"; import { v } from "../build-info.ts";';
    expect(upwardImports([file("src/broker/a.ts", text)])).toEqual([]);
  });

  test("settings that are read by a service", () => {
    const text = 'import type { Config } from "../config/settings.ts";';
    expect(settingsBelowApp([file("src/broker/a.ts", text)])).toHaveLength(1);
    expect(settingsBelowApp([file("src/cli/a.ts", text)])).toEqual([]);
  });

  test("a third-party module outside of its place", () => {
    const iroh = 'import { Endpoint } from "@number0/iroh";';
    expect(strayModules([file("src/sync/a.ts", iroh)])).toHaveLength(1);
    expect(strayModules([file("src/net/iroh.ts", iroh)])).toEqual([]);
    expect(strayModules([file("src/store/a.ts", 'import "@connectrpc/connect";')])).toHaveLength(1);
  });

  test("the process touched below main.ts, but not words about it", () => {
    const text = "// not process.exit\nprocess.exit(1);\nconst x = process.env.HOME; Bun.argv;";
    expect(processUses([file("src/app.ts", text)])).toHaveLength(3);
    expect(processUses([file("src/main.ts", text)])).toEqual([]);
  });

  test("a file that is one line too long", () => {
    expect(longFiles([file("src/a.ts", "\n".repeat(LINES_MAX))])).toEqual([]);
    expect(longFiles([file("src/a.ts", "\n".repeat(LINES_MAX + 1))])).toHaveLength(1);
  });

  test("an import without an ending, a file without a purpose, a loose version", () => {
    expect(importsWithoutEnding([file("src/a.ts", 'import "./b";')])).toHaveLength(1);
    expect(filesWithoutPurpose([file("src/a.ts", "export const a = 1;")])).toHaveLength(1);
    expect(looseVersions('{"dependencies":{"a":"^1.0.0","b":"1.0.0"}}')).toHaveLength(1);
  });

  test("words for undone work, and places of one machine", () => {
    expect(unfinishedWork([file("a.md", `x\n${"TO"}${"DO"}: later`)])).toEqual([
      `a.md:2: work left undone: ${"TO"}${"DO"}`,
    ]);
    expect(machinePaths([file("a.md", `see /${"work"}/main/x`)])).toHaveLength(1);
    expect(
      machinePaths([file("a.md", "http://host/work/1 is a URL, dist/root/ a folder")]),
    ).toEqual([]);
  });
});
