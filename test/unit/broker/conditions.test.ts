import { describe, expect, test } from "bun:test";
import { Fault } from "../../../src/base/faults.ts";
import { isKnown, parseConditions, printEtag } from "../../../src/broker/conditions.ts";

const hash = "0123456789abcdef0123456789abcdef";

function headers(fields: Record<string, string>): Headers {
  return new Headers(fields);
}

describe("conditional headers", () => {
  test("give the hashes that the store compares", () => {
    const both = headers({ "if-match": `"${hash}"`, "if-none-match": `"a" ,"b"` });
    expect(parseConditions(both)).toEqual({ ifMatch: [hash], ifNoneMatch: ["a", "b"] });
    expect(parseConditions(headers({ "if-match": " * " }))).toEqual({ ifMatch: "*" });
    expect(parseConditions(headers({}))).toEqual({});
  });

  test("take back what the ETag header says", () => {
    const sent = headers({ "if-match": printEtag(hash) });
    expect(parseConditions(sent)).toEqual({ ifMatch: [hash] });
  });

  test("compare strongly for If-Match and weakly for If-None-Match", () => {
    const weak = headers({ "if-match": `W/"${hash}"`, "if-none-match": `W/"${hash}"` });
    expect(parseConditions(weak)).toEqual({ ifMatch: [], ifNoneMatch: [hash] });
  });

  test.each(["abc", '"abc', 'abc"', '"a" "b"', "", ",", '"a", *', "w/abc"])(
    "are refused by name when they are no entity tags: %p",
    (value) => {
      const attempt = () => parseConditions(headers({ "if-none-match": value }));
      expect(attempt).toThrow(Fault);
      expect(attempt).toThrow(/^If-None-Match must be/);
    },
  );

  test("let a reader that has the state know so, and refuse one that wants another", () => {
    expect(isKnown({ ifNoneMatch: [hash] }, hash)).toBe(true);
    expect(isKnown({ ifNoneMatch: "*" }, hash)).toBe(true);
    expect(isKnown({ ifNoneMatch: ["other"] }, hash)).toBe(false);
    expect(isKnown({ ifMatch: [hash] }, hash)).toBe(false);
    expect(() => isKnown({ ifMatch: ["other"] }, hash)).toThrow(/If-Match does not hold/);
  });
});
