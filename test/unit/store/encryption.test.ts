// Documents encrypted on disk: what lies there, by which key, and what happens when keys come and go.
import { Database as Sqlite } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../../scripts/support/waiting.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { Fault } from "../../../src/base/faults.ts";
import { Secret } from "../../../src/base/secret.ts";
import { CollectionPolicies, NO_CHOICES } from "../../../src/store/collection-policies.ts";
import {
  type EncryptionKey,
  keyIdOf,
  NO_ENCRYPTION,
  type SealOptions,
} from "../../../src/store/seal.ts";
import type { Store } from "../../../src/store/store.ts";
import { type FileStore, openFileStore, tamper } from "../../support/file-store.ts";
import { key, openMemoryStore, put, read, remove } from "../../support/memory-store.ts";
import { type TempFolder, tempFolder } from "../../support/temp-folder.ts";
import vectors from "../../vectors/at-rest.json" with { type: "json" };

const FIRST: EncryptionKey = new Secret(new Uint8Array(32).fill(1));
const SECOND: EncryptionKey = new Secret(new Uint8Array(32).fill(2));
const by = (present?: EncryptionKey, ...previous: EncryptionKey[]): SealOptions => ({
  key: present,
  previous,
});

/** In every document, and nowhere else. */
const WORD = "Kupfermuckn";
const COLLECTIONS = ["tracks", "track_history", "notes"];
const names = COLLECTIONS.flatMap((collection) => [1, 2, 3].map((n) => `${collection}:${n}`));
const deleted = "notes:deleted";

function open(folder: TempFolder, encryption: SealOptions): FileStore {
  return openFileStore(folder.file("peat.db"), { encryption });
}

/** Something in every table that can hold content. */
async function fill(store: Store): Promise<void> {
  for (const round of [1, 2]) {
    await Promise.all(
      [...names, deleted].map((name) => put(store, name, { round, name, word: WORD })),
    );
  }
  await remove(store, deleted);
  store.guests.set("guest", key("tracks:1"), new TextEncoder().encode(WORD));
  store.guests.flush();
  const isRendered = () => (store.renderings.waiting === 0 ? true : undefined);
  await waitFor("the renderings", 20_000, isRendered);
}

function expectFilled(store: Store): void {
  for (const name of names) {
    expect(read(store, name)).toBe(`{"name":"${name}","round":2,"word":"${WORD}"}`);
  }
  expect(store.list("notes", { limit: 10 }).map(({ id }) => id)).toEqual(["1", "2", "3"]);
  const [aside] = store.contents.list({ why: "deleted", after: 0, limit: 10 });
  const content = store.contents.read(aside?.id ?? 0);
  expect(content).toContain(WORD);
  expect(aside?.bytes).toBe(content?.length ?? -1);
  expect(store.guests.get("guest", key("tracks:1"))).toEqual(new TextEncoder().encode(WORD));
  for (const name of ["tracks:1", "track_history:1"]) {
    const rendering = Buffer.from(store.renderings.read(key(name)) ?? []);
    expect(rendering.includes(WORD)).toBe(true);
  }
}

/** Files of the store in which the word can be read. */
function filesWithWord(folder: TempFolder): string[] {
  return readdirSync(folder.path).filter((file) =>
    readFileSync(join(folder.path, file)).includes(WORD),
  );
}

async function reseal(store: Store): Promise<void> {
  await store.resealing.run(systemClock, new AbortController().signal);
}

