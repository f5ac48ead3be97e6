// What is kept beside the documents, over HTTP and by command, on a real listener.
import { describe, expect, test } from "bun:test";
import { documentKey } from "../../src/store/document-key.ts";
import { put, read, remove } from "../support/memory-store.ts";
import { runCommand } from "../support/run-command.ts";
import { type BrokerWorld, startBroker, TOKEN } from "../support/start-broker.ts";

const AUTH = { authorization: `Bearer ${TOKEN}` };
const POST = { method: "POST", headers: AUTH };
const DELETE = { method: "DELETE", headers: AUTH };

interface Listed {
  readonly count: number;
  readonly entries: readonly { id: number; doc_id: string; collection: string; why: string }[];
  readonly next?: number;
}

async function withDeleted(...names: readonly string[]): Promise<BrokerWorld> {
  const world = await startBroker({ access: { open: "none" } });
  for (const name of names) {
    await put(world.store, name, { x: 1 });
    await remove(world.store, name);
  }
  return world;
}

async function list(world: BrokerWorld, query = ""): Promise<Listed> {
  const { status, text } = await world.ask(`/set-aside${query}`);
  expect(status).toBe(200);
  return JSON.parse(text);
}

describe("over HTTP", () => {
  test("what is kept of deleted documents is listed in pages", async () => {
    await using world = await withDeleted("notes:1", "notes:2", "logs:a:b");
    const all = await list(world);
    expect(all.entries.map(({ collection, doc_id }) => `${collection} ${doc_id}`)).toEqual([
      "notes 1",
      "notes 2",
      "logs a:b",
    ]);
    expect(all).toMatchObject({
      count: 3,
      entries: [{ why: "deleted", bytes: 7, restorable: true }, {}, {}],
    });
    expect(all.next).toBeUndefined();
    const first = await list(world, "?why=deleted&limit=2");
    expect(first).toMatchObject({ count: 3, next: all.entries[1]?.id });
    const second = await list(world, `?why=deleted&limit=2&after=${first.next}`);
    expect(second.entries).toEqual([all.entries[2] ?? fail()]);
    expect(second.next).toBeUndefined();
    expect(await list(world, "?why=orphan")).toEqual({ count: 0, entries: [] });
  });

  test("one is restored as a new life of its document, once", async () => {
    await using world = await withDeleted("notes:1");
    const { id } = (await list(world)).entries[0] ?? fail();
    const { status, headers, text } = await world.ask(`/set-aside/${id}/restore`, POST);
    expect(status).toBe(201);
    expect(JSON.parse(text)).toEqual({
      collection: "notes",
      document: { _id: "1", x: 1 },
      id: "1",
    });
    const hash = world.store.hashOf(documentKey("notes", "1"));
    expect(headers.get("etag")).toBe(`"${hash}"`);
    expect((await world.ask(`/set-aside/${id}/restore`, POST)).status).toBe(404);
    expect((await list(world)).count).toBe(0);
  });

  test("one is not restored over a document that is there", async () => {
    await using world = await withDeleted("notes:1");
    await put(world.store, "notes:1", { x: 2 });
    const { id } = (await list(world)).entries[0] ?? fail();
    const { status, text } = await world.ask(`/set-aside/${id}/restore`, POST);
    expect(status).toBe(409);
    expect(text).toContain("delete it before you restore it");
    expect(read(world.store, "notes:1")).toBe('{"x":2}');
  });

  test("one is given up for good", async () => {
    await using world = await withDeleted("notes:1");
    const { id } = (await list(world)).entries[0] ?? fail();
    const { status, text } = await world.ask(`/set-aside/${id}`, DELETE);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({ id, collection: "notes", doc_id: "1" });
    expect((await world.ask(`/set-aside/${id}`, DELETE)).status).toBe(404);
  });

  test("changing anything needs the token, and numbers have to be numbers", async () => {
    await using world = await withDeleted("notes:1");
    const { id } = (await list(world)).entries[0] ?? fail();
    expect((await world.ask(`/set-aside/${id}/restore`, { method: "POST" })).status).toBe(401);
    expect((await world.ask(`/set-aside/${id}`, { method: "DELETE" })).status).toBe(401);
    for (const wrong of ["x", "-1", "1e3", "9999999999999999", "%ff"]) {
      expect((await world.ask(`/set-aside/${wrong}`, DELETE)).status).toBe(400);
      expect((await world.ask(`/set-aside/${wrong}/restore`, POST)).status).toBe(400);
    }
    for (const query of ["why=lost", "limit=0", "limit=1001", "after=x"]) {
      expect((await world.ask(`/set-aside?${query}`)).status).toBe(400);
    }
    expect((await world.ask(`/set-aside/${id}/restore`)).status).toBe(405);
    expect((await list(world)).count).toBe(1);
  });
});

