// The commands for documents, run against a broker over a store on a file.
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { runAgainst, runCommand } from "../support/run-command.ts";
import { type BrokerWorld, startBroker } from "../support/start-broker.ts";
import { tempFolder } from "../support/temp-folder.ts";

async function withTracks(): Promise<BrokerWorld> {
  const world = await startBroker();
  await world.put("/documents/tracks/t1", '{"status":"ok","speed":5.0,"position":{"lat":48.5}}');
  await world.put("/documents/tracks/t2", '{"status":"lost","speed":12,"serial":9007199254740993}');
  await world.put("/documents/tracks/t3", '{"status":"lost","note":"\\u001b[2J\\u202eevil"}');
  return world;
}

test("list shows the fields that most documents have, and harmlessly", async () => {
  await using world = await withTracks();
  const { code, stdout, stderr } = await runAgainst(world, ["list", "tracks"]);
  expect([code, stderr]).toEqual([0, ""]);
  const [heading, ...rows] = stdout.trimEnd().split("\n");
  expect(heading?.split(/ {2,}/)).toEqual(["ID", "status", "speed", "position", "serial", "note"]);
  expect(rows.map((row) => row.split(" ")[0])).toEqual(["t1", "t2", "t3"]);
  expect(stdout).toContain('{"lat":48.5}');
  expect(stdout).toContain("\ufffd[2J\ufffdevil");
});

test("list --json is one array with every number as it was written", async () => {
  await using world = await withTracks();
  const { stdout } = await runAgainst(world, ["list", "tracks", "--json", "--limit", "2"]);
  expect(JSON.parse(stdout).map((one: { _id: string }) => one._id)).toEqual(["t1", "t2"]);
  expect(stdout).toContain('"speed": 5.0');
  expect(stdout).toContain('"serial": 9007199254740993');
});

test("every page is taken, as many documents as were asked for", async () => {
  await using world = await startBroker({ limits: { pageBytesMax: 2000 } });
  for (let i = 100; i < 160; i += 1) {
    await world.put(`/documents/notes/n${i}`, JSON.stringify({ i, text: "x".repeat(100) }));
  }
  const ids = (text: string) =>
    text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)["_id"]);
  const all = await runAgainst(world, ["list", "notes", "--ndjson"]);
  expect(ids(all.stdout)).toEqual(Array.from({ length: 60 }, (_, at) => `n${at + 100}`));
  const some = await runAgainst(world, ["query", "notes", "--ndjson", "--limit=33", "--order=-i"]);
  expect(ids(some.stdout)).toEqual(Array.from({ length: 33 }, (_, at) => `n${159 - at}`));
});

test("query has conditions, a filter and columns", async () => {
  await using world = await withTracks();
  const where = ["--where", "status=lost", "--where", "speed>=12"];
  const { stdout } = await runAgainst(world, [
    "query",
    "tracks",
    ...where,
    "--fields",
    "serial,position.lat",
  ]);
  expect(stdout).toBe("ID  serial            position.lat\nt2  9007199254740993\n");
  const filter = '{"field":"position","exists":true}';
  const found = await runAgainst(world, [
    "query",
    "tracks",
    "--filter",
    filter,
    "--where",
    "speed=5",
  ]);
  expect(found.stdout).toContain("\nt1 ");
});

test("a collection without documents is told with the code of what is not there", async () => {
  await using world = await startBroker();
  const { code, stdout, stderr } = await runAgainst(world, ["list", "tracks", "--json"]);
  expect([code, stdout]).toEqual([66, ""]);
  expect(stderr).toBe("peat-sidecar: collection not available: tracks\n");
});

test("what the node refuses is told in its words", async () => {
  await using world = await withTracks();
  const wrong = '{"field":"status","equals":1}';
  const { code, stdout, stderr } = await runAgainst(world, ["query", "tracks", "--filter", wrong]);
  expect([code, stdout]).toEqual([64, ""]);
  expect(stderr).toContain("filter");
});

test("peers are a table, and as JSON what the node says of them", async () => {
  await using world = await startBroker();
  expect((await runAgainst(world, ["peers"])).stdout).toContain("no peers are known yet");
  world.node.connect("node-b");
  world.node.disconnect("node-c", "gone");
  const { code, stdout } = await runAgainst(world, ["peers"], { columns: 200 });
  expect(code).toBe(0);
  const [heading, first, second, summary] = Bun.stripANSI(stdout).split("\n");
  expect(heading).toStartWith("NAME    ID          STATE");
  expect(first).toStartWith("node-b  ababababab  ");
  expect(second).toStartWith("node-c  ababababab  disconnected");
  expect(summary).toBe("2 peers, 1 connected");
  const lines = (await runAgainst(world, ["peers", "--ndjson"])).stdout.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).id)).toEqual(["node-b", "node-c"]);
});

test("peers --watch shows what changes, until it is told to stop", async () => {
  await using world = await startBroker();
  world.node.connect("node-b");
  let stop: () => void = () => undefined;
  const { code, stdout } = await runAgainst(world, ["peers", "--watch"], {
    columns: 100,
    onStopper: (stopper) => {
      stop = stopper;
    },
    onWrite: (text) => {
      if (text.includes("node-c")) stop();
      else world.node.connect("node-c");
    },
  });
  expect(code).toBe(0);
  // Drawn over the first view, not below it.
  expect(stdout.split("\u001b[2J")).toHaveLength(2);
  expect(stdout.split("\u001b[H").length).toBeGreaterThanOrEqual(3);
});

