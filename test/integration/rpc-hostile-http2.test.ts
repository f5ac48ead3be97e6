// Clients that use HTTP/2 to cost as much as they can: each is bounded or sent away, and nobody else notices.
import { describe, expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { put } from "../support/memory-store.ts";
import {
  Flag,
  FrameType,
  frame,
  headerBlock,
  RawHttp2,
  rstStream,
  Setting,
} from "../support/raw-http2.ts";
import { type RpcWorld, startRpc } from "../support/start-rpc.ts";

const LIMIT_MS = 60_000;
const SERVICE = "peat.sidecar.v1.PeatSidecar";
const ENHANCE_YOUR_CALM = 11;
const REFUSED_STREAM = 7;
/** Frames that are written together. */
const BATCH = 100;
const PATIENT = {
  headerReadMs: 60_000,
  idleMs: 300_000,
  pingMs: 60_000,
  pingAckMs: 60_000,
  streamsMax: 128,
};

function headersOf(method: string): Uint8Array {
  return headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":authority": "localhost",
    ":path": `/${SERVICE}/${method}`,
    "content-type": "application/grpc",
  });
}

function call(client: RawHttp2, method: string, body?: Uint8Array): Uint8Array[] {
  const stream = client.newStream();
  const head = frame(FrameType.headers, Flag.endHeaders, stream, headersOf(method));
  return body === undefined ? [head] : [head, frame(FrameType.data, Flag.endStream, stream, body)];
}

const EMPTY_MESSAGE = new Uint8Array(5);

/** Writes batches until the other side has had enough, or so many are written; tells how many were. */
async function flood(client: RawHttp2, batches: number, make: () => readonly Uint8Array[]) {
  let count = 0;
  for (; count < batches && !client.isClosed; count += 1) await client.writeAll(...make());
  return count;
}

const repeat = (bytes: Uint8Array) => () => Array.from({ length: BATCH }, () => bytes);

/** Calls of somebody else, one after another until `work` is done: all must be answered. */
async function beside(world: RpcWorld, work: () => Promise<void>): Promise<void> {
  const client = world.client({ protocol: "grpc" });
  let isOver = false;
  let slowestMs = 0;
  let calls = 0;
  const others = (async () => {
    while (!isOver) {
      const startedMs = performance.now();
      await client.putDocument({ collection: "calm", docId: "a", jsonData: `{"n":${calls}}` });
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      calls += 1;
    }
  })();
  try {
    await work();
  } finally {
    isOver = true;
    await others;
  }
  const rssMb = Math.round(process.memoryUsage.rss() / 1e6);
  console.log(`${calls} calls beside, the slowest ${Math.round(slowestMs)} ms, ${rssMb} MB`);
}

interface Attack {
  readonly name: string;
  readonly values?: Readonly<Record<number, number>>;
  run(client: RawHttp2): Promise<unknown>;
}

/** Those that end the connection of who does it. */
const FATAL: readonly Attack[] = [
  {
    name: "calls that are taken back at once (rapid reset)",
    run: (client) =>
      flood(client, 400, () =>
        Array.from({ length: BATCH }, () => {
          const [head = new Uint8Array()] = call(client, "GetDocument");
          return [head, rstStream(client.newStream() - 2)];
        }).flat(),
      ),
  },
  {
    name: "streams that are taken back at once",
    run: (client) =>
      flood(client, 400, () =>
        Array.from({ length: BATCH }, () => [
          ...call(client, "Subscribe", EMPTY_MESSAGE),
          rstStream(client.newStream() - 2),
        ]).flat(),
      ),
  },
  {
    name: "calls beyond the limit, for ever",
    run: (client) =>
      flood(client, 400, () =>
        Array.from({ length: BATCH }, () => call(client, "GetDocument")).flat(),
      ),
  },
  {
    name: "a header that goes on for ever in CONTINUATION frames",
    run: async (client) => {
      await client.greeted();
      const stream = client.newStream();
      await client.writeAll(frame(FrameType.headers, 0, stream, headersOf("GetDocument")));
      const more = headerBlock({ x: "y".repeat(15_000) });
      await flood(client, 1_000, () => [frame(FrameType.continuation, 0, stream, more)]);
    },
  },
  {
    name: "RST_STREAM for a stream that it never opened",
    run: (client) => flood(client, 1_000, repeat(rstStream(1))),
  },
  {
    name: "DATA frames without data",
    run: async (client) => {
      const [head = new Uint8Array()] = call(client, "GetDocument");
      await client.writeAll(head);
      await flood(client, 5_000, repeat(frame(FrameType.data, 0, 1)));
    },
  },
  {
    name: "frames longer than allowed",
    run: (client) => client.writeAll(frame(FrameType.data, 0, 1, new Uint8Array(100_000))),
  },
  {
    name: "PINGs whose answers it does not read",
    run: (client) => unread(client, frame(FrameType.ping, 0, 0, new Uint8Array(8))),
  },
  {
    name: "SETTINGS whose answers it does not read",
    run: (client) => unread(client, frame(FrameType.settings, 0, 0)),
  },
];

