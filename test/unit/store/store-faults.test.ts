// What the world does to a store: kills its process, fills its disk, changes its rows behind its back.
import { Database as Sqlite } from "bun:sqlite";
import { afterAll, describe, expect, spyOn, test } from "bun:test";
import { copyFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { Fault } from "../../../src/base/faults.ts";
import { examineCopy } from "../../../src/store/database-copy.ts";
import type { DocumentKey } from "../../../src/store/document-key.ts";
import { NO_ENCRYPTION } from "../../../src/store/seal.ts";
import { decodeState } from "../../../src/store/state.ts";
import type { Store } from "../../../src/store/store.ts";
import { openFileStore, tamper } from "../../support/file-store.ts";
import { key, openMemoryStore, put, read, remove } from "../../support/memory-store.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const KILLED_WRITER = fileURLToPath(import.meta.resolve("../../support/killed-writer.ts"));

async function codeOf(write: Promise<unknown>): Promise<string> {
  return await write.then(
    () => "done",
    (error: unknown) => (error instanceof Fault ? error.code : `not a fault: ${error}`),
  );
}

describe("a process killed at a commit", () => {
  async function acknowledgedBy(path: string, commit: number, moment: string) {
    const child = Bun.spawn([process.execPath, KILLED_WRITER, path, String(commit), moment], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const text = await new Response(child.stdout).text();
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
    const newest = new Map<string, number>();
    for (const line of text.split("\n").slice(0, -1)) {
      const [name = "", n] = line.split(" ");
      newest.set(name, Number(n));
    }
    return newest;
  }

  for (const moment of ["before", "within", "after"]) {
    test(`has every acknowledged write when it starts again: killed ${moment} commit 1 to 6`, async () => {
      for (let commit = 1; commit <= 6; commit += 1) {
        using folder = tempFolder();
        const path = folder.file("peat.db");
        const acknowledged = await acknowledgedBy(path, commit, moment);
        expect(acknowledged.size > 0).toBe(commit > 1);
        const { store, fatal } = openFileStore(path);
        for (const [name, n] of acknowledged) {
          const found = JSON.parse(read(store, name) ?? "null") as { n: number } | null;
          // One more may be there: committed, and killed before it could be said.
          expect([n, n + 1]).toContain(found?.n ?? 0);
        }
        // What the dead process had begun is no obstacle to the next one's writes.
        for (const name of ["tracks:0", "notes:0"]) await put(store, name, { n: -1 });
        expect(read(store, "notes:0")).toBe('{"n":-1}');
        expect(fatal).toEqual([]);
        store.close();
      }
    }, 60_000);
  }
});

const fullDisk = tempFolder();
const mounted =
  Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", fullDisk.path]).exitCode === 0;
afterAll(() => {
  if (mounted) Bun.spawnSync(["umount", fullDisk.path]);
  fullDisk[Symbol.dispose]();
});

const big = "x".repeat(20_000);

/** Time stands still: what is written at once is one group, however slow the machine is. */
const stillClock: Clock = { ...systemClock, monotonic: () => 0 };

async function fill(store: Store): Promise<void> {
  await put(store, "notes:kept", { n: 1 });
  let code = "done";
  for (let n = 0; n < 200 && code === "done"; n += 1) {
    code = await codeOf(put(store, `files:${n}`, { big, n }));
  }
  expect(code).toBe("storage_full");
}

/** All writes of a group fail; then room is made, and all is well. */
async function failAndHeal(
  store: Store,
  fatal: readonly Fault[],
  makeRoom: () => void,
): Promise<void> {
  const group = [
    put(store, "notes:kept", { n: 2 }),
    put(store, "tracks:new", { big }),
    put(store, "files:new", { big: big.repeat(10) }),
  ];
  expect(await Promise.all(group.map(codeOf))).toEqual(Array(3).fill("storage_full"));
  expect(read(store, "notes:kept")).toBe('{"n":1}');
  expect(read(store, "tracks:new")).toBeUndefined();
  const { documents } = store.summary();
  expect(store.standings.isDiskFull).toBe(true);
  makeRoom();
  expect(await codeOf(put(store, "notes:kept", { n: 3 }))).toBe("done");
  expect(await codeOf(put(store, "files:new", { big }))).toBe("done");
  expect(store.standings.isDiskFull).toBe(false);
  expect(read(store, "notes:kept")).toBe('{"n":3}');
  expect(store.summary().documents).toBe(documents + 1);
  expect(fatal).toEqual([]);
}

describe("a full disk fails every write of the group, and heals when there is room", () => {
  test.skipIf(!mounted)(
    "a real one, of 900 KB (needs mount); also after a restart on it",
    async () => {
      const ballast = Bun.file(fullDisk.file("ballast"));
      await Bun.write(ballast, new Uint8Array(500_000));
      const path = fullDisk.file("peat.db");
      const first = openFileStore(path);
      await fill(first.store);
      first.store.close();
      const { store, fatal } = openFileStore(path, { clock: stillClock });
      await failAndHeal(store, fatal, () => rmSync(fullDisk.file("ballast")));
      store.close();
      const again = openFileStore(path);
      expect(read(again.store, "notes:kept")).toBe('{"n":3}');
      again.store.close();
    },
  );

  test.skipIf(!mounted)("and is no obstacle to a copy onto another one (needs mount)", async () => {
    using elsewhere = tempFolder();
    const path = fullDisk.file("copied.db");
    const { store } = openFileStore(path);
    await fill(store);
    const id = store.copying.begin();
    const copied = elsewhere.file("copy.db");
    copyFileSync(path, copied);
    copyFileSync(`${path}-wal`, `${copied}-wal`);
    store.copying.end(id);
    const { signal } = new AbortController();
    const options = { keys: "optional", encryption: NO_ENCRYPTION, signal } as const;
    const { documents } = store.summary();
    expect(await examineCopy(copied, options)).toMatchObject({ documents, damaged: 0 });
    store.close();
    rmSync(path);
  });

  test("one that SQLite is made to believe in", async () => {
    const opened: Sqlite[] = [];
    const { exec } = Sqlite.prototype;
    const spy = spyOn(Sqlite.prototype, "exec").mockImplementation(function (
      this: Sqlite,
      ...args
    ) {
      opened.push(this);
      return exec.apply(this, args);
    });
    const fatal: Fault[] = [];
    const store = openMemoryStore({ clock: stillClock, onFatal: (fault) => fatal.push(fault) });
    spy.mockRestore();
    const [sqlite] = opened;
    sqlite?.exec("PRAGMA max_page_count = 60");
    await fill(store);
    await failAndHeal(store, fatal, () => sqlite?.exec("PRAGMA max_page_count = 100000"));
    store.close();
  });
});

describe("a row that was changed behind the store's back", () => {
  const damages = [
    `UPDATE documents SET json = '{"n":2}' WHERE key = '$'`,
    "UPDATE documents SET state = zeroblob(length(state)) WHERE key = '$'",
    "UPDATE documents SET hash = '00000000000000000000000000000000' WHERE key = '$'",
    "UPDATE documents SET deleted = 1 WHERE key = '$'",
  ];

  /** A peer sends the document. */
  async function refill(store: Store, name: string, value: object): Promise<void> {
    const peer = openMemoryStore({ nodeName: "node-b" });
    await put(peer, name, value);
    const sent = peer.stateFor(key(name));
    if (sent !== undefined) await store.merge({ key: key(name), ...sent }, "node-b");
    peer.close();
  }

  async function damaged(path: string, sql: string, name: string): Promise<void> {
    const { store } = openFileStore(path);
    await put(store, name, { n: 1 });
    await put(store, "tracks:good", { n: 1 });
    store.close();
    tamper(path, sql.replace("$", name));
  }

  for (const sql of damages) {
    test(`is set aside, named, leaves the sums, and can be filled again: ${sql.slice(21, 50)}`, async () => {
      using folder = tempFolder();
      const path = folder.file("peat.db");
      await damaged(path, sql, "notes:1");
      const { store, fatal } = openFileStore(path);
      const told: DocumentKey[] = [];
      const isTold = new Promise<void>((resolveTold) => {
        store.damage.onDamage((damagedKey) => {
          told.push(damagedKey);
          resolveTold();
        });
      });
      expect(read(store, "notes:1")).toBeUndefined();
      await isTold;
      expect(told).toEqual([key("notes:1")]);
      expect(store.summary()).toMatchObject({ documents: 1, tombstones: 0 });
      expect(read(store, "tracks:good")).toBe('{"n":1}');
      await refill(store, "notes:1", { n: 3 });
      store.close();
      const again = openFileStore(path);
      expect(read(again.store, "notes:1")).toBe('{"n":3}');
      expect(fatal).toEqual([]);
      again.store.close();
      const sqlite = new Sqlite(path);
      const aside = sqlite.query<{ why: string; key: string }, []>(
        "SELECT why, key FROM set_aside",
      );
      expect(aside.all()).toEqual([{ why: "damaged", key: "notes:1" }]);
      sqlite.close();
    });
  }

  test("is found by a list, by a write to it, and by the scrub when nobody asks for it", async () => {
    for (const find of ["list", "write", "scrub"]) {
      using folder = tempFolder();
      const path = folder.file("peat.db");
      await damaged(path, `UPDATE documents SET json = '{"n":2}' WHERE key = '$'`, "tracks:1");
      const { store } = openFileStore(path);
      const isTold = new Promise<DocumentKey>((resolve) => store.damage.onDamage(resolve));
      const ended = new AbortController();
      if (find === "list") {
        expect(store.list("tracks", { limit: 10 }).map(({ id }) => id)).toEqual(["good"]);
      } else if (find === "scrub") void store.damage.scrub(ended.signal);
      else expect(await codeOf(put(store, "tracks:1", { n: 3 }))).toBe("not_ready");
      expect(await isTold).toBe(key("tracks:1"));
      expect(store.summary().documents).toBe(1);
      ended.abort();
      store.close();
    }
  });

  test("in a bucket that is not its key's is found by the scrub", async () => {
    using folder = tempFolder();
    const path = folder.file("peat.db");
    await damaged(path, "UPDATE documents SET bucket = bucket + 1 WHERE key = '$'", "notes:1");
    const { store } = openFileStore(path);
    const isTold = new Promise<DocumentKey>((resolve) => store.damage.onDamage(resolve));
    const ended = new AbortController();
    void store.damage.scrub(ended.signal);
    expect(await isTold).toBe(key("notes:1"));
    ended.abort();
    store.close();
  });

  describe("is not written to before a peer had its time to send it", () => {
    const damage = `UPDATE documents SET json = '{"n":2}' WHERE key = '$'`;

    /** A clock whose monotonic part goes on only by `skip`. */
    function skippingClock() {
      let skipped = 0;
      const clock: Clock = { ...systemClock, monotonic: () => skipped };
      return { clock, skip: (ms: number) => (skipped += ms) };
    }

    test("writes and deletes are told so, also after a restart; with the peer's copy they go on from there", async () => {
      using folder = tempFolder();
      const path = folder.file("peat.db");
      await damaged(path, damage, "tracks:1");
      for (let start = 0; start < 2; start += 1) {
        const { store } = openFileStore(path);
        expect(await codeOf(put(store, "tracks:1", { n: 3 }))).toBe("not_ready");
        expect(await codeOf(remove(store, "tracks:1"))).toBe("not_ready");
        await put(store, "tracks:other", { start });
        store.close();
      }
      const { store } = openFileStore(path);
      await refill(store, "tracks:1", { n: 1 });
      await put(store, "tracks:1", { n: 4 });
      expect(read(store, "tracks:1")).toBe('{"n":4}');
      await remove(store, "tracks:1");
      expect(read(store, "tracks:1")).toBeUndefined();
      store.close();
    });

    for (const name of ["tracks:1", "notes:1"]) {
      test(`after that a write is a new life, which the lost content that comes back does not undo: ${name}`, async () => {
        using folder = tempFolder();
        const path = folder.file("peat.db");
        const peer = openMemoryStore({ nodeName: "node-b" });
        const first = openFileStore(path);
        // Two lives and many changes: anything that begins at nothing would lose against them.
        await put(first.store, name, { n: 0 });
        await remove(first.store, name);
        for (let n = 1; n < 20; n += 1) await put(first.store, name, { n });
        const sent = first.store.stateFor(key(name));
        if (sent !== undefined) await peer.merge({ key: key(name), ...sent }, "node-a");
        first.store.close();
        tamper(path, damage.replace("$", name));
        const { clock, skip } = skippingClock();
        const { store, fatal } = openFileStore(path, { clock });
        expect(await codeOf(put(store, name, { n: "new" }))).toBe("not_ready");
        skip(29_000);
        expect(await codeOf(put(store, name, { n: "new" }))).toBe("not_ready");
        skip(1_100);
        await put(store, name, { n: "new" });
        for (const [from, to] of [
          [peer, store],
          [store, peer],
        ] as const) {
          const state = from.stateFor(key(name));
          if (state !== undefined) await to.merge({ key: key(name), ...state }, "other");
        }
        expect([read(store, name), read(peer, name)]).toEqual(['{"n":"new"}', '{"n":"new"}']);
        expect(store.hashOf(key(name))).toBe(peer.hashOf(key(name)) ?? "");
        expect(fatal).toEqual([]);
        store.close();
        peer.close();
      });
    }

    test("one whose very life can't be read gets a life above all that there are", async () => {
      using folder = tempFolder();
      const path = folder.file("peat.db");
      await damaged(path, "UPDATE documents SET state = x'00' WHERE key = '$'", "tracks:1");
      const { clock, skip } = skippingClock();
      const { store } = openFileStore(path, { clock });
      expect(await codeOf(put(store, "tracks:1", { n: 3 }))).toBe("not_ready");
      skip(31_000);
      await put(store, "tracks:1", { n: 3 });
      const state = store.stateFor(key("tracks:1"));
      expect(decodeState(state?.bytes ?? new Uint8Array()).life).toBe(0x1_0002);
      store.close();
    });
  });

  test("of a history that was written in this very start does not make this node's changes clash", async () => {
    using folder = tempFolder();
    const opened: Sqlite[] = [];
    const { exec } = Sqlite.prototype;
    const spy = spyOn(Sqlite.prototype, "exec").mockImplementation(function (
      this: Sqlite,
      ...args
    ) {
      opened.push(this);
      return exec.apply(this, args);
    });
    const { store, fatal } = openFileStore(folder.file("peat.db"));
    spy.mockRestore();
    const peer = openMemoryStore({ nodeName: "node-b" });
    await put(store, "notes:1", { a: 1 });
    const sent = store.stateFor(key("notes:1"));
    await put(store, "notes:1", { a: 1, lost: true });
    opened[0]?.exec("UPDATE documents SET json = '{}'");
    expect(read(store, "notes:1")).toBeUndefined();
    // The peer has the first of the two changes that the damage took; all are of this process start.
    if (sent !== undefined) await peer.merge({ key: key("notes:1"), ...sent }, "node-a");
    const back = peer.stateFor(key("notes:1"));
    if (back !== undefined) await store.merge({ key: key("notes:1"), ...back }, "node-b");
    await put(store, "notes:1", { a: 1, b: 2 });
    const again = store.stateFor(key("notes:1"));
    if (again !== undefined) await peer.merge({ key: key("notes:1"), ...again }, "node-a");
    expect(read(peer, "notes:1")).toBe('{"a":1,"b":2}');
    expect(read(store, "notes:1")).toBe('{"a":1,"b":2}');
    expect(fatal).toEqual([]);
    store.close();
    peer.close();
  });
});
