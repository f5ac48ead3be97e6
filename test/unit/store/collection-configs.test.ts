import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { CollectionPolicies, NO_CHOICES } from "../../../src/store/collection-policies.ts";
import { Store } from "../../../src/store/store.ts";
import { ROOT } from "../../../src/store/sums.ts";
import { put, read, remove } from "../../support/memory-store.ts";
import { tempFolder } from "../../support/temp-folder.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const HOUR_MS = 3_600_000;

function open(path: string, clock: VirtualClock, deletions = NO_CHOICES.deletions): Store {
  return Store.open({
    path,
    nodeName: "node-a",
    clock,
    random: (bytes) => crypto.getRandomValues(bytes),
    cacheBytes: 1024 ** 2,
    policies: new CollectionPolicies({ ...NO_CHOICES, deletions }),
    crdtCacheBytes: 1024 ** 2,
    documentBytesMax: 1024 ** 2,
    onFatal: (fault) => {
      throw fault;
    },
  });
}

/** What comes of it once the clock has run a little: commits wait for their turn. */
async function done<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  work.then(end, end);
  while (!isOver) await clock.advance(1);
  return await work;
}

function world() {
  const clock = new VirtualClock();
  const store = open(":memory:", clock);
  return {
    clock,
    store,
    put: (name: string) => done(clock, put(store, name, { n: clock.now() })),
    remove: (name: string) => done(clock, remove(store, name)),
    set: (config: Parameters<Store["configs"]["set"]>[0]) => done(clock, store.configs.set(config)),
    sums: () => `${store.sum(ROOT).count} ${store.sum(ROOT).sum}`,
  };
}

describe("a collection's config is in force", () => {
  test("for what is written later, and for what was there", async () => {
    const { clock, store, put, remove, set } = world();
    await put("log:a");
    await set({ collection: "log", policy: "immutable" });
    await expect(put("log:a")).rejects.toThrow("is immutable");
    await expect(remove("log:a")).rejects.toThrow("is immutable");
    await put("log:b");
    await set({ collection: "log", policy: "soft_delete" });
    await remove("log:a");
    expect(read(store, "log:a")).toBeUndefined();
    await clock.advance(1);
  });

  test("as a lifetime: documents that are older are not served any more, and readers are told", async () => {
    const { clock, store, put, set } = world();
    for (let i = 0; i < 200; i += 1) await put(`news:${i}`);
    await put("other:x");
    await clock.advance(HOUR_MS);
    await put("news:fresh");
    const changes = store.subscribe({ collections: ["news"], capacity: 1000 });
    await set({ collection: "news", policy: "implicit_ttl", tombstoneTtlSecs: 1800 });
    await clock.advance(1000);
    expect(store.count("news")).toBe(1);
    expect(read(store, "news:7")).toBeUndefined();
    expect(read(store, "news:fresh")).toBeDefined();
    expect(read(store, "other:x")).toBeDefined();
    const told = new Set<string>();
    while (told.size < 200) {
      const taken = await changes.take();
      if (taken?.kind !== "item") throw new Error("changes were lost");
      expect(taken.item.document.deleted).toBe(true);
      told.add(taken.item.document.id);
    }
    expect(told.has("fresh")).toBe(false);
    await clock.advance(HOUR_MS);
    expect(store.count("news")).toBe(0);
  });

  test("taken back before it has come true", async () => {
    const { clock, store, put, set } = world();
    await put("news:a");
    await set({ collection: "news", policy: "implicit_ttl", tombstoneTtlSecs: 60 });
    await set({ collection: "news", policy: "soft_delete" });
    await clock.advance(HOUR_MS);
    expect(read(store, "news:a")).toBeDefined();
  });

  test("and the sums are those of a node that had it from the start", async () => {
    const config = { collection: "notes", policy: "tombstone", tombstoneTtlSecs: 60 } as const;
    const early = world();
    const late = world();
    for (const each of [early, late]) {
      if (each === early) await each.set(config);
      for (let i = 0; i < 100; i += 1) await each.put(`notes:${i}`);
      for (let i = 0; i < 50; i += 1) await each.remove(`notes:${i}`);
      if (each === late) await each.set(config);
    }
    const count = ({ store }: ReturnType<typeof world>) => store.sum(ROOT).count;
    expect([count(early), count(late)]).toEqual([100, 100]);
    // Their tombstones have had their time by the next horizon.
    for (const each of [early, late]) await each.clock.advance(180_000);
    expect([count(early), count(late)]).toEqual([50, 50]);
  });

  test("told to whoever compares rules with peers, once for each change that is one", async () => {
    const { store, set } = world();
    let changes = 0;
    const before = store.policies.fingerprint;
    store.configs.onChange(() => {
      changes += 1;
    });
    await set({ collection: "notes", policy: "tombstone" });
    await set({ collection: "notes", policy: "tombstone", tombstoneTtlSecs: 168 * 3600 });
    expect(changes).toBe(1);
    expect(store.policies.fingerprint).not.toBe(before);
    expect(store.policies.of("notes").deletion).toEqual({ kind: "tombstone", ttlSecs: 604_800 });
  });
});

describe("configs", () => {
  test("survive a restart, in front of what the settings say", async () => {
    using folder = tempFolder();
    const path = folder.file("peat.db");
    const clock = new VirtualClock();
    const first = open(path, clock);
    await done(clock, first.configs.set({ collection: "b", policy: "immutable" }));
    const soft = { collection: "a", policy: "soft_delete", softDeleteTtlSecs: 5 } as const;
    await done(clock, first.configs.set(soft));
    first.close();
    const deletions = [{ collection: "b", policy: { kind: "tombstone", ttlSecs: 9 } }] as const;
    const second = open(path, clock, deletions);
    expect(second.configs.list()).toEqual([soft, { collection: "b", policy: "immutable" }]);
    expect(second.configs.get("b")).toEqual({ collection: "b", policy: "immutable" });
    expect(second.configs.get("c")).toBeUndefined();
    expect(second.policies.of("b").deletion).toEqual({ kind: "immutable" });
    expect(second.policies.of("a").tombstoneSecs).toBe(5);
    second.close();
  });

  test("that somebody spoilt in the file are left out, and the node starts", () => {
    using folder = tempFolder();
    const path = folder.file("peat.db");
    const clock = new VirtualClock();
    open(path, clock).close();
    for (const text of ["{", "5", '[{"collection":1}]', '[{"collection":"a","policy":"never"}]']) {
      const file = new Database(path);
      file.run("INSERT OR REPLACE INTO meta VALUES ('collection_configs', ?)", [text]);
      file.close();
      const store = open(path, clock);
      expect(store.configs.list()).toEqual([]);
      store.close();
    }
  });

  test("are not changed by a node that stops", async () => {
    const clock = new VirtualClock();
    const store = open(":memory:", clock);
    store.close();
    const late = done(clock, store.configs.set({ collection: "a", policy: "immutable" }));
    await expect(late).rejects.toMatchObject({ code: "not_ready" });
  });
});
