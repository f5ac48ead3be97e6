// Queries as conditions of SQL over the column `json`, for documents that lie there as canonical text. What they say
// is checked again by compileQuery on each document that they let through.
//
// Everything that a client can choose is bound as a parameter, paths too. Every condition is 0 or 1, never NULL:
// NOT (NULL) would be no answer.
import type { SQLQueryBindings } from "bun:sqlite";
import {
  NUMBER_RANK,
  type SortBound,
  type SortValue,
  TEXT_CHARS_MAX,
  TEXT_RANK,
} from "./document-order.ts";
import { type Comparison, type DocumentQuery, exactNumber } from "./document-query.ts";
import type { FieldPath } from "./field-path.ts";
import { printJson } from "./json.ts";

export interface SqlCondition {
  readonly sql: string;
  readonly params: readonly SQLQueryBindings[];
}

const OPERATORS: Readonly<Record<Comparison, string>> = { lt: "<", le: "<=", gt: ">", ge: ">=" };
const NUMBERS = "('integer', 'real')";
export const ANYTHING: SqlCondition = { sql: "1", params: [] };
const NEVER: SqlCondition = { sql: "0", params: [] };

/** SQLite reads a quoted name of a path as JSON does a string. */
function sqlPath(path: FieldPath): string {
  const steps = path.map((step) =>
    typeof step === "number" ? `[${step}]` : `.${JSON.stringify(step)}`,
  );
  return `$${steps.join("")}`;
}

function typeIn(types: string): string {
  return `ifnull(json_type(json, ?), '') IN ${types}`;
}

function joined(
  conditions: readonly SqlCondition[],
  { by, none }: { by: string; none: string },
): SqlCondition {
  if (conditions.length === 0) return { sql: none, params: [] };
  return {
    sql: `(${conditions.map(({ sql }) => sql).join(by)})`,
    params: conditions.flatMap(({ params }) => params),
  };
}

export function allOf(conditions: readonly SqlCondition[]): SqlCondition {
  return joined(conditions, { by: " AND ", none: "1" });
}

function comparison(query: Extract<DocumentQuery, { kind: Comparison }>): SqlCondition {
  const value = typeof query.value === "string" ? query.value : exactNumber(query.value);
  if (value === undefined) return NEVER;
  const path = sqlPath(query.path);
  const types = typeof value === "string" ? "('text')" : NUMBERS;
  return {
    sql: `(${typeIn(types)} AND (json ->> ?) ${OPERATORS[query.kind]} ?)`,
    params: [path, path, value],
  };
}

export function queryCondition(query: DocumentQuery): SqlCondition {
  switch (query.kind) {
    case "all":
      return ANYTHING;
    case "exists":
      return { sql: "((json -> ?) IS NOT NULL)", params: [sqlPath(query.path)] };
    case "eq":
      // Equal values have equal canonical texts.
      return {
        sql: "((json -> ?) IS ?)",
        params: [sqlPath(query.path), printJson(query.value)],
      };
    case "lt":
    case "le":
    case "gt":
    case "ge":
      return comparison(query);
    case "and":
      return allOf(query.clauses.map(queryCondition));
    case "or":
      return joined(query.clauses.map(queryCondition), { by: " OR ", none: "0" });
    case "not": {
      const { sql, params } = queryCondition(query.clause);
      return { sql: `(NOT ${sql})`, params };
    }
  }
}

/** Whether a rank is before or behind another one, as SQL's types of JSON have it. */
const RANK = `CASE json_type(json, ?) WHEN 'null' THEN 1 WHEN 'false' THEN 2 WHEN 'true' THEN 3
  WHEN 'integer' THEN ${NUMBER_RANK} WHEN 'real' THEN ${NUMBER_RANK} WHEN 'text' THEN ${TEXT_RANK}
  WHEN 'array' THEN 6 WHEN 'object' THEN 6 ELSE 0 END`;

/** Within one rank only what is told here has an order that SQL knows as we do. */
function sortable(value: SortValue): string | number | bigint | undefined {
  if (value.rank === NUMBER_RANK) return value.value;
  if (value.rank !== TEXT_RANK) return undefined;
  // A longer text, of which only the beginning counts, is behind its own beginning.
  return value.value.length < TEXT_CHARS_MAX ? value.value : undefined;
}

/** Lets through everything up to, or from, a value in the order of document-order.ts, and not much else. */
export function boundCondition({ path, comparison: kind, value }: SortBound): SqlCondition {
  const at = sqlPath(path);
  const { rank } = value;
  const within = sortable(value);
  if (within === undefined) return { sql: `(${RANK} ${OPERATORS[kind]} ?)`, params: [at, rank] };
  const strictly = kind === "le" ? "<" : ">";
  return {
    sql: `(${RANK} ${strictly} ? OR (${RANK} = ? AND (json ->> ?) ${OPERATORS[kind]} ?))`,
    params: [at, rank, at, rank, at, within],
  };
}
