import { describe, expect, test } from "bun:test";
import { from, getBackend, save } from "@automerge/automerge";
import { waitFor } from "../../../scripts/support/waiting.ts";
import { Fault } from "../../../src/base/faults.ts";
import { EDITS_MAX, VALUE_CHARS_MAX } from "../../../src/store/change-reader.ts";
import type { DocumentHistory } from "../../../src/store/document-histories.ts";
import { encodeState } from "../../../src/store/state.ts";
import type { Store } from "../../../src/store/store.ts";
import { key, openMemoryStore, put, remove } from "../../support/memory-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const signal = new AbortController().signal;

function historyOf(store: Store, name: string, limit = 50): Promise<DocumentHistory> {
  return store.histories.read({ key: key(name), limit, signal });
}

async function editsOf(store: Store, name: string) {
  const { changes } = await historyOf(store, name);
  return changes.map(({ edits }) => edits);
}

describe("the history of a document that keeps it whole", () => {
  test("has its changes, the newest first, with what each set, replaced and removed", async () => {
    const store = openMemoryStore();
    await put(store, "orders:o1", { state: "new", lines: [1, 2], note: { by: "ann", n: 5 } });
    await put(store, "orders:o1", { state: "sent", lines: [1, 2, 3], note: { by: "bob", n: 5 } });
    await put(store, "orders:o1", { state: "sent", lines: [1, 2, 3] });
    expect(await editsOf(store, "orders:o1")).toEqual([
      [{ path: "note", before: '{"by":"bob","n":5}', after: undefined }],
      [
        { path: "lines[2]", before: undefined, after: "3" },
        { path: "note.by", before: '"ann"', after: '"bob"' },
        { path: "state", before: '"new"', after: '"sent"' },
      ],
      [
        { path: "lines", before: undefined, after: "[1,2]" },
        { path: "note", before: undefined, after: '{"by":"ann","n":5}' },
        { path: "state", before: undefined, after: '"new"' },
      ],
    ]);
    const { kind, source, changes, changeCount, hash } = await historyOf(store, "orders:o1");
    expect({ kind, source, changeCount }).toEqual({
      kind: "history",
      source: "document",
      changeCount: 3,
    });
    expect(changes.every(({ actor }) => actor === store.start)).toBe(true);
    expect(hash).toBe(store.hashOf(key("orders:o1")));
    store.close();
  });

  test("tells a change of a list's place as from what to what, unless places have moved", async () => {
    const store = openMemoryStore();
    await put(store, "orders:o1", { a: ["x", "y"], "b.c": 1 });
    await put(store, "orders:o1", { a: ["x", "z"], "b.c": 5.5 });
    await put(store, "orders:o1", { a: ["z"], "b.c": 5.5 });
    const [moved, changed] = await editsOf(store, "orders:o1");
    expect(changed).toEqual([
      { path: "a[1]", before: '"y"', after: '"z"' },
      { path: "b\\.c", before: "1", after: "5.5" },
    ]);
    expect(moved?.map(({ path, before }) => ({ path, before }))).toEqual([
      { path: "a[0]", before: undefined },
    ]);
    store.close();
  });

  test("tells what was written again as it was of neither a field nor a change", async () => {
    const store = openMemoryStore();
    await put(store, "tracks:t1", { lat: 1, lng: 2 });
    await put(store, "tracks:t1", { lat: 3, lng: 2 });
    await waitFor("the rendering", 25_000, () => store.renderings.waiting === 0 || undefined);
    const { source, changes } = await historyOf(store, "tracks:t1");
    expect(source).toBe("rendering");
    expect(changes[0]?.edits).toEqual([{ path: "lat", before: "1", after: "3" }]);
    store.close();
  });

  test("tells so many changes, so many edits of each, and so much of each value", async () => {
    const store = openMemoryStore();
    const wide = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, i]));
    await put(store, "orders:o1", { ...wide, long: "x".repeat(5000) });
    for (let i = 0; i < 5; i += 1) await put(store, "orders:o1", { i, long: ["y".repeat(900)] });
    const { changes, changeCount } = await historyOf(store, "orders:o1", 3);
    expect(changes).toHaveLength(3);
    expect(changeCount).toBe(6);
    const all = await historyOf(store, "orders:o1");
    const first = all.changes.at(-1);
    expect(first?.edits).toHaveLength(EDITS_MAX);
    expect(first?.editsLeft).toBe(101 - EDITS_MAX);
    for (const { edits } of all.changes) {
      for (const { before = "", after = "" } of edits) {
        expect(before.length).toBeLessThanOrEqual(VALUE_CHARS_MAX + 1);
        expect(after.length).toBeLessThanOrEqual(VALUE_CHARS_MAX + 1);
      }
    }
    store.close();
  });

  test("has both of two changes that were made apart, and their union under them", async () => {
    const [one, other] = [openMemoryStore(), openMemoryStore()];
    await put(one, "orders:o1", { v: 0 });
    const merge = async (from_: Store, to: Store) => {
      const state = from_.stateFor(key("orders:o1"));
      if (state === undefined) throw new Error("nothing to merge");
      await to.merge({ key: key("orders:o1"), ...state }, "p");
    };
    await merge(one, other);
    await put(one, "orders:o1", { v: 1 });
    await put(other, "orders:o1", { v: 2 });
    await merge(other, one);
    const { changes } = await historyOf(one, "orders:o1");
    expect(changes.map(({ edits }) => edits[0]?.after)).toContainAllValues(["1", "2", "0"]);
    expect(changes.slice(0, 2).every(({ edits }) => edits[0]?.before === "0")).toBe(true);
    expect(new Set(changes.map(({ actor }) => actor))).toEqual(new Set([one.start, other.start]));
    one.close();
    other.close();
  });

  test("of a guest may hold what has no JSON", async () => {
    const store = openMemoryStore();
    const guest = from({ text: "letters", when: new Date(5), bytes: new Uint8Array([1]), n: 1 });
    const chunks = save(guest);
    getBackend(guest).free();
    const bytes = encodeState({ form: "history", life: 0, born: 0, chunks });
    await store.merge({ key: key("orders:g"), bytes, hash: "" }, "guest");
    const [edits] = await editsOf(store, "orders:g");
    expect(edits).toContainEqual({ path: "text", before: undefined, after: "null" });
    expect(edits).toContainEqual({ path: "when", before: undefined, after: "5" });
    expect(edits).toContainEqual({ path: "n", before: undefined, after: "1" });
    store.close();
  });
});

