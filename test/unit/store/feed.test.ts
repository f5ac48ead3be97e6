import { describe, expect, test } from "bun:test";
import { FeedReaders } from "../../../src/store/feed-readers.ts";
import type { Store, Subscription } from "../../../src/store/store.ts";
import { openFileStore, tamper } from "../../support/file-store.ts";
import { openMemoryStore, put, remove } from "../../support/memory-store.ts";
import { tempFolder } from "../../support/temp-folder.ts";

async function take(subscription: Subscription, count: number): Promise<string[]> {
  const told: string[] = [];
  while (told.length < count) {
    const taken = await subscription.take();
    if (taken === undefined) told.push("end");
    else if (taken.kind === "gap") told.push(`gap ${taken.missed}`);
    else told.push(`${taken.item.document.key} ${taken.item.document.json}`);
  }
  return told;
}

async function lastToken(store: Store): Promise<string> {
  const subscription = store.subscribe({ capacity: 10 });
  subscription.close();
  return subscription.position;
}

describe("a subscriber", () => {
  test("is told of changes in the order of their commits, with what the document was before", async () => {
    const store = openMemoryStore();
    const feed = store.subscribe({ capacity: 10 });
    await put(store, "notes:1", { n: 1 });
    await put(store, "notes:1", { n: 2 });
    await remove(store, "notes:1");
    await put(store, "notes:1", { n: 3 });
    const before: string[] = [];
    const seqs: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      const taken = await feed.take();
      if (taken?.kind !== "item") continue;
      before.push(`${taken.item.before} ${taken.item.document.json}`);
      seqs.push(taken.item.seq);
    }
    expect(before).toEqual(['absent {"n":1}', 'alive {"n":2}', "alive null", 'deleted {"n":3}']);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    store.close();
  });

  test("hears nothing of what was before, of other collections, or of writes that change nothing", async () => {
    const store = openMemoryStore();
    await put(store, "notes:1", { n: 1 });
    const feed = store.subscribe({ capacity: 10, collections: ["notes"] });
    await put(store, "tracks:1", { n: 1 });
    await put(store, "notes:1", { n: 1 });
    await put(store, "notes:2", { n: 2 });
    expect(await take(feed, 1)).toEqual(['notes:2 {"n":2}']);
    store.close();
  });

  test("that is too slow is told how much it missed, and then goes on", async () => {
    const store = openMemoryStore();
    const feed = store.subscribe({ capacity: 2 });
    for (let n = 1; n <= 5; n += 1) await put(store, "notes:1", { n });
    expect(await take(feed, 3)).toEqual(['notes:1 {"n":1}', 'notes:1 {"n":2}', "gap 3"]);
    await put(store, "notes:1", { n: 6 });
    expect(await take(feed, 1)).toEqual(['notes:1 {"n":6}']);
    store.close();
  });

  test("that comes back with a token gets the newest of each document since, then what follows", async () => {
    const store = openMemoryStore();
    await put(store, "notes:old", { n: 0 });
    const since = await lastToken(store);
    await put(store, "notes:1", { n: 1 });
    await put(store, "tracks:1", { n: 1 });
    await put(store, "notes:2", { n: 2 });
    await put(store, "notes:1", { n: 3 });
    const feed = store.subscribe({ capacity: 10, collections: ["notes"], since });
    expect(feed.lostSince).toBe(false);
    await put(store, "notes:3", { n: 4 });
    expect(await take(feed, 3)).toEqual(['notes:2 {"n":2}', 'notes:1 {"n":3}', 'notes:3 {"n":4}']);
    store.close();
  });

  test("loses and repeats no document when others are written while it reads its backlog", async () => {
    const store = openMemoryStore();
    const since = await lastToken(store);
    for (let i = 0; i < 300; i += 1) void put(store, `notes:${i}`, { n: 0 });
    await put(store, "notes:last", { n: 0 });
    const feed = store.subscribe({ capacity: 1_000, since });
    const first = await take(feed, 200);
    for (let i = 0; i < 300; i += 1) void put(store, `notes:${i}`, { n: 1 });
    await put(store, "notes:end", { n: 1 });
    const told = [...first];
    while (told.at(-1) !== 'notes:end {"n":1}') told.push(...(await take(feed, 1)));
    const newest = new Map(told.map((text) => text.split(" ") as [string, string]));
    expect(newest.size).toBe(302);
    for (let i = 0; i < 300; i += 1) expect(newest.get(`notes:${i}`)).toBe('{"n":1}');
    expect(new Set(told).size).toBe(told.length);
    store.close();
  });

  test("is told when its token can't be honoured: of another store, of the future, or no token at all", async () => {
    const [store, other] = [openMemoryStore(), openMemoryStore()];
    await put(store, "notes:1", { n: 1 });
    const future = `${store.storeId}-999`;
    for (const since of [
      await lastToken(other),
      future,
      "",
      "x",
      `${store.storeId}-1-1`,
      `${store.storeId}--1`,
    ]) {
      const feed = store.subscribe({ capacity: 10, since });
      expect(feed.lostSince).toBe(true);
      // Whoever lost its place is told everything there is.
      expect(await take(feed, 1)).toEqual(['notes:1 {"n":1}']);
      feed.close();
    }
    store.close();
    other.close();
  });

  test("sees the end when it closes, and when the store does, also in the middle of a backlog", async () => {
    const store = openMemoryStore();
    const since = await lastToken(store);
    await put(store, "notes:1", { n: 1 });
    await put(store, "notes:2", { n: 2 });
    const closed = store.subscribe({ capacity: 10, since });
    closed.close();
    expect(await closed.take()).toBeUndefined();
    const waiting = store.subscribe({ capacity: 10 });
    const reading = store.subscribe({ capacity: 10, since });
    expect(await take(reading, 1)).toEqual(['notes:1 {"n":1}']);
    const untouched = store.subscribe({ capacity: 10, since });
    const end = waiting.take();
    store.close();
    expect(await end).toBeUndefined();
    for (let i = 0; i < 3; i += 1) await reading.take();
    expect(await reading.take()).toBeUndefined();
    expect(await untouched.take()).toBeUndefined();
  });
});

