import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { jsonErrorAt } from "../../../../src/cli/transfer/json-position.ts";
import { lineRecords, valueRecords } from "../../../../src/cli/transfer/json-records.ts";
import {
  checkedBytes,
  type FileRecord,
  RECORD_BYTES_MAX,
} from "../../../../src/cli/transfer/records.ts";

async function* pieces(bytes: Uint8Array, length: number) {
  // The same memory again and again, as a reader of files may use it.
  const buffer = new Uint8Array(length);
  for (let at = 0; at < bytes.length; at += length) {
    const piece = bytes.subarray(at, at + length);
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
  }
}

function read(
  records: typeof lineRecords,
  input: string | Uint8Array,
  length = 3,
): Promise<FileRecord[]> {
  const bytes = typeof input === "string" ? Buffer.from(input) : input;
  return Array.fromAsync(records(checkedBytes(pieces(bytes, length))));
}

const texts = (records: readonly FileRecord[]) =>
  records.map((record) => ("text" in record ? record.text.trim() : record.problem));

const documents = fc.array(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), {
  maxLength: 5,
});

test("objects come out as they are, in pieces of any length, as lines and as an array", async () => {
  await fc.assert(
    fc.asyncProperty(documents, fc.integer({ min: 1, max: 40 }), async (list, length) => {
      const jsons = list.map((one) => JSON.stringify(one));
      expect(texts(await read(lineRecords, jsons.join("\n"), length))).toEqual(jsons);
      expect(texts(await read(valueRecords, JSON.stringify(list), length))).toEqual(jsons);
      const pretty = await read(valueRecords, JSON.stringify(list, null, 2), length);
      expect(texts(pretty).map((text) => JSON.stringify(JSON.parse(text)))).toEqual(jsons);
      expect(texts(await read(valueRecords, jsons.join(" \n"), length))).toEqual(jsons);
    }),
    { numRuns: 60 },
  );
});

test("each record has the line on which it begins", async () => {
  expect(await read(lineRecords, '{"a":1}\r\n\r\n{"b":2}\n')).toEqual([
    { line: 1, text: '{"a":1}\r' },
    { line: 3, text: '{"b":2}' },
  ]);
  const lines = (await read(valueRecords, '[\n{"a":\n1},\n\n{}\n]')).map(({ line }) => line);
  expect(lines).toEqual([2, 5]);
});

test("a byte order mark is passed over, UTF-16 is refused with the remedy", async () => {
  expect(await read(lineRecords, '\ufeff{"a":1}')).toEqual([{ line: 1, text: '{"a":1}' }]);
  for (const bytes of [
    Buffer.from('\ufeff{"a":1}', "utf16le"),
    Buffer.from('{"a":1}', "utf16le"),
  ]) {
    await expect(read(lineRecords, bytes)).rejects.toThrow("iconv");
  }
});

test("what is not UTF-8 is one bad record among good ones", async () => {
  const bytes = Buffer.concat([
    Buffer.from('{"a":1}\n{"b":"'),
    Buffer.of(0xff),
    Buffer.from('"}\n{}'),
  ]);
  expect(texts(await read(lineRecords, bytes))).toEqual(['{"a":1}', "is not UTF-8", "{}"]);
});

test("a record that is too long is passed over without being kept", async () => {
  const long = Buffer.alloc(RECORD_BYTES_MAX + 10, "x");
  const line = Buffer.concat([Buffer.from('{}\n{"a":"'), long, Buffer.from('"}\n{}')]);
  const problem = `is longer than ${RECORD_BYTES_MAX} bytes`;
  expect(texts(await read(lineRecords, line, 1_000_000))).toEqual(["{}", problem, "{}"]);
  const list = Buffer.concat([Buffer.from('[{},{"a":"'), long, Buffer.from('"},{}]')]);
  expect(texts(await read(valueRecords, list, 1_000_000))).toEqual(["{}", problem, "{}"]);
});

describe("an array that breaks off, or is none, is told with line and column", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["[{}", "line 1, column 3: the file ends in the middle"],
    ['[{"a":', "ends in the middle"],
    ["[{}\n 5]", "line 2, column 2: an object, as every document is, was expected"],
    ["[{},]", "line 1, column 5"],
    ["[{}{}]", "line 1, column 4"],
    ["[] {}", "line 1, column 4"],
    ["5", "line 1, column 1"],
    ['"a"', "line 1, column 1"],
  ];
  for (const [text, told] of cases) {
    test(text, async () => {
      await expect(read(valueRecords, text)).rejects.toThrow(told);
    });
  }
});

describe("the place at which a text is no JSON", () => {
  const cases: readonly (readonly [string, number])[] = [
    ['{"a":1,}', 7],
    ['{"a" 1}', 5],
    ["{a:1}", 1],
    ['{"a":tru}', 5],
    ['{"a":"x\u0000"}', 5],
    ['{"a":[1,2', 9],
    ['{"a":01}', 6],
    ["{} {}", 3],
    ["", 0],
  ];
  for (const [text, at] of cases) {
    test(JSON.stringify(text), () => {
      expect(jsonErrorAt(text)).toBe(at);
    });
  }

  test("is the end for whatever is JSON, and never for a text that goes on behind it", () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(jsonErrorAt(json)).toBe(json.length);
        expect(jsonErrorAt(`${json} ]`)).toBe(json.length + 1);
      }),
    );
    expect(jsonErrorAt("[".repeat(100_000) + "]".repeat(100_000))).toBe(200_000);
  });
});
