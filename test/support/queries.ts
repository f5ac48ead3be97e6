// Random documents and queries of odd kinds, and what a query says by a naive reading of JSON texts: numbers as exact
// fractions, texts as lists of code points, nothing of the project's own.
import fc from "fast-check";
import type { DocumentOrder, OrderField } from "../../src/store/document-order.ts";
import type { DocumentQuery } from "../../src/store/document-query.ts";
import type { FieldPath } from "../../src/store/field-path.ts";
import { type JsonValue, parseJson } from "../../src/store/json.ts";

/** A JSON value with the source text of its numbers. */
type Naive =
  | { readonly kind: "null" | "false" | "true" }
  | { readonly kind: "number"; readonly isInt: boolean; readonly source: string }
  | { readonly kind: "text"; readonly points: readonly number[] }
  | { readonly kind: "list"; readonly items: readonly Naive[] }
  | { readonly kind: "object"; readonly fields: ReadonlyMap<string, Naive> };

function pointsOf(text: string): number[] {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0);
}

type Sourced = (key: string, value: unknown, context: { source: string }) => unknown;

class Source {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function naiveOf(value: unknown): Naive {
  if (value === null) return { kind: "null" };
  if (typeof value === "boolean") return { kind: value ? "true" : "false" };
  if (typeof value === "string") return { kind: "text", points: pointsOf(value) };
  if (value instanceof Source) {
    return { kind: "number", isInt: /^-?\d+$/.test(value.text), source: value.text };
  }
  if (Array.isArray(value)) return { kind: "list", items: value.map(naiveOf) };
  const fields = Object.entries(value as object).map(([k, v]) => [k, naiveOf(v)] as const);
  return { kind: "object", fields: new Map(fields) };
}

export function readNaive(text: string): Naive {
  const keep: Sourced = (_key, value, { source }) =>
    typeof value === "number" ? new Source(source) : value;
  return naiveOf(JSON.parse(text, keep as Parameters<typeof JSON.parse>[1]));
}

/** Numerator over a power of two. */
function fractionOf(source: string): { top: bigint; twos: bigint } {
  if (/^-?\d+$/.test(source)) return { top: BigInt(source), twos: 0n };
  let value = Number(source);
  let twos = 0n;
  while (!Number.isInteger(value)) {
    value *= 2;
    twos += 1n;
  }
  return { top: BigInt(value), twos };
}

function sign(value: bigint): number {
  if (value === 0n) return 0;
  return value < 0n ? -1 : 1;
}

function comparePoints(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function compareNaive(a: Naive | undefined, b: Naive | undefined): number | undefined {
  if (a?.kind === "text" && b?.kind === "text") return comparePoints(a.points, b.points);
  if (a?.kind !== "number" || b?.kind !== "number") return undefined;
  const left = fractionOf(a.source);
  const right = fractionOf(b.source);
  return sign((left.top << right.twos) - (right.top << left.twos));
}

function isEqual(a: Naive, b: Naive): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === "number" && b.kind === "number") {
    const isSameZero = a.source.startsWith("-") === b.source.startsWith("-");
    return a.isInt === b.isInt && isSameZero && compareNaive(a, b) === 0;
  }
  if (a.kind === "text" && b.kind === "text") return comparePoints(a.points, b.points) === 0;
  if (a.kind === "list" && b.kind === "list") {
    const { items } = b;
    if (a.items.length !== items.length) return false;
    return a.items.every((item, i) => {
      const other = items[i];
      return other !== undefined && isEqual(item, other);
    });
  }
  if (a.kind !== "object" || b.kind !== "object") return true;
  if (a.fields.size !== b.fields.size) return false;
  for (const [name, value] of a.fields) {
    const other = b.fields.get(name);
    if (other === undefined || !isEqual(value, other)) return false;
  }
  return true;
}

function at(document: Naive, path: FieldPath): Naive | undefined {
  let value: Naive | undefined = document;
  for (const step of path) {
    if (typeof step === "number") value = value?.kind === "list" ? value.items[step] : undefined;
    else value = value?.kind === "object" ? value.fields.get(step) : undefined;
  }
  return value;
}

/** A query whose values are JSON texts. */
export type TextQuery =
  | { kind: "all" }
  | { kind: "exists"; path: FieldPath }
  | { kind: "eq" | "lt" | "le" | "gt" | "ge"; path: FieldPath; value: string }
  | { kind: "and" | "or"; clauses: TextQuery[] }
  | { kind: "not"; clause: TextQuery };

export function holdsNaively(query: TextQuery, document: Naive): boolean {
  switch (query.kind) {
    case "all":
      return true;
    case "exists":
      return at(document, query.path) !== undefined;
    case "and":
      return !query.clauses.some((clause) => !holdsNaively(clause, document));
    case "or":
      return query.clauses.filter((clause) => holdsNaively(clause, document)).length > 0;
    case "not":
      return !holdsNaively(query.clause, document);
    case "eq": {
      const own = at(document, query.path);
      return own !== undefined && isEqual(own, readNaive(query.value));
    }
    default: {
      const order = compareNaive(at(document, query.path), readNaive(query.value));
      if (order === undefined) return false;
      if (order === 0) return query.kind === "le" || query.kind === "ge";
      return order < 0 === query.kind.startsWith("l");
    }
  }
}

