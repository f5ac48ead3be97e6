// `export` and `import`, run against brokers over stores on files.
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import fc from "fast-check";
import { Spool } from "../../src/cli/transfer/spool.ts";
import type { Store } from "../../src/store/store.ts";
import { runAgainst, runCommand } from "../support/run-command.ts";
import { type BrokerWorld, startBroker } from "../support/start-broker.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const FORMATS = ["ndjson", "json", "csv"] as const;

/** Every document of a collection, as canonical JSON by its id. */
function contentOf(store: Store, collection: string): Record<string, string> {
  const documents = store.list(collection, { limit: 100_000 });
  return Object.fromEntries(documents.map(({ id, json }) => [id, json]));
}

async function withDocuments(): Promise<BrokerWorld> {
  const world = await startBroker();
  await world.put("/documents/tracks/t1", '{"speed":5.0,"position":{"lat":48.5},"tags":["a"]}');
  await world.put("/documents/tracks/t2", '{"serial":9007199254740993,"note":"5","empty":{}}');
  await world.put(
    `/documents/tracks/${encodeURIComponent("=ü/3")}`,
    '{"x":null,"a.b":"","ok":true}',
  );
  await world.put("/documents/notes/n1", '{"text":"line\\nline, \\"quoted\\""}');
  return world;
}

function write(folder: TempFolder, name: string, text: string | Uint8Array): string {
  writeFileSync(folder.file(name), text);
  return folder.file(name);
}

function rejectsOf(path: string): { line: number; column?: number; problem: string }[] {
  const lines = readFileSync(`${path}.rejects`, "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line));
}

describe("what is exported from one node is imported into another and equal, as", () => {
  for (const format of FORMATS) {
    test(format, async () => {
      using folder = tempFolder();
      await using from = await withDocuments();
      await using to = await startBroker();
      const file = folder.file(`all.${format}`);
      const exported = await runAgainst(from, ["export", "--all", "-o", file]);
      expect([exported.code, exported.stderr]).toEqual([0, `${file}: 4 documents\n`]);
      const imported = await runAgainst(to, ["import", file]);
      expect([imported.code, imported.stdout]).toEqual([0, "4 documents written\n"]);
      for (const name of ["tracks", "notes"]) {
        expect(contentOf(to.store, name)).toEqual(contentOf(from.store, name));
      }
      expect(readdirSync(folder.path)).toEqual([`all.${format}`]);
    });
  }

  test("any of them, for documents of any kind", async () => {
    const name = fc.string({ unit: "grapheme", maxLength: 6 }).filter((text) => text !== "_id");
    const body = fc
      .dictionary(name, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 })
      // Refused at any depth, which is not what is asked here.
      .filter((document) => !JSON.stringify(document).includes("__proto__"));
    await using from = await startBroker();
    await using to = await startBroker();
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(body, { minLength: 1, maxLength: 6 }), async (bodies) => {
        using folder = tempFolder({ isInMemory: true });
        round += 1;
        const collection = `c${round}`;
        for (const [id, one] of bodies.entries()) {
          const { status, text } = await from.put(
            `/documents/${collection}/${id}`,
            JSON.stringify(one),
          );
          expect([status, text]).toEqual([201, text]);
        }
        for (const format of FORMATS) {
          const file = folder.file(`${collection}.${format}`);
          expect((await runAgainst(from, ["export", collection, "-o", file])).code).toBe(0);
          const name = `${collection}-${format}`;
          expect(await runAgainst(to, ["import", file, "--collection", name])).toMatchObject({
            code: 0,
          });
          expect(contentOf(to.store, name)).toEqual(contentOf(from.store, collection));
        }
      }),
      { numRuns: 10 },
    );
  }, 120_000);
});