/** Floods without reading, until the other side ends it. */
async function unread(client: RawHttp2, bytes: Uint8Array): Promise<void> {
  await client.greeted();
  client.socket.pause();
  const many = Buffer.concat(Array.from({ length: 50 * BATCH }, () => bytes));
  await waitFor("the end of patience", LIMIT_MS, () => {
    if (!client.isClosed && client.socket.writableLength < 4 * many.length) {
      client.socket.write(many);
    }
    return client.isClosed || undefined;
  });
}

for (const isUnix of [false, true]) {
  describe(isUnix ? "over a unix socket" : "over TCP", () => {
    for (const { name, run, values } of FATAL) {
      test(
        `${name}: the connection is closed`,
        async () => {
          await using world = await startRpc({ isUnix, connections: PATIENT });
          await beside(world, async () => {
            using client = new RawHttp2(await world.connect(), values);
            await run(client);
            await client.closed();
          });
          await waitFor(
            "nothing to be left",
            LIMIT_MS,
            () =>
              (world.services.openStreams === 0 && world.server.connectionCount === 1) || undefined,
          );
        },
        LIMIT_MS,
      );
    }

    test("a header that never ends is ended with the PING that nobody can answer within it", async () => {
      const connections = { ...PATIENT, pingMs: 200, pingAckMs: 200 };
      await using world = await startRpc({ isUnix, connections });
      using client = new RawHttp2(await world.connect());
      await client.greeted();
      const stream = client.newStream();
      await client.writeAll(frame(FrameType.headers, 0, stream, headersOf("GetDocument")));
      // A frame now and then, so that it is not silent.
      const more = frame(FrameType.continuation, 0, stream);
      await waitFor("the end", LIMIT_MS, () => {
        if (!client.isClosed) client.write(more);
        return client.isClosed || undefined;
      });
    });

    test.each([
      ["SETTINGS", frame(FrameType.settings, 0, 0)],
      ["PING", frame(FrameType.ping, 0, 0, new Uint8Array(8))],
      ["WINDOW_UPDATE", frame(FrameType.windowUpdate, 0, 0, new Uint8Array([0, 0, 0, 1]))],
      ["frames of no known kind", frame(77, 0, 0, new Uint8Array(8))],
    ])("%s in masses, from who reads the answers: others are served beside", async (_, bytes) => {
      await using world = await startRpc({ isUnix, connections: PATIENT });
      await beside(world, async () => {
        using client = new RawHttp2(await world.connect());
        expect(await flood(client, 300, repeat(bytes))).toBeGreaterThan(0);
      });
    });

    /** As many streams as a connection may have, of a client that gives them no room. */
    async function withoutRoom(world: RpcWorld): Promise<RawHttp2> {
      const client = new RawHttp2(await world.connect(), { [Setting.initialWindowSize]: 0 });
      const { streamsMax } = PATIENT;
      for (let i = 0; i < streamsMax; i += 1) {
        client.write(...call(client, "Subscribe", EMPTY_MESSAGE));
      }
      const areOpen = () => world.services.openStreams === streamsMax || undefined;
      await waitFor("streams", LIMIT_MS, areOpen);
      return client;
    }

    test("streams without room wait, whatever is written beside them", async () => {
      await using world = await startRpc({ isUnix, connections: PATIENT });
      using client = await withoutRoom(world);
      await beside(world, async () => {
        for (let i = 0; i < 500; i += 1) await put(world.store, "small:a", { i });
      });
      expect(world.services.openStreams).toBe(PATIENT.streamsMax);
      expect(client.frames.filter((f) => f.type === FrameType.data)).toEqual([]);
      expect(client.isClosed).toBe(false);
    });

    test("a client for which more waits than a connection may cost is told that it is too slow", async () => {
      await using world = await startRpc({ isUnix, connections: PATIENT });
      using client = await withoutRoom(world);
      await beside(world, async () => {
        await put(world.store, "big:a", { filler: "x".repeat(900_000) });
        await client.closed();
      });
      expect(client.goAwayCodes).toContain(ENHANCE_YOUR_CALM);
      const { services } = world;
      await waitFor("the streams' end", LIMIT_MS, () => services.openStreams === 0 || undefined);
    });

    test("calls beyond the limit are refused one by one, so that a client may try them again", async () => {
      await using world = await startRpc({ isUnix, connections: { ...PATIENT, streamsMax: 4 } });
      using client = new RawHttp2(await world.connect());
      await client.greeted();
      for (let i = 0; i < 8; i += 1) client.write(...call(client, "GetDocument"));
      const refused = () => client.frames.filter((f) => f.type === FrameType.rstStream);
      await waitFor("refusals", LIMIT_MS, () => refused().length >= 4 || undefined);
      expect(refused().map((f) => f.stream)).toEqual([9, 11, 13, 15]);
      expect(refused().every((f) => f.payload[3] === REFUSED_STREAM)).toBe(true);
      expect(client.isClosed).toBe(false);
    });
  });
}
