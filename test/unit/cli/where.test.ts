import { describe, expect, test } from "bun:test";
import { parseFilter } from "../../../src/broker/filter.ts";
import { parseWhere } from "../../../src/cli/where.ts";

const filter = (...conditions: string[]) => JSON.parse(parseWhere(conditions, undefined) ?? "null");

describe("a condition", () => {
  test.each([
    ["status=lost", { field: "status", eq: "lost" }],
    ["status = lost", { field: "status", eq: "lost" }],
    ["status!=ok", { not: { field: "status", eq: "ok" } }],
    ["isLost=true", { field: "isLost", eq: true }],
    ['code="5"', { field: "code", eq: "5" }],
    ["code=007", { field: "code", eq: "007" }],
    ["note=", { field: "note", eq: "" }],
    ["note=a=b", { field: "note", eq: "a=b" }],
    ["position.lat>=48", { field: "position.lat", ge: 48 }],
    ["readings[0].value<0.5", { field: "readings[0].value", lt: 0.5 }],
    ["callsign", { field: "callsign", exists: true }],
    ["!callsign", { field: "callsign", exists: false }],
  ])("%s is a filter that a node takes", (condition, expected) => {
    expect(filter(condition)).toEqual(expected);
    expect(() => parseFilter(parseWhere([condition], undefined) ?? "")).not.toThrow();
  });

  test("of a number is meant whichever way it is written, without losing a digit", () => {
    expect(parseWhere(["speed=5.0"], undefined)).toBe('{"field":"speed","ge":5.0,"le":5.0}');
    expect(parseWhere(["n!=9007199254740993"], undefined)).toBe(
      '{"not":{"field":"n","ge":9007199254740993,"le":9007199254740993}}',
    );
  });

  test.each(["=lost", "", "a..b=1", "<5", "a!b=1"])("%p is refused by its name", (condition) => {
    expect(() => parseWhere([condition], undefined)).toThrow(
      `--where ${JSON.stringify(condition)}`,
    );
  });
});

test("conditions and a filter hold together", () => {
  expect(JSON.parse(parseWhere(["a=1", "b"], '{"not":{"field":"c","eq":2}}') ?? "")).toEqual({
    and: [
      { field: "a", ge: 1, le: 1 },
      { field: "b", exists: true },
      { not: { field: "c", eq: 2 } },
    ],
  });
  expect(parseWhere([], undefined)).toBeUndefined();
});

test("a filter that is no JSON object is refused before anybody is asked", () => {
  expect(() => parseWhere([], "{")).toThrow("--filter is not valid JSON");
  expect(() => parseWhere([], "[]")).toThrow("--filter must be an object");
});
