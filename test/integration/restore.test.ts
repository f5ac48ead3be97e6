// `restore`: what becomes of a data directory, whole or not at all.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { contentOf } from "../../src/backup/files.ts";
import { claimPlace, placeUnpacked, unpackBackup } from "../../src/backup/restore.ts";
import { Scratch } from "../../src/backup/scratch.ts";
import { Fault } from "../../src/base/faults.ts";
import { Secret } from "../../src/base/secret.ts";
import { NO_ENCRYPTION } from "../../src/store/seal.ts";
import { ROOT } from "../../src/store/sums.ts";
import { environment, openData, run, snapshot, withBackup } from "../support/backup-folder.ts";
import { openFileStore } from "../support/file-store.ts";
import { put, read } from "../support/memory-store.ts";
import { runCommand } from "../support/run-command.ts";

const KEY = new Uint8Array(32).fill(9);

async function faultOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.catch((thrown: unknown) => thrown);
  return error instanceof Fault ? error.code : `no fault but ${String(error)}`;
}

describe("restore", () => {
  test("gives a lone node exactly the documents of the backup", async () => {
    using made = await withBackup();
    const { folder, file, sum } = made;
    const more = { PEAT_DATA_DIR: folder.file("new") };
    const { code, stdout, stderr } = await run(folder, ["restore", file], more);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("restored as of 20");
    const store = openData(folder, "new");
    expect(store.sum(ROOT)).toEqual(sum);
    expect(read(store, "notes:1")).toBe('{"x":1}');
    expect(store.summary()).toMatchObject({ documents: 2, tombstones: 1 });
    store.close();
    expect(statSync(folder.file("new/automerge")).mode & 0o777).toBe(0o700);
    expect(statSync(folder.file("new/automerge/peat.db")).mode & 0o077).toBe(0);
  });

  test("is refused where a node runs, whatever is asked for", async () => {
    using made = await withBackup();
    const store = openData(made.folder);
    for (const force of [[], ["--force"]]) {
      const { code, stderr } = await run(made.folder, ["restore", made.file, ...force]);
      expect([code, stderr]).toEqual([75, expect.stringContaining("stop it first")]);
    }
    await put(store, "notes:still", { x: 1 });
    store.close();
  });

  test("is refused where a node has begun while the backup was unpacked", async () => {
    using made = await withBackup();
    const dataDir = made.folder.file("new");
    mkdirSync(dataDir);
    const claim = await claimPlace(dataDir, { force: false });
    await using scratch = await Scratch.open(dataDir);
    const file = await open(made.file);
    const { signal } = new AbortController();
    const { manifest } = await unpackBackup({
      source: contentOf(file, signal),
      scratch,
      keys: "required",
      encryption: NO_ENCRYPTION,
      signal,
    });
    await file.close();
    const node = openData(made.folder, "new");
    await put(node, "notes:new", { x: 1 });
    for (const force of [false, true]) {
      const placing = placeUnpacked({ claim: { ...claim, force }, scratch, manifest, nowMs: 1 });
      expect(await faultOf(placing)).toBe("storage_locked");
    }
    node.close();
    const placing = placeUnpacked({ claim, scratch, manifest, nowMs: 1 });
    expect(await faultOf(placing)).toBe("already_exists");
    const again = openData(made.folder, "new");
    expect(read(again, "notes:new")).toBe('{"x":1}');
    again.close();
  });

  test("is refused where something is, and moves it aside with --force", async () => {
    using made = await withBackup();
    const { folder, file, sum } = made;
    const store = openData(folder);
    await put(store, "notes:later", { x: 1 });
    store.close();
    const before = snapshot(folder.file("data"));
    const refused = await run(folder, ["restore", file]);
    expect([refused.code, refused.stderr]).toEqual([65, expect.stringContaining("--force")]);
    expect(snapshot(folder.file("data"))).toEqual(before);
    const { code, stdout } = await run(folder, ["restore", file, "--force"]);
    expect(code).toBe(0);
    const aside = readdirSync(folder.file("data")).find((name) => name.includes(".before-"));
    expect(stdout).toContain(`${aside}: what was there before\n`);
    const kept = openFileStore(join(folder.file("data"), aside ?? "", "peat.db")).store;
    expect(read(kept, "notes:later")).toBe('{"x":1}');
    kept.close();
    const restored = openData(folder);
    expect(restored.sum(ROOT)).toEqual(sum);
    restored.close();
  });

  test("replaces a database that is damaged, with --force", async () => {
    using made = await withBackup();
    const path = made.folder.file("data/automerge/peat.db");
    writeFileSync(path, "no database at all ".repeat(1000));
    expect((await run(made.folder, ["restore", made.file])).code).not.toBe(0);
    expect((await run(made.folder, ["restore", made.file, "--force"])).code).toBe(0);
    openData(made.folder).close();
  });

  test("changes nothing for a backup that is damaged anywhere", async () => {
    using made = await withBackup();
    const { folder, file } = made;
    const bytes = readFileSync(file);
    const before = snapshot(folder.file("data"));
    const bad = folder.file("bad");
    const cases = Array.from({ length: 12 }, (_, n) => Math.floor((n * bytes.length) / 12));
    for (const at of cases) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      writeFileSync(bad, flipped);
      expect((await run(folder, ["restore", bad, "--force"])).code).toBe(65);
      writeFileSync(bad, bytes.subarray(0, at));
      expect((await run(folder, ["restore", bad, "--force"])).code).toBe(65);
      expect((await run(folder, ["backup", "--verify", bad])).code).toBe(65);
    }
    expect(snapshot(folder.file("data"))).toEqual(before);
  });

  test("changes nothing when it is interrupted", async () => {
    using made = await withBackup();
    const before = snapshot(made.folder.file("data"));
    const { code } = await runCommand(["restore", made.file, "--force"], {
      environment: environment(made.folder),
      onStopper: (stop) => stop(),
    });
    expect(code).toBe(130);
    expect(snapshot(made.folder.file("data"))).toEqual(before);
  });

  test("tells when the backup is of another node, or of another formation", async () => {
    using made = await withBackup();
    const more = {
      PEAT_DATA_DIR: made.folder.file("new"),
      PEAT_NODE_ID: "node-b",
      PEAT_FORMATION_SECRET: Buffer.alloc(32, 8).toString("base64"),
    };
    const { code, stderr } = await run(made.folder, ["restore", made.file], more);
    expect(code).toBe(0);
    expect(stderr).toContain("the backup is of node node-a, and this one is node-b");
    expect(stderr).toContain("made under another formation secret");
  });

  test("of one file twice makes two databases of different names", async () => {
    using made = await withBackup();
    const ids = [];
    for (const name of ["b", "c"]) {
      const more = { PEAT_DATA_DIR: made.folder.file(name), PEAT_NODE_ID: `node-${name}` };
      expect((await run(made.folder, ["restore", made.file], more)).code).toBe(0);
      const store = openData(made.folder, name);
      ids.push(store.storeId, store.start);
      store.close();
    }
    expect(new Set(ids).size).toBe(4);
  });
});

