// How the older release behaves when nothing goes wrong: polling, tombstones, batches, expiry, restarts.
import { describe, expect, test } from "bun:test";
import { change, from, initSyncState, save, Uint } from "@automerge/automerge";
import { GuestDocument } from "../../../support/guest/document.ts";
import { encodeBatch, encodeFrame, FRAME, type Frame } from "../../../support/guest/frame.ts";
import { GuestWorld } from "../../../support/guest/guest-world.ts";
import type { SeenFrame } from "../../../support/guest/record.ts";
import {
  decodeTombstones,
  type GuestDirection,
  type GuestTombstone,
  tombstoneFrame,
  tombstonesFrame,
} from "../../../support/guest/tombstone.ts";

const ACTOR = "0a".repeat(16);

function documentOf(json: string): GuestDocument {
  const document = GuestDocument.empty(ACTOR);
  document.write(json, ACTOR);
  return document;
}

function snapshotOf(key: string, json: string): Frame {
  return { key, type: FRAME.snapshot, payload: documentOf(json).save() };
}

function tombstoneOf(key: string, given: Partial<GuestTombstone> = {}): GuestTombstone {
  const [collection = "", documentId = ""] = key.split(":");
  return {
    collection,
    documentId,
    deletedAtMs: 1_700_000_000_000,
    lamport: 0n,
    deletedBy: "somebody",
    reason: undefined,
    direction: "bidirectional",
    ...given,
  };
}

const batchFrame = (entries: readonly Frame[]): Frame => ({
  key: "batch",
  type: FRAME.batch,
  payload: encodeBatch({ id: 1n, createdAtMs: 0, ttl: 5, entries }),
});

async function meet(world: GuestWorld, options: Parameters<GuestWorld["guest"]>[1] = {}) {
  const guest = await world.guest("guest", options);
  const stranger = await world.stranger("stranger");
  const link = await stranger.connect(guest);
  await world.moment();
  return { guest, stranger, link };
}

describe("polling", () => {
  test("every five seconds, keys in byte order, then all tombstones", async () => {
    await using world = new GuestWorld();
    const { guest, stranger } = await meet(world);
    for (const key of [
      "tracks:é",
      "tracks:z",
      "cells:1",
      "tracks:Z",
      "tracks:𝒳",
      "tracks:\uffff",
    ]) {
      guest.write(key, { n: 1 });
    }
    await guest.applyTombstone(tombstoneOf("commands:1"));
    await world.seconds(5);
    expect(stranger.heard.map(({ key }) => key)).toEqual([
      // The tombstone was told when it came.
      "tombstones:commands:1",
      "cells:1",
      "tracks:Z",
      "tracks:z",
      "tracks:é",
      "tracks:\uffff",
      "tracks:𝒳",
      "tombstones:batch",
    ]);
    expect(guest.counters.polls).toBe(2);
  });

  test("a change waits for the next poll", async () => {
    await using world = new GuestWorld();
    const { guest, stranger } = await meet(world);
    guest.write("tracks:1", { n: 1 });
    await world.seconds(4.5);
    expect(stranger.heard).toEqual([]);
    await world.seconds(0.5);
    expect(stranger.heard.length).toBe(1);
  });

  test("beyond a hundred documents the last keys are never announced", async () => {
    await using world = new GuestWorld();
    const { guest, stranger } = await meet(world);
    const keys = Array.from({ length: 130 }, (_, n) => `tracks:${String(n).padStart(3, "0")}`);
    for (const key of keys) guest.write(key, { n: 1 });
    await world.seconds(60);
    const heard = new Set(stranger.heard.map(({ key }) => key));
    expect([...heard]).toEqual(keys.slice(0, 100));
    expect(guest.counters.refusedByRate).toBe(12 * 30);
    expect(guest.breakerOf(stranger.id)).toBe("closed");
  });

  test("a key that was just announced is held back for a moment, at the price of a token", async () => {
    await using world = new GuestWorld();
    const guest = await world.guest("guest", { laterRelease: true });
    for (let n = 0; n < 60; n += 1) guest.write(`tracks:${n}`, { n });
    // Connected just before a poll, so that everything is announced twice at once.
    await world.seconds(4.95);
    const stranger = await world.stranger("stranger");
    await stranger.connect(guest);
    await world.moment();
    expect(guest.counters.initiates).toBe(60);
    expect(guest.counters.refusedByCooldown).toBe(40);
    expect(guest.counters.refusedByRate).toBe(20);
  });
});

