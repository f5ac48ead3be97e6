// One guest that says whatever it likes: its other end is bytes over links of memory and virtual time.
import { describe, expect, test } from "bun:test";
import { decodeSyncMessage, encodeSyncMessage, getBackend, init } from "@automerge/automerge";
import { Random } from "../../../scripts/model/random.ts";
import { Formation } from "../../../src/identity/formation.ts";
import { parseNodeName, toEndpointId } from "../../../src/identity/peer.ts";
import type { ByteStream, Link } from "../../../src/net/link.ts";
import { Coordinator } from "../../../src/sync/coordinator.ts";
import { encodeFrame, type Frame, FrameDecoder } from "../../../src/wire/frame.ts";
import { ALPN_GUEST, ALPN_NATIVE } from "../../../src/wire/hello.ts";
import { encodeMessage, type Message } from "../../../src/wire/message.ts";
import { MemoryNet } from "../../support/memory-network.ts";
import { openMemoryStore, put, read } from "../../support/memory-store.ts";
import { LogLines, randomSecret } from "../../support/start-node.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const formation = new Formation([randomSecret()]);
const idOf = (name: string) => toEndpointId(formation.endpointKey(parseNodeName(name)).publicKey);

/** A node whose only peer is a guest that these tests play. */
async function world(options: { reads?: boolean } = {}) {
  const log = new LogLines();
  const clock = new VirtualClock();
  const net = new MemoryNet({ clock, random: new Random(1), path: { latencyMs: 1 } });
  const store = openMemoryStore({ clock });
  const alpns = [ALPN_NATIVE, ALPN_GUEST];
  const network = net.open({ id: idOf("node-a"), address: "10.0.0.1:1", alpns });
  const bugs: unknown[] = [];
  const coordinator = new Coordinator({
    network,
    store,
    clock,
    formation,
    nodeName: parseNodeName("node-a"),
    version: "0.1.0-test",
    random: () => 0.5,
    onBug: (error) => bugs.push(error),
  });
  coordinator.start();
  const guest = net.open({ id: idOf("old-1"), address: "10.0.0.2:1", alpns: [ALPN_GUEST] });
  const arrived = guest.nextIncoming();
  const hosts = [{ host: "10.0.0.2", port: 1 }];
  const identity = { kind: "name", name: parseNodeName("old-1") } as const;
  coordinator.handle("static", { kind: "seen", peer: { identity, hosts } });
  await clock.advance(100);
  const link = await (await arrived)?.accept();
  if (link === undefined) throw new Error("nobody dialled the guest");
  await clock.advance(100);
  const heard: Frame[] = [];
  const streams: ByteStream[] = [];
  void listen(link, options.reads ?? true, { heard, streams });
  return {
    log,
    clock,
    store,
    link,
    heard,
    streams,
    bugs,
    coordinator,
    /** All of `bytes` on a stream of its own. */
    async raw(...bytes: readonly Uint8Array[]) {
      const stream = await link.openStream();
      for (const part of bytes) await stream.write(part);
      await stream.finish();
      await clock.advance(50);
    },
    async say(message: Message) {
      await this.raw(encodeFrame(encodeMessage(message)));
    },
    async put(name: string, value: object) {
      const written = put(store, name, value);
      await clock.advance(0);
      await written;
    },
    [Symbol.dispose]() {
      log[Symbol.dispose]();
      store.close();
    },
  };
}

async function listen(
  link: Link,
  reads: boolean,
  { heard, streams }: { heard: Frame[]; streams: ByteStream[] },
): Promise<void> {
  for (let stream = await link.acceptStream(); stream; stream = await link.acceptStream()) {
    streams.push(stream);
    if (!reads) continue;
    void hear(stream, heard).catch(() => undefined);
  }
}

async function hear(stream: ByteStream, heard: Frame[]): Promise<void> {
  const decoder = new FrameDecoder({ payloadBytesMax: 1e8 });
  for (let bytes = await stream.read(65_536); bytes; bytes = await stream.read(65_536)) {
    decoder.push(bytes);
    for (let frame = decoder.next(); frame; frame = decoder.next()) heard.push(frame);
  }
  await stream.finish();
}

let actors = 0;

/** A saved document with one change. */
function document(
  write: (backend: ReturnType<typeof getBackend>) => void,
  message: string | null = null,
): Uint8Array {
  actors += 1;
  const backend = getBackend(init({ actor: actors.toString(16).padStart(8, "0") }));
  write(backend);
  backend.commit(message, 0);
  return backend.save();
}