function faultOf(folder: TempFolder, encryption: SealOptions): Fault {
  try {
    open(folder, encryption).store.close();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error("it opened");
}

/** What every cell of the file begins with that is sealed or in the clear. */
function keysInFile(folder: TempFolder): string[] {
  const sqlite = new Sqlite(folder.file("peat.db"), { readonly: true });
  const cells = [
    "state FROM documents",
    "json FROM documents WHERE json IS NOT NULL",
    "json FROM set_aside WHERE json IS NOT NULL",
    "tip FROM renderings",
    "chunks FROM rendering_parts",
    "state FROM rendering_parts WHERE state IS NOT NULL",
    "chunks FROM guest_histories",
  ].flatMap((from) => {
    const rows = sqlite.query<Record<string, Uint8Array | string>, []>(`SELECT ${from}`).all();
    expect(rows.length).toBeGreaterThan(0);
    return rows.flatMap((row) => Object.values(row));
  });
  sqlite.close();
  return [
    ...new Set(
      cells.map((cell) => {
        const head = typeof cell === "string" ? "" : Buffer.from(cell).toString("hex", 0, 12);
        return head.startsWith("e5454e02") ? head.slice(8) : "clear";
      }),
    ),
  ];
}

/** Somebody who knows the format: the row's checksum is that of its cells as they are. */
function mendChecksum(path: string, name: string): void {
  const sqlite = new Sqlite(path);
  type Cells = { text: string; state: Uint8Array; json: Uint8Array };
  const cells = sqlite
    .query<Cells, [string]>(
      `SELECT key || char(10) || hash || char(10) || deleted || char(10) || newest_at || char(10)
         || coalesce(due, '') || char(10) AS text, state, json FROM documents WHERE key = ?`,
    )
    .get(name);
  if (cells === null) throw new Error("no document");
  const crcs = [cells.state, cells.text, cells.json].map((part) => Bun.hash.crc32(part));
  const checksum = crcs.reduce((all, crc) => all ^ crc, 0) >>> 0;
  sqlite.query("UPDATE documents SET checksum = ? WHERE key = ?").run(checksum, name);
  sqlite.close();
}

describe("an encrypted store", () => {
  test("answers as any other, now and after a restart, and no file of it holds a word of a document", async () => {
    using folder = tempFolder();
    const first = open(folder, by(FIRST));
    await fill(first.store);
    expectFilled(first.store);
    expect(filesWithWord(folder)).toEqual([]);
    first.store.close();
    expect(filesWithWord(folder)).toEqual([]);
    expect(keysInFile(folder)).toEqual([keyIdOf(FIRST)]);
    const again = open(folder, by(FIRST));
    expectFilled(again.store);
    expect(again.store.resealing.isDue).toBe(false);
    expect([...first.fatal, ...again.fatal]).toEqual([]);
    again.store.close();
  });

  test("finds the word in a store that is not encrypted: the search above can fail", async () => {
    using folder = tempFolder();
    const { store } = open(folder, NO_ENCRYPTION);
    await fill(store);
    store.close();
    expect(filesWithWord(folder)).toEqual(["peat.db"]);
    expect(keysInFile(folder)).toEqual(["clear"]);
  });

  test("has the same hashes, sums and feed as one in the clear", async () => {
    const policies = new CollectionPolicies(NO_CHOICES);
    const sealed = openMemoryStore();
    using folder = tempFolder();
    const { store } = openFileStore(folder.file("peat.db"), { encryption: by(FIRST), policies });
    const subscription = store.subscribe({ since: store.position(), capacity: 100 });
    await fill(sealed);
    for (const name of [...names, deleted]) {
      const state = sealed.stateFor(key(name));
      if (state !== undefined) await store.merge({ key: key(name), ...state }, "node-b");
    }
    expect(store.summary().rootHash).toBe(sealed.summary().rootHash);
    const change = await subscription.take();
    expect(change?.kind === "item" && change.item.document.json).toContain(WORD);
    for (const one of [store, sealed]) one.close();
  });

  test("is not opened by another key, or by none, and says which it wants", async () => {
    using folder = tempFolder();
    const { store } = open(folder, by(FIRST));
    await fill(store);
    store.close();
    for (const encryption of [by(SECOND), by(undefined), by(SECOND, SECOND)]) {
      const fault = faultOf(folder, encryption);
      expect(fault.code).toBe("settings_invalid");
      expect(fault.exitCode).toBe(78);
      expect(fault.message).toContain(`is encrypted by key ${keyIdOf(FIRST)}`);
      expect(fault.message).toContain("PEAT_ENCRYPTION_KEY");
    }
    // Nothing was set aside or changed by it.
    const again = open(folder, by(FIRST));
    expectFilled(again.store);
    expect(again.store.contents.count("damaged")).toBe(0);
    again.store.close();
  });

  test("knows its key also where the note of it is damaged", async () => {
    using folder = tempFolder();
    const { store } = open(folder, by(FIRST));
    await fill(store);
    store.close();
    tamper(folder.file("peat.db"), "UPDATE meta SET value = 'x' WHERE name = 'sealed_with'");
    expect(faultOf(folder, by(SECOND)).code).toBe("settings_invalid");
    const again = open(folder, by(FIRST));
    expectFilled(again.store);
    again.store.close();
  });

  const damages = [
    "UPDATE documents SET json = x'00' || substr(json, 2) WHERE key = 'notes:1'",
    "UPDATE documents SET state = x'00' || substr(state, 2) WHERE key = 'notes:1'",
    "UPDATE documents SET hash = '00000000000000000000000000000000' WHERE key = 'notes:1'",
    "UPDATE documents SET json = (SELECT json FROM documents WHERE key = 'notes:2'), state = (SELECT state FROM documents WHERE key = 'notes:2'), checksum = 0 WHERE key = 'notes:1'",
  ];
  for (const [index, sql] of damages.entries()) {
    test(`sets aside what was changed on the disk, and is filled again (${index})`, async () => {
      using folder = tempFolder();
      const first = open(folder, by(FIRST));
      await fill(first.store);
      first.store.close();
      tamper(folder.file("peat.db"), sql);
      const { store, fatal } = open(folder, by(FIRST));
      const isTold = new Promise((resolve) => store.damage.onDamage(resolve));
      const ended = new AbortController();
      void store.damage.scrub(ended.signal);
      expect(await isTold).toBe(key("notes:1"));
      ended.abort();
      expect(read(store, "notes:1")).toBeUndefined();
      expect(read(store, "notes:2")).toContain(WORD);
      const peer = openMemoryStore({ nodeName: "node-b" });
      await put(peer, "notes:1", { n: 3 });
      const sent = peer.stateFor(key("notes:1"));
      if (sent !== undefined) await store.merge({ key: key("notes:1"), ...sent }, "node-b");
      expect(read(store, "notes:1")).toBe('{"n":3}');
      expect(fatal).toEqual([]);
      for (const one of [peer, store]) one.close();
    });
  }

  for (const moved of [["state"], ["json"], ["hash", "state", "json"]]) {
    test(`does not take ${moved.join(", ")} of another document, with a checksum that is right`, async () => {
      using folder = tempFolder();
      const first = open(folder, by(FIRST));
      await fill(first.store);
      first.store.close();
      const path = folder.file("peat.db");
      const columns = moved.join(", ");
      tamper(
        path,
        `UPDATE documents SET (${columns}) = (SELECT ${columns} FROM documents WHERE key = 'notes:2')
         WHERE key = 'notes:1'`,
      );
      mendChecksum(path, "notes:1");
      const { store } = open(folder, by(FIRST));
      const isTold = new Promise((resolve) => store.damage.onDamage(resolve));
      expect(read(store, "notes:1")).toBeUndefined();
      expect(await isTold).toBe(key("notes:1"));
      store.close();
    });
  }
});

describe("what lies on disk is written again", () => {
  const turns: readonly [string, SealOptions, SealOptions, string][] = [
    ["encryption is turned on", NO_ENCRYPTION, by(FIRST), keyIdOf(FIRST)],
    ["the key is changed", by(FIRST), by(SECOND, FIRST), keyIdOf(SECOND)],
    ["encryption is turned off", by(FIRST), by(undefined, FIRST), "clear"],
  ];
  for (const [name, before, after, left] of turns) {
    test(`when ${name}: everything can be read all the while, and then by the new key alone`, async () => {
      using folder = tempFolder();
      const first = open(folder, before);
      await fill(first.store);
      const hashes = names.map((one) => first.store.hashOf(key(one)));
      first.store.close();
      const turned = open(folder, after);
      expect(turned.store.resealing.isDue).toBe(true);
      expectFilled(turned.store);
      const position = turned.store.position();
      const resealing = reseal(turned.store);
      await put(turned.store, "files:new", { word: WORD });
      await resealing;
      expect(turned.store.resealing.isDue).toBe(false);
      expectFilled(turned.store);
      // Whoever follows the feed hears of the new document only.
      const subscription = turned.store.subscribe({ since: position, capacity: 10 });
      const change = await subscription.take();
      expect(change?.kind === "item" && change.item.document.id).toBe("new");
      if (after.key !== undefined) expect(filesWithWord(folder)).toEqual([]);
      turned.store.close();
      expect(keysInFile(folder)).toEqual([left]);
      const alone = open(folder, by(after.key));
      expectFilled(alone.store);
      expect(names.map((one) => alone.store.hashOf(key(one)))).toEqual(hashes);
      expect(alone.store.contents.count("damaged")).toBe(0);
      expect([...first.fatal, ...turned.fatal, ...alone.fatal]).toEqual([]);
      alone.store.close();
    });
  }

  test("and what was long leaves nothing behind that is read between what is short", async () => {
    using folder = tempFolder();
    const { store } = open(folder, NO_ENCRYPTION);
    const many = Array.from({ length: 200 }, (_, n) => n);
    const write = (collection: string, n: number) =>
      put(store, `${collection}:${n}`, { text: WORD.repeat(1 + ((n * 37) % 600)) });
    for (const collection of ["notes", "track_history"]) {
      await Promise.all(many.map((n) => write(collection, n)));
    }
    const isRendered = () => (store.renderings.waiting === 0 ? true : undefined);
    await waitFor("the renderings", 20_000, isRendered);
    store.close();
    expect(filesWithWord(folder)).toEqual(["peat.db"]);
    const turned = open(folder, by(FIRST));
    await reseal(turned.store);
    expect(filesWithWord(folder)).toEqual([]);
    for (const n of many) await remove(turned.store, `notes:${n}`);
    turned.store.close();
    expect(filesWithWord(folder)).toEqual([]);
  });

  test("and a file that was too large for it is rewritten at the next start", async () => {
    using folder = tempFolder();
    const first = open(folder, by(FIRST));
    await fill(first.store);
    first.store.close();
    const path = folder.file("peat.db");
    const noteOf = () => {
      const sqlite = new Sqlite(path, { readonly: true });
      const sql = "SELECT value FROM meta WHERE name = 'sealed_with'";
      const note = sqlite.query<{ value: string }, []>(sql).get()?.value.split(" ")[1];
      sqlite.close();
      return note;
    };
    const note = `${keyIdOf(FIRST)},remains`;
    const crc = Bun.hash.crc32(note).toString(16);
    tamper(path, `UPDATE meta SET value = '${crc} ${note}' WHERE name = 'sealed_with'`);
    const { store, fatal } = open(folder, by(FIRST));
    expectFilled(store);
    expect(store.resealing.isDue).toBe(false);
    store.close();
    expect(noteOf()).toBe(keyIdOf(FIRST));
    expect(fatal).toEqual([]);
  });

  test("and what is left by a stop in between needs both keys, until it is done", async () => {
    using folder = tempFolder();
    const first = open(folder, by(FIRST));
    await fill(first.store);
    first.store.close();
    const begun = open(folder, by(SECOND, FIRST));
    await put(begun.store, "notes:1", { round: 2, name: "notes:1", word: WORD });
    begun.store.close();
    expect(faultOf(folder, by(FIRST)).message).toContain(keyIdOf(SECOND));
    expect(faultOf(folder, by(SECOND)).message).toContain(keyIdOf(FIRST));
    const { store } = open(folder, by(SECOND, FIRST));
    await reseal(store);
    store.close();
    open(folder, by(SECOND)).store.close();
  });

  test("but not what is damaged: the scrub finds it, before and after", async () => {
    using folder = tempFolder();
    const first = open(folder, by(FIRST));
    await fill(first.store);
    first.store.close();
    tamper(folder.file("peat.db"), "UPDATE documents SET checksum = 0 WHERE key = 'tracks:1'");
    const { store } = open(folder, by(SECOND, FIRST));
    await reseal(store);
    const isTold = new Promise((resolve) => store.damage.onDamage(resolve));
    expect(read(store, "tracks:1")).toBeUndefined();
    expect(await isTold).toBe(key("tracks:1"));
    expect(read(store, "tracks:2")).toContain(WORD);
    store.close();
  });
});

describe("cells whose type damage has changed", () => {
  const encryptions = [by(FIRST), by(SECOND, FIRST), by(undefined, FIRST)];
  for (const [index, encryption] of encryptions.entries()) {
    test(`are damage like any other, also while all is written again (${index})`, async () => {
      using folder = tempFolder();
      const first = open(folder, by(FIRST));
      await fill(first.store);
      first.store.close();
      tamper(
        folder.file("peat.db"),
        `UPDATE documents SET json = 5 WHERE key = 'notes:1';
         UPDATE documents SET state = 'text' WHERE key = 'notes:2';
         UPDATE set_aside SET json = x'0102';
         UPDATE renderings SET tip = 'text' WHERE key = 'tracks:1';
         UPDATE rendering_parts SET chunks = 7 WHERE key = 'tracks:2';
         UPDATE guest_histories SET chunks = 'text'`,
      );
      const { store, fatal } = open(folder, encryption);
      await reseal(store);
      expect(store.resealing.isDue).toBe(false);
      const found = names.map((name) => read(store, name) !== undefined);
      expect(found.filter((isThere) => !isThere)).toHaveLength(2);
      const [aside] = store.contents.list({ why: "deleted", after: 0, limit: 10 });
      expect(store.contents.read(aside?.id ?? 0)).toBeUndefined();
      expect(store.guests.get("guest", key("tracks:1"))).toBeUndefined();
      for (const name of ["tracks:1", "tracks:2"]) await put(store, name, { word: WORD });
      expect(fatal).toEqual([]);
      store.close();
    });
  }
});

describe("a document that an older sidecar encrypted", () => {
  const encryption = by(new Secret(Buffer.from(vectors.key, "base64")));
  const document = vectors.envelopes[0]?.document ?? "";
  for (const name of ["tracks:1", "notes:1"]) {
    test(`is read, listed, told and patched as what it holds, and is the same to peers: ${name}`, async () => {
      const older = openMemoryStore({ nodeName: "older" });
      await put(older, name, JSON.parse(document) as object);
      using folder = tempFolder();
      const { store } = openFileStore(folder.file("peat.db"), { encryption });
      const subscription = store.subscribe({ capacity: 10 });
      const state = older.stateFor(key(name));
      if (state !== undefined) await store.merge({ key: key(name), ...state }, "older");
      const opened = '{"a":[1.0,"x"],"b":1}';
      expect(read(store, name)).toBe(opened);
      expect(store.list(name.split(":")[0] ?? "", { limit: 1 })[0]?.json).toBe(opened);
      const change = await subscription.take();
      expect(change?.kind === "item" && change.item.document.json).toBe(opened);
      expect(store.hashOf(key(name))).toBe(older.hashOf(key(name)));
      const patch = { kind: "patch", body: '{"b":2}' } as const;
      const patched = await store.write({ key: key(name), operation: patch });
      expect(patched.document.json).toBe('{"a":[1.0,"x"],"b":2}');
      const back = store.stateFor(key(name));
      if (back !== undefined) await older.merge({ key: key(name), ...back }, "node-a");
      expect(read(older, name)).toBe('{"a":[1.0,"x"],"b":2}');
      for (const one of [older, store]) one.close();
    });
  }
});
