// Documents encrypted on disk: what lies there, by which key, and what happens to what is changed.
import { Database as Sqlite } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { CollectionPolicies, NO_CHOICES } from "../../../src/store/collection-policies.ts";
import { keyIdOf, NO_ENCRYPTION } from "../../../src/store/seal.ts";
import {
  by,
  deleted,
  expectFilled,
  FIRST,
  faultOf,
  filesWithWord,
  fill,
  keysInFile,
  names,
  open,
  reseal,
  SECOND,
  WORD,
} from "../../support/encrypted-store.ts";
import { openFileStore, tamper } from "../../support/file-store.ts";
import { key, openMemoryStore, put, read } from "../../support/memory-store.ts";
import { tempFolder } from "../../support/temp-folder.ts";

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
