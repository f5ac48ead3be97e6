import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { canonicalJson, hashOfValues } from "../../../scripts/support/canonical.ts";
import { median, percentile, printNumber } from "../../../scripts/support/percentiles.ts";
import { forEachBounded, waitFor } from "../../../scripts/support/waiting.ts";

describe("a percentile", () => {
  test("is by nearest rank", () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(percentile(values, 0)).toBe(1);
    expect(median(values)).toBe(100);
    expect(percentile(values, 99)).toBe(198);
    expect(percentile(values, 100)).toBe(200);
  });

  test("is always one of the values, with at least that share at or below it", () => {
    const values = fc.array(fc.double({ noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(values, fc.integer({ min: 0, max: 100 }), (all, percent) => {
        const found = percentile(all, percent);
        const below = all.filter((value) => value <= found).length;
        return all.includes(found) && below >= (percent / 100) * all.length - 1e-9;
      }),
    );
  });

  test("of nothing is refused", () => {
    expect(() => median([])).toThrow("nothing was measured");
  });

  test.each([
    [0, "0"],
    [0.01234, "0.012"],
    [1.004, "1.00"],
    [96.14, "96.1"],
    [2887.4, "2,887"],
  ])("of %p is printed as %p", (value, text) => {
    expect(printNumber(value)).toBe(text);
  });
});

describe("canonical JSON", () => {
  test("does not depend on the order of keys, at any depth", () => {
    expect(canonicalJson({ b: [{ d: 1, c: null }], a: "x" })).toBe(
      canonicalJson({ a: "x", b: [{ c: null, d: 1 }] }),
    );
    expect(canonicalJson({ b: 1, a: [true, "é"] })).toBe('{"a":[true,"é"],"b":1}');
  });

  test("is JSON of the same value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test("hashes equal for equal documents in any order, and differs for one changed field", () => {
    const documents = [{ id: 1, v: "a" }, { id: 2 }, { id: 3 }];
    expect(hashOfValues(documents)).toBe(hashOfValues(documents.toReversed()));
    expect(hashOfValues(documents)).not.toBe(
      hashOfValues([{ id: 1, v: "b" }, { id: 2 }, { id: 3 }]),
    );
    expect(hashOfValues(documents)).not.toBe(hashOfValues(documents.slice(1)));
  });
});

describe("bounded work", () => {
  test("does everything once, with no more at a time than allowed", async () => {
    let underway = 0;
    let most = 0;
    const done: number[] = [];
    await forEachBounded([...Array(50).keys()], 7, async (item) => {
      underway += 1;
      most = Math.max(most, underway);
      await Promise.resolve();
      underway -= 1;
      done.push(item);
    });
    expect(most).toBe(7);
    expect(done.toSorted((a, b) => a - b)).toEqual([...Array(50).keys()]);
  });

  test("ends with the first failure", async () => {
    const work = forEachBounded([1, 2, 3], 2, async (item) => {
      if (item === 2) throw new Error("two");
    });
    await expect(work).rejects.toThrow("two");
  });

  test("a wait that is in vain says for what", async () => {
    await expect(waitFor("godot", 5, () => undefined, 1)).rejects.toThrow("in vain for godot");
  });
});
