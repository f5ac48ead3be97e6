// Questions about a document between two nodes: what is answered, to whom, how often, and what hostile answers do.
import { expect, test } from "bun:test";
import { type Deliveries, Inquiries } from "../../../src/sync/inquiries.ts";
import type { Inquiry, Report } from "../../../src/wire/inquiry.ts";
import { FEATURE_REPORTS } from "../../../src/wire/inquiry.ts";
import { key, openMemoryStore, put, remove } from "../../support/memory-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const NOTHING_WAITS: Deliveries = {
  queueDepth: 0,
  isCatchingUp: false,
  stuck: new Map(),
  waits: () => undefined,
};

/** Two ends whose messages arrive at once, unless they are kept. */
function world({ session = NOTHING_WAITS, features = FEATURE_REPORTS } = {}) {
  const clock = new VirtualClock();
  const store = openMemoryStore({ clock, nodeName: "node-b" });
  const sent: (Inquiry | Report)[] = [];
  const hello = { features };
  const there: Inquiries = new Inquiries({
    store,
    clock,
    session,
    hello,
    send: (message) => here.receive(message),
  });
  const here = new Inquiries({
    store,
    clock,
    session: NOTHING_WAITS,
    hello,
    send: (message) => {
      sent.push(message);
      there.receive(message);
    },
  });
  const settled = async <T>(answer: Promise<T>): Promise<T> => {
    await clock.advance(0);
    return await answer;
  };
  return { clock, store, here, there, sent, settled, [Symbol.dispose]: () => store.close() };
}

test("the peer tells what it has of the document, and what waits there", async () => {
  const stuck = new Map([["tracks:1", "it is too large"]]);
  using it = world({
    session: { queueDepth: 7, isCatchingUp: true, stuck, waits: () => "queued" },
  });
  await it.settled(put(it.store, "tracks:1", { x: 1 }));
  const hash = it.store.hashOf(key("tracks:1")) ?? "none";
  expect(await it.settled(it.here.ask(key("tracks:1"), 1_000))).toMatchObject({
    standing: "alive",
    hash,
    life: 0,
    queued: 7,
    isQueued: true,
    isCatchingUp: true,
    isDiskFull: false,
    stuck: "it is too large",
    now: it.clock.now(),
  });
  await it.settled(remove(it.store, "tracks:1"));
  expect(await it.settled(it.here.ask(key("tracks:1"), 1_000))).toMatchObject({
    standing: "deleted",
    life: 1,
    by: "node-b",
  });
  expect(await it.settled(it.here.ask(key("tracks:2"), 1_000))).toMatchObject({
    standing: "absent",
    stuck: "",
  });
});

test("without a key the peer tells of itself alone", async () => {
  using it = world();
  expect(await it.settled(it.here.ask("", 1_000))).toMatchObject({
    standing: "absent",
    isQueued: false,
    now: it.clock.now(),
  });
});

test("an older peer is not asked", async () => {
  using it = world({ features: 1 });
  expect(it.here.isAnswered).toBe(false);
  expect(await it.settled(it.here.ask(key("tracks:1"), 1_000))).toBeUndefined();
  expect(it.sent).toEqual([]);
});

test("a peer that asks without end is answered some 32 times a second", async () => {
  using it = world();
  const asked: Promise<Report | undefined>[] = [];
  const answered = async () => (await it.settled(Promise.all(asked))).filter(Boolean).length;
  for (let n = 0; n < 64; n += 1) asked.push(it.here.ask("", 1_000));
  expect(await answered()).toBe(64);
  const late = it.here.ask("", 1_000);
  await it.clock.advance(1_000);
  expect(await late).toBeUndefined();
  asked.length = 0;
  for (let n = 0; n < 60; n += 1) asked.push(it.here.ask("", 1_000));
  await it.clock.advance(1_000);
  expect(await answered()).toBe(32);
});

test("what a peer writes into its answer is cut to what people read", async () => {
  const stuck = new Map([["tracks:1", "x".repeat(10_000)]]);
  using it = world({ session: { ...NOTHING_WAITS, stuck } });
  const report = await it.settled(it.here.ask(key("tracks:1"), 1_000));
  expect(report?.stuck.length).toBe(500);
});

test("answers that nobody asked for, or that come late, do nothing", async () => {
  using it = world();
  const report = await it.settled(it.here.ask("", 1_000));
  if (report === undefined) throw new Error("no report");
  it.here.receive(report);
  it.here.receive({ ...report, nonce: 4_000_000_000 });
  expect(await it.settled(it.here.ask("", 1_000))).toMatchObject({ type: "report" });
});
