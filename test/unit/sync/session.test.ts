// One peer of the native dialect as a node sees it, over links of memory and virtual time: the other end is bytes.
import { expect, test } from "bun:test";
import { helloFrame } from "../../../scripts/hostile/stranger.ts";
import { Random } from "../../../scripts/model/random.ts";
import { Formation } from "../../../src/identity/formation.ts";
import { parseNodeName, toEndpointId } from "../../../src/identity/peer.ts";
import { Coordinator } from "../../../src/sync/coordinator.ts";
import { encodeFrame, FrameDecoder } from "../../../src/wire/frame.ts";
import { ALPN_NATIVE } from "../../../src/wire/hello.ts";
import {
  decodeNative,
  encodeNative,
  NATIVE_PAYLOAD_BYTES_MAX,
  type NativeMessage,
  NO_HASH,
} from "../../../src/wire/native.ts";
import { MemoryNet } from "../../support/memory-network.ts";
import { key, openMemoryStore, put, read } from "../../support/memory-store.ts";
import { LogLines, randomSecret } from "../../support/start-node.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const formation = new Formation([randomSecret()]);
const idOf = (name: string) => toEndpointId(formation.endpointKey(parseNodeName(name)).publicKey);

/** A node, and a peer of it that is a stream of bytes. */
async function world() {
  const log = new LogLines();
  const clock = new VirtualClock();
  const net = new MemoryNet({ clock, random: new Random(1) });
  const store = openMemoryStore({ clock });
  const network = net.open({ id: idOf("node-a"), address: "10.0.0.1:1", alpns: [ALPN_NATIVE] });
  const coordinator = new Coordinator({
    onBug: (error) => {
      throw error;
    },

    network,
    store,
    clock,
    formation,
    nodeName: parseNodeName("node-a"),
    version: "0.1.0-test",
    random: () => 0.5,
  });
  coordinator.start();
  const peer = net.open({ id: idOf("node-b"), address: "10.0.0.2:1", alpns: [ALPN_NATIVE] });
  const dial = peer.dial({ id: network.id, addresses: ["10.0.0.1:1"] }, ALPN_NATIVE);
  await clock.advance(100);
  const link = await dial;
  const stream = await link.openStream();
  await stream.write(helloFrame("node-b"));
  await clock.advance(100);
  const received: NativeMessage[] = [];
  /** From now on the peer reads what it is sent. */
  const read = () => {
    const decoder = new FrameDecoder({ payloadBytesMax: NATIVE_PAYLOAD_BYTES_MAX, keyBytesMax: 0 });
    void (async () => {
      for (let bytes = await stream.read(65_536); bytes; bytes = await stream.read(65_536)) {
        decoder.push(bytes);
        for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
          const message = decodeNative(frame);
          if (message !== undefined) received.push(message);
        }
      }
    })().catch(() => undefined);
  };
  return {
    log,
    clock,
    store,
    coordinator,
    link,
    stream,
    received,
    read,
    /** A write is committed in a later turn, which virtual time has to reach. */
    async put(name: string, value: object) {
      const written = put(store, name, value);
      await clock.advance(0);
      await written;
    },
    send: (message: NativeMessage) => stream.write(encodeNative(message)),
    of: <T extends NativeMessage["type"]>(type: T) =>
      received.filter((m): m is Extract<NativeMessage, { type: T }> => m.type === type),
    [Symbol.dispose]() {
      log[Symbol.dispose]();
      store.close();
    },
  };
}

test("a peer that takes nothing for a minute is closed with code 6", async () => {
  using it = await world();
  const text = new Random(1).fill(new Uint8Array(100_000)).toBase64();
  for (let n = 0; n < 10; n += 1) await it.put(`tracks:${n}`, { text });
  await it.clock.advance(55_000);
  expect(it.coordinator.sessions.length).toBe(1);
  await it.clock.advance(10_000);
  expect(it.coordinator.sessions.length).toBe(0);
  expect(await it.link.ended).toMatchObject({ by: "peer", code: 6 });
  expect(it.log.with("INFO", "Peer disconnected", "reason=nothing was read").length).toBe(1);
});

