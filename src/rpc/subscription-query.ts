// The query of a subscription, from its message to what the store's documents are asked; each problem names its
// place in the tree.
import {
  compileQuery,
  type DocumentPredicate,
  type DocumentQuery,
} from "../store/document-query.ts";
import type { FieldPath } from "../store/field-path.ts";
import { type JsonValue, parseJson } from "../store/json.ts";
import { fieldFault } from "./fields.ts";
import type { QueryCmp, QueryEq, SubscriptionQuery } from "./gen/peat/sidecar/v1/sidecar_pb.ts";
import { QUERY_CLAUSES_MAX } from "./limits.ts";

/** Levels of the tree, the root's included. */
const DEPTH_MAX = 16;

class Reader {
  #clauses = 0;

  read(query: SubscriptionQuery | undefined, place: string, depth: number): DocumentQuery {
    if (depth > DEPTH_MAX) throw fieldFault(place, `is deeper than ${DEPTH_MAX} levels`);
    this.#clauses += 1;
    if (this.#clauses > QUERY_CLAUSES_MAX) {
      throw fieldFault(place, `the query has more than ${QUERY_CLAUSES_MAX} clauses`);
    }
    const variant = query?.q;
    switch (variant?.case) {
      case "all":
        return { kind: "all" };
      case "eq":
      case "lt":
      case "gt":
        return { kind: variant.case, ...readComparison(variant.value, `${place}.${variant.case}`) };
      case "and":
      case "or": {
        const list = `${place}.${variant.case}.clauses`;
        const clauses = variant.value.clauses.map((clause, index) =>
          this.read(clause, `${list}[${index}]`, depth + 1),
        );
        return { kind: variant.case, clauses };
      }
      case "not":
        return { kind: "not", clause: this.read(variant.value, `${place}.not`, depth + 1) };
      case undefined:
        throw fieldFault(place, "must be one of eq, lt, gt, and, or, not, all");
    }
  }
}

function readComparison(
  { field, value: text }: QueryEq | QueryCmp,
  place: string,
): { readonly path: FieldPath; readonly value: JsonValue } {
  if (field === "") throw fieldFault(`${place}.field`, "must be the name of a field");
  try {
    return { path: [field], value: parseJson(text) };
  } catch {
    // The parser's words are about bodies of documents.
    throw fieldFault(`${place}.value`, 'must be JSON text, such as 5 or "north" with its quotes');
  }
}

/** Fault `invalid_argument`, with the place in the tree. */
export function readQuery(query: SubscriptionQuery): DocumentPredicate {
  return compileQuery(new Reader().read(query, "query", 1));
}
