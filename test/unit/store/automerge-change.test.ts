// Changes that are written without Automerge are the bytes that Automerge writes.
import { expect, test } from "bun:test";
import { getBackend, init } from "@automerge/automerge";
import fc from "fast-check";
import { concatBytes } from "../../../src/base/bytes.ts";
import {
  encodeChange,
  type FieldEdit,
  type OperationId,
} from "../../../src/store/automerge-change.ts";
import { HistoryDocument } from "../../../src/store/history.ts";
import {
  emptyObject,
  isObject,
  JsonFloat,
  type JsonObject,
  type JsonValue,
  printJson,
} from "../../../src/store/json.ts";
import { cases } from "../../support/effort.ts";
import { startId } from "../../support/states.ts";

type Backend = ReturnType<typeof getBackend>;

const ACTORS = ["ab", "99", "dd"].map((byte) => byte.repeat(16));

/** As the product's own encoder orders them: depth first, names sorted. */
function putReference(backend: Backend, object: string, place: string | number, value: JsonValue) {
  const isElement = typeof place === "number";
  if (Array.isArray(value)) {
    const id = isElement
      ? backend.insertObject(object, place, [])
      : backend.putObject(object, place, []);
    for (const [index, item] of value.entries()) putReference(backend, id, index, item);
  } else if (isObject(value)) {
    const id = isElement
      ? backend.insertObject(object, place, {})
      : backend.putObject(object, place, {});
    for (const [name, item] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
      putReference(backend, id, name, item);
    }
  } else {
    const [scalar, type] = scalarOf(value);
    if (isElement) backend.insert(object, place, scalar, type);
    else backend.put(object, place, scalar, type);
  }
}

function scalarOf(value: JsonValue): [number | string | boolean | null, "str" | "int" | "f64"] {
  if (value instanceof JsonFloat) return [value.value, "f64"];
  if (typeof value === "string") return [value, "str"];
  // Automerge takes bigint for integers; its typings lag behind. Of null and booleans it ignores the type.
  if (typeof value === "bigint") return [value as unknown as number, "int"];
  if (typeof value === "number") return [value, Number.isInteger(value) ? "int" : "f64"];
  return [value as boolean | null, undefined as unknown as "str"];
}

const names = fc.oneof(
  fc.constantFrom("a", "b", "lat", "ü", "\u{1f680}", ""),
  fc.string({ unit: "grapheme", maxLength: 6 }).filter((name) => name !== "__proto__"),
);

const scalars: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.string({ unit: "grapheme", maxLength: 300 }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(-64, -65, 63, 64, 127, 128, 8191, 8192, -8192, -8193),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((value) => (Number.isInteger(value) ? new JsonFloat(value) : value)),
);

const { value: values } = fc.letrec<{ value: JsonValue; list: JsonValue[]; map: JsonObject }>(
  (tie) => ({
    value: fc.oneof({ maxDepth: 3, depthSize: "small" }, scalars, tie("list"), tie("map")),
    list: fc.array(tie("value"), { maxLength: 5 }),
    map: fc
      .array(fc.tuple(names, tie("value")), { maxLength: 5 })
      .map((entries) => Object.assign(emptyObject(), Object.fromEntries(entries))),
  }),
);

/** Several changes by up to three actors, one after the other, each setting or removing some root fields. */
const stories = fc.array(
  fc.record({
    actor: fc.constantFrom(...ACTORS),
    timeSecs: fc.constantFrom(0, 1, 1_800_000_000, 2 ** 40),
    edits: fc.uniqueArray(
      fc.record({ name: names, value: fc.oneof(values, fc.constant(undefined)) }),
      { selector: ({ name }) => name, maxLength: 8 },
    ),
  }),
  { minLength: 1, maxLength: 6 },
);

/** An actor that comes back would name its own last change besides the document's; no rendering has one. */
function inTurns<T extends { actor: string }>(story: readonly T[]): T[] {
  return story.toSorted((a, b) => ACTORS.indexOf(a.actor) - ACTORS.indexOf(b.actor));
}

