import { describe, expect, test } from "bun:test";
import { AFTER, LIMIT, parseEventQuery, readParameter } from "../../../src/broker/query.ts";

describe("a query parameter", () => {
  test("is read where it is given, and nothing where it is not", () => {
    expect(readParameter({ limit: "10000" }, LIMIT)).toBe(10_000);
    expect(readParameter({}, LIMIT)).toBeUndefined();
    expect(readParameter({ after: "" }, AFTER)).toBe("");
  });

  test.each(["0", "-1", "10001", "1.5", "ten", "", "1e3", " 5"])(
    "limit refuses %p and says what it must be",
    (limit) => {
      expect(() => readParameter({ limit }, LIMIT)).toThrow(
        /query parameter limit must be an integer from 1 to 10000/,
      );
    },
  );
});

describe("what a WebSocket client asks for", () => {
  test("is everything from now on, without documents, unless it says more", () => {
    expect(parseEventQuery({})).toEqual({ withDocuments: false, withPosition: false });
  });

  test("begins with a position when it resumes or includes something", () => {
    expect(parseEventQuery({ since: "ab-1" })).toEqual({
      since: "ab-1",
      withDocuments: false,
      withPosition: true,
    });
    expect(parseEventQuery({ collections: "a, b", include: "document" })).toEqual({
      collections: ["a", "b"],
      withDocuments: true,
      withPosition: true,
    });
    expect(parseEventQuery({ include: "position" }).withDocuments).toBe(false);
  });

  test.each([
    ["an empty collection", { collections: "a,,b" }, /collection ""/],
    ["a collection with a blank", { collections: "a b" }, /collection "a b"/],
    [
      "too many collections",
      { collections: "a,".repeat(300) },
      /collections must be a comma list of at most 256/,
    ],
    ["an empty token", { since: "" }, /parameter since must be/],
    ["a token that is too long", { since: "x".repeat(201) }, /parameter since must be/],
    ["an unknown thing to include", { include: "documents" }, /parameter include must be/],
    ["nothing to include", { include: "" }, /parameter include must be/],
  ])("is refused with a sentence when it is %s", (_name, query, sentence) => {
    expect(() => parseEventQuery(query)).toThrow(sentence);
  });
});
