// What the older sidecar's own tests ask of its RPCs and no other test of ours asks in these words; docs/compatibility.md
// lists them all, each beside ours.
import { expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { ChangeType } from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { read } from "../support/memory-store.ts";
import { type RpcWorld, startRpc } from "../support/start-rpc.ts";

const LIMIT_MS = 20_000;
const NOTE = { collection: "notes", docId: "a" };

/** As a client without any library calls: JSON over HTTP. */
async function ask(world: RpcWorld, method: string, body: string): Promise<string> {
  const response = await fetch(`${world.url()}/peat.sidecar.v1.PeatSidecar/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  expect(response.status).toBe(200);
  return await response.text();
}

test("a new node has no peers, syncs, and has counted nothing", async () => {
  await using world = await startRpc();
  const client = world.client();
  expect((await client.listPeers({})).peers).toEqual([]);
  expect(await client.getSyncStats({})).toMatchObject({
    syncActive: true,
    connectedPeers: 0,
    bytesSent: 0n,
    bytesReceived: 0n,
  });
  await client.stopSync({});
  expect((await client.getStatus({})).syncActive).toBe(false);
  await client.startSync({});
  expect((await client.getStatus({})).syncActive).toBe(true);
});

test("a document that is put again is replaced whole: fields that are not named any more are gone", async () => {
  await using world = await startRpc();
  const client = world.client();
  await client.putDocument({ ...NOTE, jsonData: '{"a":1,"b":{"c":2,"d":3}}' });
  await client.putDocument({ ...NOTE, jsonData: '{"b":{"c":4}}' });
  expect((await client.getDocument(NOTE)).jsonData).toBe('{"b":{"c":4}}');
});

test("a field named value is a field like others, alone, nested, and in what subscribers are told", async () => {
  await using world = await startRpc();
  const client = world.client();
  const texts = ['{"value":"plain"}', '{"value":{"value":["ENC:v1:not one"]}}', '{"value":null}'];
  for (const [index, jsonData] of texts.entries()) {
    const docId = String(index);
    await client.putDocument({ collection: "notes", docId, jsonData });
    expect((await client.getDocument({ collection: "notes", docId })).jsonData).toBe(jsonData);
  }
  const messages = client.subscribe({ collections: ["notes"] })[Symbol.asyncIterator]();
  for (const jsonData of texts) expect((await messages.next()).value?.jsonData).toBe(jsonData);
});

test("a config is set, told and listed, its times as texts in JSON, and another collection has none", async () => {
  await using world = await startRpc();
  const config = '"collection":"notes","deletionPolicy":"DELETION_POLICY_TOMBSTONE"';
  const times = '"softDeleteTtlSecs":"3600","tombstoneTtlSecs":"9999999999"';
  expect(await ask(world, "SetCollectionConfig", `{"config":{${config},${times}}}`)).toBe("{}");
  const told = `{${config},${times}}`;
  const one = await ask(world, "GetCollectionConfig", '{"collection":"notes"}');
  expect(one).toBe(`{"config":${told}}`);
  expect(await ask(world, "ListCollectionConfigs", "{}")).toBe(`{"configs":[${told}]}`);
  expect(await ask(world, "GetCollectionConfig", '{"collection":"other"}')).toBe("{}");
});

test("several subscribers of several collections are told the same", async () => {
  await using world = await startRpc();
  const collections = ["notes", "plans"];
  const streams = (["connect", "grpc", "grpc-web"] as const).map((protocol) =>
    world.client({ protocol }).subscribe({ collections })[Symbol.asyncIterator](),
  );
  const first = streams.map((stream) => stream.next());
  const { services } = world;
  await waitFor("the streams", LIMIT_MS, () => services.openStreams === 3 || undefined);
  const client = world.client();
  await client.putDocument({ ...NOTE, jsonData: '{"n":1}' });
  await client.putDocument({ collection: "others", docId: "a", jsonData: "{}" });
  await client.putDocument({ collection: "plans", docId: "b", jsonData: '{"n":2}' });
  await client.deleteDocument(NOTE);
  for (const [index, stream] of streams.entries()) {
    const told = [await first[index], await stream.next(), await stream.next()].map(
      (step) => step?.value,
    );
    expect(told).toMatchObject([
      { collection: "notes", docId: "a", changeType: ChangeType.UPSERT, jsonData: '{"n":1}' },
      { collection: "plans", docId: "b", changeType: ChangeType.UPSERT, jsonData: '{"n":2}' },
      { collection: "notes", docId: "a", changeType: ChangeType.DELETE },
    ]);
    expect(told[2]?.jsonData).toBeUndefined();
  }
});

test("a query is asked of the named collections only, of documents and changes, and not of deletes", async () => {
  await using world = await startRpc();
  const client = world.client();
  const put = (collection: string, docId: string, jsonData: string) =>
    client.putDocument({ collection, docId, jsonData });
  await put("notes", "high", '{"n":9,"kind":"x"}');
  await put("notes", "low", '{"n":1,"kind":"x"}');
  await put("plans", "high", '{"n":9,"kind":"x"}');
  const clauses = [
    { q: { case: "gt", value: { field: "n", value: "5" } } },
    { q: { case: "eq", value: { field: "kind", value: '"x"' } } },
  ] as const;
  const messages = client
    .subscribe({
      collections: ["notes"],
      query: { q: { case: "and", value: { clauses: [...clauses] } } },
    })
    [Symbol.asyncIterator]();
  const next = async () => {
    const { docId, changeType } = (await messages.next()).value ?? {};
    return [docId, changeType];
  };
  expect(await next()).toEqual(["high", ChangeType.UPSERT]);
  const second = next();
  await put("notes", "other", '{"n":9,"kind":"y"}');
  await put("notes", "later", '{"n":7,"kind":"x"}');
  expect(await second).toEqual(["later", ChangeType.UPSERT]);
  await client.deleteDocument({ collection: "notes", docId: "low" });
  expect(await next()).toEqual(["low", ChangeType.DELETE]);
});

test("connections that say nothing are closed while others write", async () => {
  const headerReadMs = 300;
  await using world = await startRpc({
    connections: {
      headerReadMs,
      idleMs: 60_000,
      pingMs: 60_000,
      pingAckMs: 60_000,
      streamsMax: 128,
    },
  });
  const client = world.client({ protocol: "grpc" });
  // Whose first bytes are there has a connection that those who say nothing don't get.
  await client.putDocument({ ...NOTE, jsonData: "{}" });
  const silent = await Promise.all(Array.from({ length: 32 }, () => world.connect()));
  const closed = silent.map((socket) => {
    socket.on("error", () => undefined);
    return new Promise<void>((resolve) => socket.once("close", () => resolve()));
  });
  let isOver = false;
  const ended = Promise.all(closed).then(() => {
    isOver = true;
  });
  let written = 0;
  for (; written < 41 || !isOver; written += 1) {
    await client.putDocument({ ...NOTE, jsonData: `{"n":${written}}` });
  }
  await ended;
  expect(read(world.store, "notes:a")).toBe(`{"n":${written - 1}}`);
});
