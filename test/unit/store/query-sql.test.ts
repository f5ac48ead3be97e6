import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import fc from "fast-check";
import { boundBy, compareSortKeys, sortKeyOf } from "../../../src/store/document-order.ts";
import { compileQuery } from "../../../src/store/document-query.ts";
import { parseJsonObject, printJson } from "../../../src/store/json.ts";
import { boundCondition, queryCondition, type SqlCondition } from "../../../src/store/query-sql.ts";
import { rowsSql } from "../../../src/store/scan.ts";
import { prepare } from "../../../src/store/schema.ts";
import { cases, effort } from "../../support/effort.ts";
import {
  anyDocument,
  anyOrder,
  anyQuery,
  compareNaively,
  holdsNaively,
  readNaive,
  type TextQuery,
  toQuery,
} from "../../support/queries.ts";

const sqlite = new Database(":memory:");

/** What SQL says of one document; a NULL is neither of the two answers. */
function holdsInSql({ sql, params }: SqlCondition, document: string): boolean {
  const query = sqlite.prepare<{ holds: unknown }, (string | number)[]>(
    `SELECT ${sql} AS holds FROM (SELECT ? AS json)`,
  );
  const holds = query.get(...(params as (string | number)[]), document)?.holds;
  query.finalize();
  expect(holds === 0 || holds === 1).toBe(true);
  return holds === 1;
}

test("SQL, JavaScript and a naive reading say the same of any document and query", () => {
  let held = 0;
  fc.assert(
    fc.property(anyQuery, anyDocument, (textQuery, text) => {
      const document = parseJsonObject(text);
      const canonical = printJson(document);
      const query = toQuery(textQuery);
      const expected = holdsNaively(textQuery, readNaive(canonical));
      held += expected ? 1 : 0;
      expect(compileQuery(query)(document)).toBe(expected);
      expect(holdsInSql(queryCondition(query), canonical)).toBe(expected);
    }),
    cases(5000),
  );
  // Neither answer is so rare that the rest says little.
  expect(held).toBeGreaterThan(effort(100, 500));
  expect(held).toBeLessThan(effort(900, 4500));
}, 60_000);

test("places in an order are those of a naive reading, and what SQL leaves out is behind the bound", () => {
  fc.assert(
    fc.property(anyOrder, anyDocument, anyDocument, (order, first, second) => {
      const [a, b] = [parseJsonObject(first), parseJsonObject(second)];
      const [left, right] = [sortKeyOf(a, "a", order), sortKeyOf(b, "b", order)];
      const naive = compareNaively(readNaive(printJson(a)), readNaive(printJson(b)), order);
      const placed = compareSortKeys(left, right, order);
      expect(Math.sign(placed)).toBe(Math.sign(naive) || -1);
      for (const side of ["upTo", "from"] as const) {
        const bound = boundBy(order, right, side);
        if (bound === undefined) continue;
        const isLetThrough = holdsInSql(boundCondition(bound), printJson(a));
        const isWithin = side === "upTo" ? placed < 0 : placed > 0;
        if (isWithin) expect(isLetThrough).toBe(true);
      }
    }),
    cases(5000),
  );
}, 60_000);

test("a piece of a collection is found by its keys, whatever is asked of its documents", () => {
  const file = new Database(":memory:");
  prepare(file, { path: ":memory:", cacheBytes: 1024 ** 2 });
  fc.assert(
    fc.property(anyQuery, (textQuery) => {
      // What can't be true of anything has no plan.
      const one: TextQuery = { kind: "eq", path: ["a"], value: "1" };
      const condition = queryCondition(toQuery({ kind: "or", clauses: [one, textQuery] }));
      const plan = file
        .prepare<{ detail: string }, (string | number)[]>(
          `EXPLAIN QUERY PLAN ${rowsSql(condition)}`,
        )
        .all("a:", "a:z", 0, ...(condition.params as (string | number)[]));
      // Neither a scan of the table nor sorting.
      for (const { detail } of plan) expect(detail).not.toMatch(/SCAN documents|TEMP B-TREE/);
    }),
    cases(50),
  );
}, 60_000);