describe("receiving", () => {
  test("a bare announcement makes an empty document", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link } = await meet(world);
    const { message } = GuestDocument.empty(ACTOR).generate(initSyncState());
    await stranger.say(link, {
      key: "alerts:1",
      type: FRAME.delta,
      payload: message ?? new Uint8Array(0),
    });
    expect(guest.jsonText("alerts:1")).toBe("{}");
  });

  test("a snapshot is merged into what is there, so concurrent fields of both stay", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link } = await meet(world);
    guest.write("tracks:1", { ours: 1 });
    await stranger.say(link, snapshotOf("tracks:1", '{"theirs":2}'));
    expect(guest.json("tracks:1")).toEqual({ ours: 1, theirs: 2 });
    expect(stranger.heard).toEqual([]);
  });

  test("a collection's mode binds what is sent, not what is taken", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link } = await meet(world);
    await stranger.say(link, snapshotOf("alerts:1", '{"n":1}'));
    expect(guest.jsonText("alerts:1")).toBe('{"n":1}');
  });

  test("a batch is applied in order, whatever of it is bad is passed over", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link } = await meet(world);
    await stranger.say(
      link,
      batchFrame([
        snapshotOf("tracks:1", '{"n":1}'),
        { key: "tracks:2", type: FRAME.snapshot, payload: Uint8Array.of(1, 2, 3) },
        tombstonesFrame([tombstoneOf("tracks:1")]),
        tombstoneFrame(tombstoneOf("tracks:3")),
        snapshotOf("tracks:4", '{"n":4}'),
      ]),
    );
    expect(guest.keys()).toEqual(["tracks:1", "tracks:4"]);
    expect(guest.tombstones().map(({ documentId }) => documentId)).toEqual(["3"]);
    expect(guest.counters.streamsFailed).toBe(0);
  });

  const strange: readonly (readonly [string, Frame])[] = [
    ["a reserved type", { key: "alerts:1", type: 0x03, payload: new Uint8Array(0) }],
    ["a windowed history", { key: "alerts:1", type: FRAME.windowed, payload: new Uint8Array(0) }],
    [
      "a negentropy request",
      { key: "n", type: FRAME.negentropyRequest, payload: new Uint8Array(0) },
    ],
    ["an unknown type", { key: "alerts:1", type: 0xff, payload: new Uint8Array(0) }],
    ["a damaged delta", { key: "alerts:1", type: FRAME.delta, payload: Uint8Array.of(0x42, 9) }],
    ["a damaged snapshot", { key: "tracks:1", type: FRAME.snapshot, payload: Uint8Array.of(1) }],
    [
      "a batch with a reserved type",
      batchFrame([{ key: "k", type: 3, payload: new Uint8Array(0) }]),
    ],
    ["a damaged tombstone", { key: "t", type: FRAME.tombstone, payload: Uint8Array.of(0, 9) }],
  ];
  for (const [name, frame] of strange) {
    test(`${name} costs a warning and nothing else`, async () => {
      await using world = new GuestWorld();
      const { guest, stranger, link } = await meet(world);
      await stranger.say(link, frame);
      expect(guest.counters.streamsFailed).toBe(1);
      expect(guest.log.at(-1)).toStartWith("WARN Error handling incoming sync stream");
      expect(guest.keys()).toEqual([]);
      await stranger.say(link, snapshotOf("tracks:1", '{"n":1}'));
      expect(guest.keys()).toEqual(["tracks:1"]);
    });
  }

  test("a stream that breaks off inside a frame costs a warning and nothing else", async () => {
    await using world = new GuestWorld();
    const { guest, link } = await meet(world);
    const stream = await link.openBi();
    await stream.write(encodeFrame(snapshotOf("tracks:1", '{"n":1}')).subarray(0, 20));
    await stream.finish();
    await world.moment();
    expect([guest.counters.streamsFailed, guest.connected.length]).toEqual([1, 1]);
  });
});

