// What reaches a terminal: safe text, colours, quantities, a bar.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Output } from "../../../src/cli/context.ts";
import { parseExact, printExact } from "../../../src/cli/exact-json.ts";
import { Progress } from "../../../src/cli/progress.ts";
import { printAge, printBytes, printDuration } from "../../../src/cli/quantities.ts";
import { paintFor } from "../../../src/cli/style.ts";
import { safeJson, safeText } from "../../../src/cli/terminal-text.ts";

const OBEYED = /[\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u;

describe("text of strangers", () => {
  test("loses escape sequences, turned directions and what can't be seen", () => {
    expect(safeText("a\u001b[2Jb\u009b31mc")).toBe("a\ufffd[2Jb\ufffd31mc");
    expect(safeText("gpj.\u202eexe\r\n")).toBe("gpj.\ufffdexe\ufffd\ufffd");
    expect(safeText("\ud800x")).toBe("\ufffdx");
    expect(safeText("héllo 日本 👩‍🚀 שלום")).toBe("héllo 日本 👩‍🚀 שלום");
  });

  test("as JSON is the same value, and harmless", () => {
    const point = fc.oneof(
      fc.integer({ min: 0, max: 0xff }),
      fc.integer({ min: 0, max: 0x10ffff }),
    );
    const anything = fc
      .array(point, { maxLength: 50 })
      .map((points) => String.fromCodePoint(...points));
    fc.assert(
      fc.property(anything, (text) => {
        const printed = safeJson(JSON.stringify({ [text]: text }, undefined, 2));
        const read = JSON.parse(printed);
        return (
          Object.hasOwn(read, text) &&
          read[text] === text &&
          !OBEYED.test(printed.replaceAll("\n", "")) &&
          !OBEYED.test(safeText(text))
        );
      }),
      { numRuns: 50 },
    );
  });
});

describe("JSON for people", () => {
  test("keeps every number as it stands there", () => {
    const text = '{"a":5.0,"b":9007199254740993,"c":1e300,"d":-0.0,"e":[1,0.1],"__proto__":1}';
    expect(printExact(parseExact(text, { from: "it" }))).toBe(text);
  });

  test("that is none is told by its origin", () => {
    expect(() => parseExact("<html>", { from: "the answer" })).toThrow("the answer is not JSON");
  });
});

const output = (isTerminal: boolean, write: (text: string) => void = () => undefined): Output => ({
  isTerminal,
  columns: 80,
  pendingBytes: 0,
  write,
});

describe("colour", () => {
  const xterm = { environment: { TERM: "xterm" } };
  test("is for terminals that can show it", () => {
    expect(paintFor(output(true), xterm)("ok", "good")).toBe("\u001b[32mok\u001b[39m");
    expect(paintFor(output(false), xterm)("ok", "good")).toBe("ok");
    for (const TERM of ["dumb", ""]) {
      expect(paintFor(output(true), { environment: { TERM } })("ok", "good")).toBe("ok");
    }
  });

  test("is not for who refuses it", () => {
    const environment = { TERM: "xterm", NO_COLOR: "1" };
    expect(paintFor(output(true), { environment })("ok", "good")).toBe("ok");
    expect(paintFor(output(true), xterm, { isPlain: true })("ok", "good")).toBe("ok");
    // no-color.org: an empty value is no refusal.
    const empty = { TERM: "xterm", NO_COLOR: "" };
    expect(paintFor(output(true), { environment: empty })("ok", "good")).not.toBe("ok");
  });
});

describe("quantities", () => {
  test.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [10_188, "9.9 KiB"],
    [10_200, "10 KiB"],
    [1024 ** 2 - 1, "1.0 MiB"],
    [5 * 1024 ** 3, "5.0 GiB"],
  ])("%d bytes are %s", (bytes, text) => expect(printBytes(bytes)).toBe(text));

  test.each([
    [0.4, "0 ms"],
    [999, "999 ms"],
    [1000, "1.0 s"],
    [9949, "9.9 s"],
    [59_700, "60 s"],
    [120_000, "2 min"],
    [7_200_000, "2 h"],
    [172_800_000, "2 d"],
  ])("%d ms are %s", (ms, text) => expect(printDuration(ms)).toBe(text));

  test("ages look both ways", () => {
    expect(printAge(1000, 1999)).toBe("now");
    expect(printAge(0, 5000)).toBe("5.0 s ago");
    expect(printAge(185_000, 5000)).toBe("in 3 min");
  });
});

describe("a progress bar", () => {
  function drawn(isTerminal: boolean, TERM = "xterm") {
    let written = "";
    let nowMs = 0;
    const stderr = output(isTerminal, (text) => {
      written += text;
    });
    const progress = new Progress(
      { stderr, environment: { TERM, NO_COLOR: "1" } },
      { label: "tracks", total: 200, now: () => nowMs },
    );
    const at = (ms: number, done: number) => {
      nowMs = ms;
      progress.tell(done);
    };
    return { at, progress, text: () => written };
  }

  test("is not there for short work, and gone when the work is done", () => {
    const { at, progress, text } = drawn(true);
    at(50, 10);
    expect(text()).toBe("");
    at(1000, 100);
    expect(text()).toContain("━━━━━━━━━━━━────────────   50 %  100 of 200, 100/s, 1.0 s left");
    progress.end();
    expect(text()).toEndWith("\r\u001b[2K");
  });

  test("is for terminals only", () => {
    for (const { at, progress, text } of [drawn(false), drawn(true, "dumb")]) {
      at(1000, 100);
      progress.end();
      expect(text()).toBe("");
    }
  });
});
