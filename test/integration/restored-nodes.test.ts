// Nodes that come back from backups, over real Iroh on loopback: what was written and deleted since is as the others
// have it, and nobody is taken for somebody else.
import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { runCommand } from "../support/run-command.ts";
import { acquaint, allConnected, allEqual, randomSecret, TestNode } from "../support/start-node.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const LIMIT_MS = 120_000;

/** A node's data directory, of which the test's node knows the part with the database. */
function placeOf(folder: TempFolder, name: string): string {
  const path = join(folder.path, name, "automerge");
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

async function command(args: readonly string[], name: string, place: string): Promise<void> {
  const environment = {
    PEAT_DATA_DIR: dirname(place),
    PEAT_NODE_ID: name,
    PEAT_RUNTIME_DIR: dirname(place),
    // Nobody is there: the directory itself is copied.
    PEAT_BROKER_PORT: "1",
  };
  const { code, stderr } = await runCommand(args, { environment });
  expect([code, stderr]).toEqual([0, expect.any(String)]);
}

test(
  "a node restored from a backup has what came since, and brings nothing deleted back",
  async () => {
    using folder = tempFolder({ isInMemory: true });
    const secrets = [randomSecret()];
    const place = placeOf(folder, "a");
    const file = folder.file("a.peat-backup");
    const start = () => TestNode.start({ name: "node-a", secrets, folder: place });
    await using b = await TestNode.start({ name: "node-b", secrets });
    await using c = await TestNode.start({ name: "node-c", secrets });
    {
      await using a = await start();
      acquaint([a, b, c]);
      for (const name of [
        "notes:kept",
        "tracks:kept",
        "notes:gone",
        "tracks:gone",
        "notes:edited",
      ]) {
        await a.put(name, { v: 1 });
      }
      await allEqual([a, b, c], 5);
    }
    await command(["backup", file], "node-a", place);
    let told = "";
    {
      await using a = await start();
      acquaint([a, b, c]);
      await allConnected([a, b, c]);
      await a.put("notes:since", { by: "a" });
      await a.remove("notes:gone");
      await b.remove("tracks:gone");
      await b.put("notes:edited", { v: 2 });
      await c.put("tracks:since", { by: "c" });
      await allEqual([a, b, c], 5);
      told = a.store.position();
    }
    await command(["restore", file, "--force"], "node-a", place);
    await using a = await start();
    // As it was then, until it meets the others.
    expect(a.read("notes:gone")).toBe('{"v":1}');
    expect(a.read("notes:since")).toBeUndefined();
    const stale = a.store.subscribe({ since: told, capacity: 10 });
    expect(stale.lostSince).toBe(true);
    stale.close();
    acquaint([a, b, c]);
    await a.put("notes:after", { by: "a" });
    await allEqual([a, b, c], 6);
    for (const node of [a, b, c]) {
      expect(node.read("notes:gone")).toBeUndefined();
      expect(node.read("tracks:gone")).toBeUndefined();
      expect(node.read("notes:since")).toBe('{"by":"a"}');
      expect(node.read("tracks:since")).toBe('{"by":"c"}');
      expect(node.read("notes:edited")).toBe('{"v":2}');
      expect(node.read("notes:kept")).toBe('{"v":1}');
    }
    // Also once it has used the same numbers for other commits.
    const late = a.store.subscribe({ since: told, capacity: 10 });
    expect(late.lostSince).toBe(true);
    late.close();
    expect([...a.fatal, ...b.fatal, ...c.fatal]).toEqual([]);
  },
  LIMIT_MS,
);

test(
  "two nodes of one backup are two, and write the same document side by side",
  async () => {
    using folder = tempFolder({ isInMemory: true });
    const secrets = [randomSecret()];
    const [first, second] = [placeOf(folder, "a"), placeOf(folder, "b")];
    const file = folder.file("a.peat-backup");
    {
      await using a = await TestNode.start({ name: "node-a", secrets, folder: first });
      await a.put("tracks:1", { x: 1, y: 1 });
      await a.put("notes:1", { x: 1, y: 1 });
    }
    await command(["backup", file], "node-a", first);
    await command(["restore", file, "--force"], "node-a", first);
    await command(["restore", file], "node-b", second);
    await using a = await TestNode.start({ name: "node-a", secrets, folder: first });
    await using b = await TestNode.start({ name: "node-b", secrets, folder: second });
    expect(a.network.id).not.toBe(b.network.id);
    expect(a.store.start).not.toBe(b.store.start);
    expect(a.store.storeId).not.toBe(b.store.storeId);
    // Before they meet: the same documents, from the same past.
    for (const name of ["tracks:1", "notes:1"]) {
      await a.put(name, { x: 2, y: 1, a: 1 });
      await b.put(name, { x: 1, y: 3, b: 1 });
    }
    acquaint([a, b]);
    await allEqual([a, b], 2);
    for (const name of ["tracks:1", "notes:1"]) expect(a.read(name)).toBe(b.read(name) ?? "");
    // A history has both, as every history of two writers.
    expect(a.read("notes:1")).toBe('{"a":1,"b":1,"x":2,"y":3}');
    expect([...a.fatal, ...b.fatal]).toEqual([]);
  },
  LIMIT_MS,
);
