// How the examples of a page are found, run and judged: a page can't say what is not so.
import { describe, expect, test } from "bun:test";
import { examplesOf, isPrinted, runExamples } from "../../support/examples.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const page = (...lines: readonly string[]) => lines.join("\n");

describe("the examples of a page", () => {
  test("are its blocks in their order, each with the output right below it", () => {
    const examples = examplesOf(
      page("# A", "```sh", "echo a", "```", "```text", "a", "```", "", "And:", "```go", "x", "```"),
    );
    expect(examples.map(({ block, printed }) => [block.language, block.text, printed])).toEqual([
      ["sh", "echo a", "a"],
      ["go", "x", undefined],
    ]);
  });

  test("have somebody who runs them", () => {
    expect(() => examplesOf(page("```rust", "fn main() {}", "```"))).toThrow(
      "line 1: nothing runs rust",
    );
    // Output of nothing.
    expect(() => examplesOf(page("```json", "{}", "```"))).toThrow("nothing runs json");
    expect(() => examplesOf(page("```sh", "ls", "```", "Then:", "```json", "{}", "```"))).toThrow(
      "line 5",
    );
    expect(() => examplesOf(page("```sh", "ls"))).toThrow("has no end");
  });
});

test("an output is what the page shows, with anything in place of …", () => {
  expect(isPrinted('{"a":1}', '{"a":1}\n')).toBe(true);
  expect(isPrinted('{"a":1}', '{"a":2}')).toBe(false);
  expect(isPrinted("id …, done", "id 7f\n, done")).toBe(true);
  expect(isPrinted("id …, done", "id 7f, failed")).toBe(false);
  expect(isPrinted("a.c", "abc")).toBe(false);
});

test("a page's blocks share one shell, and each has its own output and status", async () => {
  using folder = tempFolder();
  const examples = examplesOf(
    page("```sh", "where=PLACE", "```", "```sh", "echo $where; false", "```"),
  );
  const outcomes = await runExamples(examples, {
    folder: folder.path,
    places: { PLACE: "here" },
    environment: { PATH: Bun.env["PATH"] ?? "" },
    timeoutMs: 20_000,
  });
  expect(outcomes.map(({ code, said }) => [code, said])).toEqual([
    [0, ""],
    [1, "here\n"],
  ]);
});