/** As the store is asked. */
export function toQuery(query: TextQuery): DocumentQuery {
  switch (query.kind) {
    case "all":
    case "exists":
      return query;
    case "and":
    case "or":
      return { kind: query.kind, clauses: query.clauses.map(toQuery) };
    case "not":
      return { kind: "not", clause: toQuery(query.clause) };
    default:
      return { kind: query.kind, path: query.path, value: parseJson(query.value) as JsonValue };
  }
}

const KINDS = ["null", "false", "true", "number", "text"];

/** The order of documents by a naive reading; ids are told apart by the caller. */
export function compareNaively(a: Naive, b: Naive, order: DocumentOrder): number {
  for (const { path, descending } of order) {
    const [left, right] = [at(a, path), at(b, path)];
    const rank = (value: Naive | undefined) => {
      const found = KINDS.indexOf(value?.kind ?? "");
      if (value === undefined) return -1;
      return found < 0 ? KINDS.length : found;
    };
    const cut = (value: Naive | undefined): Naive | undefined =>
      value?.kind === "text" ? { kind: "text", points: value.points.slice(0, 128) } : value;
    const result = rank(left) - rank(right) || (compareNaive(cut(left), cut(right)) ?? 0);
    if (result !== 0) return descending ? -result : result;
  }
  return 0;
}

const NAMES = ["a", "b", "a.b", "é", "\u{1f600}", 'q"q', "b\\s", "[0]", "$", "n\nl", "\u0000", "0"];
const name = fc.constantFrom(...NAMES);

function floatText(value: number): string {
  const text = Object.is(value, -0) ? "-0" : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

const numberText = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map(String),
  fc.constantFrom("9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740993"),
  fc.constantFrom("9223372036854775807", "-9223372036854775808", "9.223372036854776e18"),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  fc.constantFrom("0.0", "-0.0", "1.0", "0.5", "1e300", "-5e-324", "0.1", "9007199254740992.0"),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(floatText),
);

// Beginnings that are alike, and lengths about that up to which texts have an order.
const text = fc.oneof(
  fc.constantFrom("", "a", "ab", "Z", "5", "\uffee", "\u{1f600}", "\u0000", "a\u0000b", '"', "\\"),
  fc.string({ unit: "binary", maxLength: 5 }),
  fc.integer({ min: 126, max: 130 }).map((length) => "x".repeat(length)),
  fc.integer({ min: 126, max: 130 }).map((length) => "\u{1f600}".repeat(length)),
);

const scalarText = fc.oneof(
  fc.constantFrom("null", "true", "false"),
  numberText,
  text.filter((value) => value.isWellFormed()).map((value) => JSON.stringify(value)),
);

const { value: valueText, object: objectText } = fc.letrec<{ value: string; object: string }>(
  (tie) => ({
    object: fc
      .dictionary(name, tie("value"), { maxKeys: 6, noNullPrototype: true })
      .map((fields) => {
        const pairs = Object.entries(fields).map(([key, json]) => `${JSON.stringify(key)}:${json}`);
        return `{${pairs.join(",")}}`;
      }),
    value: fc.oneof(
      { maxDepth: 3 },
      scalarText,
      scalarText,
      fc.array(tie("value"), { maxLength: 3 }).map((items) => `[${items.join(",")}]`),
      tie("object"),
    ),
  }),
);

/** Texts of objects. */
export const anyDocument: fc.Arbitrary<string> = objectText;

const path: fc.Arbitrary<FieldPath> = fc
  .tuple(
    name,
    fc.array(fc.oneof(name, fc.integer({ min: 0, max: 2 })), { maxLength: 2, size: "max" }),
  )
  .map(([first, rest]) => [first, ...rest]);

export const { query: anyQuery } = fc.letrec<{ query: TextQuery }>((tie) => ({
  query: fc.oneof(
    { depthSize: "medium" },
    fc.record({
      kind: fc.constantFrom(
        "eq" as const,
        "lt" as const,
        "le" as const,
        "gt" as const,
        "ge" as const,
      ),
      path,
      value: valueText,
    }),
    fc.record({ kind: fc.constant("exists" as const), path }),
    fc.record({ kind: fc.constant("all" as const) }),
    fc.record({
      kind: fc.constantFrom("and" as const, "or" as const),
      clauses: fc.array(tie("query"), { maxLength: 4 }),
    }),
    fc.record({ kind: fc.constant("not" as const), clause: tie("query") }),
  ),
}));

const orderField: fc.Arbitrary<OrderField> = fc.record({ path, descending: fc.boolean() });

export const anyOrder: fc.Arbitrary<DocumentOrder> = fc.array(orderField, { maxLength: 3 });
