// `backup`, run against a broker over a store on a file, and on directories that no node has open.
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  environment,
  fill,
  openData,
  run,
  snapshot,
  withBackup,
} from "../support/backup-folder.ts";
import { tamper } from "../support/file-store.ts";
import { put } from "../support/memory-store.ts";
import { runCommand } from "../support/run-command.ts";
import { type BrokerWorld, startBroker, TOKEN } from "../support/start-broker.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

/** Against the node of `world`. */
const ask = (folder: TempFolder, world: BrokerWorld, args: readonly string[]) =>
  run(folder, args, { PEAT_BROKER_PORT: String(world.broker.port), PEAT_API_TOKEN: TOKEN });

describe("a backup of a running node", () => {
  test("is made beside it, says what it holds, and is good", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    await fill(world.store);
    const file = folder.file("a.peat-backup");
    const { code, stdout, stderr } = await ask(folder, world, ["backup", file]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(
      /a\.peat-backup: [\d.]+ KiB, 2 documents, 1 deleted, of node-a; every document verified\n$/,
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder.path)).toEqual(["a.peat-backup"]);
    const verified = await run(folder, ["backup", "--verify", file, "--json"]);
    expect(verified.code).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({
      documents: 2,
      tombstones: 1,
      node: "node-a",
      formation: "00112233",
      store_id: world.store.storeId,
      checked: "hashes",
      keys: [],
    });
    // The node goes on, and is let go.
    await put(world.store, "notes:2", { x: 1 });
    expect(() => world.store.copying.end(world.store.copying.begin())).not.toThrow();
  });

  test("needs the token", async () => {
    using folder = tempFolder();
    await using world = await startBroker({ access: { open: "none" } });
    const port = { PEAT_BROKER_PORT: String(world.broker.port) };
    const refused = await run(folder, ["backup", folder.file("a")], port);
    expect(refused.code).toBe(77);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("is refused while another one is copied", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    const id = world.store.copying.begin();
    const { code, stderr } = await ask(folder, world, ["backup", folder.file("a")]);
    expect([code, stderr]).toEqual([75, expect.stringContaining("another backup of this node")]);
    world.store.copying.end(id);
  });

  test("of a database that is not the one of the node is refused", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    const other = openData(folder);
    other.close();
    // As if the node were in a container, with another file under the same path.
    const path = join(folder.file("data"), "automerge", "peat.db");
    Object.defineProperty(world.store.copying, "path", { get: () => path });
    const { code, stderr } = await ask(folder, world, ["backup", folder.file("a")]);
    expect([code, stderr]).toEqual([73, expect.stringContaining("run the command where the node")]);
  });

  test("that comes to nothing lets the node go at once", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    const missing = await ask(folder, world, ["backup", folder.file("missing/a")]);
    expect([missing.code, missing.stderr]).toEqual([73, expect.stringContaining("is not there")]);
    expect(() => world.store.copying.end(world.store.copying.begin())).not.toThrow();
  });
});

