import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Fault } from "../../../src/base/faults.ts";
import { parseCursor, printCursor } from "../../../src/broker/cursor.ts";
import { parseFilter, parseOrder } from "../../../src/broker/filter.ts";
import { compareSortKeys, sortKeyOf } from "../../../src/store/document-order.ts";
import { compileQuery } from "../../../src/store/document-query.ts";
import { parseJsonObject } from "../../../src/store/json.ts";
import { anyDocument, anyOrder } from "../../support/queries.ts";

const DOCUMENT =
  '{"status":"lost","confidence":0.8,"none":null,"position":{"lat":48.1,"a.b":1},"readings":[{"value":3},[5]],"-x,":1,"big":9007199254740993}';

describe("a filter", () => {
  test.each([
    ['{"field":"status","eq":"lost"}', true],
    ['{"field":"status","ne":"lost"}', false],
    ['{"field":"absent","ne":"lost"}', true],
    ['{"field":"status","in":["ok","lost"]}', true],
    ['{"field":"status","in":[]}', false],
    ['{"field":"confidence","gt":0.5,"le":0.8}', true],
    ['{"field":"confidence","ge":0.8,"lt":0.8}', false],
    ['{"field":"none","exists":true}', true],
    ['{"field":"none","eq":null}', true],
    ['{"field":"absent","exists":true}', false],
    ['{"field":"absent","exists":false}', true],
    ['{"field":"position.lat","gt":48}', true],
    ['{"field":"position.a\\\\.b","eq":1}', true],
    ['{"field":"readings[0].value","eq":3}', true],
    ['{"field":"readings[1][0]","eq":5}', true],
    ['{"field":"readings.0.value","exists":true}', false],
    ['{"field":"\\\\-x\\\\,","eq":1}', true],
    ['{"field":"big","eq":9007199254740993}', true],
    ['{"field":"big","gt":9007199254740992}', true],
    ['{"field":"position","eq":{"a.b":1,"lat":48.1}}', true],
    ['{"not":{"field":"status","eq":"lost"}}', false],
    ['{"and":[{"field":"status","eq":"lost"},{"not":{"field":"confidence","gt":1}}]}', true],
    ['{"or":[{"field":"status","eq":"ok"},{"field":"confidence","gt":0}]}', true],
    ['{"and":[]}', true],
    ['{"or":[]}', false],
  ])("%s of the document is %p", (filter, expected) => {
    expect(compileQuery(parseFilter(filter))(parseJsonObject(DOCUMENT))).toBe(expected);
  });

  const nested = (levels: number) =>
    `${'{"not":'.repeat(levels)}{"field":"a","eq":1}${"}".repeat(levels)}`;

  test.each([
    ["no JSON", "{", /filter: must be JSON such as/],
    ["a list", "[]", /filter: must be an object/],
    ["empty", "{}", /filter: must have either field and some of eq/],
    ["two things at once", '{"and":[],"or":[]}', /must have either/],
    ["an unknown word", '{"nor":[]}', /must have either/],
    ["a word that every object has", '{"toString":1}', /must have either/],
    ["a field alone", '{"field":"a"}', /filter: must have some of eq/],
    ["an unknown operator", '{"field":"a","like":"x"}', /filter.like: there is no such operator/],
    ["an operator that every object has", '{"field":"a","toString":1}', /no such operator/],
    ["a field that is no text", '{"field":1,"eq":1}', /filter.field: must be the path/],
    ["no path", '{"field":"a..b","eq":1}', /filter.field: "a..b" must be a path/],
    ["an open bracket", '{"field":"a[0","eq":1}', /filter.field: "a\[0" must be a path/],
    ["a place at the root", '{"field":"[0]","eq":1}', /filter.field/],
    ["a place too far", '{"field":"a[9999999]","eq":1}', /filter.field/],
    ["a path too deep", `{"field":"a${".a".repeat(16)}","eq":1}`, /at most 16 steps/],
    ["a path too long", `{"field":"${"a".repeat(513)}","eq":1}`, /512 characters/],
    ["half a character in a path", '{"field":"\\ud800","eq":1}', /filter.field/],
    ["half a character in a value", '{"field":"a","eq":"\\ud800"}', /filter.eq: .*surrogate/],
    ["the id", '{"field":"_id","eq":"x"}', /_id is no field/],
    ["exists of a number", '{"field":"a","exists":1}', /filter.exists: must be true or false/],
    ["in of no list", '{"field":"a","in":1}', /filter.in: must be a list/],
    ["and of no list", '{"and":{}}', /filter.and: must be a list/],
    [
      "wrong within",
      '{"and":[{"not":{"or":[1]}}]}',
      /filter.and\[0\].not.or\[0\]: must be an object/,
    ],
    ["too deep", nested(16), /is deeper than 16 levels/],
    ["too long", `{"field":"a","eq":"${"x".repeat(8192)}"}`, /longer than 8192 characters/],
    ["too much", `{"field":"a","in":[${"1,".repeat(64)}1]}`, /more than 64 comparisons/],
  ])("that is %s is refused with its place", (_name, filter, sentence) => {
    expect(() => parseFilter(filter)).toThrow(sentence);
    expect(() => parseFilter(filter)).toThrow(Fault);
  });

  test("as deep and as long as may be is read", () => {
    expect(() => parseFilter(nested(15))).not.toThrow();
    expect(() => parseFilter(`{"field":"a","in":[${"1,".repeat(63)}1]}`)).not.toThrow();
  });
});

