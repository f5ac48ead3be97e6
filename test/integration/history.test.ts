// The history of a document over HTTP and on the command line.
import { describe, expect, test } from "bun:test";
import { parseNodeName } from "../../src/identity/peer.ts";
import { runAgainst } from "../support/run-command.ts";
import { type BrokerWorld, startBroker } from "../support/start-broker.ts";

function history(world: BrokerWorld, ...args: readonly string[]) {
  return runAgainst(world, ["history", ...args]);
}

async function read(world: BrokerWorld, path: string): Promise<Record<string, unknown>> {
  const { text, status } = await world.ask(`/documents/${path}`);
  expect(status).toBe(200);
  return JSON.parse(text);
}

describe("the history by HTTP", () => {
  test("names the node of each change, or gives its start where no name is known", async () => {
    await using world = await startBroker();
    const written = await world.put("/documents/orders/o1", '{"v":1}');
    await world.put("/documents/orders/o1", '{"v":2.0}');
    const unnamed = await read(world, "orders/o1/history");
    world.node.startNames.set(world.store.start, parseNodeName("bridge"));
    const named = await read(world, "orders/o1/history?limit=1");
    expect(unnamed).toMatchObject({
      collection: "orders",
      doc_id: "o1",
      kind: "history",
      source: "document",
      change_count: 2,
      deleted: null,
      fields: [],
      changes: [
        { edits: [{ path: "v", before: "1", after: "2.0" }], node: null, actor: world.store.start },
        { edits: [{ path: "v", before: null, after: "1" }], edits_left: 0 },
      ],
    });
    expect(named).toMatchObject({ change_count: 2, changes: [{ node: "bridge" }] });
    expect(unnamed["etag"]).not.toBe(written.headers.get("etag"));
  });

  test("refuses what makes no sense and has nothing of what never was", async () => {
    await using world = await startBroker();
    await world.put("/documents/orders/o1", "{}");
    const refusals = [
      "orders/o1/history?limit=0",
      "orders/o1/history?limit=201",
      "or:ders/o1/history",
    ];
    for (const path of refusals) expect((await world.ask(`/documents/${path}`)).status).toBe(400);
    expect((await world.ask("/documents/orders/o2/history")).status).toBe(404);
    expect((await world.ask("/documents/orders/o1/history", { method: "PUT" })).status).toBe(405);
  });

  test("belongs to the document whose id has a slash only when that is escaped", async () => {
    await using world = await startBroker();
    await world.put("/documents/orders/a%2Fhistory", '{"v":1}');
    expect((await world.ask("/documents/orders/a/history")).status).toBe(404);
    expect(await read(world, "orders/a%2Fhistory/history")).toMatchObject({ doc_id: "a/history" });
  });
});

describe("the command history", () => {
  test("shows the changes, the newest first, each with what it did", async () => {
    await using world = await startBroker();
    world.node.startNames.set(world.store.start, parseNodeName("bridge"));
    await world.put("/documents/orders/o1", '{"state":"new","\\u001b[2J":1}');
    await world.put("/documents/orders/o1", '{"state":"sent"}');
    const { code, stdout } = await history(world, "orders/o1");
    expect(code).toBe(0);
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^orders\/o1 {2}created 20\d\d-/);
    expect(lines[2]).toMatch(/^20\d\d-\S+Z {2}bridge {2}\d+ B {2}[0-9a-f]{8}$/);
    expect(lines).toContain('    state  "new" → "sent"');
    expect(lines).toContain('    state  "new"');
    expect(lines.indexOf('    state  "new" → "sent"')).toBeLessThan(
      lines.indexOf('    state  "new"'),
    );
    expect(stdout).not.toContain("\u001b");
  });

  test("shows who wrote each field of a document that keeps no history, and a deletion", async () => {
    await using world = await startBroker();
    await world.put("/documents/tracks/t1", '{"lat":1}');
    const { stdout } = await history(world, "tracks/t1");
    expect(stdout).toMatch(/\nFIELD +WRITTEN +BY\nlat +20\d\d-\S+Z +start [0-9a-f]{8}\n/);
    await world.ask("/documents/tracks/t1?reason=lost", { method: "DELETE" });
    const deleted = await history(world, "tracks/t1");
    expect(deleted.stdout).toMatch(/^tracks\/t1 {2}deleted 20\d\d-\S+Z by \S+: lost\n$/);
  });

  test("tells how many changes it leaves out, and gives programs all as JSON", async () => {
    await using world = await startBroker();
    for (let v = 0; v < 4; v += 1) await world.put("/documents/orders/o1", `{"v":${v}}`);
    const short = await history(world, "orders/o1", "--limit", "1");
    expect(short.stdout).toEndWith("\n3 earlier changes not shown; see --limit\n");
    const { stdout } = await history(world, "orders/o1", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ change_count: 4, doc_id: "o1" });
  });

  test("fails with the code of what is wrong", async () => {
    await using world = await startBroker();
    const codes = [
      (await history(world, "orders")).code,
      (await history(world, "orders/none")).code,
      (await history(world, "orders/o1", "--limit", "many")).code,
    ];
    expect(codes).toEqual([64, 66, 64]);
  });
});
