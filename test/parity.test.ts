// docs/compatibility.md says which tests of ours stand for those of the older sidecar: each must be there.
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const HEADING = "## The older sidecar's own tests\n";
const ROWS_MIN = 50;
/** What a line without a test must begin with: a reason. */
const REASON = /^(differs: |no )/;

function section(page: string): string {
  const [, after = ""] = page.split(HEADING);
  return after.split("\n## ")[0] ?? "";
}

interface Row {
  readonly there: string;
  readonly here: string;
}

function rowsOf(text: string): Row[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("| ") && line !== "| there | here |")
    .map((line) => line.slice(2, -2).split(" | "))
    .map(([there = "", here = ""]) => ({ there, here }));
}

function namesOf({ here }: Row): { file: string; title: string }[] {
  return [...here.matchAll(/`([a-z0-9/-]+\.test\.ts)` "([^"]+)"/g)].map(
    ([, file = "", title = ""]) => ({ file, title }),
  );
}

/** The texts in quotes of a file, which its titles are among. */
function quoted(path: string): string[] {
  const text = readFileSync(path, "utf8");
  return [...text.matchAll(/"((?:[^"\\\n]|\\.)*)"|`([^`]*)`/g)].map((m) => m[1] ?? m[2] ?? "");
}

/** What is wrong with a row, in words. */
function complaints(row: Row): string[] {
  const names = namesOf(row);
  if (names.length === 0) return REASON.test(row.here) ? [] : [`${row.there}: says nothing`];
  return names.flatMap(({ file, title }) => {
    const path = join(import.meta.dirname, file);
    if (!existsSync(path)) return [`${row.there}: there is no ${file}`];
    const isThere = quoted(path).some((text) => text.includes(title));
    return isThere ? [] : [`${row.there}: ${file} has no "${title}"`];
  });
}

const page = readFileSync(join(import.meta.dirname, "../docs/compatibility.md"), "utf8");
const rows = rowsOf(section(page));

describe("the table of the older sidecar's tests", () => {
  test("has them all", () => {
    expect(rows.length).toBeGreaterThanOrEqual(ROWS_MIN);
  });

  test("names tests that are there, or says why there is none", () => {
    expect(rows.flatMap(complaints)).toEqual([]);
  });

  test.each([
    ["says nothing", ""],
    ["there is no unit/gone.test.ts", '`unit/gone.test.ts` "has them all"'],
    ['tidy.test.ts has no "a title of no test"', '`tidy.test.ts` "a title of no test"'],
  ])("would be found wrong: %s", (words, here) => {
    expect(complaints({ there: "x", here }).join()).toContain(words);
  });
});