const simple = (n: number) => document((backend) => backend.put("_root", "n", n, "int"));

function snapshot(key: string, bytes: Uint8Array): Message {
  return { kind: "snapshot", key, document: bytes };
}

describe("what a guest gets wrong is told once and costs it nothing else", () => {
  const wrong: readonly (readonly [string, Uint8Array])[] = [
    [
      "a frame of an unknown type",
      encodeFrame({ key: "k", type: 0x55, payload: new Uint8Array(3) }),
    ],
    [
      "a frame that breaks off",
      encodeFrame({ key: "tracks:1", type: 1, payload: simple(1) }).subarray(0, 40),
    ],
    ["a length beyond all limits", Uint8Array.of(0, 1, 0x6b, 1, 0xff, 0xff, 0xff, 0xff)],
    ["a key that is no text", Uint8Array.of(0, 1, 0xff, 1, 0, 0, 0, 0)],
    [
      "a snapshot that is none",
      encodeFrame({ key: "tracks:1", type: 1, payload: new Uint8Array(99) }),
    ],
    ["an empty snapshot", encodeFrame({ key: "tracks:1", type: 1, payload: new Uint8Array(0) })],
    [
      "a sync message that is none",
      encodeFrame({ key: "notes:1", type: 0, payload: new Uint8Array(9) }),
    ],
    ["a tombstone that is none", encodeFrame({ key: "x", type: 4, payload: new Uint8Array(9) })],
    [
      "a list of tombstones that can't be",
      encodeFrame({ key: "x", type: 5, payload: Uint8Array.of(255, 255, 255, 255) }),
    ],
    ["a batch that is none", encodeFrame({ key: "batch", type: 7, payload: new Uint8Array(20) })],
    ["a key that is too long", encodeFrame({ key: "k".repeat(5000), type: 1, payload: simple(1) })],
    ["no key", encodeFrame({ key: "", type: 1, payload: simple(1) })],
    [
      "a stamp beyond all clocks",
      encodeFrame({
        key: "tracks:1",
        type: 1,
        payload: document(
          (b) => b.put("_root", "n", 1, "int"),
          `peat1 9007199254740990 ${"0".repeat(32)}`,
        ).subarray(0, 60),
      }),
    ],
  ];
  for (const [what, bytes] of wrong) {
    test(what, async () => {
      using it = await world();
      for (let n = 0; n < 3; n += 1) await it.raw(bytes);
      await it.clock.advance(40_000);
      expect(it.log.with("WARN", "Message of a guest refused").length).toBe(1);
      expect(it.coordinator.guests.length).toBe(1);
      await it.say(snapshot("tracks:good", simple(7)));
      expect(read(it.store, "tracks:good")).toBe('{"n":7}');
      expect(it.bugs).toEqual([]);
    });
  }

  test("a bad entry of a batch spoils no other", async () => {
    using it = await world();
    const entry = (key: string, payload: Uint8Array) => ({ key, type: 1, payload });
    const entries = [
      entry("tracks:1", simple(1)),
      entry("tracks:2", new Uint8Array(50)),
      { key: "x", type: 0x0a, payload: new Uint8Array(0) },
      entry("tracks:3", simple(3)),
    ];
    await it.say({ kind: "batch", batch: { id: 1n, createdAtMs: 0, ttl: 5, entries } });
    expect(read(it.store, "tracks:1")).toBe('{"n":1}');
    expect(read(it.store, "tracks:3")).toBe('{"n":3}');
    expect(it.log.with("Message of a guest refused").length).toBe(2);
  });

  test("values that nest too deeply are refused", async () => {
    using it = await world();
    const deep = document((backend) => {
      let at = backend.putObject("_root", "deep", {});
      for (let n = 0; n < 30_000; n += 1) at = backend.putObject(at, "d", {});
    });
    await it.say(snapshot("tracks:1", deep));
    expect(it.log.with("Message of a guest refused").length).toBe(1);
    expect(it.store.summary().documents).toBe(0);
    expect(it.bugs).toEqual([]);
  });

  test("fields that no document of ours can have are left out, and stay the guest's own", async () => {
    using it = await world();
    const bytes = document((backend) => {
      backend.put("_root", "__proto__", 1, "int");
      backend.put("_root", "n", 2, "int");
    });
    await it.say(snapshot("tracks:1", bytes));
    expect(read(it.store, "tracks:1")).toBe('{"n":2}');
    expect(it.heard.filter(({ key }) => key === "tracks:1")).toEqual([]);
  });
});