describe("tombstones", () => {
  async function three(world: GuestWorld) {
    const { guest, stranger, link } = await meet(world);
    const other = await world.stranger("other");
    await other.connect(guest);
    guest.write("alerts:1", { n: 1 });
    return { guest, stranger, link, other };
  }

  const relayed: readonly (readonly [GuestDirection, boolean])[] = [
    ["bidirectional", true],
    ["system-wide", true],
    ["up-only", false],
    ["down-only", false],
  ];
  for (const [direction, isTold] of relayed) {
    test(`one that goes ${direction} ${isTold ? "is" : "is not"} told to the others at once`, async () => {
      await using world = new GuestWorld();
      const { guest, stranger, link, other } = await three(world);
      await stranger.say(link, tombstoneFrame(tombstoneOf("alerts:1", { direction })));
      expect(guest.keys()).toEqual([]);
      expect(stranger.heard).toEqual([]);
      expect(other.heard.map(({ key }) => key)).toEqual(isTold ? ["tombstones:alerts:1"] : []);
      // Said again, it is no news.
      await stranger.say(link, tombstoneFrame(tombstoneOf("alerts:1", { direction })));
      expect(other.heard.length).toBe(isTold ? 1 : 0);
    });
  }

  test("those of a table are applied and not told, until the poll tells the whole table", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link, other } = await three(world);
    const table = [tombstoneOf("alerts:1"), tombstoneOf("cells:1"), tombstoneOf("commands:1")];
    await stranger.say(link, tombstonesFrame(table));
    expect(guest.keys()).toEqual([]);
    expect(other.heard).toEqual([]);
    await world.seconds(5);
    const told = decodeTombstones(other.heard[0]?.payload ?? new Uint8Array(4));
    expect(told.map(({ collection, direction }) => [collection, direction])).toEqual([
      ["alerts", "bidirectional"],
      ["cells", "up-only"],
      ["commands", "down-only"],
    ]);
  });

  test("the first one of a document stays, whatever a later one says", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link } = await three(world);
    await stranger.say(link, tombstoneFrame(tombstoneOf("alerts:1", { lamport: 1n })));
    await stranger.say(link, tombstoneFrame(tombstoneOf("alerts:1", { lamport: 9n })));
    expect(guest.tombstones().map(({ lamport }) => lamport)).toEqual([1n]);
  });
});

