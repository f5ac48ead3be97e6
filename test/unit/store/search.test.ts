import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { waitFor } from "../../../scripts/support/waiting.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { Fault } from "../../../src/base/faults.ts";
import type { SortKey } from "../../../src/store/document-order.ts";
import { NO_ENCRYPTION, type SealOptions } from "../../../src/store/seal.ts";
import type { SearchRequest } from "../../../src/store/search.ts";
import type { Store } from "../../../src/store/store.ts";
import { cases } from "../../support/effort.ts";
import { by, FIRST } from "../../support/encrypted-store.ts";
import { openFileStore, tamper } from "../../support/file-store.ts";
import { key, openMemoryStore, put, remove } from "../../support/memory-store.ts";
import {
  anyDocument,
  anyOrder,
  anyQuery,
  compareNaively,
  holdsNaively,
  readNaive,
  toQuery,
} from "../../support/queries.ts";
import { tempFolder } from "../../support/temp-folder.ts";

type Wish = Partial<SearchRequest>;

const forEver = new AbortController().signal;

function request(wish: Wish): SearchRequest {
  return {
    collection: "tracks",
    query: { kind: "all" },
    order: [],
    after: undefined,
    limit: 10,
    bytesMax: 1024 ** 2,
    signal: forEver,
    ...wish,
  };
}

/** Ids of each page, to the end. */
async function pagesOf(store: Store, wish: Wish): Promise<string[][]> {
  const pages: string[][] = [];
  let after: SortKey | undefined;
  do {
    const { documents, next } = await store.searches.find(request({ ...wish, after }));
    pages.push(documents.map(({ id }) => id));
    after = next;
  } while (after !== undefined);
  return pages;
}

/** Ids whose byte order is not their number's, nor that of UTF-16. */
const idOf = (n: number) => `${n % 3 === 0 ? "\uffee" : "\u{1f600}"}${n}`;

async function fill(store: Store, texts: readonly string[]): Promise<void> {
  const writes = texts.map((body, n) =>
    store.write({ key: key(`tracks:${idOf(n)}`), operation: { kind: "put", body } }),
  );
  // Neighbours on both sides, which belong to other collections, and a document that is gone.
  await Promise.all([...writes, put(store, "track:x", {}), put(store, "tracks.:x", {})]);
  await put(store, "tracks:gone", {});
  await remove(store, "tracks:gone");
}

describe.each([
  ["in the clear", NO_ENCRYPTION],
  ["encrypted", by(FIRST)],
] satisfies [string, SealOptions][])("a store that lies %s", (_name, encryption) => {
  test("answers any query in any order, page by page, as a naive reading of its documents does", async () => {
    const document = anyDocument.filter((text) => !text.includes("__proto__"));
    for (const seed of [1, 2]) {
      using folder = tempFolder();
      const { store } = openFileStore(folder.file("peat.db"), { encryption });
      const texts = fc.sample(document, { numRuns: 80, seed });
      await fill(store, texts);
      const documents = texts.map((_text, n) => {
        const stored = store.get(key(`tracks:${idOf(n)}`));
        return { id: idOf(n), naive: readNaive(stored?.json ?? "") };
      });
      await fc.assert(
        fc.asyncProperty(
          anyQuery,
          anyOrder,
          fc.integer({ min: 7, max: 50 }),
          async (textQuery, order, limit) => {
            const expected = documents
              .filter(({ naive }) => holdsNaively(textQuery, naive))
              .sort(
                (a, b) =>
                  compareNaively(a.naive, b.naive, order) ||
                  Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)),
              )
              .map(({ id }) => id);
            const pages = await pagesOf(store, { query: toQuery(textQuery), order, limit });
            expect(pages.flat()).toEqual(expected);
            for (const page of pages.slice(0, -1)) expect(page).toHaveLength(limit);
          },
        ),
        cases(40),
      );
      store.close();
    }
  }, 60_000);

  test("gives what does not change on one page exactly, whatever is written between the pages", async () => {
    using folder = tempFolder();
    const { store } = openFileStore(folder.file("peat.db"), { encryption });
    const count = 300;
    await Promise.all(
      Array.from({ length: count }, (_, n) => put(store, `tracks:${n}`, { n: n % 7, kept: n % 2 })),
    );
    for (const order of [[], [{ path: ["n"], descending: true }]]) {
      const told: string[] = [];
      let after: SortKey | undefined;
      let round = 0;
      do {
        const searching = store.searches.find(request({ order, after, limit: 20 }));
        // Documents that move, come and go, also while the page is being made.
        const moved = Array.from({ length: 40 }, (_, i) => ((round * 40 + i) * 2) % count);
        await Promise.all([
          ...moved.map((n) => put(store, `tracks:${n}`, { n: round, kept: 0 })),
          put(store, `tracks:new-${round}`, { n: 3 }),
        ]);
        const page = await searching;
        // What it was last is gone, too: the place is still known.
        await remove(store, `tracks:${(round * 2) % count}`).catch(() => undefined);
        told.push(...page.documents.map(({ id }) => id));
        after = page.next;
        round += 1;
      } while (after !== undefined);
      for (let n = 1; n < count; n += 2) {
        expect(told.filter((id) => id === `${n}`)).toHaveLength(1);
      }
    }
    store.close();
  }, 60_000);
});

test("a page never shows a content that does not pass, also of a document that changes while it is made", async () => {
  const store = openMemoryStore();
  await Promise.all(
    Array.from({ length: 2000 }, (_, n) => put(store, `tracks:${n}`, { n, ok: 1 })),
  );
  const searching = store.searches.find(
    request({
      query: { kind: "eq", path: ["ok"], value: 1 },
      order: [{ path: ["n"], descending: false }],
      limit: 5,
    }),
  );
  await Promise.all([
    put(store, "tracks:0", { n: 0, ok: 0 }),
    put(store, "tracks:1", { n: 9, ok: 1 }),
    remove(store, "tracks:2"),
  ]);
  const { documents, next } = await searching;
  for (const { json } of documents) expect(json).toContain('"ok":1');
  const numbers = documents.map(({ json }) => JSON.parse(json).n);
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  expect(next).toBeDefined();
  store.close();
}, 60_000);