test("many frames on one stream are all read", async () => {
  using it = await world();
  const frames = [1, 2, 3].map((n) =>
    encodeFrame(encodeMessage(snapshot(`tracks:${n}`, simple(n)))),
  );
  await it.raw(...frames);
  for (const n of [1, 2, 3]) expect(read(it.store, `tracks:${n}`)).toBe(`{"n":${n}}`);
});

test("bytes, text and counters are null in JSON and never written over", async () => {
  using it = await world();
  const bytes = document((backend) => {
    backend.put("_root", "bytes", new Uint8Array([1]), "bytes");
    backend.putObject("_root", "text", "letters");
    backend.put("_root", "counter", 1, "counter");
    backend.put("_root", "uint", 7, "uint");
    backend.put("_root", "time", new Date(1000), "timestamp");
  });
  await it.say(snapshot("tracks:1", bytes));
  expect(read(it.store, "tracks:1")).toBe(
    '{"bytes":null,"counter":null,"text":null,"time":1000,"uint":7}',
  );
  await it.clock.advance(60_000);
  const sent = it.heard.filter(({ key, type }) => key === "tracks:1" && type === 1);
  expect(sent).toEqual([]);
});

test("an announcement that is converged is answered once, and a guest that answers that is not", async () => {
  using it = await world();
  const bytes = simple(1);
  await it.say(snapshot("notes:1", bytes));
  const backend = getBackend(init());
  backend.loadIncremental(bytes);
  const bare = encodeSyncMessage({
    heads: backend.getHeads(),
    need: [],
    have: [{ lastSync: backend.getHeads(), bloom: new Uint8Array(0) }],
    changes: [],
  });
  const answers = () => it.heard.filter(({ key, type }) => key === "notes:1" && type === 0);
  // As the older node polls: an answer each.
  for (let n = 0; n < 10; n += 1) {
    await it.say({ kind: "delta", key: "notes:1", sync: bare });
    await it.clock.advance(5_000);
  }
  expect(answers().length).toBe(10);
  expect(answers().every(({ payload }) => decodeSyncMessage(payload).changes.length === 0)).toBe(
    true,
  );
  // As one that acknowledges too would go on for ever.
  const before = answers().length;
  let seen = before;
  for (let n = 0; n < 600; n += 1) {
    await it.clock.advance(100);
    const now = answers().length;
    if (n === 0 || now > seen) await it.say({ kind: "delta", key: "notes:1", sync: bare });
    seen = now;
  }
  expect(answers().length - before).toBeLessThan(8);
});

test("towards a guest that reads nothing, a bounded number of streams is open", async () => {
  using it = await world({ reads: false });
  for (let n = 0; n < 300; n += 1) await it.put(`notes:${n}`, { n });
  await it.clock.advance(5_000);
  expect(it.streams.length).toBeGreaterThan(10);
  expect(it.streams.length).toBeLessThanOrEqual(80);
});

test("tombstones: of a first life, of a later one only if written after it began, and none revives", async () => {
  using it = await world();
  const tombstone = (deletedAtMs: number, lamport: bigint): Message => ({
    kind: "tombstone",
    tombstone: {
      collection: "tracks",
      documentId: "1",
      deletedAtMs,
      lamport,
      deletedBy: "old-1",
      reason: undefined,
      direction: "bidirectional",
    },
  });
  await it.say(snapshot("tracks:1", simple(1)));
  await it.say(tombstone(5, 0n));
  expect(read(it.store, "tracks:1")).toBeUndefined();
  // Its echo brings nothing back.
  await it.say(snapshot("tracks:1", simple(2)));
  expect(read(it.store, "tracks:1")).toBeUndefined();
  const bornAt = it.clock.now();
  await it.put("tracks:1", { n: 3 });
  for (const [at, lamport] of [
    [5, 0n],
    [bornAt, 9n],
    [bornAt + 10, 1n],
    [2 ** 50, 9n],
  ] as const) {
    await it.say(tombstone(at, lamport));
    expect(read(it.store, "tracks:1")).toBe('{"n":3}');
  }
  await it.say(tombstone(bornAt + 10, 2n));
  expect(read(it.store, "tracks:1")).toBeUndefined();
  expect(it.store.summary().tombstones).toBe(1);
});
