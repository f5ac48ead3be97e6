import { describe, expect, test } from "bun:test";
import { Fault } from "../../../src/base/faults.ts";
import type { Committed, Store, WriteRequest } from "../../../src/store/store.ts";
import { key, openMemoryStore, put, read, remove } from "../../support/memory-store.ts";

function patch(store: Store, name: string, body: string, conditions: Partial<WriteRequest> = {}) {
  return store.write({ key: key(name), operation: { kind: "patch", body }, ...conditions });
}

async function codeOf(write: Promise<unknown>): Promise<string> {
  return await write.then(
    () => "done",
    (error: unknown) => (error instanceof Fault ? error.code : `not a fault: ${error}`),
  );
}

/** Sends everything that `from` has to `to`, as a peer would. */
async function sync(from: Store, to: Store): Promise<string[]> {
  const outcomes: string[] = [];
  for (const leaf of from.leaves({ depth: 0, index: 0 })) {
    const state = from.stateFor(leaf.key);
    if (state === undefined) continue;
    outcomes.push((await to.merge({ key: leaf.key, ...state }, "peer")).kind);
  }
  return outcomes;
}

for (const name of ["tracks:1", "notes:1"]) {
  describe(`a document of ${name.split(":")[0]}`, () => {
    test("is what was put, patched and removed, in one canonical text", async () => {
      const store = openMemoryStore();
      expect((await put(store, name, { b: 1, a: [1.5] })).outcome).toBe("created");
      expect(read(store, name)).toBe('{"a":[1.5],"b":1}');
      expect((await patch(store, name, '{"a":null,"c":{"d":5.0}}')).outcome).toBe("changed");
      expect(read(store, name)).toBe('{"b":1,"c":{"d":5.0}}');
      expect((await remove(store, name)).outcome).toBe("deleted");
      expect(read(store, name)).toBeUndefined();
      expect(store.summary()).toMatchObject({ documents: 0, tombstones: 1 });
      store.close();
    });

    test("removes fields whose names every object inherits", async () => {
      const store = openMemoryStore();
      await put(store, name, { toString: 1, constructor: 2, a: 3 });
      await put(store, name, { a: 3 });
      expect(read(store, name)).toBe('{"a":3}');
      store.close();
    });

    test("lives again after a delete, as a new one", async () => {
      const store = openMemoryStore();
      await put(store, name, { a: 1, b: 2 });
      await remove(store, name);
      expect((await patch(store, name, '{"c":3}')).outcome).toBe("created");
      expect(read(store, name)).toBe('{"c":3}');
      expect(store.summary()).toMatchObject({ documents: 1, tombstones: 0 });
      store.close();
    });

    test("that is not there can't be deleted, and a patch creates it", async () => {
      const store = openMemoryStore();
      expect(await codeOf(remove(store, name))).toBe("document_not_found");
      await patch(store, name, '{"a":1,"b":null}');
      expect(read(store, name)).toBe('{"a":1}');
      await remove(store, name);
      expect(await codeOf(remove(store, name))).toBe("document_not_found");
      store.close();
    });

    test("that two nodes began by patches has the fields of both", async () => {
      const [a, b] = [openMemoryStore(), openMemoryStore({ nodeName: "node-b" })];
      await patch(a, name, '{"x":1}');
      await patch(b, name, '{"y":2}');
      await sync(a, b);
      expect(await sync(b, a)).toEqual(["equal"]);
      expect(read(a, name)).toBe('{"x":1,"y":2}');
      expect(a.summary().rootHash).toBe(b.summary().rootHash);
      a.close();
      b.close();
    });

    test("is not brought back by a peer that still has it, and the peer is told", async () => {
      const [a, b] = [openMemoryStore(), openMemoryStore({ nodeName: "node-b" })];
      await put(a, name, { x: 1 });
      await sync(a, b);
      await remove(a, name);
      await patch(b, name, '{"y":2}');
      expect(await sync(b, a)).toEqual(["ahead"]);
      expect(read(a, name)).toBeUndefined();
      await sync(a, b);
      expect(read(b, name)).toBeUndefined();
      a.close();
      b.close();
    });

    test("refuses what is too large, too deep, or no object, and stays as it was", async () => {
      const store = openMemoryStore({ documentBytesMax: 1_000 });
      await put(store, name, { a: 1 });
      const deep = `{"a":${"[".repeat(64)}${"]".repeat(64)}}`;
      for (const body of [
        "[]",
        "{",
        deep,
        '{"__proto__":1}',
        '{"a":"\\ud800"}',
        `{"a":${'{"a":'.repeat(2)}1}`,
      ]) {
        const request = { key: key(name), operation: { kind: "put", body } } as const;
        expect(await codeOf(store.write(request))).toBe("invalid_argument");
      }
      expect(await codeOf(put(store, name, { a: "x".repeat(1_000) }))).toBe("payload_too_large");
      // 400 characters of three bytes each, in two steps that are small enough by themselves.
      await patch(store, name, JSON.stringify({ a: "€".repeat(200) }));
      expect(await codeOf(patch(store, name, JSON.stringify({ b: "€".repeat(200) })))).toBe(
        "payload_too_large",
      );
      await patch(store, name, '{"a":1}');
      expect(read(store, name)).toBe('{"a":1}');
      store.close();
    });

    test("a patch too deep to be followed is refused, and the process goes on", async () => {
      const fatal: Fault[] = [];
      const store = openMemoryStore({ onFatal: (fault) => fatal.push(fault) });
      const body = `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`;
      expect(await codeOf(patch(store, name, body))).toBe("invalid_argument");
      expect(fatal).toEqual([]);
      store.close();
    });
  });
}

