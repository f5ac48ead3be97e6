import { Database as Sqlite } from "bun:sqlite";
import { expect, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { Random } from "../../../scripts/model/random.ts";
import { examineCopy, lockDatabase, renameStore } from "../../../src/store/database-copy.ts";
import { NO_ENCRYPTION } from "../../../src/store/seal.ts";
import type { Store } from "../../../src/store/store.ts";
import { ROOT } from "../../../src/store/sums.ts";
import { faultCode } from "../../support/faults.ts";
import { openFileStore, tamper } from "../../support/file-store.ts";
import { key, put, remove } from "../../support/memory-store.ts";
import { type TempFolder, tempFolder } from "../../support/temp-folder.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const EXAMINE = {
  keys: "optional",
  encryption: NO_ENCRYPTION,
  signal: new AbortController().signal,
} as const;

const PIECE_BYTES = 16 * 1024;

/** Copies the file in pieces, with `between` called after each. */
async function copySlowly(from: string, to: string, between: () => Promise<void>): Promise<void> {
  const file = openSync(from, "r");
  const pieces: Buffer[] = [];
  try {
    for (let at = 0; ; ) {
      const piece = Buffer.alloc(PIECE_BYTES);
      const count = readSync(file, piece, 0, PIECE_BYTES, at);
      if (count === 0) break;
      pieces.push(piece.subarray(0, count));
      at += count;
      await between();
    }
  } finally {
    closeSync(file);
  }
  writeFileSync(to, Buffer.concat(pieces));
}

async function writeSome(store: Store, random: Random): Promise<void> {
  const writes = Array.from({ length: 1 + random.below(8) }, async () => {
    const name = `${random.pick(["notes", "tracks"])}:${random.below(40)}`;
    if (random.chance(15)) await remove(store, name).catch(() => undefined);
    else await put(store, name, { n: random.below(1e6), text: "x".repeat(random.below(9000)) });
  });
  await Promise.all(writes);
}

function open(folder: TempFolder, options: { logBytesMax?: number } = {}) {
  const clock = new VirtualClock();
  const { store } = openFileStore(folder.file("peat.db"), { clock, ...options });
  return { clock, store };
}

test("a copy that is made while documents are written is the database of its end", async () => {
  for (let seed = 1; seed <= 2; seed += 1) {
    using folder = tempFolder({ isInMemory: true });
    const random = new Random(seed);
    const { store } = openFileStore(folder.file("peat.db"));
    for (let i = 0; i < 20; i += 1) await writeSome(store, random);
    const id = store.copying.begin();
    const copied = folder.file("copy.db");
    await copySlowly(folder.file("peat.db"), copied, () => writeSome(store, random));
    copyFileSync(folder.file("peat.db-wal"), `${copied}-wal`);
    const sum = store.sum(ROOT);
    const { documents, tombstones } = store.summary();
    store.copying.end(id);
    await writeSome(store, random);
    const facts = await examineCopy(copied, EXAMINE);
    expect(facts).toMatchObject({ documents, tombstones, damaged: 0, checked: "hashes" });
    const again = openFileStore(copied);
    expect(again.store.sum(ROOT)).toEqual(sum);
    again.store.close();
    store.close();
  }
});

test("a log that was written back whole does not begin anew while it is copied", async () => {
  using folder = tempFolder({ isInMemory: true });
  const path = folder.file("peat.db");
  const { store } = openFileStore(path);
  const sizeBefore = statSync(path).size;
  const text = "x".repeat(8000);
  // Until a commit has written the log back: the next one overwrites its beginning.
  for (let n = 0; statSync(path).size === sizeBefore; n += 1) {
    await put(store, `notes:${n % 9}`, { n, text });
  }
  const id = store.copying.begin();
  const copied = folder.file("copy.db");
  copyFileSync(path, copied);
  let pieces = 0;
  await copySlowly(`${path}-wal`, `${copied}-wal`, async () => {
    pieces += 1;
    // More than is left of the log to be copied.
    if (pieces === 40) await put(store, "notes:new", { text: text.repeat(80) });
  });
  store.copying.end(id);
  const hashes = (from: Store) =>
    Array.from({ length: 9 }, (_, n) => from.get(key(`notes:${n}`))?.hash);
  const expected = hashes(store);
  store.close();
  expect((await examineCopy(copied, EXAMINE)).damaged).toBe(0);
  const again = openFileStore(copied).store;
  expect(hashes(again)).toEqual(expected);
  again.close();
});

test("the file stays as it is while it is copied, also where the log would have been written back", async () => {
  using folder = tempFolder({ isInMemory: true });
  const { store } = openFileStore(folder.file("peat.db"));
  await put(store, "notes:1", { x: 1 });
  const id = store.copying.begin();
  const before = await Bun.file(folder.file("peat.db")).bytes();
  const text = "x".repeat(500_000);
  for (let i = 0; i < 20; i += 1) await put(store, `notes:${i}`, { text });
  expect(await Bun.file(folder.file("peat.db")).bytes()).toEqual(before);
  expect(statSync(folder.file("peat.db-wal")).size).toBeGreaterThan(9_000_000);
  store.copying.end(id);
  await put(store, "notes:last", { x: 1 });
  expect(statSync(folder.file("peat.db")).size).toBeGreaterThan(5_000_000);
  // The next commit begins the log anew, and gives back what it had grown to.
  await put(store, "notes:last", { x: 2 });
  expect(statSync(folder.file("peat.db-wal")).size).toBeLessThanOrEqual(8 * 1024 * 1024);
  store.close();
});