test("a peer that reads and never acknowledges gets its window and no more", async () => {
  using it = await world();
  it.read();
  const text = new Random(1).fill(new Uint8Array(30_000)).toBase64();
  for (let n = 0; n < 50; n += 1) await it.put(`tracks:${n}`, { text });
  await it.clock.advance(10_000);
  const bytes = it.of("chunk").map((part) => part.bytes.length);
  const total = bytes.reduce((sum, length) => sum + length, 0);
  expect(total).toBeGreaterThan(10_000);
  expect(total).toBeLessThan(16 * 1024 + 10_000);
  // The rest goes as soon as it does.
  const whole = () => it.of("chunk").filter((p) => p.offset + p.bytes.length === p.total);
  for (let round = 0; round < 500 && whole().length < 50; round += 1) {
    const last = it.of("chunk").at(-1);
    if (last !== undefined) await it.send({ type: "ack", serial: last.serial });
    await it.clock.advance(50);
  }
  expect(new Set(whole().map((part) => part.key)).size).toBe(50);
});

test("bytes that are no frame end the link with code 4 and one line that says why", async () => {
  using it = await world();
  await it.stream.write(Uint8Array.of(0, 0, 0x21, 0xff, 0xff, 0xff, 0xff));
  await it.clock.advance(2_000);
  expect(await it.link.ended).toMatchObject({ by: "peer", code: 4 });
  const lines = it.log.with("WARN");
  expect(lines.length).toBe(1);
  expect(lines[0]).toContain("peer=node-b");
  expect(lines[0]).toContain("a frame's payload of 4294967295 bytes exceeds the limit of 1048576");
});

test("frames of later versions, and what follows them, are no reason to part", async () => {
  using it = await world();
  it.read();
  await it.stream.write(encodeFrame({ key: "", type: 0x7f, payload: new Uint8Array(100) }));
  await it.send({ type: "ping", nonce: 77 });
  await it.clock.advance(100);
  expect(it.received).toContainEqual({ type: "pong", nonce: 77 });
});

test("a state is acknowledged once it is committed, and not before", async () => {
  using it = await world();
  it.read();
  using source = openMemorySource();
  const entry = await source.state("tracks:1", { n: 1 });
  await it.send({ type: "states", serial: 9, more: false, isEntrusted: false, entries: [entry] });
  await it.clock.advance(50);
  expect(it.of("ack")).toEqual([{ type: "ack", serial: 9 }]);
  expect(read(it.store, "tracks:1")).toBe('{"n":1}');
});

test("a document that is no state is refused by itself: the others of its frame are taken", async () => {
  using it = await world();
  it.read();
  using source = openMemorySource();
  const good = await source.state("tracks:good", { n: 1 });
  const bad = { key: "tracks:bad", hash: NO_HASH, bytes: Uint8Array.of(9, 9, 9) };
  await it.send({
    type: "states",
    serial: 1,
    more: false,
    isEntrusted: false,
    entries: [bad, good],
  });
  await it.send({ type: "states", serial: 2, more: false, isEntrusted: false, entries: [bad] });
  await it.clock.advance(50);
  expect(read(it.store, "tracks:good")).toBe('{"n":1}');
  expect(it.of("ack").at(-1)).toEqual({ type: "ack", serial: 2 });
  expect([...it.coordinator.stuck().keys()]).toEqual([key("tracks:bad")]);
  expect(it.log.with("WARN", "Document of a peer refused", "doc_key=tracks:bad").length).toBe(1);
  // Healed by a good one.
  const healed = await source.state("tracks:bad", { n: 2 });
  await it.send({ type: "states", serial: 3, more: false, isEntrusted: false, entries: [healed] });
  await it.clock.advance(50);
  expect(it.coordinator.stuck().size).toBe(0);
});

test("a stop waits a moment for the acknowledgement of what was written last, and no longer", async () => {
  using it = await world();
  it.read();
  await it.put("tracks:1", { n: 1 });
  let isClosed = false;
  void it.coordinator.close().then(() => {
    isClosed = true;
  });
  await it.clock.advance(200);
  expect(it.of("states").flatMap(({ entries }) => entries.map((e) => e.key))).toEqual(["tracks:1"]);
  expect(isClosed).toBe(false);
  await it.clock.advance(2_000);
  expect(isClosed).toBe(true);
});

/** Another store, whose states the peer sends. */
function openMemorySource() {
  const store = openMemoryStore({ nodeName: "node-b" });
  return {
    async state(name: string, value: object) {
      await put(store, name, value);
      const state = store.stateFor(key(name));
      if (state === undefined) throw new Error("it was written just now");
      return { key: name, ...state };
    },
    [Symbol.dispose]: () => store.close(),
  };
}
