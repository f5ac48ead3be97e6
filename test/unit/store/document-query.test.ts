import { describe, expect, test } from "bun:test";
import {
  type Comparison,
  compileQuery,
  type DocumentQuery,
} from "../../../src/store/document-query.ts";
import { parseJson, parseJsonObject } from "../../../src/store/json.ts";

/** Whether a document has a query's answer, both given as JSON. */
function holds(query: DocumentQuery, document: string): boolean {
  return compileQuery(query)(parseJsonObject(document));
}

const comparing =
  (kind: "eq" | Comparison) =>
  (field: string, value: string): DocumentQuery => ({
    kind,
    path: [field],
    value: parseJson(value),
  });
const eq = comparing("eq");
const lt = comparing("lt");
const gt = comparing("gt");

describe("equality", () => {
  test.each([
    ['{"a":1}', "1", true],
    ['{"a":1}', "1.0", false],
    ['{"a":1.0}', "1.00", true],
    ['{"a":"1"}', "1", false],
    ['{"a":null}', "null", true],
    ["{}", "null", false],
    ['{"a":{"x":1,"y":[2]}}', '{"y":[2],"x":1}', true],
    ['{"a":[1,2]}', "[2,1]", false],
    ['{"a":9007199254740993}', "9007199254740993", true],
    ['{"a":9007199254740993}', "9007199254740992", false],
    ['{"a":true}', "true", true],
    ['{"a":0}', "false", false],
  ])("of a in %s and %s is %p", (document, value, result) => {
    expect(holds(eq("a", value), document)).toBe(result);
  });

  test("is about the root's own fields, whose names may hold dots", () => {
    expect(holds(eq("a.b", "1"), '{"a":{"b":1}}')).toBe(false);
    expect(holds(eq("a.b", "1"), '{"a.b":1}')).toBe(true);
    expect(holds({ kind: "not", clause: eq("toString", "1") }, "{}")).toBe(true);
  });
});

describe("order", () => {
  test.each([
    ['{"a":5}', "6", true],
    ['{"a":5}', "5", false],
    ['{"a":5.5}', "6", true],
    ['{"a":-1e300}', "0", true],
    ['{"a":9007199254740993}', "1e17", true],
    ['{"a":"a"}', '"b"', true],
    ['{"a":"a"}', '"a"', false],
    ['{"a":"Z"}', '"a"', true],
    ['{"a":"5"}', "6", false],
    ['{"a":5}', '"6"', false],
    ['{"a":false}', "true", false],
    ['{"a":null}', "1", false],
    ["{}", "1", false],
    ['{"a":[1]}', "[2]", false],
    ['{"a":9007199254740992}', "9007199254740993", true],
    ['{"a":9007199254740992.0}', "9007199254740993", true],
    ['{"a":9007199254740993}', "9007199254740992.0", false],
  ])("a in %s is less than %s: %p", (document, value, result) => {
    expect(holds(lt("a", value), document)).toBe(result);
  });

  test("of texts is that of their bytes, not of UTF-16", () => {
    const low = JSON.stringify("\uffee");
    const high = JSON.stringify("\u{1f600}");
    expect(holds(lt("a", high), `{"a":${low}}`)).toBe(true);
    expect(holds(gt("a", high), `{"a":${low}}`)).toBe(false);
  });
});

test("no clause at all is true for and, false for or", () => {
  expect(holds({ kind: "and", clauses: [] }, "{}")).toBe(true);
  expect(holds({ kind: "or", clauses: [] }, "{}")).toBe(false);
});