test("a copier that says nothing is given up, and hears of it at its end", async () => {
  using folder = tempFolder({ isInMemory: true });
  const { clock, store } = open(folder);
  const id = store.copying.begin();
  for (let i = 0; i < 6; i += 1) {
    await clock.advance(8_000);
    store.copying.renew(id);
  }
  await clock.advance(15_000);
  expect(() => store.copying.renew(id)).toThrow("said nothing for 10 s");
  expect(() => store.copying.end(id)).toThrow("said nothing for 10 s");
  expect(faultCode(() => store.copying.end("unknown"))).toBe("conflict");
  // The next one begins as if nothing had been.
  store.copying.end(store.copying.begin());
  store.close();
});

test("one copies at a time", async () => {
  using folder = tempFolder({ isInMemory: true });
  const { store } = open(folder);
  const id = store.copying.begin();
  expect(faultCode(() => store.copying.begin())).toBe("overloaded");
  store.copying.end(id);
  store.close();
});

test("a log that grows too large ends the copying", async () => {
  using folder = tempFolder({ isInMemory: true });
  const { clock, store } = open(folder, { logBytesMax: 100_000 });
  const id = store.copying.begin();
  const written = put(store, "notes:1", { text: "x".repeat(200_000) });
  await clock.advance(2_000);
  await written;
  expect(() => store.copying.end(id)).toThrow("more than 100000 bytes were written meanwhile");
  store.close();
});

test("a store that is closed gives the copy up, and leaves one whole file", async () => {
  using folder = tempFolder({ isInMemory: true });
  const { store } = openFileStore(folder.file("peat.db"));
  await put(store, "notes:1", { x: 1 });
  const id = store.copying.begin();
  store.close();
  expect(() => store.copying.end(id)).toThrow("the node was stopped");
  expect(existsSync(folder.file("peat.db-wal"))).toBe(false);
});

test("documents that the disk has damaged are named", async () => {
  using folder = tempFolder({ isInMemory: true });
  const path = folder.file("peat.db");
  const { store } = openFileStore(path);
  for (const name of ["notes:1", "notes:2", "tracks:1"]) await put(store, name, { x: 1 });
  store.close();
  tamper(path, "UPDATE documents SET state = zeroblob(30) WHERE key = 'notes:2'");
  const facts = await examineCopy(path, EXAMINE);
  expect(facts).toMatchObject({ damaged: 1, damagedKeys: ["notes:2"] });
});

/** Gives a document another hash, and its row the checksum of that. */
function changeHash(path: string, key: string): void {
  const sqlite = new Sqlite(path);
  const row = sqlite
    .query<ForgedRow, [string]>("SELECT seq, state, json, newest_at FROM documents WHERE key = ?")
    .get(key);
  if (row === null) throw new Error(`${key} is not there`);
  const hash = "00".repeat(16);
  const text = `${key}\n${hash}\n0\n${row.newest_at}\n\n${row.json}`;
  const checksum = (Bun.hash.crc32(row.state) ^ Bun.hash.crc32(text)) >>> 0;
  const update = "UPDATE documents SET hash = ?, checksum = ? WHERE seq = ?";
  sqlite.query(update).run(hash, checksum, row.seq);
  sqlite.close();
}

interface ForgedRow {
  readonly seq: number;
  readonly state: Uint8Array;
  readonly json: string;
  readonly newest_at: number;
}

test("a state that is not the one its hash names is found, though its checksum is right", async () => {
  for (const name of ["tracks:1", "notes:1"]) {
    using folder = tempFolder({ isInMemory: true });
    const path = folder.file("peat.db");
    const { store } = openFileStore(path);
    await put(store, name, { x: 1 });
    store.close();
    changeHash(path, name);
    const reader = openFileStore(path).store;
    // A reader believes the checksum.
    expect(reader.get(key(name))?.hash).toBe("00".repeat(16));
    reader.close();
    expect((await examineCopy(path, EXAMINE)).damagedKeys).toEqual([name]);
  }
});

test("a database that somebody has open can't be locked, and one that is locked can't be opened", async () => {
  using folder = tempFolder({ isInMemory: true });
  const path = folder.file("peat.db");
  const { store } = openFileStore(path);
  await put(store, "notes:1", { x: 1 });
  expect(faultCode(() => lockDatabase(path))).toBe("storage_locked");
  store.close();
  const unlock = lockDatabase(path);
  expect(faultCode(() => openFileStore(path))).toBe("storage_locked");
  unlock();
  unlock();
  openFileStore(path).store.close();
});

test("a copy that becomes a node's database gets a name of its own and keeps its documents", async () => {
  using folder = tempFolder({ isInMemory: true });
  const path = folder.file("peat.db");
  const first = openFileStore(path).store;
  await put(first, "notes:1", { x: 1 });
  first.close();
  renameStore(path);
  const second = openFileStore(path).store;
  expect(second.storeId).not.toBe(first.storeId);
  expect(second.storeId).toMatch(/^[0-9a-f]{16}$/);
  expect(second.summary().documents).toBe(1);
  second.close();
});