test("a document is written, changed, read and deleted by its name", async () => {
  await using world = await startBroker();
  expect(
    (await runAgainst(world, ["put", "tracks/t 1/ü", '{"speed":5.0,"note":"a"}'])).stdout,
  ).toBe("created tracks/t 1/ü\n");
  expect((await runAgainst(world, ["patch", "tracks:t 1/ü", '{"note":null,"n":1}'])).stdout).toBe(
    "updated tracks/t 1/ü\n",
  );
  expect((await runAgainst(world, ["get", "tracks/t 1/ü"])).stdout).toBe(
    '{\n  "_id": "t 1/ü",\n  "n": 1,\n  "speed": 5.0\n}\n',
  );
  expect((await runAgainst(world, ["get", "tracks/t 1/ü", "--field", "speed"])).stdout).toBe(
    "5.0\n",
  );
  const reason = ["--reason", "over & done"];
  expect((await runAgainst(world, ["delete", "tracks/t 1/ü", ...reason])).stdout).toBe(
    "deleted tracks/t 1/ü\n",
  );
  const gone = await runAgainst(world, ["get", "tracks/t 1/ü", "--json"]);
  expect([gone.code, gone.stdout]).toEqual([66, ""]);
  expect(gone.stderr).toContain("tracks/t 1/ü");
});

test("a write under a condition fails when somebody else was there first", async () => {
  await using world = await withTracks();
  const tag = (await runAgainst(world, ["get", "tracks/t1", "--etag"])).stdout.trim();
  const update = ["put", "tracks/t1", '{"a":1}', "--if-match", tag.replaceAll('"', "")];
  const first = await runAgainst(world, [...update, "--json"]);
  expect(JSON.parse(first.stdout)).toMatchObject({
    collection: "tracks",
    id: "t1",
    done: "updated",
  });
  const second = await runAgainst(world, update);
  expect([second.code, second.stdout]).toEqual([65, ""]);
  const create = await runAgainst(world, ["put", "tracks/t1", "{}", "--create"]);
  expect([create.code, create.stdout]).toEqual([65, ""]);
});

test("of several documents those that are there are told, and the others by name", async () => {
  await using world = await withTracks();
  const names = ["tracks/t1", "tracks/none", "tracks/t2"];
  const { code, stdout, stderr } = await runAgainst(world, ["get", ...names, "--field", "status"]);
  expect([code, stdout]).toEqual([66, "ok\nlost\n"]);
  expect(stderr).toBe("peat-sidecar: document not found: tracks/none\n");
  const deleted = await runAgainst(world, ["delete", ...names, "--ndjson"]);
  expect(
    deleted.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).id),
  ).toContain("t2");
});

test("a document comes from a file; what is none is told with where it came from", async () => {
  await using world = await startBroker();
  using folder = tempFolder();
  writeFileSync(folder.file("t1.json"), '{"_id":"t1","serial":9007199254740993}');
  const written = await runAgainst(world, ["put", "tracks/t1", "-f", folder.file("t1.json")]);
  expect(written.stdout).toBe("created tracks/t1\n");
  expect((await runAgainst(world, ["get", "tracks/t1", "--field", "serial"])).stdout).toBe(
    "9007199254740993\n",
  );
  writeFileSync(folder.file("bad"), new Uint8Array([0x7b, 0xff]));
  for (const [file, told] of [
    ["bad", "--file: the text is not UTF-8"],
    ["none", "there is no such file"],
    [".", "directory"],
  ] as const) {
    const { code, stdout, stderr } = await runAgainst(world, [
      "put",
      "a/b",
      "-f",
      folder.file(file),
    ]);
    expect([code, stdout]).toEqual([64, ""]);
    expect(stderr).toContain(told);
  }
});

test("on a terminal JSON has colours, and is the same text below them", async () => {
  await using world = await withTracks();
  const plain = await runAgainst(world, ["get", "tracks/t1"]);
  const painted = await runAgainst(world, ["get", "tracks/t1"], { columns: 80 });
  expect(painted.stdout).toContain('\u001b[36m"speed"\u001b[39m: \u001b[33m5.0\u001b[39m');
  expect(Bun.stripANSI(painted.stdout)).toBe(plain.stdout);
  expect(
    (await runAgainst(world, ["get", "tracks/t1", "--no-color"], { columns: 80 })).stdout,
  ).toBe(plain.stdout);
});

test("status is the node at a glance, and as JSON what the node says", async () => {
  await using world = await withTracks();
  world.node.checks = [{ name: "clock", ready: true, message: "the clock of b\u001b[1m is ahead" }];
  const { code, stdout } = await runAgainst(world, ["status"]);
  expect(code).toBe(0);
  expect(stdout).toStartWith("node-a  ready\nclock: the clock of b\ufffd[1m is ahead\n");
  expect(stdout).toMatch(/^documents +3 in 1 collection, 0 tombstones$/m);
  const json = await runAgainst(world, ["status", "--json"]);
  expect(JSON.parse(json.stdout)).toMatchObject({ node_id: "node-a", documents: 3 });
});

test("the next page is asked for when the reader has taken the one before", async () => {
  const PAGES = 4;
  let asked = 0;
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch() {
      asked += 1;
      const documents = [{ _id: `d${asked}` }];
      return Response.json({ documents, ...(asked < PAGES ? { next: `d${asked}` } : {}) });
    },
  });
  let isFull = true;
  const { promise: first, resolve: shown } = Promise.withResolvers<void>();
  const ended = runCommand(["list", "d", "--ndjson", "--url", server.url.origin], {
    pendingBytes: () => (isFull ? 64 * 1024 * 1024 : 0),
    onWrite: () => shown(),
  });
  await first;
  expect(asked).toBe(1);
  isFull = false;
  expect((await ended).stdout.trimEnd().split("\n")).toHaveLength(PAGES);
  expect(asked).toBe(PAGES);
});
