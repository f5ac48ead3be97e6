// Answers that are there before the client has sent the whole of its request, and answers to requests that come to no
// call: they arrive, in the client's protocol, and leave nothing behind.
import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { Code } from "@connectrpc/connect";
import { waitFor } from "../../scripts/support/waiting.ts";
import { openLog, parseLogFilter } from "../../src/base/log.ts";
import { put } from "../support/memory-store.ts";
import {
  Flag,
  FrameType,
  frame,
  headerBlock,
  RawHttp2,
  rstStream,
  Setting,
  windowUpdate,
} from "../support/raw-http2.ts";
import { codeOf, type RpcWorld, startRpc } from "../support/start-rpc.ts";

const LIMIT_MS = 20_000;
const SERVICE = "peat.sidecar.v1.PeatSidecar";
const CONTENT_TYPES = [
  ["GetDocument", "application/grpc"],
  ["GetDocument", "application/grpc-web+proto"],
  ["Subscribe", "application/connect+json"],
] as const;

function open(client: RawHttp2, path: string, type: string): number {
  const stream = client.newStream();
  const headers = {
    ":method": "POST",
    ":scheme": "http",
    ":authority": "localhost",
    ":path": `/${path}`,
    "content-type": type,
  };
  client.write(frame(FrameType.headers, Flag.endHeaders, stream, headerBlock(headers)));
  return stream;
}

/** The beginning of a message that says of itself that it is far too long. */
function tooLong(): Uint8Array {
  const bytes = new Uint8Array(16_000);
  new DataView(bytes.buffer).setUint32(1, 50_000_000);
  return bytes;
}

for (const isUnix of [false, true]) {
  describe(isUnix ? "over a unix socket" : "over TCP", () => {
    test.each(CONTENT_TYPES)(
      "a %s call over HTTP/2 (%s) that is refused in the middle of its request is over, and its place is free",
      async (method, type) => {
        await using world = await startRpc({ isUnix });
        using client = new RawHttp2(await world.connect());
        // More than a connection may have open: each must have ended before the next.
        for (let round = 0; round < 150; round += 1) {
          const stream = open(client, `${SERVICE}/${method}`, type);
          client.write(frame(FrameType.data, 0, stream, tooLong()));
          await waitFor(
            "the end of the stream",
            LIMIT_MS,
            () => client.of(stream, FrameType.rstStream).length > 0 || undefined,
            1,
          );
          const [reset] = client.of(stream, FrameType.rstStream);
          // NO_ERROR: the answer is complete, only the rest of the request is not wanted.
          expect([...(reset?.payload ?? [])]).toEqual([0, 0, 0, 0]);
          expect(client.of(stream, FrameType.headers).length).toBeGreaterThan(0);
        }
      },
      60_000,
    );

    test("an answer that waits for room is not cut off by the end of its stream", async () => {
      await using world = await startRpc({ isUnix });
      for (let i = 0; i < 300; i += 1) await put(world.store, `many:${"x".repeat(200)}${i}`, {});
      using client = new RawHttp2(await world.connect(), { [Setting.initialWindowSize]: 10 });
      const stream = open(client, `${SERVICE}/ListDocuments`, "application/json");
      client.write(
        frame(FrameType.data, 0, stream, new TextEncoder().encode('{"collection":"many"}')),
      );
      client.write(frame(FrameType.data, Flag.endStream, stream));
      await waitFor(
        "data",
        LIMIT_MS,
        () => client.of(stream, FrameType.data).length > 0 || undefined,
      );
      client.write(windowUpdate(0, 1_000_000), windowUpdate(stream, 1_000_000));
      await waitFor("the end", LIMIT_MS, () => client.hasEnded(stream) || undefined);
      const text = Buffer.concat(client.of(stream, FrameType.data).map((f) => f.payload));
      expect(JSON.parse(text.toString()).docIds).toHaveLength(300);
      expect(client.of(stream, FrameType.rstStream)).toEqual([]);
    });

    test("a client over HTTP/1.1 that sends far too much reads its answer all the same", async () => {
      await using world = await startRpc({ isUnix });
      for (const [method, type] of CONTENT_TYPES.slice(1)) {
        const answer = await sendAll(world, method, type);
        expect(answer).toMatch(/larger than|is%20larger%20than/);
      }
      expect(await sendAll(world, "Nothing", "application/json")).toContain("HTTP/1.1 404 ");
    });
  });
}