describe("the history of a document that keeps none", () => {
  test("says of each field when and by which start it was written last, and which are removed", async () => {
    const clock = new VirtualClock();
    const store = openMemoryStore({ clock });
    const writing = put(store, "tracks:t1", { lat: 1, lng: 2 });
    await clock.advance(1);
    await writing;
    await clock.advance(59_999);
    const patched = store.write({
      key: key("tracks:t1"),
      operation: { kind: "patch", body: '{"lat":3,"lng":null}' },
    });
    await clock.advance(1);
    await patched;
    const reading = historyOf(store, "tracks:t1");
    await clock.advance(5_000);
    const { kind, fields, bornMs } = await reading;
    expect(kind).toBe("latest");
    const start = store.start;
    expect(fields).toEqual([
      { name: "lat", atMs: bornMs + 60_000, start, isRemoved: false },
      { name: "lng", atMs: bornMs + 60_000, start, isRemoved: true },
    ]);
    store.close();
  });
});

describe("the history of a deleted document", () => {
  test("is its deletion: when, by whom and why", async () => {
    const store = openMemoryStore({ nodeName: "bridge" });
    await put(store, "orders:o1", { v: 1 });
    await store.write({ key: key("orders:o1"), operation: { kind: "delete", reason: "done" } });
    const { deletion, changes, life } = await historyOf(store, "orders:o1");
    expect(deletion).toMatchObject({ by: "bridge", reason: "done" });
    expect(changes).toEqual([]);
    expect(life).toBe(1);
    store.close();
  });

  test("of one that never was is none", async () => {
    const store = openMemoryStore();
    await put(store, "orders:o1", {});
    await remove(store, "orders:o1");
    const refusal = await historyOf(store, "orders:o2").catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(Fault);
    expect(refusal).toMatchObject({ code: "document_not_found" });
    store.close();
  });
});
