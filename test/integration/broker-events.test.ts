import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { systemClock, within } from "../../src/base/clock.ts";
import { documentKey } from "../../src/store/document-key.ts";
import { type BrokerWorld, startBroker } from "../support/start-broker.ts";

const DEADLINE_MS = 30_000;

/** A WebSocket client that shakes hands and then reads nothing until told to. */
async function standstill({ broker }: BrokerWorld, query = "") {
  const socket = connect(broker.port, "127.0.0.1");
  const shaken = new Promise((resolve) => socket.once("data", resolve));
  const closed = new Promise<void>((resolve) => {
    socket.on("close", () => resolve()).on("error", () => resolve());
  });
  socket.write(
    `GET /api/v1/ws${query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  await shaken;
  socket.pause();
  return { socket, closed };
}

describe("a WebSocket client", () => {
  test("is told of every change from now on, without a greeting", async () => {
    await using world = await startBroker();
    await world.put("/documents/tracks/before", "{}");
    using client = await world.socket();
    await world.put("/documents/tracks/t1", '{"v":1}');
    const { headers } = await world.put("/documents/tracks/t1", '{"v":2}');
    await world.ask("/documents/tracks/t1", { method: "DELETE" });
    await world.put("/documents/other/t1", "{}");
    const events = await client.events(4);
    expect(events.map(({ type, action, doc_id }) => `${type} ${action} ${doc_id}`)).toEqual([
      "SyncEvent created t1",
      "SyncEvent updated t1",
      "SyncEvent deleted t1",
      "SyncEvent created t1",
    ]);
    expect(Object.keys(events[1] ?? {})).toEqual([
      "type",
      "collection",
      "doc_id",
      "action",
      "token",
      "etag",
    ]);
    expect(events[1]?.["etag"]).toBe(headers.get("etag") ?? "");
  });

  test("is told only of the collections that it names, with documents if it wants them", async () => {
    await using world = await startBroker();
    using client = await world.socket("?collections=a,b&include=document");
    for (const collection of ["x", "b", "a"]) {
      await world.put(`/documents/${collection}/1`, '{"n":5.0}');
    }
    await world.ask("/documents/b/1", { method: "DELETE" });
    await client.until(() => client.texts.length >= 4);
    expect(JSON.parse(client.texts[0] ?? "")).toMatchObject({ type: "Position" });
    expect(client.texts.slice(1).map((text) => JSON.parse(text).collection)).toEqual([
      "b",
      "a",
      "b",
    ]);
    expect(client.texts[1]).toEndWith('"document":{"_id":"1","n":5.0}}');
    expect(client.texts[3]).toEndWith('"document":null}');
  });

  test("resumes after a token without a hole, and hears of each document once", async () => {
    await using world = await startBroker();
    using first = await world.socket("?include=position");
    await world.put("/documents/tracks/a", "{}");
    const [position, seen] = await first.events(2);
    first.close();
    await world.put("/documents/tracks/a", '{"v":1}');
    await world.put("/documents/tracks/b", "{}");
    await world.put("/documents/tracks/a", '{"v":2}');
    using second = await world.socket(`?since=${seen?.["token"]}&include=document`);
    await second.until(() => second.texts.length >= 3);
    await world.put("/documents/tracks/c", "{}");
    const told = (await second.events(4)).slice(1);
    expect(told.map(({ doc_id, action }) => `${doc_id} ${action}`)).toEqual([
      "b updated",
      "a updated",
      "c created",
    ]);
    expect(told[1]?.["document"]).toEqual({ _id: "a", v: 2 });
    using whole = await world.socket(`?since=${position?.["token"]}`);
    expect((await whole.events(4)).slice(1).map((e) => e["doc_id"])).toEqual(["b", "a", "c"]);
  });

  test("with a token of another store is told that it can't know what it missed", async () => {
    await using world = await startBroker();
    await world.put("/documents/tracks/a", "{}");
    using client = await world.socket("?since=0000000000000000-7");
    const [position, gap] = await client.events(2);
    expect(position?.["type"]).toBe("Position");
    expect(gap).toEqual({ type: "Gap", missed: null });
  });

  test("is told of peers and of the topology that follows", async () => {
    await using world = await startBroker();
    using client = await world.socket();
    world.node.connect("node-b");
    world.node.connect("node-b");
    world.node.disconnect("node-b", "went away");
    await client.until(() => client.texts.length >= 5);
    expect(client.texts).toEqual([
      '{"type":"PeerConnected","peer_id":"node-b"}',
      '{"type":"TopologyChanged","new_role":"member","peer_count":1}',
      '{"type":"PeerConnected","peer_id":"node-b"}',
      '{"type":"PeerDisconnected","peer_id":"node-b","reason":"went away"}',
      '{"type":"TopologyChanged","new_role":"standalone","peer_count":0}',
    ]);
  });

  test("is not listened to, and closed when it says too much", async () => {
    await using world = await startBroker();
    using client = await world.socket();
    for (const text of ["", "{}", '{"type":"SyncEvent"}', "x".repeat(4000)]) client.send(text);
    await world.put("/documents/tracks/a", "{}");
    await client.events(1);
    client.send("x".repeat(100_000));
    await client.until(() => client.closed !== undefined);
    using other = await world.socket();
    await world.put("/documents/tracks/b", "{}");
    await other.events(1);
  });

  test("that reads along misses nothing of a burst of thousands", async () => {
    await using world = await startBroker();
    using client = await world.socket();
    const ids = Array.from({ length: 5000 }, (_, i) => `t${i}`);
    await Promise.all(
      ids.map((id) =>
        world.store.write({
          key: documentKey("tracks", id),
          operation: { kind: "put", body: "{}" },
        }),
      ),
    );
    const events = await client.events(ids.length);
    expect(events.map((event) => event["doc_id"])).toEqual(ids);
  });

  test("beyond the limit is refused until another one leaves", async () => {
    await using world = await startBroker({ limits: { webSocketsMax: 2 } });
    using first = await world.socket();
    using _second = await world.socket();
    const upgrade = { headers: { upgrade: "websocket", connection: "upgrade" } };
    const refused = await world.ask("/ws", upgrade);
    expect(refused.status).toBe(503);
    expect(JSON.parse(refused.text).error).toContain("2 WebSocket clients");
    first.close();
    await first.until(() => first.closed !== undefined);
    using third = await world.socket();
    await world.put("/documents/tracks/a", "{}");
    await third.events(1);
  });

  test("that asks for nonsense is refused before the upgrade, with a sentence", async () => {
    await using world = await startBroker();
    const upgrade = { headers: { upgrade: "websocket", connection: "upgrade" } };
    const { status, text } = await world.ask("/ws?include=everything", upgrade);
    expect(status).toBe(400);
    expect(text).toContain("include must be");
  });

  test("is told goodbye when the node stops", async () => {
    const world = await startBroker();
    const client = await world.socket();
    const startedMs = performance.now();
    await world.broker.close();
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    await client.until(() => client.closed !== undefined);
    expect(client.texts).toEqual([
      '{"type":"TopologyChanged","new_role":"stopped","peer_count":0}',
    ]);
    expect(client.closed?.code).toBe(1001);
    world.store.close();
  });
});

describe("a WebSocket client that is too slow", () => {
  const large = JSON.stringify({ text: "x".repeat(500_000) });

  test("costs a bounded amount, is told its gap, and delays nobody", async () => {
    await using world = await startBroker({ limits: { eventsMax: 8 } });
    const { socket } = await standstill(world, "?include=document");
    using quick = await world.socket();
    const writes = 60;
    for (let i = 0; i < writes; i += 1) {
      await world.put(`/documents/tracks/t${i}`, large);
    }
    await quick.events(writes);
    let heard = "";
    const isTold = new Promise<void>((resolve) => {
      socket.on("data", (data) => {
        // The tail alone: a gap's text may come in two pieces.
        heard = heard.slice(-200) + data.toString("latin1");
        if (heard.includes('{"type":"Gap","missed":')) resolve();
      });
    });
    socket.resume();
    const told = await within(
      systemClock,
      DEADLINE_MS,
      isTold.then(() => true),
      false,
    );
    expect(told).toBe(true);
    await world.put("/documents/tracks/last", "{}");
    const deadline = performance.now() + DEADLINE_MS;
    while (!heard.includes('"doc_id":"last"') && performance.now() < deadline) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(heard).toContain('"doc_id":"last"');
    socket.destroy();
  });

  test("is kept no more text for than allowed, however few its events are", async () => {
    await using world = await startBroker({ limits: { eventBytesMax: 2_000_000 } });
    const { socket } = await standstill(world, "?include=document");
    for (let i = 0; i < 60; i += 1) await world.put(`/documents/tracks/t${i}`, large);
    let heard = "";
    const missed = new Promise<number>((resolve) => {
      socket.on("data", (data) => {
        heard = heard.slice(-200) + data.toString("latin1");
        const told = /"Gap","missed":(\d+)\}/.exec(heard)?.[1];
        if (told !== undefined) resolve(Number(told));
      });
    });
    socket.resume();
    const told = await within(systemClock, DEADLINE_MS, missed, 0);
    // Beside four that wait there are those in the buffers of both ends' sockets.
    expect(told).toBeGreaterThan(30);
    expect(told).toBeLessThan(56);
    socket.destroy();
  });

  test("is let go when it takes nothing at all", async () => {
    await using world = await startBroker({ limits: { stallMs: 200, webSocketsMax: 1 } });
    const { socket, closed } = await standstill(world, "?include=document");
    for (let i = 0; i < 20; i += 1) await world.put(`/documents/tracks/t${i}`, large);
    // Its place is free again, though it never said that it goes.
    const until = performance.now() + DEADLINE_MS;
    let hasRoom = false;
    while (!hasRoom && performance.now() < until) {
      hasRoom = await world.socket().then(
        (client) => {
          client.close();
          return true;
        },
        () => false,
      );
    }
    expect(hasRoom).toBe(true);
    socket.resume();
    expect(
      await within(
        systemClock,
        DEADLINE_MS,
        closed.then(() => true),
        false,
      ),
    ).toBe(true);
  });
});