/** As Automerge compares what stands there: both zeros are one. */
function isSame(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a instanceof JsonFloat && b instanceof JsonFloat) return a.value === b.value;
  return Bun.deepEquals(a, b);
}

test("a change has the bytes and the hash that Automerge gives it", () => {
  fc.assert(
    fc.property(stories, (story) => {
      let reference = getBackend(init());
      const operations = new Map<string, OperationId>();
      const current = new Map<string, JsonValue | undefined>();
      const seqs = new Map<string, number>();
      let parent: string | undefined;
      let lastOp = 0;
      for (const { actor, timeSecs, edits: wanted } of inTurns(story)) {
        const edits: FieldEdit[] = wanted
          .map(({ name, value }) => ({ name, value, replaced: operations.get(name) }))
          .filter(({ value, replaced }) => value !== undefined || replaced !== undefined)
          // Automerge makes no operation of what stands there already.
          .filter(({ name, value }) => !current.has(name) || !isSame(current.get(name), value));
        for (const { name, value } of edits) current.set(name, value);
        const next = reference.clone(actor);
        reference.free();
        reference = next;
        for (const { name, value } of edits) {
          if (value === undefined) reference.delete("_root", name);
          else putReference(reference, "_root", name, value);
        }
        if (reference.pendingOps() === 0) reference.emptyChange(null, timeSecs);
        else reference.commit(null, timeSecs);
        const seq = (seqs.get(actor) ?? 0) + 1;
        seqs.set(actor, seq);
        const header = { actor, seq, startOp: lastOp + 1, timeSecs, parent };
        const change = encodeChange(header, edits);
        const bytes = reference.getLastLocalChange() ?? new Uint8Array();
        // Beyond 256 bytes it hands its own changes out compressed; the hash is that of the plain ones.
        if (bytes[8] === 1) expect(change.bytes.toHex()).toBe(bytes.toHex());
        expect(reference.getHeads()).toEqual([change.hash]);
        parent = change.hash;
        lastOp = change.lastOp;
        for (const [index, { name, value }] of edits.entries()) {
          const counter = change.counters[index] ?? 0;
          if (value === undefined) operations.delete(name);
          else operations.set(name, { counter, actor });
        }
      }
      reference.free();
    }),
    cases(150),
  );
});

test("what is written loads to the same values, digit by digit, and survives a save", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(names, values), { maxLength: 6 }), (entries) => {
      const value: JsonObject = Object.assign(emptyObject(), Object.fromEntries(entries));
      const edits = Object.keys(value).map((name) => ({
        name,
        value: value[name],
        replaced: undefined,
      }));
      const [actor = ""] = ACTORS;
      const header = { actor, seq: 1, startOp: 1, timeSecs: 0, parent: undefined };
      const { bytes, hash } = encodeChange(header, edits);
      const loaded = HistoryDocument.load(bytes, startId("1"));
      expect(loaded?.printJson()).toBe(printJson(value, 100));
      const saved = HistoryDocument.load(loaded?.save() ?? new Uint8Array(), startId("2"));
      expect(saved?.heads()).toEqual([hash]);
      loaded?.free();
      saved?.free();
    }),
    cases(150),
  );
});

test("a list of a thousand numbers under a replaced field loads", () => {
  const [actor = ""] = ACTORS;
  const list = Array.from({ length: 1000 }, (_, index) => index * 0.1);
  const first = encodeChange({ actor, seq: 1, startOp: 1, timeSecs: 0, parent: undefined }, [
    { name: "path", value: "none", replaced: undefined },
  ]);
  const second = encodeChange({ actor, seq: 2, startOp: 2, timeSecs: 1, parent: first.hash }, [
    { name: "path", value: list, replaced: { counter: 1, actor } },
  ]);
  expect(second.lastOp).toBe(1002);
  const loaded = HistoryDocument.load(concatBytes([first.bytes, second.bytes]), startId("1"));
  expect(JSON.parse(loaded?.printJson() ?? "")).toEqual({ path: list });
  loaded?.free();
});