describe("conditions", () => {
  test("see what earlier writes of the same group left", async () => {
    const store = openMemoryStore();
    const first = put(store, "tracks:1", { n: 1 });
    const twice = store.write({
      key: key("tracks:1"),
      operation: { kind: "put", body: '{"n":2}' },
      ifNoneMatch: "*",
    });
    expect((await first).outcome).toBe("created");
    expect(await codeOf(twice)).toBe("precondition_failed");
    expect(read(store, "tracks:1")).toBe('{"n":1}');
    store.close();
  });

  test("let one of many that read the same state win", async () => {
    const store = openMemoryStore();
    for (const name of ["tracks:1", "notes:1"]) {
      const { document } = await put(store, name, { n: 0 });
      const writers = Array.from({ length: 50 }, (_, i) =>
        patch(store, name, `{"n":${i + 1}}`, { ifMatch: [document.hash] }),
      );
      const codes = await Promise.all(writers.map(codeOf));
      expect(codes.filter((code) => code === "done")).toHaveLength(1);
      expect(codes.filter((code) => code === "precondition_failed")).toHaveLength(49);
    }
    store.close();
  });

  test("hold or not as RFC 9110 has it", async () => {
    const store = openMemoryStore();
    const write = (conditions: Partial<WriteRequest>) =>
      codeOf(patch(store, "tracks:1", '{"n":1}', conditions));
    expect(await write({ ifMatch: "*" })).toBe("precondition_failed");
    expect(await write({ ifMatch: ["00"] })).toBe("precondition_failed");
    expect(await write({ ifNoneMatch: ["00"] })).toBe("done");
    const hash = store.hashOf(key("tracks:1")) ?? "";
    expect(await write({ ifMatch: ["00", hash] })).toBe("done");
    expect(await write({ ifNoneMatch: ["00", hash] })).toBe("precondition_failed");
    await remove(store, "tracks:1");
    expect(await write({ ifMatch: "*" })).toBe("precondition_failed");
    expect(await write({ ifNoneMatch: "*" })).toBe("done");
    store.close();
  });
});

describe("a write", () => {
  test("of the same history again changes nothing: no new state, no commit, no change told", async () => {
    const store = openMemoryStore();
    const first = await put(store, "notes:1", { a: 1, list: [1, 2] });
    const told: Committed[] = [];
    store.onCommit((committed) => told.push(...committed));
    const again = await put(store, "notes:1", { list: [1, 2], a: 1 });
    expect(again.outcome).toBe("unchanged");
    expect(again.document.hash).toBe(first.document.hash);
    expect((await patch(store, "notes:1", '{"a":1}')).outcome).toBe("unchanged");
    expect(told).toEqual([]);
    store.close();
  });

  test("is answered after its commit: readers, feed and push have it by then", async () => {
    const store = openMemoryStore();
    const order: string[] = [];
    store.onCommit(() => order.push(`pushed ${read(store, "tracks:1")}`));
    const write = put(store, "tracks:1", { n: 1 });
    expect(read(store, "tracks:1")).toBeUndefined();
    await write.then(() => order.push("answered"));
    expect(order).toEqual(['pushed {"n":1}', "answered"]);
    store.close();
  });

  test("that waits when the store closes is still committed; a later one is refused", async () => {
    const store = openMemoryStore();
    const waiting = put(store, "tracks:1", { n: 1 });
    store.close();
    expect((await waiting).outcome).toBe("created");
    expect(await codeOf(put(store, "tracks:1", { n: 2 }))).toBe("not_ready");
    store.close();
  });

  test("beyond what may wait is refused at once", async () => {
    const store = openMemoryStore();
    const writes = Array.from({ length: 20_001 }, () => put(store, "tracks:1", { n: 1 }));
    expect(await codeOf(writes.at(-1) ?? Promise.resolve())).toBe("overloaded");
    expect((await Promise.all(writes.slice(0, -1))).length).toBe(20_000);
    store.close();
  });
});

