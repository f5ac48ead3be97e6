// What the guest emulator's documents take from JSON and show of Automerge, as the older release does.
import { describe, expect, test } from "bun:test";
import {
  Counter,
  change,
  from,
  getBackend,
  ImmutableString,
  save,
  Uint,
} from "@automerge/automerge";
import { GuestDocument } from "../../../support/guest/document.ts";

const actor = (n: number) => n.toString(16).padStart(32, "0");

function written(...jsons: readonly string[]): GuestDocument {
  const document = GuestDocument.empty(actor(1));
  jsons.forEach((json, index) => {
    document.write(json, actor(index + 2));
  });
  return document;
}

test("JSON comes back sorted, integers and floats kept apart, integers beyond 64 bits as floats", () => {
  const json =
    '{"z":null,"a":[1,1.0,-2.5,{"y":"text","b":[true,[]]}],"big":9223372036854775807,"over":9223372036854775808}';
  expect(written(json).jsonText()).toBe(
    '{"a":[1,1.0,-2.5,{"b":[true,[]],"y":"text"}],"big":9223372036854775807,"over":9.223372036854776e18,"z":null}',
  );
});

test("a root that is no object is refused and leaves the document as it was", () => {
  const document = written('{"a":1}');
  for (const json of ["[1]", '"text"', "5", "null"]) {
    expect(() => document.write(json, actor(9))).toThrow("Root value must be a JSON object");
  }
  expect(document.jsonText()).toBe('{"a":1}');
});

test("a write deletes root fields that it does not name", () => {
  expect(written('{"a":1,"b":2}', '{"b":3}').jsonText()).toBe('{"b":3}');
});

test("a write replaces nested objects, so of two concurrent ones the whole of one stays", () => {
  const base = written('{"place":{"lat":1,"lon":1}}');
  const [left, right] = [8, 9].map((n) => {
    const copy = GuestDocument.load(base.save(), actor(n));
    copy.write(`{"place":{"lat":${n},"lon":${n}}}`, actor(n));
    return copy;
  });
  if (left === undefined || right === undefined) throw new RangeError("two copies");
  left.merge(right);
  expect(['{"place":{"lat":8,"lon":8}}', '{"place":{"lat":9,"lon":9}}']).toContain(left.jsonText());
});

test("every write adds a change by an actor of its own", () => {
  const document = written('{"a":1}', '{"a":2}', '{"a":3}');
  expect(document.changes()).toBe(3);
});

describe("documents of other writers", () => {
  test("text, bytes and counters show as null, scalar strings and times as they are", () => {
    const theirs = from({
      text: "a JavaScript string",
      bytes: Uint8Array.of(1, 2),
      counter: new Counter(3),
      scalar: new ImmutableString("shown"),
      time: new Date(1_700_000_000_000),
      items: ["text in a list"],
    });
    const document = GuestDocument.load(save(theirs), actor(1));
    expect(document.jsonText()).toBe(
      '{"bytes":null,"counter":null,"items":[null],"scalar":"shown","text":null,"time":1700000000000}',
    );
  });

  test("numbers that JSON has no words for show as null", () => {
    const document = from<Record<string, unknown>>({ a: 1 });
    const backend = getBackend(document);
    backend.put("_root", "nan", Number.NaN, "f64");
    backend.put("_root", "infinite", Number.NEGATIVE_INFINITY, "f64");
    backend.commit(null, 0);
    expect(GuestDocument.load(backend.save(), actor(1)).jsonText()).toBe(
      '{"a":1,"infinite":null,"nan":null}',
    );
  });

  test("_created_at counts as an unsigned integer only", () => {
    const document = from<Record<string, unknown>>({ _created_at: 5 });
    expect(GuestDocument.load(save(document), actor(1)).createdAt()).toBeUndefined();
    const unsigned = change(document, (draft) => {
      draft["_created_at"] = new Uint(5);
    });
    expect(GuestDocument.load(save(unsigned), actor(1)).createdAt()).toBe(5);
  });
});
