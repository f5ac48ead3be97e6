import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { withId, withoutOwnId } from "../../../src/broker/document-text.ts";
import { cases } from "../../support/effort.ts";

/** Canonical JSON as the store keeps it: keys sorted by UTF-16 code units, no blanks. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join(",")}}`;
}

const fieldName = fc.oneof(
  fc.constantFrom("_id", "_ie", "_ic", "A", "a", "", '"', "\\", "}", "\u0001", "Ω", "__proto__x"),
  fc.string({ unit: "grapheme", maxLength: 6 }),
);
const value = fc.jsonValue({ maxDepth: 3, noUnicodeString: false });
const object = fc.dictionary(fieldName, value, { noNullPrototype: true });
const id = fc.oneof(
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }),
  fc.constant('"}\\'),
);

describe("the _id of a shown document", () => {
  test("stands over the document's own, and all other fields stay", () => {
    fc.assert(
      fc.property(object, id, (document, name) => {
        const shown = withId(canonical(document), name);
        expect(shown).toBe(canonical({ ...document, _id: name }));
      }),
      cases(2000),
    );
  });

  test("leaves numbers as they are written", () => {
    expect(withId('{"A":5.0,"b":9007199254740993,"c":-0.0}', "x")).toBe(
      '{"A":5.0,"_id":"x","b":9007199254740993,"c":-0.0}',
    );
  });

  test("is the only field of an empty document", () => {
    expect(withId("{}", "x")).toBe('{"_id":"x"}');
  });
});

describe("a document that a client sends back", () => {
  test("loses the _id that it was shown with, wherever it stands and however it is laid out", () => {
    fc.assert(
      fc.property(
        object,
        id,
        fc.constantFrom(0, 1, "\t"),
        fc.nat(),
        (document, name, indent, at) => {
          const fields = Object.entries(document).filter(([k]) => k !== "_id");
          fields.splice(at % (fields.length + 1), 0, ["_id", name]);
          const text = JSON.stringify(Object.fromEntries(fields), null, indent);
          const { _id, ...others } = JSON.parse(text);
          expect(_id).toBe(name);
          expect(JSON.parse(withoutOwnId(text, name))).toEqual(others);
        },
      ),
      cases(2000),
    );
  });

  test("keeps an _id of another value: that is the document's own", () => {
    for (const text of ['{"_id":"y","a":1}', '{"a":{"_id":"x"}}', '{"a":"\\"_id\\":\\"x\\""}']) {
      expect(withoutOwnId(text, "x")).toBe(text);
    }
  });

  test("is left alone when it is no JSON object, for the store to say what is wrong", () => {
    const broken = ['{"_id":"x"', '{"_id":"x",}', '["_id"]', '{"_id":"x"} x', '{"_id":"x" "a":1}'];
    for (const text of [...broken, '{"_id":"x","_id":"x"}', '{"_id":', '{"_id":"\\x"}']) {
      expect(withoutOwnId(text, "x")).toBe(text);
    }
  });

  test("never makes the scanner throw or hang, whatever the text", () => {
    const piece = fc.constantFrom(
      '"_id"',
      ":",
      '"x"',
      ",",
      "{",
      "}",
      "[",
      "]",
      "\\",
      '"',
      " ",
      "1",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join("");
        const told = withoutOwnId(text, "x");
        if (told !== text) expect(JSON.parse(`${told}`)).not.toHaveProperty("_id");
      }),
      cases(5000),
    );
  });
});
