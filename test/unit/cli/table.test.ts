import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Column, cutText, Table } from "../../../src/cli/table.ts";

const plain = (text: string) => text;
const COLUMNS: readonly Column[] = [
  { title: "NAME", shrinksTo: 6 },
  { title: "ID", rank: 2 },
  { title: "RTT", align: "right", rank: 1 },
  { title: "WHY", isNote: true },
];

function lines(rows: readonly (readonly string[])[], width?: number): string[] {
  return new Table(COLUMNS, { paint: plain, width }).print(rows).trimEnd().split("\n");
}

describe("a table", () => {
  test("aligns its columns under their titles, wide characters as two cells", () => {
    expect(
      lines([
        ["tank-1", "ab", "3 ms", "none"],
        ["日本", "c", "12 ms", ""],
      ]),
    ).toEqual(["NAME    ID    RTT  WHY", "tank-1  ab   3 ms  none", "日本    c   12 ms"]);
  });

  test("in a pipe is as wide as it needs to be", () => {
    const long = "n".repeat(300);
    expect(lines([[long, "i", "1 ms", "because"]])[1]).toBe(`${long}  i   1 ms  because`);
  });

  test("puts the last column below its row where there is no room beside", () => {
    expect(lines([["a", "b", "1 ms", "no answer from 10.0.0.7:11204"]], 30)).toEqual([
      "NAME  ID   RTT",
      "a     b   1 ms",
      "    no answer from",
      "    10.0.0.7:11204",
    ]);
  });

  test("cuts what may shrink before it leaves columns out, the highest rank first", () => {
    expect(lines([["a-long-name", "12345", "1 ms", ""]], 20)).toEqual([
      "NAME     ID      RTT",
      "a-long…  12345  1 ms",
    ]);
    const table = new Table(COLUMNS, { paint: plain, width: 14 });
    expect(table.print([["a-long-name", "12345", "1 ms", ""]])).toBe(
      "NAME       RTT\na-long-…  1 ms\n",
    );
    expect(table.hidden).toEqual(["ID"]);
  });

  test("keeps the widths of its first portion", () => {
    const table = new Table([{ title: "A" }, { title: "B" }], { paint: plain, width: undefined });
    expect(table.print([["aaa", "b"]])).toBe("A    B\naaa  b\n");
    expect(table.print([["a", "b"]])).toBe("a    b\n");
  });

  test("on a terminal is never wider than it, and shows nothing that the terminal obeys", () => {
    // Control characters and the rest of Latin are half of it: chance alone would find few.
    const point = fc.oneof(
      fc.integer({ min: 0, max: 0xff }),
      fc.integer({ min: 0, max: 0x10ffff }),
    );
    const cell = fc
      .array(point, { maxLength: 40 })
      .map((points) => String.fromCodePoint(...points));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, cell, cell, cell), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 30, max: 120 }),
        (rows, width) => {
          const text = new Table(COLUMNS, { paint: plain, width }).print(rows);
          return text
            .split("\n")
            .every((line) => Bun.stringWidth(line) <= width && !/\p{Cc}/u.test(line));
        },
      ),
      { numRuns: 30 },
    );
  });

  test("pads by cells, not by the length of what colours them", () => {
    const paint = (text: string) => `\u001b[1m${text}\u001b[22m`;
    const table = new Table([{ title: "A" }, { title: "B" }], { paint, width: 20 });
    expect(Bun.stripANSI(table.print([["aaa", "b"]]))).toBe("A    B\naaa  b\n");
  });
});

test("a cut never splits a character, and says that something is gone", () => {
  expect(cutText("日本語", 5)).toBe("日本…");
  expect(cutText("日本語", 4)).toBe("日…");
  expect(cutText("abc", 3)).toBe("abc");
  expect(cutText("abc", 0)).toBe("");
});
