// What lies on disk is written again when encryption is turned on or off, or its key is changed.
import { Database as Sqlite } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { waitFor } from "../../../scripts/support/waiting.ts";
import { keyIdOf, NO_ENCRYPTION, type SealOptions } from "../../../src/store/seal.ts";
import {
  by,
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
import { tamper } from "../../support/file-store.ts";
import { key, put, read, remove } from "../../support/memory-store.ts";
import { tempFolder } from "../../support/temp-folder.ts";

/** On a machine that has much else to do. */
const SLOW_MS = 60_000;

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

  test(
    "and what was long leaves nothing behind that is read between what is short",
    async () => {
      using folder = tempFolder();
      const { store } = open(folder, NO_ENCRYPTION);
      const many = Array.from({ length: 200 }, (_, n) => n);
      const write = (collection: string, n: number) =>
        put(store, `${collection}:${n}`, { text: WORD.repeat(1 + ((n * 37) % 600)) });
      for (const collection of ["notes", "track_history"]) {
        await Promise.all(many.map((n) => write(collection, n)));
      }
      const isRendered = () => (store.renderings.waiting === 0 ? true : undefined);
      await waitFor("the renderings", 120_000, isRendered);
      store.close();
      expect(filesWithWord(folder)).toEqual(["peat.db"]);
      const turned = open(folder, by(FIRST));
      await reseal(turned.store);
      expect(filesWithWord(folder)).toEqual([]);
      for (const n of many) await remove(turned.store, `notes:${n}`);
      turned.store.close();
      expect(filesWithWord(folder)).toEqual([]);
    },
    SLOW_MS,
  );

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