describe("expiry, where it is switched on", () => {
  const DAY_S = 86_400;

  test("garbage collection forgets tombstones of the collections that have a term", async () => {
    await using world = new GuestWorld();
    const guest = await world.guest("guest", { collectsGarbage: true });
    const deletedAtMs = world.clock.now();
    for (const key of ["tracks:1", "alerts:1", "nodes:1", "commands:1"]) {
      await guest.applyTombstone(tombstoneOf(key, { deletedAtMs }));
    }
    const left = () => guest.tombstones().map(({ collection }) => collection);
    await world.seconds(3600);
    expect(left()).toEqual(["alerts", "commands", "nodes", "tracks"]);
    await world.seconds(300);
    expect(left()).toEqual(["alerts", "commands", "nodes"]);
    await world.seconds(4 * 3600);
    expect(left()).toEqual(["commands", "nodes"]);
    await world.seconds(DAY_S);
    expect(left()).toEqual(["commands"]);
  });

  test("garbage collection drops documents by an unsigned _created_at", async () => {
    await using world = new GuestWorld();
    const guest = await world.guest("guest", { collectsGarbage: true });
    const createdAt = new Uint(world.clock.now());
    const document = change(from<Record<string, unknown>>({}), (draft) => {
      draft["_created_at"] = createdAt;
    });
    for (const key of ["beacons:1", "platforms:1", "tracks:1"])
      guest.writeSaved(key, save(document));
    guest.write("beacons:2", { _created_at: world.clock.now() });
    await world.seconds(3600);
    expect(guest.keys().length).toBe(4);
    await world.seconds(300);
    expect(guest.keys()).toEqual(["beacons:2", "tracks:1"]);
    expect(guest.tombstones()).toEqual([]);
  });

  test("a received document ends by its first expiry, however often it was refreshed", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link } = await meet(world, { ttlPreset: "offline_node" });
    guest.write("beacons:own", { n: 1 });
    for (let n = 0; n < 5; n += 1) {
      await stranger.say(link, snapshotOf("beacons:1", '{"n":1}'));
      await world.seconds(5);
    }
    expect(guest.keys()).toEqual(["beacons:1", "beacons:own"]);
    await world.seconds(15);
    expect(guest.keys()).toEqual(["beacons:own"]);
    expect(guest.tombstones()).toEqual([]);
  });
});

describe("restarts", () => {
  test("a killed node has its documents and tombstones, and no memory of its peers", async () => {
    await using world = new GuestWorld();
    const { guest, stranger } = await meet(world);
    guest.write("alerts:1", { n: 1 });
    await guest.applyTombstone(tombstoneOf("alerts:2"));
    await world.seconds(60);
    expect(guest.breakerOf(stranger.id)).toBe("open");
    await guest.kill();
    expect(guest.isRunning).toBe(false);
    await guest.restart();
    expect([guest.connected, guest.breakerOf(stranger.id)]).toEqual([[], "closed"]);
    expect([guest.keys(), guest.tombstones().length]).toEqual([["alerts:1"], 1]);
    expect(guest.counters.initiates).toBe(0);
  });

  test("a backup brings back the past, and later writes don't reach it", async () => {
    await using world = new GuestWorld();
    const guest = await world.guest("guest");
    guest.write("alerts:1", { n: 1 });
    const [backup, heads] = [guest.backup(), guest.heads("alerts:1")];
    guest.write("alerts:1", { n: 2 });
    await guest.applyTombstone(tombstoneOf("alerts:1"));
    await guest.restart(backup);
    expect([guest.jsonText("alerts:1"), guest.heads("alerts:1")]).toEqual(['{"n":1}', heads]);
    await guest.restart("lost");
    expect(guest.keys()).toEqual([]);
  });
});

test("equal seeds give equal traces", async () => {
  const run = async (seed: number) => {
    await using world = new GuestWorld(seed);
    const seen: string[] = [];
    const onFrame = ({ direction, peer, key, payload }: SeenFrame) => {
      const bytes = Buffer.from(payload).toString("hex");
      seen.push(`${world.clock.monotonic()} ${direction} ${peer} ${key} ${bytes}`);
    };
    const a = await world.guest("guest-a", { onFrame });
    const b = await world.guest("guest-b", { dials: true, onFrame });
    b.introduce({ name: "guest-a", addresses: a.addresses });
    for (let n = 0; n < 20; n += 1) {
      a.write(`alerts:${n % 3}`, { from: "a", n });
      b.write(`tracks:${n % 2}`, { from: "b", n });
      await world.seconds(7);
    }
    expect(a.keys()).toEqual(b.keys());
    return seen;
  };
  const [first, second, other] = [await run(5), await run(5), await run(6)];
  expect(first.length).toBeGreaterThan(100);
  expect(second).toEqual(first);
  expect(other).not.toEqual(first);
});