describe("a backup of a directory", () => {
  test("that no node has open needs none", async () => {
    using made = await withBackup();
    const { stdout } = await run(made.folder, ["backup", "--verify", made.file]);
    expect(stdout).toContain("good; made 20");
    expect(stdout).toContain("2 documents, 1 deleted, of node-a; every document has its hash");
    expect(readdirSync(join(made.folder.file("data"), "automerge"))).toEqual(["peat.db"]);
  });

  test("that a node has open, and that does not answer, is refused with both reasons", async () => {
    using folder = tempFolder();
    const store = openData(folder);
    const { code, stderr } = await run(folder, ["backup", folder.file("a")]);
    store.close();
    expect(code).toBe(75);
    expect(stderr).toContain("is in use by a node that can't be asked: no answer from http://");
    expect(existsSync(folder.file("a"))).toBe(false);
  });

  test("that is not there is told, and nothing is made", async () => {
    using folder = tempFolder();
    const { code, stderr } = await run(folder, ["backup", folder.file("a")]);
    expect([code, stderr]).toEqual([73, expect.stringContaining("peat.db is not there")]);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("with a damaged document is refused by its name, and made with --damaged", async () => {
    using folder = tempFolder();
    const store = openData(folder);
    await fill(store);
    store.close();
    const path = join(folder.file("data"), "automerge", "peat.db");
    tamper(path, "UPDATE documents SET state = zeroblob(30) WHERE key = 'notes:1'");
    const refused = await run(folder, ["backup", folder.file("a")]);
    expect([refused.code, refused.stderr]).toEqual([73, expect.stringContaining('"notes:1"')]);
    expect(existsSync(folder.file("a"))).toBe(false);
    const taken = await run(folder, ["backup", "--damaged", folder.file("a")]);
    expect([taken.code, taken.stderr]).toEqual([0, expect.stringContaining("notes:1")]);
    expect((await run(folder, ["backup", "--verify", folder.file("a")])).code).toBe(0);
  });

  test("with a broken file is refused", async () => {
    using folder = tempFolder();
    const store = openData(folder);
    for (let i = 0; i < 200; i += 1) await put(store, `notes:${i}`, { text: "x".repeat(500) });
    store.close();
    const path = join(folder.file("data"), "automerge", "peat.db");
    const bytes = readFileSync(path);
    bytes.fill(0xff, 8192, 16_384);
    writeFileSync(path, bytes);
    const { code, stderr } = await run(folder, ["backup", folder.file("a")]);
    expect([code, stderr]).toEqual([73, expect.stringContaining("is damaged")]);
  });

  test("takes copies of files along that the node sends, unless told not to", async () => {
    using folder = tempFolder();
    openData(folder).close();
    const attachments = folder.file("data/attachments");
    mkdirSync(attachments, { mode: 0o700 });
    const name = "ab".repeat(32);
    writeFileSync(join(attachments, name), "content");
    writeFileSync(join(attachments, `${name}.tree`), "tree");
    writeFileSync(join(attachments, "1.part"), "not whole");
    const made = await run(folder, ["backup", folder.file("a")]);
    expect(made.stdout).toContain("2 attachment files");
    await run(folder, ["backup", "--no-attachments", folder.file("b")]);
    const more = { PEAT_DATA_DIR: folder.file("new") };
    expect((await run(folder, ["restore", folder.file("a")], more)).code).toBe(0);
    const there = snapshot(folder.file("new/attachments"));
    expect(Object.keys(there)).toEqual([name, `${name}.tree`]);
    expect(readFileSync(folder.file(`new/attachments/${name}`), "utf8")).toBe("content");
    expect(statSync(folder.file("new/attachments")).mode & 0o777).toBe(0o700);
    const without = { PEAT_DATA_DIR: folder.file("other") };
    expect((await run(folder, ["restore", folder.file("b")], without)).code).toBe(0);
    expect(readdirSync(folder.file("other"))).toEqual(["automerge"]);
  });
});

describe("the file", () => {
  test("is not replaced unless --force says so", async () => {
    using made = await withBackup();
    const before = readFileSync(made.file);
    const refused = await run(made.folder, ["backup", made.file]);
    expect([refused.code, refused.stderr]).toEqual([65, expect.stringContaining("--force")]);
    expect(readFileSync(made.file)).toEqual(before);
    expect((await run(made.folder, ["backup", "--force", made.file])).code).toBe(0);
  });

  test("has a name of its own in a directory, where older ones of this node go", async () => {
    using made = await withBackup();
    const { folder } = made;
    mkdirSync(folder.file("all"));
    const older = [
      "node-a-2026-01-01T00-00-00Z.peat-backup",
      "node-a-2026-01-02T00-00-00Z.peat-backup",
      "node-a-2026-01-03T00-00-00Z.peat-backup",
    ];
    const others = ["node-a-b-2026-01-01T00-00-00Z.peat-backup", "node-a-mine.peat-backup", "x"];
    for (const name of [...older, ...others]) writeFileSync(folder.file(`all/${name}`), "");
    const { code, stdout } = await run(folder, ["backup", folder.file("all"), "--keep", "2"]);
    expect(code).toBe(0);
    const left = readdirSync(folder.file("all")).sort();
    const [fresh] = left.filter((name) => !older.includes(name) && !others.includes(name));
    expect(fresh).toMatch(/^node-a-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.peat-backup$/);
    expect(new Set(left)).toEqual(new Set([...others, older[2] ?? "", fresh ?? ""]));
    expect(stdout).toContain(`removed ${older[0]}\nremoved ${older[1]}\n`);
    expect((await run(folder, ["backup", folder.file("b"), "--keep", "2"])).code).toBe(64);
    expect((await run(folder, ["backup", folder.file("all"), "--keep", "0"])).code).toBe(64);
  });

  test("of a copy that broke off is removed by the next one, a day later", async () => {
    using made = await withBackup();
    const stale = made.folder.file(".peat-backup-old");
    const fresh = made.folder.file(".peat-backup-new");
    for (const path of [stale, fresh]) mkdirSync(path);
    const yesterday = Date.now() / 1000 - 25 * 3600;
    utimesSync(stale, yesterday, yesterday);
    await run(made.folder, ["backup", made.folder.file("b")]);
    expect([existsSync(stale), existsSync(fresh)]).toEqual([false, true]);
  });

  test("is not there, nor anything else, where the command was interrupted", async () => {
    using folder = tempFolder();
    const store = openData(folder);
    await fill(store);
    store.close();
    let stop = () => {};
    const stopped = runCommand(["backup", folder.file("a")], {
      environment: environment(folder),
      onStopper: (stopper) => {
        stop = stopper;
        stop();
      },
    });
    const { code, stderr } = await stopped;
    expect([code, stderr]).toEqual([130, expect.stringContaining("no backup was made")]);
    expect(readdirSync(folder.path)).toEqual(["data"]);
  });
});

test("a user who may not read the database is told who may", async () => {
  using made = await withBackup();
  if (process.getuid?.() === 0) return;
  chmodSync(made.folder.file("data/automerge"), 0);
  const { code, stderr } = await run(made.folder, ["backup", made.folder.file("b")]);
  chmodSync(made.folder.file("data/automerge"), 0o700);
  expect([code, stderr]).toEqual([73, expect.stringContaining("as the service's user or as root")]);
});
