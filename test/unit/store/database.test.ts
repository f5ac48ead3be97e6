import { Database as Sqlite } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, writeFileSync } from "node:fs";
import { Fault } from "../../../src/base/faults.ts";
import { Database } from "../../../src/store/database.ts";
import type { DocumentKey } from "../../../src/store/document-key.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const CACHE_BYTES = 256 * 1024;
const IS_ROOT = process.getuid?.() === 0;
const NOBODY = 65_534;

function faultOf(path: string): string {
  try {
    Database.open({ path, cacheBytes: CACHE_BYTES }).close();
  } catch (error) {
    if (error instanceof Fault) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "opened";
}

/** A process of its own, to which the class Database is known. */
function spawnScript(script: string) {
  const source = import.meta.resolve("../../../src/store/database.ts");
  const copy = import.meta.resolve("../../../src/store/database-copy.ts");
  const head = `const { Database } = await import(${JSON.stringify(source)});
    const { lockDatabase } = await import(${JSON.stringify(copy)});`;
  const command = [process.execPath, "-e", `${head}${script}`];
  return Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
}

function pragma(path: string, name: string): unknown {
  const sqlite = new Sqlite(path);
  const found = sqlite.query<Record<string, unknown>, []>(`PRAGMA ${name}`).get();
  sqlite.close();
  return Object.values(found ?? {})[0];
}

function rowOf(key: string, seq: number) {
  return {
    seq,
    key: key as DocumentKey,
    bucket: seq,
    deleted: false,
    state: new Uint8Array([seq]),
    json: "{}",
    hash: `${seq}`,
    writtenAt: 1,
    newestAt: 1,
    due: undefined,
    hidden: false,
  };
}

describe("opening", () => {
  test("makes a file that says what it is", () => {
    using folder = tempFolder();
    const path = folder.file("peat.db");
    expect(faultOf(path)).toBe("opened");
    expect(faultOf(path)).toBe("opened");
    expect(pragma(path, "application_id")).toBe(0x70656174);
    expect(pragma(path, "user_version")).toBe(5);
    expect(pragma(path, "journal_mode")).toBe("wal");
  });

  test("a file of a later version is refused, and says which", () => {
    using folder = tempFolder();
    const path = folder.file("peat.db");
    faultOf(path);
    const sqlite = new Sqlite(path);
    sqlite.exec("PRAGMA user_version = 6");
    sqlite.close();
    expect(faultOf(path)).toContain("storage_unusable");
    expect(faultOf(path)).toContain("schema 6, this one knows 5");
  });

  test("a database of another program is refused and left as it was", () => {
    using folder = tempFolder();
    const path = folder.file("other.db");
    const sqlite = new Sqlite(path);
    sqlite.exec("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
    sqlite.close();
    expect(faultOf(path)).toContain("another program");
    const again = new Sqlite(path);
    expect(again.query<{ x: number }, []>("SELECT x FROM theirs").get()).toEqual({ x: 1 });
    expect(again.query("SELECT name FROM sqlite_schema").all()).toEqual([{ name: "theirs" }]);
    again.close();
  });

  test("a file that is no database is refused", () => {
    using folder = tempFolder();
    const path = folder.file("peat.db");
    writeFileSync(path, "not a database".repeat(1_000));
    expect(faultOf(path)).toContain("is damaged");
  });

  test("a folder that is not there is refused with the remedy", () => {
    using folder = tempFolder();
    expect(faultOf(folder.file("missing/peat.db"))).toContain("PEAT_DATA_DIR");
  });

  test.each(["", "-wal"])(
    "a file that can't be written is refused by its name: peat.db%s",
    async (suffix) => {
      using folder = tempFolder();
      const path = folder.file("peat.db");
      faultOf(path);
      writeFileSync(`${path}${suffix}`, "", { flag: "a", mode: 0o400 });
      chmodSync(`${path}${suffix}`, 0o400);
      const owned = IS_ROOT ? [folder.path, path, `${path}${suffix}`] : [];
      for (const own of owned) chownSync(own, NOBODY, NOBODY);
      const child = spawnScript(`
      // Root may write whatever there is.
      if (${IS_ROOT}) process.setuid(${NOBODY});
      const path = ${JSON.stringify(path)};
      const open = () => Database.open({ path, cacheBytes: ${CACHE_BYTES} }).close();
      for (const begin of [open, () => lockDatabase(path)()]) {
        try {
          begin();
        } catch ({ code, message }) {
          console.log(code, message);
        }
      }`);
      const refused = `storage_unusable ${path}${suffix} can't be written (EACCES); check its owner and mode`;
      const lines = (await child.stdout.text()).trim().split("\n");
      expect(lines.map((line) => line.slice(0, refused.length))).toEqual([refused, refused]);
    },
  );

  test("a second process is refused while the first lives, and let in once it was killed", async () => {
    using folder = tempFolder();
    const path = folder.file("peat.db");
    const holder = spawnScript(`
      Database.open({ path: ${JSON.stringify(path)}, cacheBytes: ${CACHE_BYTES} });
      console.log("open");
      await new Promise((resolve) => process.stdin.once("end", resolve).resume());`);
    const { value } = await holder.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toContain("open");
    expect(faultOf(path)).toContain("storage_locked");
    expect(faultOf(path)).toContain("in use by another process");
    holder.kill("SIGKILL");
    await holder.exited;
    expect(faultOf(path)).toBe("opened");
  });
});

describe("rows", () => {
  test("come back as they were written, in the order that was asked for", () => {
    const database = Database.open({ path: ":memory:", cacheBytes: CACHE_BYTES });
    const rows = ["b:1", "a:2", "a:1", "a-b:1", "a:ü"].map((key, i) => rowOf(key, i + 1));
    database.write(rows, [], 1);
    expect(database.list("a", { after: undefined, limit: 10, now: 1 })).toMatchObject([
      { key: "a:1" },
      { key: "a:2" },
      { key: "a:ü" },
    ]);
    expect(database.list("a", { after: "1", limit: 1, now: 1 })).toMatchObject([{ key: "a:2" }]);
    expect(database.since(1, 3, 10)).toMatchObject([{ key: "a:2" }, { key: "a:1" }]);
    expect(database.leavesBetween(2, 3, 0).map(({ key }) => String(key))).toEqual(["a:2", "a:1"]);
    expect(database.get("a:ü" as DocumentKey)).toMatchObject({
      seq: 5,
      state: new Uint8Array([5]),
    });
    expect(database.lastSeq()).toBe(5);
    database.close();
  });

  test("of a write that fails in its middle are not there", () => {
    const database = Database.open({ path: ":memory:", cacheBytes: CACHE_BYTES });
    const good = rowOf("a:1", 1);
    const bad = { ...rowOf("a:2", 2), hash: undefined as unknown as string };
    expect(() => database.write([good, bad], [], 1)).toThrow(Fault);
    expect(database.get(good.key)).toBeUndefined();
    database.write([good], [], 1);
    expect(database.get(good.key)).toMatchObject({ seq: 1 });
    database.close();
  });
});
