// Peers and the switch of sync, by RPC, between real coordinators on a network in memory.
import { expect, test } from "bun:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { waitFor } from "../../scripts/support/waiting.ts";
import {
  ChangeType,
  DeletionPolicy,
  NodePhase,
} from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { put, read } from "../support/memory-store.ts";
import { newNet, type RpcWorld, startRpc } from "../support/start-rpc.ts";

const LIMIT_MS = 20_000;

async function pair() {
  const net = newNet();
  const a = await startRpc({ net, number: 1 });
  const b = await startRpc({ net, number: 2 });
  const close = async () => {
    await a[Symbol.asyncDispose]();
    await b[Symbol.asyncDispose]();
  };
  return { net, a, b, [Symbol.asyncDispose]: close };
}

async function connect(from: RpcWorld, to: RpcWorld): Promise<void> {
  await from.client().connectPeer({ endpointId: to.peerId, addresses: [to.peerAddress] });
}

async function shows(world: RpcWorld, name: string, json: string | undefined): Promise<void> {
  await waitFor(`${name}`, LIMIT_MS, () => read(world.store, name) === json || undefined, 2);
}

async function peersOf(world: RpcWorld): Promise<string[]> {
  return (await world.client().listPeers({})).peers.map(({ endpointId }) => endpointId);
}

async function failureOf(call: Promise<unknown>): Promise<ConnectError> {
  const failure = await call.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error),
  );
  if (failure === undefined) throw new Error("the call was answered");
  return failure;
}

test("a peer that is connected by order has the documents, deletes too, and is told of", async () => {
  await using both = await pair();
  const { a, b } = both;
  await put(a.store, "notes:early", { n: 1 });
  await connect(a, b);
  expect(await peersOf(a)).toEqual([b.peerId]);
  const [peer] = (await a.client().listPeers({})).peers;
  expect(peer).toMatchObject({ connected: true, addresses: [b.peerAddress] });
  await shows(b, "notes:early", '{"n":1}');
  const messages = b
    .client()
    .subscribe({ collections: ["notes"] })
    [Symbol.asyncIterator]();
  expect((await messages.next()).value).toMatchObject({ docId: "early" });
  await a.client().deleteDocument({ collection: "notes", docId: "early" });
  const { value } = await messages.next();
  expect(value).toMatchObject({ docId: "early", changeType: ChangeType.DELETE });
  expect(value?.jsonData).toBeUndefined();
  expect(await b.client().getDocument({ collection: "notes", docId: "early" })).toMatchObject({});
  expect(read(b.store, "notes:early")).toBeUndefined();
});

test("a peer that is disconnected by order stays away, whoever dials, until it is ordered again", async () => {
  await using both = await pair();
  const { a, b } = both;
  await connect(a, b);
  await a.client().disconnectPeer({ endpointId: b.peerId.toUpperCase() });
  await waitFor("the parting", LIMIT_MS, async () => (await peersOf(a)).length === 0 || undefined);
  // Now b looks for a, and may not have it.
  const failure = await failureOf(connect(b, a));
  expect(failure.code).toBe(Code.Unavailable);
  expect(await peersOf(a)).toEqual([]);
  await put(b.store, "notes:late", { n: 2 });
  await connect(a, b);
  await shows(a, "notes:late", '{"n":2}');
});

test("a peer that nobody knows may be disconnected", async () => {
  await using world = await startRpc();
  await world.client().disconnectPeer({ endpointId: "ab".repeat(32) });
});

test("a peer that can't be reached is an answer with the reason, and is not looked for afterwards", async () => {
  await using both = await pair();
  const { a, b } = both;
  const other = "cd".repeat(32);
  const wrongId = a.client().connectPeer({ endpointId: other, addresses: [b.peerAddress] });
  const failure = await failureOf(wrongId);
  expect(failure.code).toBe(Code.Unavailable);
  expect(failure.rawMessage).toContain("another endpoint id");
  expect(a.coordinator.sought()).toEqual([]);
  const nobody = a
    .client()
    .connectPeer({ endpointId: other, addresses: ["10.0.0.99:1"] }, { timeoutMs: 300 });
  expect((await failureOf(nobody)).code).toBe(Code.DeadlineExceeded);
  await waitFor(
    "it to be forgotten",
    LIMIT_MS,
    () => a.coordinator.sought().length === 0 || undefined,
  );
});

