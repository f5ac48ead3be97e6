import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { systemClock, within } from "../../src/base/clock.ts";
import { Fault } from "../../src/base/faults.ts";
import { Broker } from "../../src/broker/server.ts";
import {
  type Answer,
  type BrokerWorld,
  JSON_TYPE,
  startBroker,
  TOKEN,
} from "../support/start-broker.ts";

const DOCUMENT = "/documents/tracks/t1";
const DEADLINE_MS = 30_000;
/** Far less than any client's patience; a busy machine needs some of it. */
const STOP_MS_MAX = 5000;

/** Bytes on a connection of their own, and what came back when the server closed it or `isEnough` of it came. */
async function converse(
  { broker }: BrokerWorld,
  say: (socket: Socket) => void,
  isEnough: (heard: string) => boolean = () => false,
): Promise<{ heard: string; wasClosed: boolean }> {
  let heard = "";
  const socket = connect(broker.port, "127.0.0.1");
  const ended = new Promise<boolean>((resolve) => {
    socket.on("data", (data) => {
      heard += data.toString();
      if (isEnough(heard)) resolve(false);
    });
    socket.on("close", () => resolve(true));
    socket.on("error", () => resolve(true));
  });
  say(socket);
  const wasClosed = await within(systemClock, DEADLINE_MS, ended, undefined);
  socket.destroy();
  if (wasClosed === undefined) throw new Error(`no end; heard ${JSON.stringify(heard)}`);
  return { heard, wasClosed };
}

function head(fields: string): string {
  return `PUT /api/v1${DOCUMENT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${fields}\r\n\r\n`;
}

function bodyOf(heard: string): { error: string; status: number } {
  return JSON.parse(heard.slice(heard.indexOf("\r\n\r\n") + 4));
}

/** A write while another one is waiting for its body on `slow`. */
async function besides(world: BrokerWorld, slow: Socket): Promise<Answer> {
  await new Promise<void>((resolve) => {
    slow.write(`${head("Content-Length: 8")}{"a":`, () => resolve());
  });
  await world.ask("/health");
  return world.put(DOCUMENT, '{"b":1}');
}

describe("a request that makes no sense", () => {
  const nested = `${'{"a":'.repeat(70)}1${"}".repeat(70)}`;
  const badCollection = "/documents/-tracks/t1";
  const longId = `/documents/tracks/${"x".repeat(513)}`;
  test.each([
    ["malformed JSON", "PUT", DOCUMENT, '{"a":', 400, /not valid JSON/],
    ["a body that is no object", "PUT", DOCUMENT, "[1]", 400, /object/],
    ["an empty body", "PUT", DOCUMENT, "", 400, /empty/],
    ["a patch that is no object", "PATCH", DOCUMENT, "1", 400, /object/],
    ["too deep a document", "PUT", DOCUMENT, nested, 400, /deep|level/],
    [
      "a document over its limit",
      "PUT",
      DOCUMENT,
      `{"a":"${"x".repeat(1_100_000)}"}`,
      413,
      /bytes/,
    ],
    ["a body over its limit", "PUT", DOCUMENT, `{"a":"${"x".repeat(2_100_000)}"}`, 413, /2097152/],
    ["a bad collection", "PUT", badCollection, "{}", 400, /collection "-tracks"/],
    ["a bad collection in a list", "GET", "/documents/a%20b", null, 400, /collection "a b"/],
    ["too long an id", "PUT", longId, "{}", 400, /1 to 512 bytes/],
    ["an id with a control character", "PUT", "/documents/tracks/a%0Ab", "{}", 400, /control/],
    ["an id that is no UTF-8", "PUT", "/documents/tracks/%FF", "{}", 400, /percent-encoded/],
    ["an escape that is none", "GET", "/documents/tracks/%zz", null, 400, /percent-encoded/],
    ["a bad limit", "GET", "/documents/tracks?limit=0", null, 400, /limit must be/],
    ["an unknown path", "GET", "/nowhere", null, 404, /\/api\/v1\/nowhere/],
    ["an empty id", "GET", "/documents/tracks/", null, 404, /no path/],
    ["a wrong method", "PUT", "/peers", "{}", 405, /PUT is not possible on \/api\/v1\/peers/],
    ["a method that is none of its own", "POST", DOCUMENT, "{}", 405, /POST is not possible/],
    ["a WebSocket's path without upgrade", "GET", "/ws", null, 400, /Upgrade: websocket/],
  ])(
    "%s is refused with its status and a sentence",
    async (_name, method, path, body, status, sentence) => {
      await using world = await startBroker();
      const answer = await world.ask(path, { method, headers: JSON_TYPE, body });
      expect(answer.status).toBe(status);
      expect(answer.headers.get("content-type")).toBe("application/json");
      const told = JSON.parse(answer.text);
      expect(Object.keys(told)).toEqual(["error", "status"]);
      expect(told.status).toBe(status);
      expect(told.error).toMatch(sentence);
      expect(world.store.summary().documents).toBe(0);
    },
  );

  test.each([
    ["text/plain", {}],
    ["application/x-www-form-urlencoded", {}],
    ["application/json-patch+json", {}],
    ["application/json; charset=latin1", {}],
    ["application/json", { "content-encoding": "gzip" }],
  ])("a body of type %s %p is not guessed at", async (type, headers) => {
    await using world = await startBroker();
    const { status, text } = await world.put(DOCUMENT, "{}", { "content-type": type, ...headers });
    expect(status).toBe(415);
    expect(text).toContain("application/json");
  });

  test("bytes that are no UTF-8 are refused, not replaced", async () => {
    await using world = await startBroker();
    const body = Uint8Array.from([...Buffer.from('{"a":"'), 0xff, ...Buffer.from('"}')]);
    const { status, text } = await world.ask(DOCUMENT, { method: "PUT", headers: JSON_TYPE, body });
    expect(status).toBe(400);
    expect(text).toContain("UTF-8");
  });
});

