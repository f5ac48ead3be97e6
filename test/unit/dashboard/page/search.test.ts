import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseFilter } from "../../../../src/broker/filter.ts";
import { beforePrefix, parseSearch } from "../../../../src/dashboard/page/filter-text.ts";
import { parseRoute, printRoute, type Route } from "../../../../src/dashboard/page/route.ts";

/** Characters of ids, which hold no control characters. */
const unit = fc
  .integer({ min: 0x20, max: 0x10ffff })
  .map((code) => String.fromCodePoint(code))
  .filter((char) => char.isWellFormed());

function filterOf(text: string): unknown {
  const search = parseSearch(text);
  return search.kind === "filter" ? JSON.parse(search.json) : search;
}

describe("the search field", () => {
  test.each([
    ["speed > 12", { field: "speed", gt: 12 }],
    ["status=ok", { field: "status", eq: "ok" }],
    ['note = "this and that"', { field: "note", eq: "this and that" }],
    ["position.lat exists", { field: "position.lat", exists: true }],
    [
      "speed >= 1.5 AND status != lost",
      {
        and: [
          { field: "speed", ge: 1.5 },
          { field: "status", ne: "lost" },
        ],
      },
    ],
    ['{"field":"a","eq":1}', { field: "a", eq: 1 }],
  ])("understands %p, and the node does too", (text, filter) => {
    expect(filterOf(text)).toEqual(filter);
    expect(parseFilter(JSON.stringify(filter))).toBeDefined();
  });

  test.each(["speed >", "> 3", "a = 1 and b", "a < < 3"])("says what is wrong with %p", (text) => {
    expect(parseSearch(text)).toMatchObject({ kind: "wrong" });
  });

  test("takes the rest as the beginning of an id", () => {
    expect(parseSearch("  track-7 ")).toEqual({ kind: "prefix", prefix: "track-7" });
    expect(parseSearch(" ")).toEqual({ kind: "all" });
  });
});

test("the place before a prefix is before everything that begins with it, and behind what can't", () => {
  const bytes = (text: string) => Buffer.from(text);
  const id = fc.string({ unit, minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(id, fc.string({ unit, maxLength: 4 }), id, (prefix, rest, other) => {
      const place = bytes(beforePrefix(prefix));
      expect(Buffer.compare(place, bytes(prefix + rest))).toBeLessThan(0);
      const isBefore = Buffer.compare(bytes(other), bytes(prefix)) < 0;
      // Nothing shorter or smaller than the last character's predecessor lies in between.
      if (isBefore && other.length <= prefix.length) {
        expect(Buffer.compare(bytes(other), place)).toBeLessThanOrEqual(0);
      }
    }),
  );
});

test("every view has an address, and the address leads to it", () => {
  const part = fc.string({ unit, minLength: 1, maxLength: 20 });
  const route: fc.Arbitrary<Route> = fc.oneof(
    fc.constant<Route>({ view: "mesh" }),
    fc.constant<Route>({ view: "log" }),
    fc.record({
      view: fc.constant("documents" as const),
      collection: part,
      id: fc.option(part, { nil: undefined }),
    }),
  );
  fc.assert(fc.property(route, (one) => expect(parseRoute(printRoute(one))).toEqual(one)));
  expect(parseRoute("#/documents/%zz/x")).toEqual({
    view: "documents",
    collection: undefined,
    id: undefined,
  });
});
