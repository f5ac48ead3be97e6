// Every protocol, encoding, HTTP version and kind of listener says the same.
import { describe, expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ClientOptions, startRpc } from "../support/start-rpc.ts";

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
