import { describe, expect, test } from "bun:test";
import { Fault } from "../../src/base/faults.ts";
import { EventClient, startBroker } from "../support/start-broker.ts";

const DOCUMENT = "/documents/tracks/t1";
/** Far less than any client's patience; a busy machine needs some of it. */
const CLOSE_MS_MAX = 5_000;

function tokenOf(event: Record<string, unknown> | undefined): string {
  return String(event?.["token"]);
}

async function firstToken(client: EventClient): Promise<string> {
  const [event] = await client.events(1);
  return tokenOf(event);
}

describe("a WebSocket", () => {
  test("tells what is created, updated and deleted, in the older node's keys, without a greeting", async () => {
    await using world = await startBroker();
    using client = await world.socket();
    const created = await world.put(DOCUMENT, '{"v":1}');
    await world.put(DOCUMENT, '{"v":2}');
    await world.ask(DOCUMENT, { method: "DELETE" });
    await world.put(DOCUMENT, '{"v":3}');
    const events = await client.events(4);
    expect(events.map(({ action }) => action)).toEqual([
      "created",
      "updated",
      "deleted",
      "created",
    ]);
    const etag = JSON.stringify(created.headers.get("etag"));
    const token = JSON.stringify(events[0]?.["token"]);
    expect(client.texts[0]).toBe(
      `{"type":"SyncEvent","collection":"tracks","doc_id":"t1","action":"created","token":${token},"etag":${etag}}`,
    );
  });

  test("gives the documents with their numbers as they are, and only the collections asked for", async () => {
    await using world = await startBroker();
    using client = await world.socket("?include=document&collections=tracks");
    expect((await client.events(1))[0]).toMatchObject({ type: "Position" });
    await world.put("/documents/other/o", "{}");
    await world.put(DOCUMENT, '{"_id":"own","big":9223372036854775807,"f":5.0}');
    await world.ask(DOCUMENT, { method: "DELETE" });
    await client.events(3);
    expect(client.texts[1]).toEndWith(
      ',"document":{"_id":"t1","big":9223372036854775807,"f":5.0}}',
    );
    expect(client.texts[2]).toEndWith(',"document":null}');
  });

  test("tells of peers and of the topology that follows from them", async () => {
    await using world = await startBroker();
    using client = await world.socket();
    world.node.connect("node-b");
    world.node.disconnect("node-b", "lost");
    await client.events(4);
    expect(client.texts).toEqual([
      '{"type":"PeerConnected","peer_id":"node-b"}',
      '{"type":"TopologyChanged","new_role":"member","peer_count":1}',
      '{"type":"PeerDisconnected","peer_id":"node-b","reason":"lost"}',
      '{"type":"TopologyChanged","new_role":"standalone","peer_count":0}',
    ]);
  });

  test("resumes after a token without loss or repetition while writing goes on", async () => {
    await using world = await startBroker();
    using first = await world.socket("?include=position");
    let token = await firstToken(first);
    first.close();
    const total = 600;
    const writing = (async () => {
      for (let i = 0; i < total; i += 1) await world.put(`/documents/tracks/t${i}`, "{}");
    })();
    const seen: unknown[] = [];
    while (seen.length < total) {
      using client = await world.socket(`?since=${token}`);
      const wanted = Math.min(50, total - seen.length);
      const events = (await client.events(1 + wanted)).slice(1);
      seen.push(...events.map((event) => event["doc_id"]));
      token = tokenOf(events.at(-1));
    }
    await writing;
    expect(seen).toEqual(Array.from({ length: total }, (_, i) => `t${i}`));
  });

  test.each(["garbage", `${"0".repeat(32)}-1`, "-", "a-b-c"])(
    "told a token that is not this store's, %p, tells of the gap and then what there is",
    async (token) => {
      await using world = await startBroker();
      await world.put(DOCUMENT, "{}");
      using client = await world.socket(`?since=${token}`);
      const [position, gap, event] = await client.events(3);
      expect(position?.["type"]).toBe("Position");
      expect(gap).toEqual({ type: "Gap", missed: null });
      expect(event).toMatchObject({ type: "SyncEvent", doc_id: "t1", action: "updated" });
    },
  );

  test("of a token from the future of this store tells of the gap", async () => {
    await using world = await startBroker();
    using before = await world.socket("?include=position");
    const token = (await firstToken(before)).replace(/\d+$/, "999999");
    using client = await world.socket(`?since=${token}`);
    expect((await client.events(2))[1]).toEqual({ type: "Gap", missed: null });
  });

  test("beyond those allowed is refused, and there is room again once one has left", async () => {
    await using world = await startBroker({ limits: { webSocketsMax: 2 } });
    const one = await world.socket();
    using two = await world.socket();
    await expect(world.socket()).rejects.toThrow("no WebSocket");
    const refused = await world.send(
      "GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${btoa("0123456789abcdef")}\r\n\r\n`,
    );
    expect(refused).toStartWith("HTTP/1.1 503 ");
    expect(refused).toContain("there are 2 WebSocket clients already");
    one.close();
    await one.until(() => one.closed !== undefined);
    using three = await world.socket();
    await world.put(DOCUMENT, "{}");
    for (const client of [two, three]) expect(await client.events(1)).toHaveLength(1);
  });
});

test("a WebSocket is found behind a host of few letters, too", async () => {
  await using world = await startBroker({ address: "0.0.0.0" });
  const url = `ws://127.0.0.1:${world.broker.port}/api/v1/ws?include=position`;
  using client = await EventClient.open(url, { host: "pi" });
  expect((await client.events(1))[0]).toMatchObject({ type: "Position" });
});

describe("closing a broker", () => {
  test("with open sockets waits for nobody, and tells them", async () => {
    await using world = await startBroker();
    const clients = await Promise.all(Array.from({ length: 20 }, () => world.socket()));
    const startedMs = performance.now();
    await world.broker.close();
    expect(performance.now() - startedMs).toBeLessThan(CLOSE_MS_MAX);
    for (const client of clients) {
      await client.until(() => client.closed !== undefined);
      expect(client.closed?.code).toBe(1001);
      expect(client.texts).toEqual([
        '{"type":"TopologyChanged","new_role":"stopped","peer_count":0}',
      ]);
    }
  });
});

test("an address in use is a fault that names PEAT_BROKER_PORT", async () => {
  await using world = await startBroker();
  const second = startBroker({ port: world.broker.port });
  const fault = await second.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(fault).toBeInstanceOf(Fault);
  expect(fault).toMatchObject({ code: "address_unavailable" });
  expect(String(fault)).toContain("PEAT_BROKER_PORT");
});
