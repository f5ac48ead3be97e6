import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compileQuery, type DocumentQuery } from "../../../src/store/document-query.ts";
import { parseJson, parseJsonObject, printJson } from "../../../src/store/json.ts";

/** Whether a document has a query's answer, both given as JSON. */
function holds(query: DocumentQuery, document: string): boolean {
  return compileQuery(query)(parseJsonObject(document));
}

const comparing =
  (kind: "eq" | "lt" | "gt") =>
  (field: string, value: string): DocumentQuery => ({
    kind,
    field,
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

/** The same question, answered by looking at JSON texts only. */
function naive(query: DocumentQuery, document: Record<string, unknown>): boolean {
  const kindOf = (value: unknown) => typeof value;
  switch (query.kind) {
    case "all":
      return true;
    case "and":
      return !query.clauses.some((clause) => !naive(clause, document));
    case "or":
      return query.clauses.filter((clause) => naive(clause, document)).length > 0;
    case "not":
      return !naive(query.clause, document);
    case "eq":
      return (
        query.field in document && JSON.stringify(document[query.field]) === printJson(query.value)
      );
    case "lt":
    case "gt": {
      const value: unknown = JSON.parse(printJson(query.value));
      const own = document[query.field];
      if (kindOf(own) !== kindOf(value)) return false;
      if (kindOf(own) !== "number" && kindOf(own) !== "string") return false;
      const [left, right] = query.kind === "lt" ? [own, value] : [value, own];
      return (left as number) < (right as number);
    }
  }
}

// Integers and ASCII: there JavaScript's own comparisons are the right ones.
const scalar = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom("", "a", "b", "ab"),
  fc.boolean(),
  fc.constant(null),
);
const field = fc.constantFrom("a", "b", "c");
const { query: anyQuery } = fc.letrec<{ query: DocumentQuery }>((tie) => ({
  query: fc.oneof(
    { depthSize: "medium" },
    fc.record({ kind: fc.constant("all" as const) }),
    fc.record({
      kind: fc.constantFrom("eq" as const, "lt" as const, "gt" as const),
      field,
      value: scalar,
    }),
    fc.record({
      kind: fc.constantFrom("and" as const, "or" as const),
      clauses: fc.array(tie("query"), { maxLength: 4 }),
    }),
    fc.record({ kind: fc.constant("not" as const), clause: tie("query") }),
  ),
}));

test("any tree says of any document what a naive reading says", () => {
  fc.assert(
    fc.property(
      anyQuery,
      fc.dictionary(field, scalar, { noNullPrototype: true }),
      (query, document) => {
        expect(holds(query, JSON.stringify(document))).toBe(naive(query, document));
      },
    ),
    { numRuns: 2000 },
  );
});
