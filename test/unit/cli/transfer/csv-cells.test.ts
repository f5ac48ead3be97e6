import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseExact } from "../../../../src/cli/exact-json.ts";
import {
  flatten,
  parseColumn,
  parseId,
  parseRow,
  printColumn,
  printId,
  printRow,
} from "../../../../src/cli/transfer/csv-cells.ts";
import { csvRecords } from "../../../../src/cli/transfer/csv-records.ts";
import type { FileRecord } from "../../../../src/cli/transfer/records.ts";
import { parseJson, printJson } from "../../../../src/store/json.ts";

const name = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 5 }),
  fc.constantFrom("a.b", "a\\b", "[0]", "_id2", "", ".", "\\", '"', ",", "toString", "constructor"),
);
const text = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom(
    "",
    "5",
    "true",
    "null",
    "{}",
    '"x"',
    "=1+1",
    "-x",
    "@a",
    " 5 ",
    "a\r\nb",
    "\t",
    "1e5",
  ),
);
const { value } = fc.letrec<{ value: unknown; tree: unknown }>((tie) => ({
  tree: fc.dictionary(name, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  value: fc.oneof(
    { depthSize: "small", maxDepth: 4 },
    text,
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 3 }),
    tie("tree"),
  ),
}));
const document = fc.dictionary(name, value, { maxKeys: 5, noNullPrototype: true });

const canonical = (json: string): string => printJson(parseJson(json));

async function readAll(csv: string, isText = false): Promise<FileRecord[]> {
  async function* bytes() {
    const all = Buffer.from(csv);
    for (let at = 0; at < all.length; at += 7) yield all.subarray(at, at + 7);
  }
  return await Array.fromAsync(csvRecords(bytes(), { delimiter: ",", isText }));
}

test("documents become rows and documents again, with every type", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(document, { minLength: 1, maxLength: 4 }), async (documents) => {
      const jsons = documents.map((one) => JSON.stringify(one));
      const rows = jsons.map((json) =>
        flatten(parseExact(json, { from: "test" }) as object as never),
      );
      const columns = [...new Set(rows.flatMap((cells) => [...cells.keys()])), "_id"];
      const lines = rows.map((cells, at) =>
        printRow(columns.map((column) => (column === "_id" ? `${at}` : (cells.get(column) ?? "")))),
      );
      const records = await readAll([printRow(columns), ...lines].join(""));
      const read = records.map((record) => ("text" in record ? record.text : record.problem));
      const expected = jsons.map((json, at) =>
        canonical(json.replace(/\}$/, `${json === "{}" ? "" : ","}"_id":"${at}"}`)),
      );
      expect(read.map(canonical)).toEqual(expected);
    }),
    { numRuns: 150 },
  );
});

test("numbers are those of the text, also beyond what JavaScript holds", () => {
  const cells = flatten(
    parseExact('{"a":5.0,"b":9007199254740993,"c":-0,"d":[1.0]}', { from: "test" }) as never,
  );
  expect([...cells]).toEqual([
    ["a", "5.0"],
    ["b", "9007199254740993"],
    ["c", "-0"],
    ["d", "[1.0]"],
  ]);
});

test("names of columns become paths and names again", () => {
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), (path) => {
      expect(parseColumn(printColumn(path))).toEqual(path);
    }),
  );
});

test("ids become cells and ids again, and no formulas", () => {
  fc.assert(
    fc.property(text, (id) => {
      expect(parseId(printId(id))).toBe(id);
    }),
  );
  expect(printId("=1+1")).toBe('"=1+1"');
  expect(printId("17")).toBe("17");
});

test("no name begins a column as a formula would, and each is the same name again", () => {
  for (const name of ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\\=1", ".=", "a=1"]) {
    const column = printColumn([name, "=x"]);
    expect(column).not.toMatch(/^[=+\-@\t\r]/);
    expect(parseColumn(column)).toEqual([name, "=x"]);
  }
});

test("no text begins a cell as a formula would", () => {
  for (const formula of ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1"]) {
    expect(flatten({ a: formula }).get("a")).toBe(JSON.stringify(formula));
  }
});

test("cells of strangers are what they look like, or texts", async () => {
  const csv = "_id,a,b,c,d,e\n007,007,7,TRUE,true,\n";
  expect(await readAll(csv)).toEqual([
    { line: 2, text: '{"_id":"007","a":"007","b":7,"c":"TRUE","d":true}' },
  ]);
  expect(await readAll(csv, true)).toEqual([
    { line: 2, text: '{"_id":"007","a":"007","b":"7","c":"TRUE","d":"true"}' },
  ]);
});

test("__proto__ is a name like any other", () => {
  const columns = [["__proto__", "x"], ["constructor"]];
  const json = parseRow({ columns, cells: ["1", "2"], isText: false });
  expect(json).toBe('{"__proto__":{"x":1},"constructor":2}');
});

test("columns that exclude each other are told, with the line", async () => {
  expect(await readAll("_id,a,a.b\nx,1,2\ny,1,\nz,,2\n")).toEqual([
    { line: 2, problem: "the column a.b and another one exclude each other in this row" },
    { line: 3, text: '{"_id":"y","a":1}' },
    { line: 4, text: '{"_id":"z","a":{"b":2}}' },
  ]);
});

test("a row of too many cells is told, one of too few is one", async () => {
  expect(await readAll("_id,a\nx,1,2\ny\n")).toEqual([
    { line: 2, problem: "has 3 cells, and the first line names 2 columns" },
    { line: 3, text: '{"_id":"y"}' },
  ]);
});

test("what is no CSV ends the reading, with its line", async () => {
  await expect(readAll('_id,a\nx,"never closed\n')).rejects.toThrow(
    /^line \d+: .*nothing behind it is read/,
  );
  await expect(readAll("a,a\n1,2\n")).rejects.toThrow("twice");
});
