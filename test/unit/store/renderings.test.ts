// What stands beside latest documents on disk: grown by one change per write, late but never wrong, found again
// after a restart, gone with its document.
import { afterEach, describe, expect, test } from "bun:test";
import { CollectionPolicies, NO_CHOICES } from "../../../src/store/collection-policies.ts";
import type { StoreOptions } from "../../../src/store/store-options.ts";
import { toFirstSchema } from "../../support/file-store.ts";
import { LateNode } from "../../support/late-node.ts";
import { key, put, read } from "../../support/memory-store.ts";

const nodes: LateNode[] = [];

function open(options?: Partial<StoreOptions>): LateNode {
  const node = new LateNode(options);
  nodes.push(node);
  return node;
}

afterEach(async () => {
  for (const node of nodes.splice(0)) await node[Symbol.asyncDispose]();
});

describe("growing", () => {
  test("every write is a change, at the time of its commit", async () => {
    const node = open();
    await node.put("tracks:1", { lat: 1, lon: 2.5 });
    const times = [0];
    for (let i = 0; i < 20; i += 1) {
      await node.clock.advance(3_000 * (i % 3));
      if (i % 2 === 0)
        await node.patch("tracks:1", { lat: i, big: i === 4 ? [1, { a: null }] : 0 });
      else await node.put("tracks:1", { lat: i + 0.1, text: "ü" });
      times.push(Math.floor(node.clock.now() / 1000));
    }
    await node.rendered();
    const changes = node.changes("tracks:1") ?? [];
    expect(changes.length).toBe(21);
    for (const [index, { time }] of changes.entries()) {
      expect(Math.abs(time - (times[index] ?? -1))).toBeLessThanOrEqual(1);
    }
  });

  test("what a peer sent is rendered like what was written here", async () => {
    const [one, two] = [open(), open()];
    await two.put("tracks:1", { a: 2, b: 2, c: 2 });
    await one.clock.advance(1_000);
    await one.put("tracks:1", { a: 1, b: 1 });
    await one.patch("tracks:1", { b: 3 });
    const state = one.store.stateFor(key("tracks:1"));
    if (state === undefined) throw new Error("the document was written");
    const merged = two.store.merge({ key: key("tracks:1"), ...state }, "one");
    await two.clock.advance(1);
    await merged;
    await two.rendered();
    // The replacement, as far as it still shows, and the patch after it.
    expect(two.changes("tracks:1")?.length).toBe(3);
    expect(read(two.store, "tracks:1")).toBe(read(one.store, "tracks:1"));
  });

  test("documents with their whole history have none", async () => {
    const node = open();
    await node.put("reports:1", { a: 1 });
    await node.rendered();
    expect(node.changes("reports:1")).toBeUndefined();
  });

  test("a thousand documents are rendered in small steps", async () => {
    const node = open();
    const writes = Array.from({ length: 1_000 }, (_, i) => put(node.store, `tracks:${i}`, { i }));
    await node.clock.advance(40);
    await Promise.all(writes);
    expect(node.changes("tracks:999")).toBeUndefined();
    await node.rendered();
    for (let i = 0; i < 1_000; i += 1) expect(node.changes(`tracks:${i}`)?.length).toBe(1);
  });

  test("what the queue can't hold is read from the documents", async () => {
    const node = open();
    const text = "x".repeat(900_000);
    const writes = Array.from({ length: 12 }, (_, i) =>
      put(node.store, `tracks:${i}`, { text, i }),
    );
    await node.clock.advance(20);
    await Promise.all(writes);
    await node.rendered();
    for (let i = 0; i < 12; i += 1) expect(node.changes(`tracks:${i}`)?.length).toBe(1);
    await node.patch("tracks:3", { i: 99 });
    await node.rendered();
    expect(node.changes("tracks:3")?.length).toBe(2);
  });
});

