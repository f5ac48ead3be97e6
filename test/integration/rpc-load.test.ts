// Many calls at once, and clients that read slowly or not at all.
import { expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { waitFor } from "../../scripts/support/waiting.ts";
import { StreamMark } from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { put } from "../support/memory-store.ts";
import { startRpc } from "../support/start-rpc.ts";

const LIMIT_MS = 30_000;

// Also of answers without a byte: empty frames are what clients end a connection for.
test.each(["connect", "grpc"] as const)(
  "two thousand %s calls at once over one connection are all answered, and two thousand more",
  async (protocol) => {
    await using world = await startRpc();
    const client = world.client({ protocol });
    // With the first answer a client learns how many it may have open at a time; the others wait their turn.
    await client.getStatus({});
    for (const collection of ["first", "second"]) {
      const calls = Array.from({ length: 2000 }, (_, i) =>
        client.putDocument({ collection, docId: `${i}`, jsonData: `{"n":${i}}` }),
      );
      await Promise.all(calls);
      expect(world.store.count(collection)).toBe(2000);
    }
    expect(world.server.connectionCount).toBe(1);
  },
  60_000,
);

test("each version of 64 writers reaches a subscriber once and in their order, also after a restart of it", async () => {
  await using world = await startRpc();
  const writers = 64;
  const versions = 10;
  const clients = Array.from({ length: 4 }, () => world.client({ protocol: "grpc" }));
  const told = new Map<string, number[]>();
  let count = 0;
  let token = "";
  const follow = async (until: number) => {
    const abort = new AbortController();
    const stream = world
      .client({ protocol: "grpc" })
      .subscribe({ collections: ["w"], resume: { since: token } }, { signal: abort.signal });
    for await (const { docId, jsonData, position } of stream) {
      if (position?.mark === StreamMark.SNAPSHOT_END) token = position.token;
      if (position?.mark !== StreamMark.UNSPECIFIED) continue;
      token = position.token;
      const list = told.get(docId) ?? [];
      told.set(docId, list);
      list.push(JSON.parse(jsonData ?? "null").version);
      count += 1;
      if (count === until) break;
    }
    abort.abort();
  };
  // A subscriber of its own gives the position at which the counted one begins.
  const first = world
    .client()
    .subscribe({ collections: ["w"], resume: {} })
    [Symbol.asyncIterator]();
  token = (await first.next()).value?.position?.token ?? "";
  const whole = follow(writers * versions);
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      const client = clients[writer % clients.length];
      for (let version = 1; version <= versions; version += 1) {
        const jsonData = JSON.stringify({ version });
        await client?.putDocument({ collection: "w", docId: `${writer}`, jsonData });
      }
    }),
  );
  await whole;
  const order = Array.from({ length: versions }, (_, i) => i + 1);
  for (let writer = 0; writer < writers; writer += 1) {
    expect(told.get(`${writer}`)).toEqual(order);
  }
  // Away for two rounds, a client is told of each document once, in its newest version.
  told.clear();
  count = 0;
  for (const version of [100, 101]) {
    for (let w = 0; w < writers; w += 1) await put(world.store, `w:${w}`, { version });
  }
  await follow(writers);
  expect([...told.values()]).toEqual(Array.from({ length: writers }, () => [101]));
}, 60_000);

for (const [name, ...http] of [["HTTP/1.1"], ["h2c", "--http2-prior-knowledge"]] as const) {
  test(`a client over ${name} that does not read costs little, and then has the newest version`, async () => {
    await using world = await startRpc();
    const url = `${world.url()}/peat.sidecar.v1.PeatSidecar/Subscribe`;
    // A program of its own, stopped by a signal: within this process the bytes would be taken all the same.
    const curl = Bun.spawn(
      [
        ...["curl", "-sSN", ...http, "-H", "content-type: application/connect+json"],
        ...["--data-binary", "@-", url],
      ],
      { stdin: new Blob(["\0\0\0\0\u000d", '{"resume":{}}']), stdout: "pipe", stderr: "inherit" },
    );
    try {
      let text = "";
      const reading = (async () => {
        for await (const chunk of curl.stdout) text += new TextDecoder().decode(chunk);
      })();
      const tells = (what: string) =>
        waitFor(what, LIMIT_MS, () => text.includes(what) || undefined);
      await tells("SNAPSHOT_END");
      curl.kill("SIGSTOP");
      const rounds = 400;
      const filler = "x".repeat(500_000);
      for (let n = 1; n <= rounds; n += 1) await put(world.store, "big:a", { n, filler });
      curl.kill("SIGCONT");
      await tells(`{\\"filler\\":\\"${filler}\\",\\"n\\":${rounds}}`);
      const received = text.split("CHANGE_TYPE_UPSERT").length - 1;
      console.log(`${name}: ${received} of ${rounds} versions came`);
      expect(received).toBeLessThan(rounds / 4);
      expect(text).toContain("STREAM_MARK_GAP");
      curl.kill();
      await reading;
    } finally {
      curl.kill("SIGKILL");
    }
  }, 60_000);
}

test("streams beyond what a node can have are refused", async () => {
  await using world = await startRpc({ parts: { streamsMax: 2 } });
  const client = world.client({ protocol: "grpc" });
  const open = () => client.subscribe({ resume: {} })[Symbol.asyncIterator]();
  const streams = [open(), open()];
  for (const stream of streams) await stream.next();
  const refused = await open()
    .next()
    .catch((error: unknown) => ConnectError.from(error).code);
  expect(refused).toBe(Code.ResourceExhausted);
});