describe("a body", () => {
  test("that is announced as too long is refused before it is sent, and the connection with it", async () => {
    await using world = await startBroker();
    const { heard, wasClosed } = await converse(world, (socket) =>
      socket.write(head("Content-Length: 99999999999")),
    );
    expect(heard).toStartWith("HTTP/1.1 413 ");
    expect(bodyOf(heard).error).toContain("99999999999 bytes long; at most 2097152");
    expect(wasClosed).toBe(true);
  });

  test("without an announced length is cut off as soon as it is too long", async () => {
    await using world = await startBroker({ limits: { bodyBytesMax: 100_000 } });
    const chunk = `8000\r\n${"x".repeat(0x8000)}\r\n`;
    const { heard, wasClosed } = await converse(world, (socket) => {
      socket.write(head("Transfer-Encoding: chunked"));
      for (let sent = 0; sent < 5; sent += 1) socket.write(chunk);
    });
    expect(heard).toStartWith("HTTP/1.1 413 ");
    expect(wasClosed).toBe(true);
  });

  test("in chunks is read like any other", async () => {
    await using world = await startBroker();
    const { heard } = await converse(
      world,
      (socket) =>
        socket.write(`${head("Transfer-Encoding: chunked")}3\r\n{"a\r\n5\r\n":1} \r\n0\r\n\r\n`),
      (text) => text.endsWith("}"),
    );
    expect(heard).toStartWith("HTTP/1.1 201 ");
  });

  test("that does not come in time is not waited for", async () => {
    await using world = await startBroker({ limits: { requestMs: 100 } });
    const { heard, wasClosed } = await converse(world, (socket) =>
      socket.write(`${head("Content-Length: 100")}{"a":`),
    );
    expect(heard).toStartWith("HTTP/1.1 408 ");
    expect(bodyOf(heard)).toMatchObject({ status: 408 });
    expect(wasClosed).toBe(true);
    expect(world.store.summary().documents).toBe(0);
  });

  test("counts against the number of writes under way", async () => {
    await using world = await startBroker({ limits: { writesMax: 1 } });
    const until = performance.now() + DEADLINE_MS;
    let slow = connect(world.broker.port, "127.0.0.1");
    let answer = await besides(world, slow);
    // The other request may be read before the slow one: then the slow one is not under way yet.
    while (answer.status !== 503 && performance.now() < until) {
      slow.destroy();
      slow = connect(world.broker.port, "127.0.0.1");
      answer = await besides(world, slow);
    }
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("1");
    const done = new Promise<string>((resolve) => slow.on("data", (data) => resolve(String(data))));
    slow.write("1}\n");
    expect(await done).toMatch(/^HTTP\/1\.1 20[01] /);
    expect((await world.put(DOCUMENT, '{"b":2}')).status).toBe(200);
    slow.destroy();
  });
});