/** A line of a table, by its columns. */
const cells = (line: string): string[] => line.trim().split(/ {2,}/);

function command(world: BrokerWorld, args: readonly string[], environment = {}) {
  const { port } = new URL(world.broker.url);
  return runCommand(args, {
    environment: { PEAT_BROKER_PORT: port, PEAT_API_TOKEN: TOKEN, ...environment },
  });
}

describe("by command", () => {
  test("deleted documents are listed, restored by number, and given up", async () => {
    await using world = await withDeleted("notes:1", "notes:2", "notes:3");
    const { code, stdout } = await command(world, ["deleted"]);
    expect(code).toBe(0);
    const [heading, ...lines] = stdout.trimEnd().split("\n").map(cells);
    expect(heading).toEqual(["NUMBER", "SINCE", "BYTES", "DOCUMENT"]);
    expect(lines.map((line) => line[3])).toEqual(["notes/1", "notes/2", "notes/3"]);
    expect(lines[0]?.[1]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(lines[0]?.[2]).toBe("7");
    const json = JSON.parse((await command(world, ["deleted", "--json"])).stdout);
    expect(json.map((entry: { doc_id: string }) => entry.doc_id)).toEqual(["1", "2", "3"]);
    const [one = "", two = "", three = ""] = lines.map((line) => line[0] ?? "");
    expect(await command(world, ["recover", one, three])).toMatchObject({
      code: 0,
      stdout: `recovered ${one}\nrecovered ${three}\n`,
    });
    expect(read(world.store, "notes:1")).toBe('{"x":1}');
    expect(read(world.store, "notes:2")).toBeUndefined();
    expect(await command(world, ["discard", two])).toMatchObject({
      code: 0,
      stdout: `discarded ${two}\n`,
    });
    expect(await command(world, ["deleted"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("no contents of deleted documents"),
    });
  });

  test("more than one page is listed whole", async () => {
    const names = Array.from({ length: 620 }, (_, n) => `notes:${n}`);
    await using world = await startBroker();
    await Promise.all(names.map((name) => put(world.store, name, { x: 1 })));
    await Promise.all(names.map((name) => remove(world.store, name)));
    const { stdout } = await command(world, ["deleted"]);
    const [, ...listed] = stdout.trimEnd().split("\n").map(cells);
    expect(new Set(listed.map((line) => line[3])).size).toBe(620);
  });

  test("one that fails is told with the node's sentence, and does not keep the others", async () => {
    await using world = await withDeleted("notes:1");
    const { id } = (await list(world)).entries[0] ?? fail();
    const { code, stdout, stderr } = await command(world, ["recover", "999", `${id}`]);
    expect(code).toBe(66);
    expect(stdout).toBe(`recovered ${id}\n`);
    expect(stderr).toBe("peat-sidecar: nothing is set aside under the number 999\n");
  });

  test("a wrong number, a wrong token and a node that is not there are told", async () => {
    await using world = await withDeleted("notes:1");
    expect((await command(world, ["recover", "one"])).code).toBe(64);
    expect((await command(world, ["recover"])).code).toBe(64);
    const refused = await command(world, ["recover", "1"], {
      PEAT_API_TOKEN: "another-token-12345",
    });
    expect(refused).toMatchObject({ code: 77, stdout: "" });
    expect(refused.stderr).toContain("PEAT_API_TOKEN");
    const nobody = await command(world, ["orphans"], { PEAT_BROKER_PORT: "1" });
    expect(nobody.code).toBe(75);
    expect(nobody.stderr).toContain("is the node running?");
  });

  test("orphans are listed apart from deleted documents", async () => {
    await using world = await withDeleted("notes:1");
    await put(world.store, "notes:2", { x: 2 });
    const key = documentKey("notes", "2");
    const hash = world.store.hashOf(key) ?? fail();
    expect(world.store.setAside([{ key, hash }], Date.now())).toBe(1);
    const { stdout } = await command(world, ["orphans"]);
    const [, line = [], ...more] = stdout.trimEnd().split("\n").map(cells);
    expect([line.slice(2), more]).toEqual([["7", "notes/2"], []]);
    await command(world, ["recover", line[0] ?? ""]);
    expect(read(world.store, "notes:2")).toBe('{"x":2}');
  });
});

function fail(): never {
  throw new Error("there is no such entry");
}