test("StopSync stops everything between peers, and StartSync brings everything that was missed", async () => {
  await using both = await pair();
  const { a, b } = both;
  await connect(a, b);
  expect(await a.client().getStatus({})).toMatchObject({
    nodeId: "node-1",
    endpointAddr: a.peerId,
    syncActive: true,
    connectedPeers: 1,
    phase: NodePhase.SYNCING,
  });
  await a.client().stopSync({});
  await waitFor("the parting", LIMIT_MS, async () => (await peersOf(a)).length === 0 || undefined);
  expect(await a.client().getStatus({})).toMatchObject({
    syncActive: false,
    connectedPeers: 0,
    phase: NodePhase.READY,
  });
  await put(a.store, "notes:mine", { n: 1 });
  await put(b.store, "notes:theirs", { n: 2 });
  const refused = await failureOf(connect(a, b));
  expect(refused.code).toBe(Code.FailedPrecondition);
  // b goes on looking for a, and a lets nobody in.
  expect((await failureOf(connect(b, a))).code).toBe(Code.Unavailable);
  expect(read(b.store, "notes:mine")).toBeUndefined();
  expect(read(a.store, "notes:theirs")).toBeUndefined();
  await a.client().stopSync({});
  await a.client().startSync({});
  await shows(b, "notes:mine", '{"n":1}');
  await shows(a, "notes:theirs", '{"n":2}');
  await a.client().startSync({});
  expect((await a.client().getSyncStats({})).syncActive).toBe(true);
});

test("counters count what went over connections, and keep it when they have ended", async () => {
  await using both = await pair();
  const { a, b } = both;
  expect(await a.client().getSyncStats({})).toMatchObject({ bytesSent: 0n, bytesReceived: 0n });
  await connect(a, b);
  const text = "x".repeat(100_000);
  await put(a.store, "notes:big", { text });
  await shows(b, "notes:big", JSON.stringify({ text }));
  const during = await a.client().getSyncStats({});
  expect(during.connectedPeers).toBe(1);
  expect(during.bytesReceived).toBeGreaterThan(0n);
  await a.client().stopSync({});
  await waitFor("the parting", LIMIT_MS, async () => (await peersOf(a)).length === 0 || undefined);
  const after = await a.client().getSyncStats({});
  expect(after.connectedPeers).toBe(0);
  expect(after.bytesSent).toBeGreaterThanOrEqual(during.bytesSent);
  expect(after.bytesReceived).toBeGreaterThanOrEqual(during.bytesReceived);
  const theirs = await b.client().getSyncStats({});
  expect(theirs.bytesReceived).toBeGreaterThan(0n);
});

test("the phase tells a node that is not ready yet", async () => {
  await using world = await startRpc({ parts: { isReady: () => false } });
  expect((await world.client().getStatus({})).phase).toBe(NodePhase.INITIALIZING);
});

test("a collection's config is told as it was set, and binds writes and peers' comparisons at once", async () => {
  await using both = await pair();
  const { a, b } = both;
  await connect(a, b);
  const client = a.client({ useBinaryFormat: false });
  expect(await client.getCollectionConfig({ collection: "log" })).toMatchObject({});
  const config = {
    collection: "log",
    deletionPolicy: DeletionPolicy.IMMUTABLE,
    softDeleteTtlSecs: 0n,
    tombstoneTtlSecs: 9_999_999_999n,
  };
  await client.setCollectionConfig({ config });
  expect((await client.getCollectionConfig({ collection: "log" })).config).toMatchObject(config);
  await client.setCollectionConfig({ config: { collection: "a" } });
  const { configs } = await client.listCollectionConfigs({});
  expect(configs.map(({ collection }) => collection)).toEqual(["a", "log"]);
  expect(configs[0]).toMatchObject({ deletionPolicy: DeletionPolicy.SOFT_DELETE });
  expect(configs[0]?.tombstoneTtlSecs).toBeUndefined();
  const entry = { collection: "log", docId: "1", jsonData: "{}" };
  await client.putDocument(entry);
  for (const call of [client.putDocument(entry), client.deleteDocument(entry)]) {
    const failure = await failureOf(call);
    expect(failure.code).toBe(Code.FailedPrecondition);
    expect(failure.rawMessage).toContain("immutable");
  }
  // They have met again, know that their rules differ, and go on with everything else.
  await waitFor(
    "the difference to be known",
    LIMIT_MS,
    () => b.coordinator.sessions.some((s) => s.differingCollections.includes("log")) || undefined,
  );
  await put(a.store, "notes:x", { n: 1 });
  await shows(b, "notes:x", '{"n":1}');
  // What is kept by two rules is not compared; by the same one it is.
  await b.client().setCollectionConfig({ config });
  await shows(b, "log:1", "{}");
});