describe("access over the wire", () => {
  test("is by token where loopback is not open, and the 401 names PEAT_API_TOKEN", async () => {
    await using world = await startBroker({ access: { open: "none" } });
    const refused = await world.put(DOCUMENT, "{}");
    expect(refused.status).toBe(401);
    expect(refused.headers.get("www-authenticate")).toBe('Bearer realm="peat"');
    expect(JSON.parse(refused.text).error).toContain("PEAT_API_TOKEN");
    const authorization = `Bearer ${TOKEN}`;
    expect((await world.put(DOCUMENT, "{}", { authorization })).status).toBe(201);
    expect((await world.ask(DOCUMENT)).status).toBe(200);
  });

  test("closes reads and events as well where the settings say so", async () => {
    await using world = await startBroker({ access: { reads: "token" } });
    expect((await world.ask("/peers")).status).toBe(401);
    expect((await world.ask("/health")).status).toBe(200);
    expect((await fetch(`${world.broker.url}/openapi.json`)).status).toBe(401);
    await expect(world.socket()).rejects.toThrow("no WebSocket");
  });

  test("lets a page of an allowed origin read and write, and no other", async () => {
    await using world = await startBroker({ access: { corsOrigins: ["https://ui.example"] } });
    const friend = { origin: "https://ui.example" };
    const asked = await world.ask(DOCUMENT, { method: "OPTIONS", headers: friend });
    expect(asked.status).toBe(200);
    expect(asked.headers.get("access-control-allow-origin")).toBe("https://ui.example");
    expect(asked.headers.get("access-control-allow-methods")).toContain("PATCH");
    expect(asked.headers.get("access-control-allow-headers")).toContain("authorization");
    expect(asked.headers.get("vary")).toContain("origin");
    const written = await world.put(DOCUMENT, "{}", friend);
    expect(written.status).toBe(201);
    expect(written.headers.get("access-control-allow-origin")).toBe("https://ui.example");
    expect(written.headers.get("access-control-expose-headers")).toContain("etag");
    const failed = await world.put(DOCUMENT, "{", friend);
    expect(failed.headers.get("access-control-allow-origin")).toBe("https://ui.example");
    const stranger = await world.put(DOCUMENT, '{"a":1}', { origin: "https://evil.example" });
    expect(stranger.status).toBe(403);
    expect(stranger.headers.get("access-control-allow-origin")).toBeNull();
    expect(world.store.list("tracks", { limit: 1 })[0]?.json).toBe("{}");
  });

  test("refuses a name that was made to point to loopback", async () => {
    await using world = await startBroker();
    const request = "GET /api/v1/peers HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    const { heard } = await converse(world, (socket) => socket.write(request));
    expect(heard).toStartWith("HTTP/1.1 403 ");
  });
});

describe("the listener", () => {
  test("says which setting to change when its port is taken", async () => {
    await using world = await startBroker();
    const attempt = startBroker({ port: world.broker.port });
    await expect(attempt).rejects.toThrow(Fault);
    await expect(attempt).rejects.toThrow(/PEAT_BROKER_PORT/);
    await expect(attempt).rejects.toMatchObject({ code: "address_unavailable" });
  });

  test("says so when its address is not one of this machine", async () => {
    const attempt = startBroker({ address: "192.0.2.1" });
    await expect(attempt).rejects.toMatchObject({ code: "address_unavailable" });
  });

  test("stops at once with idle connections, and answers nobody afterwards", async () => {
    const world = await startBroker();
    const idle = connect(world.broker.port, "127.0.0.1");
    await world.ask("/health");
    const startedMs = performance.now();
    await world.broker.close();
    expect(performance.now() - startedMs).toBeLessThan(STOP_MS_MAX);
    await expect(world.ask("/health")).rejects.toThrow();
    idle.destroy();
    world.store.close();
  });

  test("stops in bounded time with a request that never ends", async () => {
    const world = await startBroker();
    const slow = connect(world.broker.port, "127.0.0.1");
    const closed = new Promise((resolve) => slow.on("close", resolve).on("error", resolve));
    slow.write(`${head("Content-Length: 8")}{"a":`);
    await world.ask("/health");
    const startedMs = performance.now();
    await world.broker.close();
    expect(performance.now() - startedMs).toBeLessThan(STOP_MS_MAX);
    await closed;
    world.store.close();
  });

  test("serves its port anew after it was closed", async () => {
    const first = await startBroker();
    const { port } = first.broker;
    await first[Symbol.asyncDispose]();
    await using second = await startBroker({ port });
    expect((await second.ask("/health")).status).toBe(200);
  });
});

test("a broker opened on every address is shown as localhost", async () => {
  await using world = await startBroker({ address: "0.0.0.0" });
  expect(world.broker.url).toBe(`http://localhost:${world.broker.port}`);
  expect(world.broker).toBeInstanceOf(Broker);
});