test("an export has what the conditions leave, and replaces nothing by itself", async () => {
  using folder = tempFolder();
  await using world = await withDocuments();
  const file = folder.file("a.ndjson");
  await runAgainst(world, ["export", "tracks", "-o", file, "--where", "speed>4"]);
  expect(readFileSync(file, "utf8")).toBe(
    '{"_id":"t1","position":{"lat":48.5},"speed":5.0,"tags":["a"]}\n',
  );
  const again = await runAgainst(world, ["export", "tracks", "-o", file]);
  expect([again.code, again.stderr]).toEqual([65, expect.stringContaining("--force")]);
  expect((await runAgainst(world, ["export", "tracks", "-o", file, "--force"])).code).toBe(0);
  // As /dev/null is none.
  Bun.spawnSync(["mkfifo", folder.file("pipe")]);
  const onto = await runAgainst(world, ["export", "tracks", "-o", folder.file("pipe"), "--force"]);
  expect([onto.code, onto.stderr]).toEqual([64, expect.stringContaining("is no file")]);
  expect(statSync(folder.file("pipe")).isFIFO()).toBe(true);
  expect((await runAgainst(world, ["export", "nothing", "-o", folder.file("b")])).code).toBe(66);
  expect(existsSync(folder.file("b"))).toBe(false);
});

test("an export that breaks off goes on where it was, and only for the same question", async () => {
  using folder = tempFolder();
  await using world = await startBroker({ limits: { pageBytesMax: 2000 } });
  for (let i = 100; i < 200; i += 1) {
    await world.put(`/documents/notes/n${i}`, JSON.stringify({ i, text: "x".repeat(100) }));
  }
  const file = folder.file("a.json");
  let pages = 0;
  const { url } = world.broker;
  // A way to the node that breaks off after some pages.
  await using door = Bun.serve({
    port: 0,
    fetch: (request) => {
      pages += 1;
      if (pages > 3) return new Response("{}", { status: 500 });
      const { pathname, search } = new URL(request.url);
      return fetch(`${url}${pathname}${search}`);
    },
  });
  const address = `http://127.0.0.1:${door.port}`;
  const broken = await runCommand(["export", "notes", "-o", file, "--url", address]);
  expect(broken.code).not.toBe(0);
  expect(existsSync(file)).toBe(false);
  const note = JSON.parse(readFileSync(`${file}.progress`, "utf8"));
  expect(note.documents).toBeGreaterThan(10);
  // What a torn write has left behind the last page.
  writeFileSync(`${file}.partial`, "half a li", { flag: "a" });
  pages = -1000;
  const done = await runCommand(["export", "notes", "-o", file, "--url", address]);
  expect(done.stderr).toContain(`goes on behind ${note.documents} documents`);
  const ids = JSON.parse(readFileSync(file, "utf8")).map((one: { _id: string }) => one._id);
  expect(ids).toEqual(Array.from({ length: 100 }, (_, at) => `n${at + 100}`));
  expect(readdirSync(folder.path)).toEqual(["a.json"]);
  await Bun.write(`${file}.progress`, JSON.stringify({ ...note, question: "another" }));
  const other = await runAgainst(world, ["export", "notes", "-o", file, "--force"]);
  expect(other.stderr).not.toContain("goes on");
});

test("an export that another one takes over ends, and the other one is whole", async () => {
  using folder = tempFolder();
  const path = folder.file("a.ndjson");
  const first = await Spool.open(path, "question");
  await first.spool.add(["1\n", "2\n"], { collection: 0, after: "2", documents: 2 });
  const second = await Spool.open(path, "question");
  expect(second.place).toEqual({ collection: 0, after: "2", documents: 2 });
  const adding = first.spool.add(["3, of another length\n"], { ...second.place, documents: 3 });
  expect(await adding.catch(String)).toContain("another export has taken over");
  await second.spool.add(["3\n"], { collection: 1, after: undefined, documents: 3 });
  await second.spool.checkOwn();
  expect(readFileSync(second.spool.path, "utf8")).toBe("1\n2\n3\n");
  await first.spool[Symbol.asyncDispose]();
  await second.spool[Symbol.asyncDispose]();
  expect(readdirSync(folder.path).toSorted()).toEqual(["a.ndjson.partial", "a.ndjson.progress"]);
});

