// What guests hold, written behind: kept over restarts, and never more than a help.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openFileStore, tamper } from "../../support/file-store.ts";
import { key } from "../../support/memory-store.ts";
import { tempFolder } from "../../support/temp-folder.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const MEMORY_MS = 180 * 24 * 60 * 60 * 1000;
const bytes = (...list: number[]) => Uint8Array.from(list);

test("is there after a restart, by guest and document, and what was forgotten is not", () => {
  using folder = tempFolder({ isInMemory: true });
  const path = join(folder.path, "peat.db");
  const first = openFileStore(path).store;
  first.guests.set("a", key("tracks:1"), bytes(1));
  first.guests.set("a", key("tracks:2"), bytes(2));
  first.guests.set("b", key("tracks:1"), bytes(3));
  first.guests.flush();
  first.guests.set("a", key("tracks:2"), undefined);
  expect(first.guests.get("a", key("tracks:2"))).toBeUndefined();
  first.close();
  const { store, fatal } = openFileStore(path);
  expect(store.guests.get("a", key("tracks:1"))).toEqual(bytes(1));
  expect(store.guests.get("a", key("tracks:2"))).toBeUndefined();
  expect(store.guests.get("b", key("tracks:1"))).toEqual(bytes(3));
  expect(store.guests.get("b", key("tracks:2"))).toBeUndefined();
  store.close();
  expect(fatal).toEqual([]);
});

test("what no guest has needed for as long as deletions are remembered is forgotten, all else is kept", async () => {
  using folder = tempFolder({ isInMemory: true });
  const path = join(folder.path, "peat.db");
  const clock = new VirtualClock();
  const { store } = openFileStore(path, { clock });
  for (const name of ["gone", "read", "written"]) {
    store.guests.set("a", key(`tracks:${name}`), bytes(1));
  }
  store.guests.flush();
  await clock.advance(MEMORY_MS / 2);
  store.guests.get("a", key("tracks:read"));
  store.guests.set("a", key("tracks:written"), bytes(2));
  store.guests.flush();
  await clock.advance(MEMORY_MS / 2 + 1000);
  store.collectGarbage();
  const held = ["gone", "read", "written"].map((name) =>
    store.guests.get("a", key(`tracks:${name}`)),
  );
  expect(held).toEqual([undefined, bytes(1), bytes(2)]);
  store.close();
});

test("many bytes don't wait for the flush", () => {
  using folder = tempFolder({ isInMemory: true });
  const path = join(folder.path, "peat.db");
  const { store } = openFileStore(path);
  for (let n = 0; n < 6; n += 1) {
    store.guests.set("a", key(`tracks:${n}`), new Uint8Array(1024 * 1024).fill(n));
  }
  for (let n = 0; n < 6; n += 1) expect(store.guests.get("a", key(`tracks:${n}`))?.[0]).toBe(n);
  store.close();
});

test("what could not be written is lost, told and counted, and what was written before is there", () => {
  using folder = tempFolder({ isInMemory: true });
  const path = join(folder.path, "peat.db");
  const opened = openFileStore(path);
  opened.store.guests.set("a", key("tracks:1"), bytes(1));
  opened.store.close();
  tamper(
    path,
    "CREATE TRIGGER full BEFORE INSERT ON guest_histories BEGIN SELECT RAISE(ABORT, 'no'); END",
  );
  const { store, fatal } = openFileStore(path);
  store.guests.set("a", key("tracks:2"), bytes(2));
  store.guests.flush();
  expect(fatal.map(({ code }) => code)).toEqual(["storage_failed"]);
  expect(store.guests.losses).toBe(1);
  expect(store.guests.get("a", key("tracks:2"))).toBeUndefined();
  expect(store.guests.get("a", key("tracks:1"))).toEqual(bytes(1));
  store.close();
});
