// Two or three nodes over real Iroh on loopback: whatever is written on one appears on all, through partitions,
// restarts and large documents.
import { afterAll, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { Random } from "../../scripts/model/random.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import {
  acquaint,
  allConnected,
  allEqual,
  LogLines,
  randomSecret,
  TestNode,
} from "../support/start-node.ts";
import { tempFolder } from "../support/temp-folder.ts";

const secret = randomSecret();
const start = (name: string, more: { folder?: string; documentBytesMax?: number } = {}) =>
  TestNode.start({ name, secrets: [secret], ...more });

/** `chars` of text that does not compress to nothing. */
function text(chars: number, seed = 1): string {
  return new Random(seed).text(chars);
}

test("what is written on each of three nodes appears on all", async () => {
  await using a = await start("node-a");
  await using b = await start("node-b");
  await using c = await start("node-c");
  const nodes = [a, b, c];
  acquaint(nodes);
  await allConnected(nodes);
  for (const node of nodes) {
    await node.put(`tracks:${node.name}`, { by: node.name });
    await node.put(`notes:${node.name}`, { by: node.name });
  }
  for (const node of nodes) {
    for (const { name } of nodes) {
      await node.shows(`tracks:${name}`, `{"by":"${name}"}`);
      await node.shows(`notes:${name}`, `{"by":"${name}"}`);
    }
  }
  await a.remove("tracks:node-b");
  for (const node of nodes) await node.shows("tracks:node-b", undefined);
  await allEqual(nodes, 5);
});

test("a node that only one other knows hears everything through it", async () => {
  await using a = await start("node-a");
  await using b = await start("node-b");
  await using c = await start("node-c");
  b.seek(a);
  c.seek(b);
  await b.connected(a, c);
  await a.put("tracks:1", { by: "a" });
  await c.shows("tracks:1", '{"by":"a"}');
  await c.put("alerts:1", { by: "c" });
  await a.shows("alerts:1", '{"by":"c"}');
  expect(a.sessionWith(c)).toBeUndefined();
});

test("nodes that were parted agree after they meet again, whatever each did meanwhile", async () => {
  await using a = await start("node-a");
  await using b = await start("node-b");
  acquaint([a, b]);
  await allConnected([a, b]);
  await a.put("tracks:both", { x: 0, y: 0 });
  await a.put("notes:both", { x: 0 });
  await a.put("tracks:doomed", { n: 1 });
  await allEqual([a, b], 3);

  a.leave(b);
  b.leave(a);
  await waitFor("the parting", 20_000, () => {
    const sessions = [...a.coordinator.sessions, ...b.coordinator.sessions];
    return sessions.length === 0 || undefined;
  });
  for (let n = 0; n < 50; n += 1) {
    await a.put(`tracks:a-${n}`, { n });
    await b.put(`notes:b-${n}`, { n });
  }
  await a.put("notes:both", { x: 0, a: 1 });
  await b.put("notes:both", { x: 0, b: 1 });
  await b.remove("tracks:doomed");
  await a.put("tracks:doomed", { n: 2 });
  expect(b.read("tracks:a-1")).toBeUndefined();

  acquaint([a, b]);
  await allEqual([a, b], 102);
  expect(a.read("notes:both")).toBe('{"a":1,"b":1,"x":0}');
  expect(a.read("tracks:doomed")).toBeUndefined();
});

test("a node that restarts under its name catches up with what it missed", async () => {
  using folder = tempFolder();
  using log = new LogLines();
  await using a = await start("node-a");
  const before = await start("node-b", { folder: folder.path });
  // By one side alone: a second link, given up while this node stops, would be told as refused.
  before.seek(a);
  await allConnected([a, before]);
  await before.put("tracks:1", { n: 1 });
  await a.shows("tracks:1", '{"n":1}');
  await before.stop();
  await waitFor("the end", 20_000, () => a.coordinator.sessions.length === 0 || undefined);
  await a.put("tracks:1", { n: 2 });
  await a.put("notes:new", { n: 1 });

  await using b = await start("node-b", { folder: folder.path });
  b.seek(a);
  expect(b.network.id).toBe(before.network.id);
  expect(b.read("tracks:1")).toBe('{"n":1}');
  await allEqual([a, b], 2);
  expect(b.read("tracks:1")).toBe('{"n":2}');
  expect(log.with("WARN")).toEqual([]);
  expect(log.with("ERROR")).toEqual([]);
});

test("the last write before a stop has reached the connected peers", async () => {
  await using a = await start("node-a");
  const b = await start("node-b");
  acquaint([a, b]);
  await allConnected([a, b]);
  const writes = Array.from({ length: 20 }, (_, n) => b.put(`tracks:${n}`, { n }));
  await Promise.all(writes);
  await b.stop();
  await a.shows("tracks:19", '{"n":19}');
  expect(a.store.count("tracks")).toBe(20);
  await b[Symbol.asyncDispose]();
});