describe("an import", () => {
  test("tells what can't be written by line and column, keeps it, and writes the rest", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    const deep = `{"_id":"deep","a":${"[".repeat(100)}${"]".repeat(100)}}`;
    const lines = [
      '{"_id":"1","a":1}',
      '{"_id":"2","a":}',
      "[]",
      '{"a":1}',
      '{"_id":"\\u0000"}',
      deep,
      '{"_id":"proto","__proto__":{"x":1}}',
      `{"_id":"large","text":"${"x".repeat(1_100_000)}"}`,
      "\u0000\u0000",
      '{"_id":"ok","constructor":1}',
      `{"_id":"deeper","n":1.5,"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`,
    ];
    const file = write(folder, "a.ndjson", lines.join("\n"));
    const { code, stdout, stderr } = await runAgainst(world, ["import", file, "--collection", "c"]);
    expect(code).toBe(1);
    expect(stdout).toBe(`2 documents written, 9 rejected: see ${file}.rejects\n`);
    expect(stderr).toContain("line 2, column 16: is not JSON\n");
    const rejects = rejectsOf(file).sort((a, b) => a.line - b.line);
    expect(rejects.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 11]);
    expect(rejects[2]?.problem).toContain("has no _id");
    expect(rejects[4]?.problem).toContain("nested deeper than 64");
    expect(rejects[5]?.problem).toContain("__proto__");
    expect(Object.keys(contentOf(world.store, "c"))).toEqual(["1", "ok"]);
    expect(existsSync(`${file}.progress`)).toBe(false);
  });

  test("of one document several times leaves the last, in the order of the file", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    const lines = Array.from({ length: 60 }, (_, n) => `{"_id":"${n % 3}","n":${n}}`);
    const file = write(folder, "a.ndjson", lines.join("\n"));
    await runAgainst(world, ["import", file, "--collection", "c"]);
    expect(contentOf(world.store, "c")).toEqual({ 0: '{"n":57}', 1: '{"n":58}', 2: '{"n":59}' });
  }, 60_000);

  test("merges with --patch, takes another field as the id, and writes nothing with --dry-run", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    await world.put("/documents/c/7", '{"a":1,"b":{"x":1}}');
    const file = write(folder, "a.csv", "serial,b.y,a\n7,2,null\n8,1,\n");
    const args = ["import", file, "--collection", "c", "--id-field", "serial"];
    const dry = await runAgainst(world, [...args, "--dry-run"]);
    expect([dry.code, dry.stdout]).toEqual([0, "2 documents could be written\n"]);
    expect(contentOf(world.store, "c")).toEqual({ 7: '{"a":1,"b":{"x":1}}' });
    expect((await runAgainst(world, [...args, "--patch"])).code).toBe(0);
    expect(contentOf(world.store, "c")).toEqual({
      7: '{"b":{"x":1,"y":2},"serial":7}',
      8: '{"b":{"y":1},"serial":8}',
    });
  });

  test("ends at the first bad document with --stop-on-error", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    const file = write(folder, "a.ndjson", '{"_id":"1"}\nbad\n{"_id":"3"}\n');
    const args = ["import", file, "--collection", "c", "--stop-on-error"];
    const { code, stderr } = await runAgainst(world, args);
    expect([code, stderr]).toEqual([65, expect.stringContaining("ended at line 2")]);
    expect(Object.keys(contentOf(world.store, "c"))).toEqual(["1"]);
  });

  test("that breaks off goes on where it was, and not with another file", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    const lines = Array.from({ length: 500 }, (_, n) => `{"_id":"${n}","n":${n}}`);
    const file = write(folder, "a.ndjson", lines.join("\n"));
    const { url } = world.broker;
    const asked = new Map<string, number>();
    let left = 200;
    await using door = Bun.serve({
      port: 0,
      fetch: async (request) => {
        if (request.method === "GET") return new Response("{}");
        left -= 1;
        if (left < 0) return new Response('{"error":"no room"}', { status: 507 });
        const { pathname } = new URL(request.url);
        asked.set(pathname, (asked.get(pathname) ?? 0) + 1);
        return await fetch(`${url}${pathname}`, {
          method: request.method,
          body: await request.text(),
          headers: { "content-type": "application/json" },
        });
      },
    });
    const args = ["import", file, "--collection", "c", "--url", `http://127.0.0.1:${door.port}`];
    const broken = await runCommand(args);
    expect([broken.code, broken.stderr]).toEqual([74, expect.stringContaining("no room")]);
    const { records } = JSON.parse(readFileSync(`${file}.progress`, "utf8"));
    expect(records).toBeGreaterThan(100);
    left = 1000;
    const done = await runCommand(args);
    expect(done.stderr).toContain(`goes on behind ${records} records`);
    expect(Object.keys(contentOf(world.store, "c"))).toHaveLength(500);
    // At most those that were under way are written a second time.
    expect([...asked.values()].filter((count) => count > 1).length).toBeLessThanOrEqual(64);
    expect(existsSync(`${file}.progress`)).toBe(false);
  });

  test("that broke off goes on only with the same file and the same options", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    const file = write(folder, "a.ndjson", '{"_id":"1","n":1}\n{"_id":"2","n":2}\nnone\n');
    const args = ["import", file, "--stop-on-error", "--collection"];
    expect((await runAgainst(world, [...args, "a"])).code).toBe(65);
    // What was written to one collection is not in another one.
    for (const more of [["b"], ["a", "--patch"], ["a", "--id-field", "n"]]) {
      const { code, stderr } = await runAgainst(world, [...args, ...more]);
      expect([code, stderr]).toEqual([65, expect.stringContaining("other options")]);
    }
    // One was rejected.
    expect((await runAgainst(world, [...args, "a"])).code).toBe(1);
    expect((await runAgainst(world, [...args, "a"])).code).toBe(65);
    // As long as before, with another value.
    const later = new Date(Date.now() + 5_000);
    write(folder, "a.ndjson", '{"_id":"1","n":7}\n{"_id":"2","n":2}\nnone\n');
    utimesSync(file, later, later);
    const changed = await runAgainst(world, [...args, "a"]);
    expect([changed.code, changed.stderr]).toEqual([65, expect.stringContaining("was changed")]);
  });

  test("waits for a node that has too much to do, and ends for one that wants a token", async () => {
    using folder = tempFolder();
    await using world = await startBroker({ access: { open: "none" } });
    const file = write(folder, "a.ndjson", '{"_id":"1"}\n{"_id":"2"}\n');
    const refused = await runAgainst(world, ["import", file, "--collection", "c"]);
    expect(refused.code).toBe(77);
    let answers = 0;
    await using busy = Bun.serve({
      port: 0,
      fetch: () => {
        answers += 1;
        return new Response('{"error":"busy"}', { status: answers < 5 ? 503 : 201 });
      },
    });
    const args = ["import", file, "--collection", "c", "--url", `http://127.0.0.1:${busy.port}`];
    const done = await runCommand(args);
    expect([done.code, done.stdout]).toEqual([0, "2 documents written\n"]);
  });

  test("of nothing, of a directory and of what is none is told", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    const empty = write(folder, "empty.json", "");
    expect((await runAgainst(world, ["import", empty, "--collection", "c"])).stdout).toBe(
      "0 documents written\n",
    );
    expect((await runAgainst(world, ["import", folder.path, "--format", "json"])).code).toBe(64);
    expect((await runAgainst(world, ["import", folder.file("missing.json")])).code).toBe(64);
    expect((await runAgainst(world, ["import", write(folder, "a.txt", "x")])).code).toBe(64);
    const utf16 = write(folder, "a.csv", Buffer.from("\ufeff_id,a\n1,2\n", "utf16le"));
    const refused = await runAgainst(world, ["import", utf16, "--collection", "c"]);
    expect([refused.code, refused.stderr]).toEqual([65, expect.stringContaining("iconv")]);
  });
});