describe("an order", () => {
  test("is a list of paths, each descending behind its minus", () => {
    expect(parseOrder("-a.b,c[1],\\-d\\,e")).toEqual([
      { path: ["a", "b"], descending: true },
      { path: ["c", 1], descending: false },
      { path: ["-d,e"], descending: false },
    ]);
  });

  test.each(["", ",", "a,", ",a", "a,,b", "-", "--a.", "a,b,c,d,e", "a\\", "_id", "a b.", "a\\b"])(
    "%p is refused",
    (order) => {
      expect(() => parseOrder(order)).toThrow(/query parameter order: /);
    },
  );
});

describe("a cursor", () => {
  test("brings every place in an order back", () => {
    fc.assert(
      fc.property(anyOrder, anyDocument, (order, text) => {
        const key = sortKeyOf(parseJsonObject(text), "id \u{1f600}", order);
        const cursor = printCursor("some order", key);
        expect(cursor.length).toBeLessThan(8192);
        const back = parseCursor("some order", cursor, order.length);
        expect(compareSortKeys(back, key, order)).toBe(0);
      }),
    );
  });

  test("of another order, or of nobody's making, is refused", () => {
    const order = [{ path: ["a"], descending: false }];
    const cursor = printCursor("a", sortKeyOf(parseJsonObject('{"a":1}'), "id", order));
    const refused = /after must be `next` of a page with the same order/;
    expect(() => parseCursor("b", cursor, 1)).toThrow(refused);
    expect(() => parseCursor("a", cursor, 2)).toThrow(refused);
    const forge = (json: string) => Buffer.from(json).toString("base64url");
    const sum = Bun.hash.crc32("a");
    const forged = [
      "",
      "id",
      "x".repeat(8193),
      forge("{}"),
      forge(`[${sum}]`),
      forge(`[${sum},1,1]`),
      forge(`[${sum},"id",7]`),
      forge(`[${sum},"id",4]`),
      forge(`[${sum},"id","n"]`),
      forge(`[${sum},"id","n\\"1\\""]`),
      forge(`[${sum},"id","n1e999"]`),
      forge(`[${sum},"id","x1"]`),
      forge(`[${sum},"id","t\\ud800"]`),
      forge(`[${sum},"id",null]`),
      forge("[".repeat(6000)),
    ];
    for (const text of forged) expect(() => parseCursor("a", text, 1)).toThrow(refused);
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(() => parseCursor("a", text, 1)).toThrow(refused);
        expect(() => parseCursor("a", forge(text), 1)).toThrow(refused);
      }),
    );
  });
});