describe("a peer's state", () => {
  test("that is no state is refused, and harms neither process nor document", async () => {
    const fatal: Fault[] = [];
    const store = openMemoryStore({ onFatal: (fault) => fatal.push(fault) });
    await put(store, "notes:1", { a: 1 });
    const good = store.stateFor(key("notes:1"))?.bytes ?? new Uint8Array();
    const headless = new Uint8Array([...good.subarray(0, 13), 1, 2, 3]);
    const codes: string[] = [];
    for (const bytes of [
      new Uint8Array(),
      new Uint8Array([9, 9]),
      headless,
      good.subarray(0, 20),
    ]) {
      const merge = store.merge({ key: key("notes:1"), bytes, hash: "0".repeat(32) }, "peer");
      codes.push(await codeOf(merge));
    }
    expect(codes.slice(0, 2)).toEqual(["wire_invalid", "wire_invalid"]);
    // Automerge passes over bytes that don't even begin a chunk; then nothing was added.
    for (const code of codes.slice(2)) expect(["wire_invalid", "done"]).toContain(code);
    expect(read(store, "notes:1")).toBe('{"a":1}');
    expect((await patch(store, "notes:1", '{"b":2}')).outcome).toBe("changed");
    expect(fatal).toEqual([]);
    store.close();
  });

  test("with changes that depend on others asks for them, and the document stays usable", async () => {
    const [a, b] = [openMemoryStore(), openMemoryStore({ nodeName: "node-b" })];
    const deltas: Committed[] = [];
    a.onCommit((committed) => deltas.push(...committed));
    await put(a, "notes:1", { n: 1 });
    await sync(a, b);
    await patch(a, "notes:1", '{"n":2}');
    await patch(a, "notes:1", '{"n":3}');
    const last = deltas.at(-1);
    const incoming = {
      key: key("notes:1"),
      bytes: last?.delta ?? new Uint8Array(),
      hash: last?.hash ?? "",
    };
    const outcome = await b.merge(incoming, "node-a");
    expect(outcome).toEqual({ kind: "incomplete" });
    await patch(b, "notes:1", '{"m":1}');
    const rest = a.stateFor(key("notes:1"), b.headsOf(key("notes:1")));
    expect(rest && (await b.merge({ key: key("notes:1"), ...rest }, "node-a")).kind).toBe("ahead");
    expect(read(b, "notes:1")).toBe('{"m":1,"n":3}');
    a.close();
    b.close();
  });

  test("is told further with the peer that it came from", async () => {
    const [a, b] = [openMemoryStore(), openMemoryStore({ nodeName: "node-b" })];
    const origins: (string | undefined)[] = [];
    b.onCommit((committed) => origins.push(...committed.map(({ origin }) => origin)));
    await put(a, "tracks:1", { n: 1 });
    await sync(a, b);
    await sync(a, b);
    await put(b, "tracks:1", { n: 2 });
    expect(origins).toEqual(["peer", undefined]);
    a.close();
    b.close();
  });
});

test("documents are counted and listed by collection, page by page", async () => {
  const store = openMemoryStore();
  await Promise.all(["a", "b", "c", "d"].map((id) => put(store, `notes:${id}`, {})));
  await put(store, "tracks:1", {});
  await remove(store, "notes:b");
  expect(store.collections()).toEqual([
    { name: "notes", count: 3 },
    { name: "tracks", count: 1 },
  ]);
  const page = store.list("notes", { limit: 2 });
  expect(page.map(({ id }) => id)).toEqual(["a", "c"]);
  expect(store.list("notes", { limit: 2, after: "c" }).map(({ id }) => id)).toEqual(["d"]);
  expect(store.count("nothing")).toBe(0);
  store.close();
});
