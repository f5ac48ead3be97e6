import { describe, expect, test } from "bun:test";
import { Secret } from "../../src/base/secret.ts";
import { JSON_TYPE, startBroker, TOKEN } from "../support/start-broker.ts";

const DOCUMENT = "/documents/tracks/t1";
const PUT_HEAD = `PUT /api/v1${DOCUMENT} HTTP/1.1\r\nHost: localhost\r\n`;

function faultIn(answer: string): { error: string; status: number } {
  return JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
}

function deep(levels: number): string {
  return `{"a":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`;
}

describe("a body", () => {
  test.each([
    ["", 400, "the body is empty"],
    ["{", 400, "not valid JSON"],
    ['{"a":1}x', 400, "not valid JSON"],
    ["[]", 400, "root of a document must be a JSON object"],
    ["null", 400, "root of a document must be a JSON object"],
    [deep(65), 400, "deeper than 64 levels"],
    ['{"__proto__":1}', 400, "__proto__"],
    ['{"a":"\\ud800"}', 400, "surrogate"],
    ['{"a":1e999}', 400, "1e999 is out of range"],
    [`{"a":"${"x".repeat(3000)}"}`, 413, "at most 2000 bytes"],
  ])("that is no document is refused with its reason: %p", async (body, status, reason) => {
    await using world = await startBroker({ limits: { bodyBytesMax: 2000 } });
    const answer = await world.put(DOCUMENT, body);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(JSON.parse(answer.text)).toMatchObject({ status });
    expect(answer.text).toContain(reason);
    expect((await world.ask(DOCUMENT)).status).toBe(404);
  });

  test("as deep as is allowed is kept", async () => {
    await using world = await startBroker();
    expect((await world.put(DOCUMENT, deep(64))).status).toBe(201);
  });

  test.each([
    ["PUT", { "content-type": "text/plain" }, "text/plain"],
    ["PUT", { "content-type": "application/merge-patch+json" }, "application/merge-patch+json"],
    ["PATCH", { "content-type": "application/json-patch+json" }, "application/json-patch+json"],
    ["PUT", { "content-type": "application/json; charset=latin1" }, "latin1"],
    ["PUT", { ...JSON_TYPE, "content-encoding": "gzip" }, "content-encoding gzip"],
  ])("of another type is refused: %s %p", async (method, headers, named) => {
    await using world = await startBroker();
    const { status, text } = await world.ask(DOCUMENT, { method, headers, body: "{}" });
    expect(status).toBe(415);
    expect(JSON.parse(text).error).toContain(named);
  });

  test("that is too long is refused before it has come, told or chunked", async () => {
    await using world = await startBroker({ limits: { bodyBytesMax: 2000 } });
    const told = await world.send(`${PUT_HEAD}Content-Length: 5000\r\n\r\n{"a":`);
    expect(told).toStartWith("HTTP/1.1 413 ");
    expect(faultIn(told).error).toBe(
      "the body is 5000 bytes long; at most 2000 bytes are accepted",
    );
    const chunk = `1000\r\n${"x".repeat(4096)}\r\n`;
    const chunked = await world.send(`${PUT_HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk}`);
    expect(chunked).toStartWith("HTTP/1.1 413 ");
    expect(faultIn(chunked).error).toBe("the body is too long; at most 2000 bytes are accepted");
  });

  test("that stalls is answered 408 and its connection ends; nothing is written", async () => {
    await using world = await startBroker({ limits: { requestMs: 100 } });
    for (const rest of [
      'Content-Length: 9\r\n\r\n{"a":',
      "Transfer-Encoding: chunked\r\n\r\n7\r\n{",
    ]) {
      const answer = await world.send(PUT_HEAD + rest);
      expect(answer).toStartWith("HTTP/1.1 408 ");
      expect(answer).toMatch(/\r\nconnection: close\r\n/i);
      expect(faultIn(answer).error).toContain("not done within 0.1 s");
    }
    expect((await world.ask(DOCUMENT)).status).toBe(404);
  });
});