test("a token outlives a restart, and no number is given out twice even when its row was lost", async () => {
  using folder = tempFolder();
  const path = folder.file("peat.db");
  const first = openFileStore(path);
  await put(first.store, "notes:1", { n: 1 });
  await put(first.store, "notes:2", { n: 2 });
  const since = await lastToken(first.store);
  first.store.close();
  tamper(path, "UPDATE documents SET hash = 'damaged' WHERE key = 'notes:2'");
  const second = openFileStore(path);
  expect(second.store.get("notes:2" as never)).toBeUndefined();
  // Any write makes a group, which sets the damaged row aside.
  await put(second.store, "notes:1", { n: 1 });
  second.store.close();
  const third = openFileStore(path);
  await put(third.store, "notes:3", { n: 3 });
  const feed = third.store.subscribe({ capacity: 10, since });
  expect(feed.lostSince).toBe(false);
  expect(await take(feed, 1)).toEqual(['notes:3 {"n":3}']);
  third.store.close();
});

describe("a data directory restored from an older copy", () => {
  /** The token of one commit that the copy has, and of one that it has not. */
  async function restored(copiedWhile: "running" | "stopped") {
    const folder = tempFolder();
    const [original, copy] = [folder.file("peat.db"), folder.file("copy.db")];
    const first = openFileStore(original);
    await put(first.store, "notes:1", { n: 1 });
    const known = await lastToken(first.store);
    if (copiedWhile === "stopped") first.store.close();
    else await Bun.write(`${copy}-wal`, Bun.file(`${original}-wal`));
    await Bun.write(copy, Bun.file(original));
    const later = copiedWhile === "stopped" ? openFileStore(original) : first;
    await put(later.store, "notes:2", { n: 2 });
    const unknown = await lastToken(later.store);
    later.store.close();
    return { folder, copy, known, unknown };
  }

  function isLost(store: Store, since: string): boolean {
    const feed = store.subscribe({ capacity: 10, since });
    feed.close();
    return feed.lostSince;
  }

  for (const copiedWhile of ["running", "stopped"] as const) {
    test(`tells tokens given out after the copy to be lost, whatever it has written since: ${copiedWhile}`, async () => {
      const { folder, copy, known, unknown } = await restored(copiedWhile);
      using _ = folder;
      for (let start = 0; start < 3; start += 1) {
        const { store } = openFileStore(copy);
        expect([isLost(store, known), isLost(store, unknown)]).toEqual([false, true]);
        // The same number is used again, for another commit.
        await put(store, `notes:restored-${start}`, { start });
        expect([isLost(store, known), isLost(store, unknown)]).toEqual([false, true]);
        const own = await lastToken(store);
        store.close();
        const again = openFileStore(copy);
        expect(isLost(again.store, own)).toBe(false);
        again.store.close();
      }
    });
  }

  test("a start that commits nothing writes nothing, and its tokens stay good", async () => {
    using folder = tempFolder();
    const path = folder.file("peat.db");
    const first = openFileStore(path);
    await put(first.store, "notes:1", { n: 1 });
    first.store.close();
    const before = await Bun.file(path).bytes();
    const idle = openFileStore(path);
    const token = await lastToken(idle.store);
    idle.store.close();
    expect(await Bun.file(path).bytes()).toEqual(before);
    const last = openFileStore(path);
    await put(last.store, "notes:2", { n: 2 });
    expect(isLost(last.store, token)).toBe(false);
    last.store.close();
  });

  test("remembers its last 256 starts that wrote, and forgets them all when their list is damaged", async () => {
    using folder = tempFolder({ isInMemory: true });
    const path = folder.file("peat.db");
    const tokens: string[] = [];
    for (let start = 0; start < 260; start += 1) {
      const { store } = openFileStore(path);
      await put(store, "notes:1", { start });
      tokens.push(await lastToken(store));
      store.close();
    }
    const { store } = openFileStore(path);
    expect(tokens.filter((token) => isLost(store, token))).toEqual(tokens.slice(0, 4));
    store.close();
    tamper(path, "UPDATE meta SET value = replace(value, ':', ';') WHERE name = 'epochs'");
    const damaged = openFileStore(path).store;
    expect(tokens.filter((token) => !isLost(damaged, token))).toEqual([]);
    await put(damaged, "notes:1", { n: 1 });
    expect(isLost(damaged, await lastToken(damaged))).toBe(false);
    damaged.close();
  });
});

test("readers are counted by kind with what waits for them, until they close", async () => {
  const readers = new FeedReaders();
  const store = openMemoryStore({ readers });
  const counts = () => readers.load().map(({ kind, ...load }) => [kind, load.readers, load.queued]);
  const feeds = (["websocket", "websocket", "rpc"] as const).map((reader) =>
    store.subscribe({ capacity: 10, reader }),
  );
  await put(store, "notes:1", { n: 1 });
  await feeds[0]?.take();
  expect(counts()).toEqual([
    ["websocket", 2, 1],
    ["rpc", 1, 1],
    ["files", 0, 0],
  ]);
  for (const feed of feeds) feed.close();
  expect(counts().map(([, ...load]) => load)).toEqual([
    [0, 0],
    [0, 0],
    [0, 0],
  ]);
});