test("a value that the disk has made another text than JSON keeps nobody from the others, and is found", async () => {
  using folder = tempFolder();
  const path = folder.file("peat.db");
  const before = openFileStore(path).store;
  for (const n of [1, 2, 3]) await put(before, `tracks:${n}`, { n });
  before.close();
  tamper(path, "UPDATE documents SET json = '{\"n\":' WHERE key = 'tracks:2'");
  const { store, fatal } = openFileStore(path);
  const query = { kind: "gt", path: ["n"], value: 0 } as const;
  expect(await pagesOf(store, { query })).toEqual([["1", "3"]]);
  expect(fatal).toEqual([]);
  await waitFor(
    "the damaged one to be set aside",
    25_000,
    () => store.damage.found.length === 0 || undefined,
  );
  expect(() => store.damage.checkAbsent(key("tracks:2"))).toThrow(Fault);
  store.close();
}, 60_000);

test("the first of many are found, and all of them page by page, however they lie", async () => {
  const store = openMemoryStore();
  const count = 3000;
  const numbers = Array.from({ length: count }, (_, n) => (n * 7919) % 1009);
  await Promise.all(numbers.map((n, id) => put(store, `tracks:${id}`, { n, text: `${n % 10}` })));
  for (const descending of [false, true]) {
    const order = ["text", "n"].map((name) => ({ path: [name], descending }));
    const placed = numbers.map((n, id) => ({ n, text: n % 10, id: String(id) }));
    placed.sort((a, b) => {
      const difference = a.text - b.text || a.n - b.n;
      if (difference !== 0) return descending ? -difference : difference;
      return a.id < b.id ? -1 : 1;
    });
    const pages = await pagesOf(store, { order, limit: 700 });
    expect(pages.flat()).toEqual(placed.map(({ id }) => id));
  }
  store.close();
}, 60_000);

test("a page that takes long ends where it is, and the next one goes on from there", async () => {
  let ms = 0;
  const monotonic = () => {
    ms += 2000;
    return ms;
  };
  const store = openMemoryStore({ clock: { ...systemClock, monotonic } });
  const count = 3000;
  for (let first = 0; first < count; first += 100) {
    const some = Array.from({ length: 100 }, (_, i) => first + i);
    await Promise.all(
      some.map((n) => put(store, `tracks:${n}`, { rare: n % 999 === 0 && n < 1000 })),
    );
  }
  const query = { kind: "eq", path: ["rare"], value: true } as const;
  const pages = await pagesOf(store, { query });
  expect(pages.flat()).toEqual(["0", "999"]);
  expect(pages).toContainEqual([]);
  store.close();
}, 60_000);

test("an ordered page holds a thousand at most, also with ids that only peers give", async () => {
  const store = openMemoryStore();
  await Promise.all(Array.from({ length: 1500 }, (_, n) => put(store, `tracks:${n}`, { n })));
  await put(store, "tracks:.", { n: -1 });
  const order = [{ path: ["n"], descending: false }];
  const pages = await pagesOf(store, { order, limit: 10_000 });
  expect(pages.map((page) => page.length)).toEqual([1000, 501]);
  expect(pages[0]?.[0]).toBe(".");
  store.close();
}, 60_000);

test("documents too large for one page are given one by one", async () => {
  const store = openMemoryStore();
  for (const n of [1, 2, 3]) await put(store, `tracks:${n}`, { n, filler: "x".repeat(500_000) });
  const order = [{ path: ["n"], descending: true }];
  expect(await pagesOf(store, { bytesMax: 600_000 })).toEqual([["1"], ["2"], ["3"]]);
  expect(await pagesOf(store, { bytesMax: 600_000, order })).toEqual([["3"], ["2"], ["1"]]);
  store.close();
}, 60_000);

test("others have their turn while a search reads, however many searches there are", async () => {
  // Pages end by what they read, not by the time that it takes here.
  const store = openMemoryStore({ clock: { ...systemClock, monotonic: () => 0 } });
  const count = 5000;
  await Promise.all(Array.from({ length: count }, (_, n) => put(store, `tracks:${n}`, { n })));
  const query = { kind: "eq", path: ["n"], value: -1 } as const;
  let turns = 0;
  let isOver = false;
  const tick = () => {
    turns += 1;
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  await Promise.all(Array.from({ length: 20 }, () => store.searches.find(request({ query }))));
  isOver = true;
  // Each search reads at most 512 documents in a turn, and one search reads in each.
  expect(turns).toBeGreaterThan((20 * count) / 512);
  store.close();
}, 60_000);

test("searches beyond what a node can have are refused, and end at a wish, or with the store", async () => {
  const store = openMemoryStore();
  await put(store, "tracks:a", {});
  const ending = new AbortController();
  const codeOf = (error: unknown) => (error instanceof Fault ? error.code : String(error));
  const searches = Array.from({ length: 33 }, () =>
    store.searches.find(request({ signal: ending.signal })).catch(codeOf),
  );
  expect(await searches[32]).toBe("overloaded");
  ending.abort(new Fault("request_timeout", "too late"));
  expect(new Set(await Promise.all(searches.slice(0, 32)))).toEqual(new Set(["request_timeout"]));
  const last = store.searches.find(request({})).catch(codeOf);
  store.close();
  expect(await last).toBe("not_ready");
}, 60_000);
