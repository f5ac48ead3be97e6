// Which documents somebody wants, by their fields: a tree of comparisons, made into one function. Pure.
import { toUtf8 } from "../base/bytes.ts";
import { type FieldPath, valueAt } from "./field-path.ts";
import { equalJson, JsonFloat, type JsonObject, type JsonValue } from "./json.ts";

export type Comparison = "lt" | "le" | "gt" | "ge";

export type DocumentQuery =
  | { readonly kind: "all" }
  /** There is something, if only null. */
  | { readonly kind: "exists"; readonly path: FieldPath }
  /** It has this value; 1 and 1.0 are two values. */
  | { readonly kind: "eq"; readonly path: FieldPath; readonly value: JsonValue }
  /** Numbers compare with numbers, strings with strings by their UTF-8 bytes; nothing else is less or greater. */
  | { readonly kind: Comparison; readonly path: FieldPath; readonly value: JsonValue }
  | { readonly kind: "and" | "or"; readonly clauses: readonly DocumentQuery[] }
  | { readonly kind: "not"; readonly clause: DocumentQuery };

export type DocumentPredicate = (document: JsonObject) => boolean;

const HOLDS: Readonly<Record<Comparison, (order: number) => boolean>> = {
  lt: (order) => order < 0,
  le: (order) => order <= 0,
  gt: (order) => order > 0,
  ge: (order) => order >= 0,
};

/** JavaScript compares a bigint with a number exactly, which neither converted to the other would be. */
export function exactNumber(value: JsonValue | undefined): number | bigint | undefined {
  if (typeof value === "number" || typeof value === "bigint") return value;
  return value instanceof JsonFloat ? value.value : undefined;
}

/** Negative, zero or positive as `a` is before, equal to or behind `b`. */
export function compareNumbers(a: number | bigint, b: number | bigint): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}

export function compareBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(toUtf8(a), toUtf8(b));
}

/** Undefined when they don't compare. */
function compare(a: JsonValue | undefined, b: JsonValue): number | undefined {
  if (typeof a === "string" && typeof b === "string") return compareBytes(a, b);
  const left = exactNumber(a);
  const right = exactNumber(b);
  return left === undefined || right === undefined ? undefined : compareNumbers(left, right);
}

export function compileQuery(query: DocumentQuery): DocumentPredicate {
  switch (query.kind) {
    case "all":
      return () => true;
    case "exists":
      return (document) => valueAt(document, query.path) !== undefined;
    case "eq":
      return (document) => equalJson(valueAt(document, query.path), query.value);
    case "lt":
    case "le":
    case "gt":
    case "ge": {
      const holds = HOLDS[query.kind];
      return (document) => {
        const order = compare(valueAt(document, query.path), query.value);
        return order !== undefined && holds(order);
      };
    }
    case "and": {
      const clauses = query.clauses.map(compileQuery);
      return (document) => clauses.every((holds) => holds(document));
    }
    case "or": {
      const clauses = query.clauses.map(compileQuery);
      return (document) => clauses.some((holds) => holds(document));
    }
    case "not": {
      const holds = compileQuery(query.clause);
      return (document) => !holds(document);
    }
  }
}

/** Questions that it asks of each document, at most. */
export function leavesOf(query: DocumentQuery): number {
  switch (query.kind) {
    case "and":
    case "or":
      return query.clauses.reduce((sum, clause) => sum + leavesOf(clause), 0);
    case "not":
      return leavesOf(query.clause);
    default:
      return 1;
  }
}
