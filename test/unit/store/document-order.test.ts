import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  compareSortKeys,
  FirstPlaces,
  type SortKey,
  sortKeyOf,
} from "../../../src/store/document-order.ts";
import { parseJsonObject } from "../../../src/store/json.ts";

const order = [{ path: ["n"], descending: false }];

test("the first places of any number are those of all of them sorted", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 100 }),
      (count, numbers) => {
        const first = new FirstPlaces(count, order);
        const all: SortKey[] = numbers.map((n, index) =>
          sortKeyOf(parseJsonObject(`{"n":${n}}`), String(index), order),
        );
        for (const key of all) first.add(key);
        const sorted = all.toSorted((a, b) => compareSortKeys(a, b, order));
        expect(first.keys()).toEqual(sorted.slice(0, count));
      },
    ),
    { numRuns: 1000 },
  );
});

test("values of every kind have their place", () => {
  const texts = ["", "null", "false", "true", "-1.5", "2", "3.0", '"Z"', '"a"', '"\uffee"'];
  const values = [...texts, '"\u{1f600}"', "[]"];
  const keys = values.map((value, index) => {
    const text = value === "" ? "{}" : `{"n":${value}}`;
    return sortKeyOf(parseJsonObject(text), String(values.length - index), order);
  });
  for (const [index, key] of keys.entries()) {
    for (const [other, against] of keys.entries()) {
      expect(Math.sign(compareSortKeys(key, against, order))).toBe(Math.sign(index - other));
    }
  }
});