describe("with its document", () => {
  test("a deleted document's goes, and a new life begins anew", async () => {
    const node = open();
    await node.put("tracks:1", { a: 1 });
    await node.patch("tracks:1", { a: 2 });
    await node.rendered();
    await node.remove("tracks:1");
    await node.rendered();
    expect(node.changes("tracks:1")).toBeUndefined();
    await node.put("tracks:1", { a: 3 });
    await node.rendered();
    expect(node.changes("tracks:1")?.length).toBe(1);
  });

  test("deleted and written again before it was rendered, it is of the new life only", async () => {
    const node = open();
    await node.put("tracks:1", { a: 1 });
    await node.rendered();
    await node.remove("tracks:1");
    await node.put("tracks:1", { b: 1 });
    await node.patch("tracks:1", { b: 2 });
    await node.rendered();
    expect(node.changes("tracks:1")?.length).toBe(2);
  });

  test("a document that a peer keeps with its history gives it up", async () => {
    const node = open();
    await node.put("tracks:1", { a: 1 });
    await node.rendered();
    expect(node.changes("tracks:1")?.length).toBe(1);
    const modes = [{ collection: "tracks", mode: { kind: "FullHistory" } as const }];
    const other = open({ policies: new CollectionPolicies({ ...NO_CHOICES, modes }) });
    await other.put("tracks:1", { a: 2 });
    const state = other.store.stateFor(key("tracks:1"));
    if (state === undefined) throw new Error("the document was written");
    const merged = node.store.merge({ key: key("tracks:1"), ...state }, "other");
    await node.clock.advance(1);
    await merged;
    await node.rendered();
    expect(node.changes("tracks:1")).toBeUndefined();
  });

  test("of a row that is gone nothing stays, and what waited does not bring it back", async () => {
    const node = open();
    await node.put("tracks:1", { a: 1 });
    await node.rendered();
    node.crash("DELETE FROM documents");
    expect(node.store.renderings.read(key("tracks:1"))).toBeUndefined();
    node.crash("UPDATE meta SET value = 0 WHERE name = 'rendered_seq'");
    await node.rendered();
    expect(node.store.renderings.read(key("tracks:1"))).toBeUndefined();
  });
});

describe("after a restart", () => {
  test("what waited at a stop is rendered, write by write", async () => {
    const node = open();
    for (let i = 0; i < 10; i += 1) await node.patch("tracks:1", { i });
    node.restart();
    expect(node.changes("tracks:1")?.length).toBe(10);
    await node.patch("tracks:1", { i: 10 });
    await node.rendered();
    const changes = node.changes("tracks:1") ?? [];
    expect(changes.length).toBe(11);
    expect(new Set(changes.map(({ actor }) => actor)).size).toBe(3);
  });

  test("what a power cut took from memory is found again in the documents", async () => {
    const node = open();
    await node.put("tracks:1", { a: 1, b: 1 });
    await node.rendered();
    await node.patch("tracks:1", { a: 2 });
    await node.patch("tracks:1", { a: 3 });
    await node.patch("tracks:1", { b: 4 });
    await node.put("tracks:2", {});
    await node.remove("tracks:2");
    await node.put("tracks:3", { c: 1 });
    node.crash();
    expect(node.store.renderings.read(key("tracks:3"))).toBeUndefined();
    await node.rendered();
    // One change per write that still shows: the first of the two of `a` does not.
    expect(node.changes("tracks:1")?.length).toBe(3);
    expect(node.changes("tracks:2")).toBeUndefined();
    expect(node.changes("tracks:3")?.length).toBe(1);
  });

  test("a file of the first schema gets them for all its documents", async () => {
    const node = open();
    for (let i = 0; i < 200; i += 1) await node.put(`tracks:${i}`, { i });
    await node.put("reports:1", { a: 1 });
    node.crash(toFirstSchema);
    await node.rendered();
    for (let i = 0; i < 200; i += 1) expect(node.changes(`tracks:${i}`)?.length).toBe(1);
    expect(node.changes("reports:1")).toBeUndefined();
    expect(read(node.store, "tracks:7")).toBe('{"i":7}');
    expect(node.store.summary()).toMatchObject({ documents: 201, tombstones: 0 });
  });

  test("one whose end the disk has damaged begins anew", async () => {
    const node = open();
    for (let i = 0; i < 5; i += 1) await node.patch("tracks:1", { i });
    await node.rendered();
    expect(node.changes("tracks:1")?.length).toBe(5);
    node.crash("UPDATE renderings SET tip = substr(tip, 1, 40) || x'00' || substr(tip, 42)");
    await node.patch("tracks:1", { i: 5 });
    await node.rendered();
    expect(node.changes("tracks:1")?.length).toBe(1);
  });
});

test("on a full disk they fall behind without harm, and catch up when there is room", async () => {
  const node = open();
  await node.put("tracks:1", { a: 1 });
  await node.rendered();
  for (let i = 2; i < 6; i += 1) await node.put(`tracks:${i}`, { text: "x".repeat(50_000) });
  await node.patch("tracks:1", { a: 2 });
  node.fillDisk();
  await node.rendered();
  expect(node.store.renderings.read(key("tracks:2"))).toBeUndefined();
  expect(read(node.store, "tracks:1")).toBe('{"a":2}');
  node.makeRoom();
  await node.clock.advance(60_000);
  for (let i = 2; i < 6; i += 1) expect(node.changes(`tracks:${i}`)?.length).toBe(1);
  expect(node.changes("tracks:1")?.length).toBe(2);
});