/** Sends a request of 9 MB piece by piece, and only then looks for the answer. */
async function sendAll(world: RpcWorld, method: string, type: string): Promise<string> {
  const socket = await world.connect();
  socket.write(
    `POST /${SERVICE}/${method} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9600000\r\ncontent-type: ${type}\r\n\r\n`,
  );
  for (let i = 0; i < 600; i += 1) await written(socket, tooLong());
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  const isWhole = () => /\r\n\r\n.*(exhausted|larger|no call)/s.test(text) || undefined;
  await waitFor("the answer", LIMIT_MS, isWhole);
  socket.destroy();
  return text;
}

function written(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.write(bytes, () => {
      socket.off("error", reject);
      resolve();
    });
  });
}

test("a request that comes to no call is answered in the client's protocol", async () => {
  await using world = await startRpc();
  const ask = (type: string) =>
    fetch(`${world.url()}/${SERVICE}/Nothing`, {
      method: "POST",
      headers: { "content-type": type },
      body: "",
    });
  for (const type of ["application/grpc", "application/grpc+json", "application/grpc-web+proto"]) {
    const { status, headers } = await ask(type);
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe(type);
    expect(headers.get("grpc-status")).toBe(String(Code.Unimplemented));
    expect(decodeURIComponent(headers.get("grpc-message") ?? "")).toContain("there is no call");
  }
  const stream = await ask("application/connect+json");
  expect(stream.status).toBe(200);
  const bytes = await stream.bytes();
  expect([...bytes.subarray(0, 5)]).toEqual([2, 0, 0, 0, bytes.length - 5]);
  expect(JSON.parse(new TextDecoder().decode(bytes.subarray(5)))).toMatchObject({
    error: { code: "unimplemented" },
  });
  expect((await ask("application/proto")).status).toBe(404);
});

test("a request that does not come in time is told so in the client's protocol", async () => {
  await using world = await startRpc({ deadlines: { defaultMs: 100, maxMs: 100 } });
  using client = new RawHttp2(await world.connect());
  const stream = open(client, `${SERVICE}/GetDocument`, "application/grpc");
  await waitFor("the end", LIMIT_MS, () => client.hasEnded(stream) || undefined);
  const head = Buffer.concat(client.of(stream, FrameType.headers).map((f) => f.payload));
  // Its :status is the second entry of HPACK's table of known ones, 200.
  expect(head.includes(0x88)).toBe(true);
});

test("a stream ends at the deadline that its client asks for, and says so", async () => {
  await using world = await startRpc();
  const head = { "content-type": "application/connect+json", "connect-timeout-ms": "200" };
  const answer = await fetch(`${world.url()}/${SERVICE}/Subscribe`, {
    method: "POST",
    headers: head,
    body: new Uint8Array([0, 0, 0, 0, 2, 0x7b, 0x7d]),
  });
  expect(await answer.text()).toContain('"code":"deadline_exceeded"');
  expect(world.services.openStreams).toBe(0);
  for (const protocol of ["connect", "grpc", "grpc-web"] as const) {
    const messages = world.client({ protocol }).subscribe({}, { timeoutMs: 200 });
    const first = messages[Symbol.asyncIterator]().next();
    expect(await codeOf(first)).toBe(Code.DeadlineExceeded);
  }
});

test("a client that goes in the middle of its request is no failure of the node's", async () => {
  const lines: string[] = [];
  const log = (level: string, write: (line: string) => void) =>
    openLog({ filter: parseLogFilter(level), format: "text", colour: false, write });
  log("debug", (line) => lines.push(line));
  try {
    await using world = await startRpc();
    const paths = [
      `${SERVICE}/PutDocument`,
      "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ];
    for (const path of paths) {
      for (const begun of [[], [0, 0], [0, 0, 0, 0, 50, 1, 2]]) {
        const client = new RawHttp2(await world.connect());
        await client.greeted();
        const stream = open(client, path, "application/grpc");
        await client.writeAll(frame(FrameType.data, 0, stream, new Uint8Array(begun)));
        client.write(rstStream(stream));
        // Answered after all that came before it.
        client.write(...call(client, "grpc.health.v1.Health/Check"));
        await waitFor("the last answer", LIMIT_MS, () => client.hasEnded(stream + 2) || undefined);
        client.socket.destroy();
      }
    }
    await waitFor("their end", LIMIT_MS, () => world.server.connectionCount === 0 || undefined);
  } finally {
    log("off", () => undefined);
  }
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.filter((line) => line.includes("ERROR"))).toEqual([]);
});

/** A whole call without fields. */
function call(client: RawHttp2, path: string): Uint8Array[] {
  const stream = open(client, path, "application/grpc");
  return [frame(FrameType.data, Flag.endStream, stream, new Uint8Array(5))];
}
