// Which documents somebody wants, by their root fields: a tree of comparisons, made into one function. Pure.
import { toUtf8 } from "../base/bytes.ts";
import { equalJson, type JsonObject, type JsonValue, numberOf } from "./json.ts";

export type DocumentQuery =
  | { readonly kind: "all" }
  /** The field is there and has this value; 1 and 1.0 are two values. */
  | { readonly kind: "eq"; readonly field: string; readonly value: JsonValue }
  /** Numbers compare with numbers, strings with strings by their UTF-8 bytes; nothing else is less or greater. */
  | { readonly kind: "lt" | "gt"; readonly field: string; readonly value: JsonValue }
  | { readonly kind: "and" | "or"; readonly clauses: readonly DocumentQuery[] }
  | { readonly kind: "not"; readonly clause: DocumentQuery };

export type DocumentPredicate = (document: JsonObject) => boolean;

/** Negative, zero or positive as `a` is before, equal to or behind `b`; undefined when they don't compare. */
function compare(a: JsonValue | undefined, b: JsonValue): number | undefined {
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(toUtf8(a), toUtf8(b));
  const left = numberOf(a);
  const right = numberOf(b);
  return left === undefined || right === undefined ? undefined : left - right;
}

/** A document's own field: `toString` is not one that every object has. */
function fieldOf(document: JsonObject, name: string): JsonValue | undefined {
  return Object.hasOwn(document, name) ? document[name] : undefined;
}

export function compileQuery(query: DocumentQuery): DocumentPredicate {
  switch (query.kind) {
    case "all":
      return () => true;
    case "eq":
      return (document) => equalJson(fieldOf(document, query.field), query.value);
    case "lt":
      return (document) => (compare(fieldOf(document, query.field), query.value) ?? 0) < 0;
    case "gt":
      return (document) => (compare(fieldOf(document, query.field), query.value) ?? 0) > 0;
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
