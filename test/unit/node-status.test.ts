// Readiness: when a node may be asked for documents.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import type { PeerSource } from "../../src/discovery/peer-source.ts";
import { NodeStatus } from "../../src/node-status.ts";
import { randomSecret, TestNode } from "../support/start-node.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

let node: TestNode;
beforeEach(async () => {
  node = await TestNode.start({ name: "alpha", secrets: [randomSecret()] });
});
afterEach(() => node[Symbol.asyncDispose]());

function status(clock: VirtualClock, of = node): NodeStatus {
  const { name: nodeName, store, coordinator } = of;
  return new NodeStatus({ nodeName, version: "0.1.0", clock, store, coordinator });
}

const waits = (of: NodeStatus) =>
  of
    .readiness()
    .filter((check) => !check.ready)
    .map((check) => check.name);

test("an empty node that knows of nobody from a list is ready at once", () => {
  const own = status(new VirtualClock());
  expect(waits(own)).toEqual(["listeners", "discovery", "caught_up"]);
  own.listenersOpened();
  own.discoveryStarted(false);
  expect(waits(own)).toEqual([]);
});

test("where peers announce themselves, nobody found yet does not mean nobody there", async () => {
  const clock = new VirtualClock();
  const own = status(clock);
  own.listenersOpened();
  own.discoveryStarted(true);
  expect(waits(own)).toEqual(["caught_up"]);
  await clock.advance(2_900);
  expect(waits(own)).toEqual(["caught_up"]);
  await clock.advance(200);
  expect(waits(own)).toEqual([]);
});

test("a peer that is looked for and does not answer is waited for 10 s", async () => {
  const clock = new VirtualClock();
  const own = status(clock);
  own.listenersOpened();
  own.discoveryStarted(true);
  await using other = await TestNode.start({ name: "beta", secrets: [randomSecret()] });
  node.seek(other);
  await clock.advance(9_000);
  expect(waits(own)).toEqual(["caught_up"]);
  await clock.advance(1_500);
  expect(waits(own)).toEqual([]);
});

test("while a peer goes on sending an empty node is not ready, however long it takes", async () => {
  const secrets = [randomSecret()];
  await using full = await TestNode.start({ name: "beta", secrets });
  await using empty = await TestNode.start({ name: "gamma", secrets });
  for (let i = 0; i < 500; i += 1) await full.put(`tracks:t${i}`, { i });
  const clock = new VirtualClock();
  const own = status(clock, empty);
  own.listenersOpened();
  own.discoveryStarted(true);
  await clock.advance(60_000);
  empty.seek(full);
  const { coordinator } = empty;
  await waitFor("a catch-up", 25_000, () => coordinator.isCatchingUp || undefined, 1);
  expect(waits(own)).toEqual(["caught_up"]);
});

/** A source of which only its trouble matters. */
function source(trouble?: string): PeerSource & { trouble: string | undefined } {
  const done = () => Promise.resolve();
  return { name: "kubernetes", trouble, start: done, close: done };
}

test("a source that can't begin keeps the node from being ready, and says why", () => {
  const own = status(new VirtualClock());
  own.listenersOpened();
  const kubernetes = source("the API server answers 403");
  own.watchDiscovery([kubernetes]);
  expect(own.readiness()[0]).toEqual({
    name: "discovery",
    ready: false,
    message: "kubernetes: the API server answers 403",
  });
  kubernetes.trouble = undefined;
  expect(waits(own)).toContain("discovery");
  own.discoveryStarted(false);
  expect(own.readiness()).toEqual([]);
});

test("a source that fails after it has worked is told of, and the node stays ready", () => {
  const own = status(new VirtualClock());
  own.listenersOpened();
  const kubernetes = source();
  own.watchDiscovery([kubernetes]);
  own.discoveryStarted(false);
  kubernetes.trouble = "connection refused";
  expect(own.readiness()).toEqual([
    { name: "discovery", ready: true, message: "kubernetes: connection refused" },
  ]);
});

test("an empty node whose discovery begins late catches up before it is ready", async () => {
  const clock = new VirtualClock();
  const own = status(clock);
  own.listenersOpened();
  own.watchDiscovery([source("connection refused")]);
  await clock.advance(60_000);
  await using other = await TestNode.start({ name: "beta", secrets: [randomSecret()] });
  node.seek(other);
  own.discoveryStarted(true);
  await clock.advance(9_000);
  expect(waits(own)).toContain("caught_up");
  await clock.advance(1_500);
  expect(waits(own)).not.toContain("caught_up");
});

test("a peer that is away is told of with the time when it was last connected", async () => {
  const { name: nodeName, store, coordinator } = node;
  const clock = new VirtualClock();
  await using other = await TestNode.start({ name: "beta", secrets: [randomSecret()] });
  node.seek(other);
  const about = { nodeName, version: "0.1.0", clock, store, coordinator };
  const [never] = new NodeStatus(about).peers();
  expect(never).toMatchObject({ id: other.name, connected: false, lastSeenMs: null });
  const partings = { of: (name: string) => (name === other.name ? { atMs: 17 } : undefined) };
  const [once] = new NodeStatus({ ...about, partings }).peers();
  expect(once).toMatchObject({ id: other.name, connected: false, lastSeenMs: 17 });
});

test("a remote agent that does not answer is shown, and keeps no node from being ready", () => {
  const { name: nodeName, store, coordinator } = node;
  const clock = new VirtualClock();
  let kind: "answering" | "partly" | "away" = "answering";
  const agent = () => ({ address: "unix:///agent.sock", kind, problem: "no such file" });
  const own = new NodeStatus({ nodeName, version: "0.1.0", clock, store, coordinator, agent });
  const told = () => own.readiness().filter(({ name }) => name === "agent");
  expect(told()).toEqual([]);
  kind = "away";
  const message = "the remote agent at unix:///agent.sock does not answer: no such file";
  expect(told()).toEqual([{ name: "agent", ready: true, message }]);
  kind = "partly";
  expect(told()[0]?.message).toContain("answers some calls only: no such file");
});
