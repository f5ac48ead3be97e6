import { describe, expect, test } from "bun:test";
import {
  formatAgo,
  formatBytes,
  formatMs,
  formatShort,
  formatSpan,
  showName,
} from "../../../../src/dashboard/page/format.ts";
import {
  changedPaths,
  LINES_MAX,
  parseExact,
  toLines,
} from "../../../../src/dashboard/page/json-lines.ts";

const linesOf = (json: string) => toLines(parseExact(json)).lines;

describe("a document as lines", () => {
  test("has one for every value, with its numbers as they were written", () => {
    const lines = linesOf('{"a":{"big":9007199254740993,"f":5.0},"b":[],"c":[1,null]}');
    expect(lines.map(({ name, value }) => `${name ?? ""}:${value}`)).toEqual([
      ":{",
      "a:{",
      "big:9007199254740993",
      "f:5.0",
      ":}",
      "b:[]",
      "c:[",
      ":1",
      ":null",
      ":]",
      ":}",
    ]);
  });

  test("is bounded", () => {
    const { lines, isWhole } = toLines(Array.from({ length: 50_000 }, (_, i) => i));
    expect(lines).toHaveLength(LINES_MAX);
    expect(isWhole).toBe(false);
    expect(linesOf(JSON.stringify("x".repeat(9000)))[0]?.value).toEndWith('(7000 more)"');
  });

  test("has a path of its own for each, whatever the names are", () => {
    const lines = linesOf('{"a.b":1,"a":{"b":2,"b$":[3],"b[0]":4},"a$":5,"a\\\\.b":6}');
    expect(new Set(lines.map(({ path }) => path)).size).toBe(lines.length);
  });

  test("tells which of them are new or another", () => {
    const before = linesOf('{"a":1,"b":{"c":2},"gone":0}');
    const after = linesOf('{"a":1,"b":{"c":3},"new":[4]}');
    expect([...changedPaths(before, after)]).toEqual([".b.c", ".new", ".new[0]", ".new$"]);
  });
});

describe("what is shown", () => {
  test.each([
    [formatBytes(0), "0 B"],
    [formatBytes(1536), "1.50 KiB"],
    [formatBytes(250 * 1024 ** 2), "250 MiB"],
    [formatMs(0.2), "<1 ms"],
    [formatMs(999.4), "999 ms"],
    [formatMs(1499.6), "1.50 s"],
    [formatMs(undefined), "–"],
    [formatSpan(999), "0 s"],
    [formatSpan(59_999), "59 s"],
    [formatSpan(600_900), "10 min"],
    [formatSpan(3_725_000), "1 h 2 min"],
    [formatSpan(3_600_000 * 25), "1 d 1 h"],
    [formatAgo(undefined, 0), "never"],
    [formatAgo(5_000, 1_000), "now"],
    [formatAgo(0, 90_000), "1 min ago"],
    [formatShort(12_345), "12.3k"],
  ])("%p is %p", (shown, words) => {
    expect(shown).toBe(words);
  });

  test("never has what turns or hides the text beside it, and is never long", () => {
    expect(showName("a\u202eb\u0000c\u200b")).toBe("a␣202e␣b␣0000␣c␣200b␣");
    expect(showName("x".repeat(10_000), 20)).toBe(`${"x".repeat(20)}…`);
    expect(showName("\ud800").isWellFormed()).toBe(true);
  });
});