describe("a path", () => {
  test.each([
    ["documents/c%2Fx", 400, `collection "c/x" must be`],
    ["documents/-c/x", 400, `collection "-c" must be`],
    ["documents/c/a%00b", 400, "without control characters"],
    ["documents/c/%FF", 400, "document id in the path is not percent-encoded UTF-8"],
    ["documents/c/%zz", 400, "document id in the path is not percent-encoded UTF-8"],
    ["documents/%FF", 400, "collection in the path is not percent-encoded UTF-8"],
    ["peers/%", 400, "peer's name in the path is not percent-encoded UTF-8"],
    [`documents/c/${"x".repeat(513)}`, 400, "must be 1 to 512 bytes"],
    ["documents/c/..%2F..%2Fetc", 404, "document not found: c/../../etc"],
    ["documents/c//x", 404, "there is no path /api/v1/documents/c//x"],
    ["documents/c/x/", 404, "there is no path /api/v1/documents/c/x/"],
    ["documents/%2e%2e/%2e%2e/%2e%2e/etc/passwd", 404, "there is no path /etc/passwd"],
    ["documents/c?limit=0", 400, "query parameter limit must be an integer from 1 to 10000"],
    ["documents/c?limit=1&limit=2", 400, "query parameter limit"],
    ["ws", 400, "Upgrade: websocket"],
  ])("%s is answered %p", async (path, status, sentence) => {
    await using world = await startBroker();
    const answer = await world.send(`GET /api/v1/${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    expect(answer).toStartWith(`HTTP/1.1 ${status} `);
    expect(faultIn(answer)).toMatchObject({ status });
    expect(faultIn(answer).error).toContain(sentence);
  });

  test("behind a host of few letters is found like any other", async () => {
    await using world = await startBroker({ address: "0.0.0.0" });
    for (const host of ["a", "pi", "abc", "pi:80", "four"]) {
      const answer = await world.send(`GET /api/v1/health HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      expect(answer).toEndWith('{"status":"healthy","node_id":"node-a"}');
      const write = `PUT /api/v1/documents/c/${host.replace(":", "-")} HTTP/1.1\r\nHost: ${host}\r\n`;
      const authorization = `Authorization: Bearer ${TOKEN}\r\nContent-Length: 2\r\n\r\n{}`;
      expect(await world.send(write + authorization)).toStartWith("HTTP/1.1 201 ");
    }
  });
});

describe("a caller", () => {
  test("without the token writes nothing, and is told of PEAT_API_TOKEN", async () => {
    for (const isTokenConfigured of [true, false]) {
      await using world = await startBroker({
        address: "0.0.0.0",
        access: { open: "none", isTokenConfigured, token: new Secret(TOKEN) },
      });
      for (const method of ["PUT", "PATCH", "DELETE"]) {
        const body = method === "DELETE" ? {} : { body: "{}", headers: JSON_TYPE };
        const refused = await world.ask(DOCUMENT, { method, ...body });
        expect(refused.status).toBe(401);
        expect(refused.headers.get("www-authenticate")).toBe('Bearer realm="peat"');
        expect(JSON.parse(refused.text).error).toContain("PEAT_API_TOKEN");
      }
      const wrong = await world.put(DOCUMENT, "{}", { authorization: `Bearer ${TOKEN}x` });
      expect([wrong.status, wrong.text.includes(TOKEN)]).toEqual([401, false]);
      expect((await world.ask(DOCUMENT)).status).toBe(404);
      const right = await world.put(DOCUMENT, "{}", { authorization: `Bearer ${TOKEN}` });
      expect(right.status).toBe(201);
    }
  });

  test("reads only with the token where reads need it, by no detour of the path", async () => {
    await using world = await startBroker({ access: { reads: "token", open: "loopback" } });
    await world.put(DOCUMENT, "{}");
    expect((await world.ask("/health")).status).toBe(200);
    expect((await world.ask("/ready")).status).toBe(200);
    for (const path of ["/peers", DOCUMENT, "/ws"]) {
      expect((await world.ask(path)).status).toBe(401);
    }
    const detour = `GET /api/v1/health/..${DOCUMENT} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    expect(await world.send(detour)).toStartWith("HTTP/1.1 401 ");
    const headers = { authorization: `Bearer ${TOKEN}` };
    expect((await world.ask(DOCUMENT, { headers })).status).toBe(200);
  });

  test("under a foreign host or from a foreign origin is refused on loopback", async () => {
    await using world = await startBroker();
    const rebound = await world.send("GET /api/v1/health HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    expect(rebound).toStartWith("HTTP/1.1 403 ");
    expect(faultIn(rebound).error).toContain('host "evil.example"');
    const headers = { origin: "https://evil.example" };
    const foreign = await world.put(DOCUMENT, "{}", headers);
    expect(foreign.status).toBe(403);
    expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
    expect((await world.ask(DOCUMENT, { method: "OPTIONS", headers })).status).toBe(403);
    const own = await world.ask("/health", { headers: { origin: world.broker.url } });
    expect(own.headers.get("access-control-allow-origin")).toBe(world.broker.url);
  });
});
