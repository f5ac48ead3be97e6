// Every protocol, encoding, HTTP version and kind of listener says the same.
import { describe, expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { waitFor } from "../../scripts/support/waiting.ts";
import { StreamMark } from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { put } from "../support/memory-store.ts";
import { type ClientOptions, patientClock, startRpc } from "../support/start-rpc.ts";

const LIMIT_MS = 10_000;

const CLIENTS: readonly ClientOptions[] = (["connect", "grpc", "grpc-web"] as const).flatMap(
  (protocol) =>
    [true, false].flatMap((useBinaryFormat) =>
      (protocol === "grpc" ? (["2"] as const) : (["1.1", "2"] as const)).map((httpVersion) => ({
        protocol,
        useBinaryFormat,
        httpVersion,
      })),
    ),
);

for (const isUnix of [false, true]) {
  describe(isUnix ? "over a unix socket" : "over TCP", () => {
    for (const options of CLIENTS) {
      const { protocol, useBinaryFormat, httpVersion } = options;
      const name = `${protocol} ${useBinaryFormat ? "binary" : "JSON"} over HTTP/${httpVersion}`;
      test(`${name} puts, gets, lists and deletes`, async () => {
        await using world = await startRpc({ isUnix });
        const client = world.client(options);
        const name = { collection: "notes", docId: "a:b" };
        await client.putDocument({ ...name, jsonData: '{ "b": 1.0, "a": "ü" }' });
        expect((await client.getDocument(name)).jsonData).toBe('{"a":"ü","b":1.0}');
        expect((await client.listDocuments({ collection: "notes" })).docIds).toEqual(["a:b"]);
        await client.deleteDocument(name);
        expect((await client.getDocument(name)).jsonData).toBeUndefined();
      });

      test(`${name} is told a code and a sentence`, async () => {
        await using world = await startRpc({ isUnix });
        const failure = await world
          .client(options)
          .putDocument({ collection: "notes", docId: "a", jsonData: "[1]" })
          .catch((error: unknown) => ConnectError.from(error));
        expect(failure).toBeInstanceOf(ConnectError);
        if (!(failure instanceof ConnectError)) return;
        expect(failure.code).toBe(Code.InvalidArgument);
        expect(failure.rawMessage).toStartWith("json_data: ");
      });
    }
  });
}

describe("a stream", () => {
  for (const options of CLIENTS) {
    const { protocol, useBinaryFormat, httpVersion } = options;
    const name = `${protocol} ${useBinaryFormat ? "binary" : "JSON"} over HTTP/${httpVersion}`;
    test(`of ${name} tells when it is live, then changes, and ends with the node`, async () => {
      await using world = await startRpc({ clock: patientClock });
      const stream = world.client(options).subscribe({ collections: ["notes"], resume: {} });
      const messages = stream[Symbol.asyncIterator]();
      const begun = (await messages.next()).value?.position;
      expect(begun?.mark).toBe(StreamMark.SNAPSHOT_END);
      const first = messages.next();
      await put(world.store, "notes:a", { n: 1 });
      expect((await first).value).toMatchObject({ docId: "a", jsonData: '{"n":1}' });
      const end = messages.next().catch((error: unknown) => ConnectError.from(error).code);
      await world.server.close();
      expect(await end).toBe(Code.Unavailable);
    });

    test(`of ${name} that is refused says why`, async () => {
      await using world = await startRpc();
      const stream = world.client(options).subscribe({ collections: ["a b"] });
      const failure = await stream[Symbol.asyncIterator]()
        .next()
        .catch((error: unknown) => ConnectError.from(error));
      expect(failure).toMatchObject({ code: Code.InvalidArgument });
      expect(String(failure)).toContain("collections[0]: ");
    });
  }

  test("goes on beyond the deadline of calls, which its request alone has", async () => {
    await using world = await startRpc({ deadlines: { defaultMs: 3000, maxMs: 3000 } });
    const headers = { "connect-timeout-ms": "20000", "grpc-timeout": "20S" };
    const opening = CLIENTS.map(async (options) => {
      const stream = world.client(options).subscribe({ resume: { liveOnly: true } }, { headers });
      const messages = stream[Symbol.asyncIterator]();
      expect((await messages.next()).value?.position?.mark).toBe(StreamMark.SNAPSHOT_END);
      return messages;
    });
    const nexts = (await Promise.all(opening)).map((messages) => messages.next());
    await world.client().getStatus({});
    const openedAt = performance.now();
    const isOver = () => performance.now() - openedAt > 4000 || undefined;
    await waitFor("the deadline to be over", LIMIT_MS, isOver);
    await put(world.store, "notes:a", {});
    for (const { value } of await Promise.all(nexts)) expect(value).toMatchObject({ docId: "a" });
  });

  test("whose client goes costs the node nothing more", async () => {
    await using world = await startRpc();
    for (const options of CLIENTS) {
      const abort = new AbortController();
      const stream = world.client(options).subscribe({}, { signal: abort.signal });
      const next = stream[Symbol.asyncIterator]()
        .next()
        .catch(() => undefined);
      await waitFor("the stream", LIMIT_MS, () => world.services.openStreams === 1 || undefined);
      abort.abort();
      await next;
      await waitFor("its end", LIMIT_MS, () => world.services.openStreams === 0 || undefined);
    }
  });
});
