import { describe, expect, test } from "bun:test";
import { Database } from "../../../src/store/database.ts";
import { DeletionMemory, suspectUntil } from "../../../src/store/deletion-memory.ts";
import { DAY_MS, MINUTE_MS } from "../../support/aging-store.ts";

const NOW_MS = 1_800_000_000_000;
const MEMORY_MS = 180 * DAY_MS;
const AGO = (days: number) => NOW_MS - days * DAY_MS;

describe("a peer is suspect", () => {
  test("if it has met nobody since a deletion that is forgotten here", () => {
    expect(suspectUntil({ metAt: AGO(200) }, { forgottenAt: AGO(181) })).toBe(
      AGO(200) + 20 * MINUTE_MS,
    );
  });

  test("never while nothing is forgotten, nor after a meeting later than what is", () => {
    expect(suspectUntil({ metAt: AGO(2000) }, { forgottenAt: 0 })).toBeUndefined();
    expect(suspectUntil({ metAt: AGO(100) }, { forgottenAt: AGO(181) })).toBeUndefined();
    expect(suspectUntil({ metAt: AGO(181) }, { forgottenAt: AGO(181) })).toBeDefined();
  });

  test("with nothing that it holds, if it never met anybody", () => {
    expect(suspectUntil({ metAt: 0 }, { forgottenAt: AGO(181) })).toBe(20 * MINUTE_MS);
  });
});

describe("the memory", () => {
  function open() {
    const database = Database.open({ path: ":memory:", cacheBytes: 1024 });
    let writes = 0;
    const setMeta = database.setMeta.bind(database);
    database.setMeta = (name, value) => {
      writes += 1;
      setMeta(name, value);
    };
    const reopened = () => new DeletionMemory(database, MEMORY_MS).marks;
    return {
      database,
      memory: new DeletionMemory(database, MEMORY_MS),
      reopened,
      count: () => writes,
    };
  }

  test("of meetings is written rarely, and outlives the process", () => {
    const { database, memory, reopened, count } = open();
    expect(memory.marks).toEqual({ metAt: 0, forgottenAt: 0 });
    for (let s = 0; s < 1200; s += 1) memory.met(NOW_MS + s * 1000, { forgottenAt: 0 });
    expect(count()).toBe(2);
    expect(reopened()).toEqual({ metAt: NOW_MS + 10 * MINUTE_MS, forgottenAt: 0 });
    database.close();
  });

  test("is no better than that of whom it agrees with", () => {
    const { database, memory, reopened } = open();
    memory.met(NOW_MS, { forgottenAt: AGO(300) });
    expect(reopened()).toEqual({ metAt: NOW_MS, forgottenAt: AGO(300) });
    memory.met(NOW_MS + 1, { forgottenAt: AGO(200) });
    expect(reopened().forgottenAt).toBe(AGO(200));
    memory.met(NOW_MS + 2, { forgottenAt: AGO(250) });
    expect(reopened().forgottenAt).toBe(AGO(200));
    database.close();
  });

  test("does not believe that anybody forgets too soon: that one's clock is ahead", () => {
    const { database, memory, reopened } = open();
    memory.met(NOW_MS, { forgottenAt: AGO(1) });
    expect(reopened().forgottenAt).toBe(AGO(180));
    database.close();
  });

  test("of a meeting in a future that did not come is corrected by the next", () => {
    const { database, memory, reopened } = open();
    memory.met(NOW_MS + 1000 * DAY_MS, { forgottenAt: 0 });
    memory.met(NOW_MS, { forgottenAt: 0 });
    expect(reopened().metAt).toBe(NOW_MS);
    database.close();
  });

  test("that the disk has damaged begins anew", () => {
    const { database, reopened } = open();
    database.setMeta("met_at", "12x");
    database.setMeta("forgotten_at", "-1");
    expect(reopened()).toEqual({ metAt: 0, forgottenAt: 0 });
    database.close();
  });
});
