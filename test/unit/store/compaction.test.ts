// A sweep takes the past of renderings, and nothing that anybody sees.
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { systemClock } from "../../../src/base/clock.ts";
import { CollectionPolicies, NO_CHOICES } from "../../../src/store/collection-policies.ts";
import { HistoryDocument } from "../../../src/store/history.ts";
import type { Store } from "../../../src/store/store.ts";
import type { StoreOptions } from "../../../src/store/store-options.ts";
import { openFileStore } from "../../support/file-store.ts";
import { changesOf, LateNode } from "../../support/late-node.ts";
import { key, put, read } from "../../support/memory-store.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const ALL = { collections: ["tracks"], thresholdBytes: 0, signal: new AbortController().signal };
const WINDOW_SECS = 60;

const nodes: LateNode[] = [];

function open(options?: Partial<StoreOptions>): LateNode {
  const node = new LateNode(options);
  nodes.push(node);
  return node;
}

afterEach(async () => {
  for (const node of nodes.splice(0)) await node[Symbol.asyncDispose]();
});

function policies(mode: "LatestOnly" | "WindowedHistory" | "FullHistory"): CollectionPolicies {
  const chosen =
    mode === "WindowedHistory" ? { kind: mode, windowSecs: WINDOW_SECS } : { kind: mode };
  return new CollectionPolicies({
    ...NO_CHOICES,
    modes: [{ collection: "tracks", mode: chosen }],
  });
}

function position(i: number) {
  return { lat: 52.5 + i * 1e-5, lon: 13.4 - i * 1e-5, speed: i % 300, name: "unit-7" };
}

/** The file and what SQLite has not written back to it yet. */
function fileBytes(path: string): number {
  return statSync(path).size + (existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0);
}

/** Everything of `name` on disk: row, rendering, tip. */
function rowBytes(path: string, name: string): number {
  const script = `
    const { Database } = await import("bun:sqlite");
    const db = new Database(process.argv[1], { readonly: true });
    const sum = (sql) => Object.values(db.query(sql).get(process.argv[2]))[0] ?? 0;
    console.log(sum("SELECT length(key) + length(state) + length(json) + length(hash) + 40 FROM documents WHERE key = ?")
      + sum("SELECT length(key) + length(tip) + 16 FROM renderings WHERE key = ?")
      + sum("SELECT sum(length(key) + length(chunks) + coalesce(length(state), 0) + 16) FROM rendering_parts WHERE key = ?"));`;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", script, path, name]);
  return Number(stdout.toString());
}

describe("a track that was written 10,000 times", () => {
  test("takes less than 2 KB afterwards, in rows and in the file, and nothing in memory", async () => {
    const once = open();
    await once.put("tracks:1", position(0));
    await once.rendered();
    await once.store.renderings.compact(ALL);
    once.store.close();

    const node = open();
    for (let i = 0; i < 10_000; i += 1) await node.patch("tracks:1", position(i));
    await node.clock.advance(600_000);
    const grown = node.store.renderings.read(key("tracks:1"))?.length ?? 0;
    expect(grown).toBeGreaterThan(1_000_000);
    const before = fileBytes(node.path);
    expect(before).toBeGreaterThan(grown);
    const state = node.store.hashOf(key("tracks:1"));

    const load = HistoryDocument.load;
    let loaded = 0;
    HistoryDocument.load = (...args) => {
      loaded += 1;
      return load(...args);
    };
    const swept = await node.store.renderings.compact(ALL);
    HistoryDocument.load = load;
    expect(loaded).toBe(0);

    expect(swept).toMatchObject({ count: 1, before: grown });
    expect(swept.after).toBe(node.store.renderings.read(key("tracks:1"))?.length ?? 0);
    expect(node.changes("tracks:1")?.length).toBe(1);
    expect(node.store.hashOf(key("tracks:1"))).toBe(state ?? "");
    const after = fileBytes(node.path);
    // As if it had been written once: no page more.
    expect(after - fileBytes(once.path)).toBeLessThan(2_048);
    expect(after).toBeLessThan(before / 20);
    node.store.close();
    expect(rowBytes(node.path, "tracks:1")).toBeLessThan(2_048);
  }, 180_000);
});

