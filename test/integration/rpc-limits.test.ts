// What a client may not do to the listeners: be silent, be slow, be too many, come from elsewhere.
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import { Code } from "@connectrpc/connect";
import { callHeaders, RawHttp2 } from "../../scripts/support/raw-http2.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { Fault } from "../../src/base/faults.ts";
import { openMemoryStore, put } from "../support/memory-store.ts";
import { codeOf, patientClock, startRpc } from "../support/start-rpc.ts";

const LIMIT_MS = 20_000;
const PATH = "/peat.sidecar.v1.PeatSidecar/GetDocument";
const LIMITS = {
  headerReadMs: 150,
  idleMs: 150,
  pingMs: 100,
  pingAckMs: 150,
  streamsMax: 4,
};
/** For those who do what they should, in a process that may stand for a while. */
const PATIENT = { ...LIMITS, headerReadMs: 2500, idleMs: 2500 };
const QUIET = { ...LIMITS, headerReadMs: 60_000, idleMs: 60_000, pingMs: 60_000 };

/** All that a connection says until it is closed. */
function untilClosed(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => undefined);
  socket.once("close", () => resolve(text));
  setTimeout(() => reject(new Error(`still open after: ${text}`)), LIMIT_MS).unref();
  return promise;
}

for (const isUnix of [false, true]) {
  describe(isUnix ? "over a unix socket" : "over TCP", () => {
    test.each([
      ["says nothing", ""],
      ["stops within the first bytes of HTTP/2", "PR"],
      ["stops within a head", `POST ${PATH} HTTP/1.1\r\nhost: localhost\r\nx: `],
    ])("a client that %s is closed", async (_, bytes) => {
      await using world = await startRpc({ isUnix, connections: LIMITS });
      const socket = await world.connect();
      socket.write(bytes);
      await untilClosed(socket);
    });

    test("a client that is silent between two requests is closed after the first", async () => {
      await using world = await startRpc({ isUnix, connections: PATIENT });
      const socket = await world.connect();
      const body = '{"collection":"a","docId":"b"}';
      socket.write(
        `POST ${PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      expect(await untilClosed(socket)).toContain("HTTP/1.1 200 OK");
    });

    test("a client that sends its next request before the answer has as long for it as others", async () => {
      await using world = await startRpc({ isUnix, connections: PATIENT });
      const socket = await world.connect();
      const get = '{"collection":"a","docId":"b"}';
      const head = (method: string, type: string, length: number) =>
        `POST /peat.sidecar.v1.PeatSidecar/${method} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/${type}\r\ncontent-length: ${length}\r\n\r\n`;
      let text = "";
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
      });
      socket.write(
        `${head("GetDocument", "json", get.length)}${get}${head("Subscribe", "connect+json", 7)}\0\0\0\0\u0002{}`,
      );
      await waitFor("the first answer", LIMIT_MS, () => text.includes("{}") || undefined);
      const since = performance.now();
      await waitFor(
        "the time of a head to be over",
        LIMIT_MS,
        () => performance.now() - since > 2 * PATIENT.headerReadMs || undefined,
      );
      expect(socket.destroyed).toBe(false);
      await put(world.store, "notes:late", {});
      await waitFor("the change", LIMIT_MS, () => text.includes('"docId":"late"') || undefined);
      socket.destroy();
    });

    test("a request whose body does not come is answered and closed", async () => {
      await using world = await startRpc({
        isUnix,
        connections: QUIET,
        deadlines: { defaultMs: 200, maxMs: 1000 },
      });
      const socket = await world.connect();
      socket.write(
        `POST ${PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n{"coll`,
      );
      const answer = await untilClosed(socket);
      expect(answer).toContain("HTTP/1.1 504 ");
      expect(answer).toContain('"code":"deadline_exceeded"');
      const session = connectHttp2("http://localhost", { createConnection: () => world.socket() });
      for (const [method, type] of [
        ["GetDocument", "application/json"],
        ["GetDocument", "application/grpc"],
        ["Subscribe", "application/connect+json"],
      ] as const) {
        const path = `/peat.sidecar.v1.PeatSidecar/${method}`;
        const head = { ":method": "POST", ":path": path, "content-type": type };
        const stream = session.request(head, { endStream: false });
        stream.on("error", () => undefined);
        stream.resume();
        await waitFor(`the end of ${type}`, LIMIT_MS, () => stream.closed || undefined);
      }
      session.destroy();
    });

    test("an HTTP/2 connection without calls is closed", async () => {
      await using world = await startRpc({ isUnix, connections: { ...QUIET, idleMs: 150 } });
      const session = connectHttp2("http://localhost", {
        createConnection: () => world.socket(),
      });
      session.on("error", () => undefined);
      await waitFor("the end of the session", LIMIT_MS, () => session.destroyed || undefined);
    });
  });
}

test("an HTTP/2 client that answers no PING is gone", async () => {
  await using world = await startRpc({ connections: { ...LIMITS, idleMs: 60_000 } });
  const socket = await world.connect();
  // Preface and empty SETTINGS, then nothing but silence.
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
  await untilClosed(socket);
});

test("an HTTP/2 client that answers PINGs stays", async () => {
  // Client and server share this process, which may stand for a while.
  const pingAckMs = 2500;
  await using world = await startRpc({ connections: { ...LIMITS, idleMs: 60_000, pingAckMs } });
  const session = connectHttp2(world.url());
  let pings = 0;
  session.on("ping", () => {
    pings += 1;
  });
  const since = performance.now();
  const isBeyond = () => performance.now() - since > 1.5 * pingAckMs;
  await waitFor("pings", LIMIT_MS, () => (pings >= 4 && isBeyond()) || undefined);
  expect(session.destroyed).toBe(false);
  session.destroy();
});

/** A store whose writes end only when the test says so. */
function heldStore() {
  const store = openMemoryStore();
  const held = Promise.withResolvers<void>();
  let waiting = 0;
  const write = store.write.bind(store);
  store.write = async (request) => {
    waiting += 1;
    await held.promise;
    return await write(request);
  };
  return { store, release: () => held.resolve(), waiting: () => waiting };
}

const NOTE = { collection: "notes", docId: "a", jsonData: "{}" };

test("calls beyond what a connection may have open are refused, and it goes on", async () => {
  const { store, release, waiting } = heldStore();
  await using world = await startRpc({ store, connections: QUIET });
  const session = connectHttp2(world.url());
  session.on("error", () => undefined);
  const ends: string[] = [];
  // Before the server's settings arrive, a client thinks that it has no limit.
  const borne = QUIET.streamsMax;
  const asked = 2 * borne;
  for (let i = 0; i < asked; i += 1) {
    const stream = session.request({
      ":method": "POST",
      ":path": "/peat.sidecar.v1.PeatSidecar/PutDocument",
      "content-type": "application/json",
    });
    stream.on("response", (headers) => ends.push(String(headers[":status"])));
    stream.on("error", () => ends.push("refused"));
    stream.resume();
    stream.end(JSON.stringify({ ...NOTE, docId: String(i) }));
  }
  await waitFor("writes", LIMIT_MS, () => waiting() >= borne || undefined);
  expect(waiting()).toBe(borne);
  release();
  await waitFor("ends", LIMIT_MS, () => ends.length === asked || undefined);
  expect(ends.filter((end) => end === "200")).toHaveLength(borne);
  session.destroy();
  store.close();
});

test("of two thousand calls at once by a client that heeds no limit, all that is too much is refused, unheard", async () => {
  const { store, release, waiting } = heldStore();
  await using world = await startRpc({ store });
  const address = world.address();
  if (address.kind !== "tcp") throw new Error("no port");
  const client = await RawHttp2.connect(address.port, { isHeedless: true });
  const head = callHeaders("PutDocument", "application/json");
  const put = (docId: string) => {
    const body = Buffer.from(JSON.stringify({ collection: "n", docId, jsonData: "{}" }));
    return new Promise<boolean>((resolve) => {
      const done = (isGood: boolean) => {
        if (!isGood) refused += 1;
        resolve(isGood);
      };
      client.call(head, body, { done });
    });
  };
  const asked = 2000;
  let refused = 0;
  const calls = Array.from({ length: asked }, (_, n) => put(String(n)));
  await waitFor("refusals", LIMIT_MS, () => (refused > 0 && waiting() >= 128) || undefined);
  expect(waiting()).toBe(128);
  release();
  const answered = (await Promise.all(calls)).filter((isGood) => isGood).length;
  console.log(`${answered} of ${asked} were answered`);
  expect(answered).toBeGreaterThanOrEqual(128);
  // What was refused was not done, and the connection serves on.
  expect(store.count("n")).toBe(answered);
  expect(client.isClosed).toBe(false);
  expect(await put("after")).toBe(true);
  client.close();
  store.close();
}, 30_000);

test("a stop lets calls under way end, and refuses new ones", async () => {
  const { store, release, waiting } = heldStore();
  const world = await startRpc({ store, clock: patientClock });
  const call = world.client().putDocument(NOTE);
  await waitFor("the write", LIMIT_MS, () => waiting() > 0 || undefined);
  const closing = world.server.close();
  release();
  expect(await call).toMatchObject({});
  await closing;
  expect(await codeOf(world.client().getDocument(NOTE))).toBe(Code.Unavailable);
  await world[Symbol.asyncDispose]();
  store.close();
});

test("a stop does not wait for a call that does not end", async () => {
  const { store, release, waiting } = heldStore();
  const world = await startRpc({ store });
  const call = codeOf(world.client().putDocument(NOTE));
  await waitFor("the write", LIMIT_MS, () => waiting() > 0 || undefined);
  await world.server.close();
  expect(await call).toBeDefined();
  release();
  await world[Symbol.asyncDispose]();
  store.close();
});

test("a call is over at its deadline, whatever it waits for", async () => {
  const { store, release } = heldStore();
  await using world = await startRpc({ store, deadlines: { defaultMs: 100, maxMs: 200 } });
  for (const protocol of ["connect", "grpc", "grpc-web"] as const) {
    const client = world.client({ protocol });
    expect(await codeOf(client.putDocument(NOTE))).toBe(Code.DeadlineExceeded);
    // The client waits longer than it is given.
    const call = client.putDocument(NOTE, { headers: { "connect-timeout-ms": "60000" } });
    expect(await codeOf(call)).toBe(Code.DeadlineExceeded);
  }
  release();
  store.close();
});

test("a message over the limit is refused with a code, also when it is small until it is unpacked", async () => {
  await using world = await startRpc();
  const jsonData = JSON.stringify({ text: "x".repeat(5 * 1024 ** 2) });
  for (const protocol of ["connect", "grpc", "grpc-web"] as const) {
    const code = await codeOf(world.client({ protocol }).putDocument({ ...NOTE, jsonData }));
    expect(code).toBe(Code.ResourceExhausted);
  }
  const packed = await fetch(`${world.url()}/peat.sidecar.v1.PeatSidecar/PutDocument`, {
    method: "POST",
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: Bun.gzipSync(JSON.stringify({ ...NOTE, jsonData })),
  });
  expect(packed.status).toBe(429);
});

test("the socket is removed at the stop", async () => {
  const world = await startRpc({ isUnix: true });
  const at = world.address();
  if (at.kind !== "unix") throw new Error("not a unix socket");
  expect(existsSync(at.path)).toBe(true);
  await world.server.close();
  expect(existsSync(at.path)).toBe(false);
  await world[Symbol.asyncDispose]();
});

test("an address that is taken is a fault that names it, and what was opened is closed again", async () => {
  await using world = await startRpc();
  await using first = await startRpc({ isUnix: true });
  const taken = world.address();
  const socket = first.address();
  const opening = startRpc({ listen: [{ kind: "tcp", host: "127.0.0.1", port: 0 }, taken] });
  const fault = await opening.then(() => undefined).catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(Fault);
  expect(String(fault)).toContain("PEAT_LISTEN: tcp://127.0.0.1:");
  await expect(startRpc({ listen: [socket] })).rejects.toThrow("in use by another process");
});

describe("a request that is no call", () => {
  test.each([
    ["an unknown path", "POST", "/peat.sidecar.v1.PeatSidecar/Nothing", "application/json", 404],
    ["the root", "GET", "/", undefined, 404],
    ["another method", "GET", PATH, "application/json", 405],
    ["another content type", "POST", PATH, "text/plain", 415],
    ["gRPC-Web as text", "POST", PATH, "application/grpc-web-text", 415],
  ])("of %s is answered", async (_, method, path, type, status) => {
    await using world = await startRpc();
    const answer = await fetch(world.url() + path, {
      method,
      headers: type === undefined ? {} : { "content-type": type },
      ...(method === "POST" ? { body: "{}" } : {}),
    });
    expect(answer.status).toBe(status);
    if (status === 404) expect(await answer.json()).toMatchObject({ code: "unimplemented" });
    if (status === 405) expect(answer.headers.get("allow")).toBe("POST");
  });

  test.each([
    ["without a host", "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"],
    ["with a host that is none", "POST / HTTP/1.1\r\nhost: [\r\ncontent-length: 0\r\n\r\n"],
    [
      "with a call and a host that is none",
      `POST ${PATH} HTTP/1.1\r\nhost: [::\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
    ],
    [
      "of HTTP/1.0 without a host",
      `POST ${PATH} HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`,
    ],
    ["of no HTTP at all", "hello\r\n\r\n"],
    ["of HTTP/2 that is none", "PRI * HTTP/2.0\r\n\r\nnonsense nonsense nonsense nonsense"],
  ])("%s hurts nobody else", async (_, bytes) => {
    await using world = await startRpc({
      isUnix: true,
      connections: { ...PATIENT, idleMs: 60_000 },
    });
    const socket = await world.connect();
    socket.write(bytes);
    await untilClosed(socket);
    expect(await codeOf(world.client().getDocument(NOTE))).toBeUndefined();
  });
});
