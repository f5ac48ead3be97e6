// Histories that are too long to be read at once: a thread reads them, one after the other.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Fault } from "../../src/base/faults.ts";
import { CHUNK_BYTES_MAX, type DocumentHistory } from "../../src/store/document-histories.ts";
import type { Store } from "../../src/store/store.ts";
import { key, openMemoryStore, put } from "../support/memory-store.ts";

setDefaultTimeout(60_000);

function historyOf(
  store: Store,
  name: string,
  signal = new AbortController().signal,
): Promise<DocumentHistory> {
  return store.histories.read({ key: key(name), limit: 5, signal });
}

const noise = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes)).toHex();

describe("a long history", () => {
  test("is read while everything else goes on, and read alike the second time", async () => {
    const store = openMemoryStore();
    await Promise.all(
      Array.from({ length: 300 }, (_, v) =>
        put(store, "orders:o1", { v, list: Array.from({ length: 30 }, (_, i) => i * v) }),
      ),
    );
    let turns = 0;
    let isRead = false;
    const reading = historyOf(store, "orders:o1").finally(() => {
      isRead = true;
    });
    while (!isRead) {
      await new Promise((resolve) => setImmediate(resolve));
      turns += 1;
    }
    const { changes, changeCount } = await reading;
    expect(changeCount).toBe(300);
    expect(changes[0]?.edits).toContainEqual({ path: "v", before: "298", after: "299" });
    expect(turns).toBeGreaterThan(10);
    expect((await historyOf(store, "orders:o1")).changes).toEqual([...changes]);
    store.close();
  });

  test("is given up with its caller, and the next one is served", async () => {
    const store = openMemoryStore();
    await put(store, "orders:o1", { noise: noise(8_000) });
    const gone = new AbortController();
    const reading = historyOf(store, "orders:o1", gone.signal).catch((error: unknown) => error);
    gone.abort(new Fault("request_timeout", "the client has gone"));
    expect(await reading).toMatchObject({ code: "request_timeout" });
    expect((await historyOf(store, "orders:o1")).changeCount).toBe(1);
    store.close();
  });

  test("waits for others up to a limit", async () => {
    const store = openMemoryStore();
    await put(store, "orders:o1", { noise: noise(8_000) });
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, () => historyOf(store, "orders:o1")),
    );
    const refused = results.filter((result) => result.status === "rejected");
    expect(refused.map(({ reason }) => reason.code)).toEqual(Array(4).fill("overloaded"));
    store.close();
  });

  test("is not read when it is too long even for that, and says so", async () => {
    const store = openMemoryStore({ documentBytesMax: 4 * CHUNK_BYTES_MAX });
    await put(store, "orders:o1", { noise: noise(CHUNK_BYTES_MAX) });
    const { changes, changeCount, source } = await historyOf(store, "orders:o1");
    expect({ changes, changeCount, source }).toEqual({
      changes: [],
      changeCount: undefined,
      source: "document",
    });
    store.close();
  });
});