describe("a sweep", () => {
  test("leaves one change, the same on every node that holds the same", async () => {
    const [one, two] = [open(), open()];
    await one.put("tracks:1", { a: 1, b: 2.5 });
    await one.patch("tracks:1", { b: 3, c: "x" });
    const state = one.store.stateFor(key("tracks:1"));
    if (state === undefined) throw new Error("the document was written");
    const merged = two.store.merge({ key: key("tracks:1"), ...state }, "one");
    await two.clock.advance(1);
    await merged;
    for (const node of [one, two]) {
      await node.rendered();
      await node.store.renderings.compact(ALL);
    }
    const [change, ...others] = one.changes("tracks:1") ?? [];
    expect(others).toEqual([]);
    expect(change?.time).toBe(0);
    expect(one.store.renderings.read(key("tracks:1"))).toEqual(
      two.store.renderings.read(key("tracks:1")) ?? new Uint8Array(),
    );
  });

  test("takes only what is larger than the threshold, and tells true sizes", async () => {
    const node = open();
    for (let i = 0; i < 50; i += 1) await node.patch("tracks:large", position(i));
    for (let i = 0; i < 5; i += 1) await node.patch("tracks:small", position(i));
    await node.put("tracks:once", { text: "x".repeat(100_000) });
    await node.rendered();
    const size = (name: string) => node.store.renderings.read(key(name))?.length ?? 0;
    const before = size("tracks:large");
    const small = size("tracks:small");
    const options = { ...ALL, thresholdBytes: small };
    const swept = await node.store.renderings.compact(options);
    expect(swept).toEqual({ count: 1, before, after: size("tracks:large") });
    expect(node.changes("tracks:small")?.length).toBe(5);
    // Nothing is left to be taken, also of the one that is large by its content.
    expect(await node.store.renderings.compact(options)).toMatchObject({ count: 0 });
    const rest = await node.store.renderings.compact({ ...options, thresholdBytes: small - 1 });
    expect(rest).toMatchObject({ count: 1, before: small });
  });

  test("takes the collections it is given, and never one that keeps its full history", async () => {
    const node = open();
    for (let i = 0; i < 30; i += 1) {
      for (const name of ["tracks:1", "tracks2:1", "beacons:1", "reports:1"]) {
        await node.patch(name, position(i));
      }
    }
    await node.rendered();
    const history = node.store.stateFor(key("reports:1"));
    const collections = ["tracks", "reports", "nowhere"];
    const swept = await node.store.renderings.compact({ ...ALL, collections });
    expect(swept.count).toBe(1);
    expect(node.changes("tracks:1")?.length).toBe(1);
    expect(node.changes("beacons:1")?.length).toBe(30);
    expect(node.store.stateFor(key("reports:1"))).toEqual(history);
  });

  test("lets a document grow on, also across a restart right after it", async () => {
    const node = open();
    for (let i = 0; i < 10; i += 1) await node.patch("tracks:1", position(i));
    await node.rendered();
    await node.store.renderings.compact(ALL);
    node.crash();
    expect(node.changes("tracks:1")?.length).toBe(1);
    for (let i = 10; i < 15; i += 1) await node.patch("tracks:1", position(i));
    await node.rendered();
    expect(node.changes("tracks:1")?.length).toBe(6);
    await node.store.renderings.compact(ALL);
    await node.patch("tracks:1", position(99));
    await node.rendered();
    expect(node.changes("tracks:1")?.length).toBe(2);
  });

  test("of a document with writes that wait to be rendered adds nothing twice", async () => {
    const node = open();
    for (let i = 0; i < 10; i += 1) await node.patch("tracks:1", position(i));
    await node.rendered();
    for (let i = 10; i < 20; i += 1) await node.patch("tracks:1", position(i));
    await node.store.renderings.compact(ALL);
    const compacted = node.store.renderings.read(key("tracks:1"));
    await node.rendered();
    expect(node.store.renderings.read(key("tracks:1"))).toEqual(compacted ?? new Uint8Array());
    expect(node.changes("tracks:1")?.length).toBe(1);
  });

  test("leaves out a document that is deleted and waits to lose its rendering", async () => {
    const node = open();
    for (let i = 0; i < 10; i += 1) await node.patch("tracks:1", position(i));
    await node.rendered();
    await node.remove("tracks:1");
    expect(await node.store.renderings.compact(ALL)).toMatchObject({ count: 0 });
    await node.rendered();
    expect(node.store.renderings.read(key("tracks:1"))).toBeUndefined();
  });

  test("that is told to end does so after the document that it is at", async () => {
    const node = open();
    for (let i = 0; i < 5; i += 1) await node.patch("tracks:1", position(i));
    await node.rendered();
    const signal = AbortSignal.abort();
    expect(await node.store.renderings.compact({ ...ALL, signal })).toMatchObject({ count: 0 });
    expect(node.changes("tracks:1")?.length).toBe(5);
  });
});

