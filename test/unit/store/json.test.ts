import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Fault } from "../../../src/base/faults.ts";
import {
  DEPTH_MAX,
  equalJson,
  JsonFloat,
  mergePatch,
  parseJson,
  parseJsonObject,
  printJson,
} from "../../../src/store/json.ts";
import { anyDocument } from "../../support/queries.ts";

function canonical(text: string): string {
  return printJson(parseJson(text));
}

function faultOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof Fault) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no fault";
}

function nested(levels: number): string {
  return `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
}

describe("numbers keep their kind and every digit", () => {
  const cases: [text: string, canonical: string][] = [
    ["5", "5"],
    ["5.0", "5.0"],
    ["5e0", "5.0"],
    ["-0", "-0.0"],
    ["-0.0", "-0.0"],
    ["0.1", "0.1"],
    ["1e300", "1e+300"],
    ["9007199254740991", "9007199254740991"],
    ["9007199254740993", "9007199254740993"],
    ["-9007199254740993", "-9007199254740993"],
    ["9223372036854775807", "9223372036854775807"],
    ["-9223372036854775808", "-9223372036854775808"],
    ["9223372036854775808", "9223372036854776000.0"],
    ["100000000000000000000000", "1e+23"],
    ["5e-324", "5e-324"],
    ["1E5", "100000.0"],
  ];
  for (const [text, expected] of cases) {
    test(`${text} is ${expected}`, () => {
      expect(canonical(text)).toBe(expected);
      expect(canonical(`{"n":[${text},"x"]}`)).toBe(`{"n":[${expected},"x"]}`);
      expect(canonical(canonical(text))).toBe(expected);
    });
  }

  test("5 and 5.0 are different values", () => {
    expect(equalJson(parseJson("5"), parseJson("5.0"))).toBe(false);
    expect(equalJson(parseJson('{"a":5}'), parseJson('{"a":5}'))).toBe(true);
  });

  test("values are equal when their canonical texts are", () => {
    const pair = fc.tuple(anyDocument, anyDocument).map((two) => two.map(parseJsonObject));
    fc.assert(
      fc.property(pair, fc.integer({ min: 0, max: 11 }), ([a = {}, b = {}], seed) => {
        expect(equalJson(a, b)).toBe(printJson(a) === printJson(b));
        // The one with a field of the other is often equal to it, or almost.
        const [name] = Object.keys(b).slice(seed % Math.max(1, Object.keys(b).length));
        const mixed = { ...a, ...(name === undefined ? {} : { [name]: b[name] ?? null }) };
        expect(equalJson(a, mixed)).toBe(printJson(a) === printJson(mixed));
        expect(equalJson(mixed, a)).toBe(printJson(a) === printJson(mixed));
        expect(equalJson(a, parseJson(printJson(a)))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("a number beyond every float is refused", () => {
    expect(faultOf(() => parseJson("[1e999]"))).toStartWith("invalid_argument: number 1e999");
  });
});

describe("canonical text", () => {
  test("sorts keys by UTF-16 code units, and drops blanks", () => {
    expect(canonical('{ "ﬀ": 1, "😀": 2, "b": 3, "a": [ ] }')).toBe('{"a":[],"b":3,"😀":2,"ﬀ":1}');
  });

  test("is the same for the same value, whatever text it came from", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        fc.pre(!text.includes("__proto__"));
        const once = canonical(text);
        expect(canonical(once)).toBe(once);
        expect(equalJson(parseJson(text), parseJson(once))).toBe(true);
      }),
    );
  });

  test("refuses half a surrogate pair in keys and values", () => {
    expect(faultOf(() => canonical('{"a":"\\ud800"}'))).toContain("surrogate");
    expect(faultOf(() => canonical('{"\\udc00":1}'))).toContain("surrogate");
    expect(canonical('"\\ud83d\\ude00"')).toBe('"😀"');
  });

  test("refuses a field named __proto__ at any depth", () => {
    expect(faultOf(() => canonical('{"a":{"__proto__":{"b":1}}}'))).toContain("__proto__");
    expect(({} as Record<string, unknown>)["b"]).toBeUndefined();
  });

  test(`goes ${DEPTH_MAX} levels deep and no further`, () => {
    expect(canonical(nested(DEPTH_MAX))).toBe(nested(DEPTH_MAX));
    expect(faultOf(() => canonical(nested(DEPTH_MAX + 1)))).toContain(`${DEPTH_MAX} levels`);
  });
});

describe("text that is not JSON is refused with a reason", () => {
  for (const text of ["", "{", '{"a":}', "[1,]", "nul", '{"a":1}x', "'a'", "\u0000"]) {
    test(JSON.stringify(text), () => {
      expect(faultOf(() => parseJson(text))).toStartWith(
        "invalid_argument: body is not valid JSON",
      );
    });
  }

  test("however deep it is", () => {
    for (const unit of ["[", '{"a":']) {
      expect(faultOf(() => canonical(unit.repeat(300_000)))).toStartWith("invalid_argument");
    }
  });

  for (const text of ["[]", "1", "null", '"a"']) {
    test(`the root of a document is an object, not ${text}`, () => {
      expect(faultOf(() => parseJsonObject(text))).toContain("must be a JSON object");
    });
  }
});

describe("merge patch", () => {
  // RFC 7386, appendix A: target, patch, result.
  const cases: [string, string, string][] = [
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
    ['{"a":"b"}', '{"a":null}', "{}"],
    ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
    ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
    ['["a","b"]', '["c","d"]', '["c","d"]'],
    ['{"a":"b"}', '["c"]', '["c"]'],
    ['{"a":"foo"}', "null", "null"],
    ['{"a":"foo"}', '"bar"', '"bar"'],
    ['{"e":null}', '{"a":1}', '{"a":1,"e":null}'],
    ["[1,2]", '{"a":"b","c":null}', '{"a":"b"}'],
    ["{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  ];
  for (const [target, patch, result] of cases) {
    test(`${target} patched by ${patch} is ${result}`, () => {
      expect(printJson(mergePatch(parseJson(target), parseJson(patch)))).toBe(result);
    });
  }

  test("leaves its inputs as they are", () => {
    const target = parseJson('{"a":{"b":1}}');
    mergePatch(target, parseJson('{"a":{"b":null,"c":2}}'));
    expect(printJson(target)).toBe('{"a":{"b":1}}');
  });

  test("removes and sets names that every object inherits", () => {
    const patched = mergePatch(
      parseJson('{"toString":1}'),
      parseJson('{"toString":null,"constructor":{"a":1}}'),
    );
    expect(printJson(patched)).toBe('{"constructor":{"a":1}}');
  });

  test("refuses a patch that is nested so deeply that following it would break the process", () => {
    expect(faultOf(() => mergePatch({}, parseJson(nested(100_000))))).toContain("levels");
  });
});

test("a float prints so that it stays one", () => {
  expect(printJson(new JsonFloat(3))).toBe("3.0");
  expect(printJson([new JsonFloat(-0), 1.5, 2n ** 62n])).toBe("[-0.0,1.5,4611686018427387904]");
});