describe("of encrypted documents", () => {
  const encryption = { key: new Secret(KEY), previous: [] };
  const key = { PEAT_ENCRYPTION_KEY: Buffer.from(KEY).toString("base64") };

  test("the backup is made and verified without the key, and restored only with it", async () => {
    using made = await withBackup(encryption);
    const { folder, file, sum } = made;
    const blind = await run(folder, ["backup", "--verify", file]);
    expect([blind.code, blind.stdout]).toEqual([0, expect.stringContaining("PEAT_ENCRYPTION_KEY")]);
    const seeing = await run(folder, ["backup", "--verify", file], key);
    expect(seeing.stdout).toContain("every document has its hash");
    const more = { PEAT_DATA_DIR: folder.file("new") };
    const other = { PEAT_ENCRYPTION_KEY: Buffer.alloc(32, 5).toString("base64") };
    for (const wrong of [more, { ...more, ...other }]) {
      const refused = await run(folder, ["restore", file], wrong);
      expect(refused.code).toBe(78);
      expect(refused.stderr).toMatch(/encrypted by key [0-9a-f]{16}; set PEAT_ENCRYPTION_KEY/);
      expect(existsSync(folder.file("new/automerge"))).toBe(false);
    }
    expect((await run(folder, ["restore", file], { ...more, ...key })).code).toBe(0);
    const store = openData(folder, "new", encryption);
    expect(store.sum(ROOT)).toEqual(sum);
    store.close();
  });
});