test("documents of 1 MiB arrive, and small ones pass them on the way", async () => {
  await using a = await start("node-a", { documentBytesMax: 2 * 1024 * 1024 });
  await using b = await start("node-b");
  acquaint([a, b]);
  await allConnected([a, b]);
  const large = [];
  for (let n = 0; n < 8; n += 1) {
    large.push(a.put(`tracks:large-${n}`, { text: text(1024 * 1024, n + 1) }));
  }
  await Promise.all(large);
  const arrivals: string[] = [];
  b.store.onCommit((committed) => arrivals.push(...committed.map(({ key }) => key)));
  await a.put("alerts:1", { n: 1 });
  await b.shows("alerts:1", '{"n":1}');
  expect(arrivals.filter((key) => key.startsWith("tracks:large-")).length).toBeLessThan(8);
  await allEqual([a, b], 9, 60_000);
}, 120_000);

test("a history of 10 MiB arrives whole on a node that comes later", async () => {
  await using a = await start("node-a");
  for (let n = 0; n < 14; n += 1)
    await a.put("notes:long", { text: text(1024 * 1024 - 100, n + 1) });
  const bytes = a.store.stateFor(a.store.leaves({ depth: 0, index: 0 })[0]?.key ?? fail())?.bytes;
  expect(bytes?.length).toBeGreaterThan(10 * 1024 * 1024);
  await a.put("alerts:1", { n: 1 });
  await using b = await start("node-b");
  const arrivals: string[] = [];
  b.store.onCommit((committed) => arrivals.push(...committed.map(({ key }) => key)));
  acquaint([a, b]);
  await allEqual([a, b], 2, 60_000);
  expect(arrivals[0]).toBe("alerts:1");
  // From now on only what changes travels.
  const session = a.sessionWith(b);
  const sentBefore = session?.statistics.sentBytes ?? 0;
  await a.put("notes:long", { text: "short now" });
  await b.shows("notes:long", '{"text":"short now"}');
  expect((session?.statistics.sentBytes ?? 0) - sentBefore).toBeLessThan(20_000);
}, 120_000);

function fail(): never {
  throw new Error("the document is there");
}

test("at rest nothing is said: equal nodes exchange no frames", async () => {
  await using a = await start("node-a");
  await using b = await start("node-b");
  acquaint([a, b]);
  for (let n = 0; n < 200; n += 1) await a.put(`tracks:${n}`, { n });
  await allEqual([a, b], 200);
  await waitFor("agreement", 20_000, () => {
    const sessions = [a.sessionWith(b), b.sessionWith(a)];
    return sessions.every((session) => session?.isAgreed) || undefined;
  });
  const frames = () => a.sessionWith(b)?.statistics.receivedFrames;
  // Agreed by the other's word, it may still owe its own.
  let before: number | undefined;
  let looks = 0;
  await waitFor("what is on its way", 20_000, () => {
    looks = frames() === before ? looks + 1 : 0;
    before = frames();
    return looks > 50 || undefined;
  });
  // Longer than two comparisons would be apart, if there were any.
  await Bun.sleep(9_000);
  expect(frames()).toBe(before);
}, 60_000);

// Room for SQLite's log, which is written back once it has 4 MiB, beside the documents: commits of one document each,
// as a busy machine makes them, fill it.
const smallDisk = tempFolder();
const hasSmallDisk =
  Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", smallDisk.path]).exitCode === 0;
afterAll(() => {
  if (hasSmallDisk) Bun.spawnSync(["umount", smallDisk.path]);
  smallDisk[Symbol.dispose]();
});

test.skipIf(!hasSmallDisk)(
  "a node whose disk is full takes what it missed once there is room (needs root, to mount a small disk)",
  async () => {
    using log = new LogLines();
    await using a = await start("node-a");
    await using b = await start("node-b", { folder: smallDisk.path });
    acquaint([a, b]);
    await allConnected([a, b]);
    const ballast = smallDisk.file("ballast");
    // Written by hand and not by the file system's leave: it takes what is left, but for a few pages.
    Bun.spawnSync(["dd", "if=/dev/zero", `of=${ballast}`, "bs=64k", "count=248"]);
    for (let n = 0; n < 40; n += 1) await a.put(`tracks:${n}`, { n, text: text(20_000, n + 1) });
    await log.shows("WARN", "Commit refused");
    expect(b.store.count("tracks")).toBeLessThan(40);
    expect(b.sessionWith(a)).toBeDefined();
    // Its other work goes on, and so does the peer's.
    expect(a.store.count("tracks")).toBe(40);
    rmSync(ballast);
    await allEqual([a, b], 40);
    expect(b.fatal).toEqual([]);
    // One line a second at most, however many documents wait.
    expect(log.with("Commit refused").length).toBeLessThan(60);
  },
  60_000,
);
