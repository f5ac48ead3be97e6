// What clients ask of lists: filters, orders and places in them. What is accepted means the same to SQL as to us.
import { Database } from "bun:sqlite";
import { toUtf8 } from "../../src/base/bytes.ts";
import { parseCursor, printCursor } from "../../src/broker/cursor.ts";
import { parseFilter, parseOrder } from "../../src/broker/filter.ts";
import { compareSortKeys, type DocumentOrder, sortKeyOf } from "../../src/store/document-order.ts";
import { compileQuery } from "../../src/store/document-query.ts";
import { parseJsonObject, printJson } from "../../src/store/json.ts";
import { queryCondition } from "../../src/store/query-sql.ts";
import { expectEqual, type FuzzTarget } from "./target.ts";

const DOCUMENTS = [
  "{}",
  '{"a":1,"b":[1,2.5,{"c":"x"}],"status":"lost","n":9007199254740993,"t":"\\u0000\u{1f600}"}',
  '{"a":null,"b":{"c":[[]]},"status":"","n":-0.0,"a.b":true,"t":"\uffee"}',
].map((text) => ({ text: printJson(parseJsonObject(text)), object: parseJsonObject(text) }));

const sqlite = new Database(":memory:");

function checkFilter(text: string): void {
  const query = parseFilter(text);
  const holds = compileQuery(query);
  const { sql, params } = queryCondition(query);
  const asked = sqlite.prepare<{ holds: unknown }, (string | number)[]>(
    `SELECT ${sql} AS holds FROM (SELECT ? AS json)`,
  );
  try {
    for (const { text: json, object } of DOCUMENTS) {
      const found = asked.get(...(params as (string | number)[]), json)?.holds;
      expectEqual(found, holds(object) ? 1 : 0, `${text} of ${json}`);
    }
  } finally {
    asked.finalize();
  }
}

function checkOrder(text: string): void {
  const order = parseOrder(text);
  for (const { object } of DOCUMENTS) {
    const key = sortKeyOf(object, "id", order);
    const back = parseCursor(text, printCursor(text, key), order.length);
    expectEqual(compareSortKeys(key, back, order), 0, "a place, written and read");
  }
}

const TWO: DocumentOrder = [
  { path: ["a"], descending: false },
  { path: ["t"], descending: true },
];

function checkCursor(text: string): void {
  const key = parseCursor("a,-t", text, TWO.length);
  const back = parseCursor("a,-t", printCursor("a,-t", key), TWO.length);
  expectEqual(compareSortKeys(key, back, TWO), 0, "a place, read and written");
}

const CHECKS: Readonly<Record<string, (text: string) => void>> = {
  f: checkFilter,
  o: checkOrder,
  c: checkCursor,
};

const SEEDS = [
  'f{"field":"status","eq":"lost"}',
  'f{"field":"n","ge":9007199254740992,"lt":1e300}',
  'f{"and":[{"field":"b[2].c","in":["x",1,null,[],{}]},{"not":{"field":"a\\\\.b","exists":true}}]}',
  'f{"or":[{"field":"t","gt":"\\u0000"},{"field":"a","ne":1.0},{"and":[]}]}',
  "o-a,b[0],t",
  "oa\\.b,-b[2].c",
  ...DOCUMENTS.map(({ object }) => `c${printCursor("a,-t", sortKeyOf(object, "id", TWO))}`),
];

const TOKENS = ['"field":', '"eq":', '"not":', '"and":[', '"in":[', "\\\\", "[0]", ".", ",", "-"];
const VALUES = ["9223372036854775807", "-0.0", "1e308", '"\\ud800"', "null", "$", "'", "?1", "\0"];

const lists: FuzzTarget = {
  name: "filter and order of a list",
  share: 80,
  corpus: () => ({ seeds: SEEDS.map(toUtf8), tokens: [...TOKENS, ...VALUES].map(toUtf8) }),
  run(input) {
    const text = new TextDecoder().decode(input);
    const check = CHECKS[text.slice(0, 1)];
    if (check === undefined) return "of no kind";
    check(text.slice(1));
    return undefined;
  },
};

export const QUERY_TARGETS: readonly FuzzTarget[] = [lists];