describe("a window of history", () => {
  /** Six writes, one every 20 s, the last one 10 s ago: the window has three of them. */
  async function written(node: LateNode): Promise<void> {
    for (let i = 0; i < 6; i += 1) {
      await node.clock.advance(20_000);
      await node.patch("tracks:1", { i, [`n${i}`]: 2 ** 53 - 1 - i, f: i + 0.1 });
    }
    await node.rendered();
  }

  test("keeps the changes in it, after one change with all before", async () => {
    const node = open({ policies: policies("WindowedHistory") });
    await written(node);
    const before = node.changes("tracks:1") ?? [];
    expect(before.length).toBe(6);
    expect(await node.store.renderings.compact(ALL)).toMatchObject({ count: 1 });
    const after = node.changes("tracks:1") ?? [];
    expect(after.length).toBe(4);
    expect(after[0]?.time).toBe(0);
    expect(after.slice(1).map(({ time }) => time)).toEqual(before.slice(3).map(({ time }) => time));
    expect(after.at(-1)?.ops.length).toBe(before.at(-1)?.ops.length ?? 0);
    expect(read(node.store, "tracks:1")).toContain('"n0":9007199254740991');
    // Nothing has left the window since.
    expect(await node.store.renderings.compact(ALL)).toMatchObject({ count: 0 });
  });

  test("moves on with time, until one change is left", async () => {
    const node = open({ policies: policies("WindowedHistory") });
    await written(node);
    const counts: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      await node.store.renderings.compact(ALL);
      counts.push(node.changes("tracks:1")?.length ?? 0);
      await node.clock.advance(20_000);
    }
    expect(counts).toEqual([4, 3, 2, 1]);
    await node.patch("tracks:1", { i: 99 });
    await node.rendered();
    expect(node.changes("tracks:1")?.length).toBe(2);
  });

  test("that was not kept from the beginning, as the mode was another, begins with the sweep", async () => {
    const node = open({ policies: policies("LatestOnly") });
    await written(node);
    node.restartWith({ policies: policies("WindowedHistory") });
    await node.patch("tracks:1", { i: 6 });
    await node.rendered();
    expect(await node.store.renderings.compact(ALL)).toMatchObject({ count: 1 });
    expect(node.changes("tracks:1")?.length).toBe(1);
    await node.patch("tracks:1", { i: 7 });
    await node.clock.advance(20_000);
    await node.store.renderings.compact(ALL);
    expect(node.changes("tracks:1")?.length).toBe(2);
  });

  test("of many changes is cut while more of them come in", async () => {
    using folder = tempFolder({ isInMemory: true });
    let skewMs = 0;
    const clock = { ...systemClock, now: () => Date.now() + skewMs };
    const options = { clock, policies: policies("WindowedHistory") };
    const { store } = openFileStore(folder.file("peat.db"), options);
    const write = (i: number) => put(store, "tracks:1", position(i));
    for (let i = 0; i < 50; i += 1) await write(i);
    await rendered(store, "tracks:1", 50);
    skewMs += 2 * WINDOW_SECS * 1000;
    for (let i = 50; i < 500; i += 1) await write(i);
    await rendered(store, "tracks:1", 500);
    let written = 500;
    let isSwept = false;
    const writing = (async () => {
      for (; !isSwept; written += 1) await write(written);
    })();
    const swept = await store.renderings.compact(ALL);
    isSwept = true;
    await writing;
    expect(swept.count).toBe(1);
    // The last one before the window is its beginning.
    await rendered(store, "tracks:1", written - 49);
    store.close();
  }, 180_000);
});

async function allRendered(store: Store): Promise<void> {
  const untilMs = performance.now() + 120_000;
  while (store.renderings.waiting > 0) {
    if (performance.now() > untilMs) throw new Error("renderings don't catch up");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Until the rendering shows the newest state with so many changes. */
async function rendered(store: Store, name: string, changes: number): Promise<void> {
  await allRendered(store);
  expect(changesOf(store, name)?.length).toBe(changes);
}

test("documents that are written while a sweep runs lose nothing, and nobody waits for it", async () => {
  using folder = tempFolder({ isInMemory: true });
  const { store } = openFileStore(folder.file("peat.db"));
  const names = Array.from({ length: 60 }, (_, i) => `tracks:${i}`);
  for (let i = 0; i < 10; i += 1) {
    await Promise.all(names.map((name) => put(store, name, position(i))));
  }
  await allRendered(store);
  let isSwept = false;
  let round = 10;
  const writing = (async () => {
    for (; !isSwept; round += 1) {
      await Promise.all(names.slice(0, 10).map((name) => put(store, name, position(round))));
    }
  })();
  const counts: number[] = [];
  let roundsMeanwhile = 0;
  // A later sweep finds something only when a rendering came between, which takes as long as the machine likes.
  while (round < 100 || counts.slice(1).every((count) => count === 0)) {
    const before = round;
    counts.push((await store.renderings.compact(ALL)).count);
    roundsMeanwhile += round - before;
    await new Promise((resolve) => setImmediate(resolve));
  }
  isSwept = true;
  await writing;
  expect(counts[0]).toBe(names.length);
  expect(roundsMeanwhile).toBeGreaterThan(0);
  await allRendered(store);
  for (const name of names) expect(changesOf(store, name)?.length).toBeGreaterThan(0);
  expect(JSON.parse(read(store, "tracks:0") ?? "")).toEqual(position(round - 1));
  store.close();
}, 180_000);
