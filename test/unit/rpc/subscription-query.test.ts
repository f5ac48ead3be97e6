import { describe, expect, test } from "bun:test";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { Fault } from "../../../src/base/faults.ts";
import { SubscriptionQuerySchema } from "../../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { readQuery } from "../../../src/rpc/subscription-query.ts";
import { parseJsonObject } from "../../../src/store/json.ts";

/** As a Connect client writes it. */
function query(json: JsonValue) {
  return fromJson(SubscriptionQuerySchema, json);
}

function problemOf(json: JsonValue): string {
  try {
    readQuery(query(json));
    return "none";
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return `${error.code} ${error.message}`;
  }
}

function nested(levels: number): JsonValue {
  return levels === 1 ? { all: {} } : { not: nested(levels - 1) };
}

describe("a query that makes no sense is refused with its place", () => {
  test.each([
    [{}, "query: must be one of"],
    [{ not: {} }, "query.not: must be one of"],
    [{ and: { clauses: [{ all: {} }, {}] } }, "query.and.clauses[1]: must be one of"],
    [{ eq: { value: "1" } }, "query.eq.field: "],
    [{ or: { clauses: [{ lt: { value: "1" } }] } }, "query.or.clauses[0].lt.field: "],
    [{ eq: { field: "a" } }, "query.eq.value: must be JSON"],
    [{ eq: { field: "a", value: "north" } }, "query.eq.value: must be JSON"],
    [{ gt: { field: "a", value: "{" } }, "query.gt.value: must be JSON"],
  ] satisfies [JsonValue, string][])("%j", (json, problem) => {
    expect(problemOf(json)).toStartWith(`invalid_argument ${problem}`);
  });

  test("deeper than 16 levels", () => {
    expect(problemOf(nested(16))).toBe("none");
    expect(problemOf(nested(17))).toContain("is deeper than 16 levels");
  });

  test("of too many clauses", () => {
    const clauses = (count: number) => Array.from({ length: count }, () => ({ all: {} }));
    expect(problemOf({ and: { clauses: clauses(1023) } })).toBe("none");
    expect(problemOf({ and: { clauses: clauses(1024) } })).toContain("more than 1024 clauses");
  });
});

test("a tree of every kind of node is asked of a document", () => {
  const wanted = readQuery(
    query({
      and: {
        clauses: [
          { eq: { field: "kind", value: '"air"' } },
          { not: { lt: { field: "speed", value: "10" } } },
          {
            or: {
              clauses: [
                { gt: { field: "height", value: "100" } },
                { eq: { field: "x", value: "null" } },
              ],
            },
          },
          { all: {} },
        ],
      },
    }),
  );
  const ask = (text: string) => wanted(parseJsonObject(text));
  expect(ask('{"kind":"air","speed":10,"height":101}')).toBe(true);
  expect(ask('{"kind":"air","height":1,"x":null}')).toBe(true);
  expect(ask('{"kind":"air","speed":9,"height":101}')).toBe(false);
  expect(ask('{"kind":"sea","speed":10,"height":101}')).toBe(false);
});
