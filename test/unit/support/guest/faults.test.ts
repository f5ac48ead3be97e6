// The older release's faults, one by one: whoever wants to live with it has to live with these.
import { describe, expect, test } from "bun:test";
import { from, initSyncState, save } from "@automerge/automerge";
import { GuestDocument, resetSyncState } from "../../../support/guest/document.ts";
import { authenticateConnector } from "../../../support/guest/formation-auth.ts";
import { encodeFrame, FRAME, type Frame, readFrame } from "../../../support/guest/frame.ts";
import type { GuestEmulator, GuestOptions } from "../../../support/guest/guest-emulator.ts";
import { GuestWorld, type Stranger } from "../../../support/guest/guest-world.ts";
import { formationHmacKey } from "../../../support/guest/identity.ts";
import type { GuestLink } from "../../../support/guest/link.ts";
import { GuestTimers } from "../../../support/guest/timers.ts";
import { type GuestTombstone, tombstoneFrame } from "../../../support/guest/tombstone.ts";

const ACTOR = "0a".repeat(16);

function documentOf(json: string): GuestDocument {
  const document = GuestDocument.empty(ACTOR);
  document.write(json, ACTOR);
  return document;
}

function announcementOf(key: string, document: GuestDocument): Frame {
  const { message } = document.generate(initSyncState());
  return { key, type: FRAME.delta, payload: message ?? new Uint8Array(0) };
}

const snapshotOf = (key: string, document: GuestDocument): Frame => ({
  key,
  type: FRAME.snapshot,
  payload: document.save(),
});

function tombstoneOf(collection: string, documentId: string): GuestTombstone {
  return {
    collection,
    documentId,
    deletedAtMs: 1_700_000_000_000,
    lamport: 0n,
    deletedBy: "somebody",
    reason: undefined,
    direction: "bidirectional",
  };
}

interface Meeting {
  readonly guest: GuestEmulator;
  readonly stranger: Stranger;
  readonly link: GuestLink;
}

async function meet(world: GuestWorld, options: Partial<GuestOptions> = {}): Promise<Meeting> {
  const guest = await world.guest("guest", options);
  const stranger = await world.stranger("stranger");
  const link = await stranger.connect(guest);
  await world.moment();
  return { guest, stranger, link };
}

describe("F1: nobody dials", () => {
  async function hour(world: GuestWorld, dials: boolean) {
    const a = await world.guest("guest-a");
    const b = await world.guest("guest-b", { dials });
    a.write("alerts:1", { n: 1 });
    a.introduce({ name: "guest-b", addresses: b.addresses });
    b.introduce({ name: "guest-a", addresses: a.addresses });
    await world.seconds(3600);
    return { a, b };
  }

  test("two nodes that never dial never sync", async () => {
    await using world = new GuestWorld();
    const { a, b } = await hour(world, false);
    expect([a.connected, b.connected]).toEqual([[], []]);
    expect(b.keys()).toEqual([]);
    expect(a.counters.polls).toBeGreaterThanOrEqual(720);
    expect(a.counters.streamsOpened + b.counters.streamsOpened).toBe(0);
  });

  test("one that is dialled by another release speaks as well as it listens", async () => {
    await using world = new GuestWorld();
    const { a, b } = await hour(world, true);
    expect(b.jsonText("alerts:1")).toBe('{"n":1}');
    expect([a.counters.linksDialed, b.counters.linksDialed]).toEqual([0, 1]);
    expect(a.counters.streamsOpened).toBeGreaterThan(0);
  });
});

test("F2: a stranger without the secret is let in and believed", async () => {
  await using world = new GuestWorld();
  const guest = await world.guest("guest");
  const stranger = await world.stranger("stranger", new Uint8Array(32).fill(9));
  const link = await stranger.connect(guest);
  await stranger.say(link, snapshotOf("tracks:1", documentOf('{"n":1}')));
  expect(guest.jsonText("tracks:1")).toBe('{"n":1}');
  expect(guest.connected).toEqual([stranger.id]);
});

describe("F3: every message goes on a stream of its own", () => {
  test("answers come on new streams, one frame each", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link } = await meet(world);
    await stranger.say(link, announcementOf("alerts:1", documentOf('{"n":1}')));
    expect(stranger.heard.map(({ key, type }) => [key, type])).toEqual([["alerts:1", FRAME.delta]]);
    const { streamsAccepted, streamsOpened, framesSent } = guest.counters;
    expect([streamsAccepted, streamsOpened, framesSent.delta]).toEqual([1, 1, 1]);
  });

  test("only the first frame of a stream is read, and what follows meets a stopped stream", async () => {
    await using world = new GuestWorld();
    const { guest, link } = await meet(world);
    const stream = await link.openBi();
    await stream.write(encodeFrame(snapshotOf("tracks:1", documentOf('{"n":1}'))));
    await stream.write(encodeFrame(snapshotOf("tracks:2", documentOf('{"n":2}'))));
    await world.moment();
    expect(guest.keys()).toEqual(["tracks:1"]);
    await expect(stream.write(Uint8Array.of(0))).rejects.toThrow("stopped");
  });

  test("later releases read every frame of a stream and keep one of their own open", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link } = await meet(world, { laterRelease: true });
    const [one, two] = [documentOf('{"n":1}'), documentOf('{"n":2}')];
    await stranger.say(link, announcementOf("alerts:1", one), announcementOf("alerts:2", two));
    expect(guest.keys()).toEqual(["alerts:1", "alerts:2"]);
    const { streamsOpened, framesSent } = guest.counters;
    expect([streamsOpened, framesSent.batch, framesSent.delta]).toEqual([1, 2, 2]);
    expect(stranger.heard.map(({ key, type }) => [key, type])).toEqual([["batch", FRAME.batch]]);
  });
});

test("a later release whose stream is stopped after a frame, as 0.6.0 does it, opens another", async () => {
  await using world = new GuestWorld();
  const guest = await world.guest("guest", { laterRelease: true });
  const stranger = await world.stranger("stranger");
  const link = await stranger.dial(guest);
  guest.write("tracks:1", { n: 1 });
  const heard: string[] = [];
  for (let streams = 0; streams < 3; streams += 1) {
    const stream = await world.result(link.acceptBi());
    if (stream === undefined) break;
    const frame = await world.result(readFrame(stream));
    heard.push(frame?.key ?? "");
    await stream.stop(0);
  }
  expect(heard).toEqual(["batch", "batch", "batch"]);
  expect(guest.counters.initiatesFailed).toBe(2);
}, 30_000);

describe("F4: silence counts as failure", () => {
  test("an unanswered announcement opens the breaker for good", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link } = await meet(world);
    guest.write("alerts:1", { n: 1 });
    await world.seconds(5);
    expect(guest.counters.initiates).toBe(1);
    await world.seconds(20);
    expect([guest.counters.initiatesFailed, guest.breakerOf(stranger.id)]).toEqual([4, "closed"]);
    await world.seconds(5);
    expect([guest.counters.initiatesFailed, guest.breakerOf(stranger.id)]).toEqual([5, "open"]);
    expect(guest.log).toContain(
      `WARN Opening circuit breaker for peer ${stranger.id} after 5 failures`,
    );

    // Answers are not gated, but change nothing.
    const before = stranger.heard.length;
    await stranger.say(link, announcementOf("alerts:1", GuestDocument.empty(ACTOR)));
    expect(stranger.heard.length).toBe(before + 1);
    await world.seconds(3600);
    link.close(0, "");
    await world.moment();
    await stranger.connect(guest);
    await world.seconds(3600);
    expect(guest.breakerOf(stranger.id)).toBe("open");
    expect([guest.counters.initiates, guest.counters.initiatesFailed]).toEqual([1, 5]);
    expect(guest.counters.refusedByBreaker).toBeGreaterThan(1400);
    await guest.restart();
    expect(guest.breakerOf(stranger.id)).toBe("closed");
  });

  test("with five documents one poll is enough to open it", async () => {
    await using world = new GuestWorld();
    const { guest, stranger } = await meet(world);
    for (let n = 1; n <= 5; n += 1) guest.write(`alerts:${n}`, { n });
    await world.seconds(5);
    expect([guest.counters.initiates, guest.breakerOf(stranger.id)]).toEqual([5, "closed"]);
    await world.seconds(5);
    expect([guest.counters.initiatesFailed, guest.breakerOf(stranger.id)]).toEqual([5, "open"]);
  });

  test("an acknowledgement of every announcement that says nothing new keeps it closed", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link } = await meet(world);
    const document = documentOf('{"n":1}');
    const say = (payload: Uint8Array) =>
      stranger.say(link, { key: "alerts:1", type: FRAME.delta, payload });
    let said = document.generate(initSyncState());
    await say(said.message ?? new Uint8Array(0));
    let acknowledgements = 0;
    for (let poll = 0; poll < 720; poll += 1) {
      for (let heard = stranger.heard.shift(); heard; heard = stranger.heard.shift()) {
        said = document.generate(document.receive(said.state, heard.payload));
        if (said.message === undefined) {
          said = document.generate(resetSyncState(said.state));
          acknowledgements += 1;
        }
        await say(said.message ?? new Uint8Array(0));
      }
      await world.seconds(5);
    }
    expect(guest.jsonText("alerts:1")).toBe('{"n":1}');
    expect([guest.counters.initiatesFailed, guest.breakerOf(stranger.id)]).toEqual([0, "closed"]);
    expect(guest.counters.initiates).toBeGreaterThanOrEqual(718);
    expect(acknowledgements).toBeLessThanOrEqual(guest.counters.initiates + 1);
  });

  test("two nodes that announce to each other in turn keep it closed for hours", async () => {
    await using world = new GuestWorld();
    const a = await world.guest("guest-a");
    await world.seconds(2.5);
    const b = await world.guest("guest-b", { dials: true });
    for (let n = 0; n < 3; n += 1) a.write(`alerts:${n}`, { n });
    b.introduce({ name: "guest-a", addresses: a.addresses });
    await world.seconds(2 * 3600);
    expect(b.keys()).toEqual(a.keys());
    expect([a.breakerOf(b.id), b.breakerOf(a.id)]).toEqual(["closed", "closed"]);
    expect(a.counters.initiatesFailed + b.counters.initiatesFailed).toBeLessThanOrEqual(6);
    expect(a.counters.initiates).toBeGreaterThan(3 * 1400);
  });

  test("snapshots never fail, so nodes with latest documents alone go on", async () => {
    await using world = new GuestWorld();
    const { guest, stranger } = await meet(world);
    guest.write("tracks:1", { n: 1 });
    await world.seconds(3600);
    expect([guest.counters.initiates, guest.breakerOf(stranger.id)]).toEqual([720, "closed"]);
  });

  test("later releases don't count silence", async () => {
    await using world = new GuestWorld();
    const { guest, stranger } = await meet(world, { laterRelease: true });
    guest.write("alerts:1", { n: 1 });
    await world.seconds(3600);
    expect([guest.counters.initiatesFailed, guest.breakerOf(stranger.id)]).toEqual([0, "closed"]);
  });
});

describe("F5: one entry per peer", () => {
  test("the end of an older connection takes the newer one's place", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link: older } = await meet(world);
    const newer = await stranger.connect(guest);
    await world.moment();
    older.close(0, "");
    await world.moment();
    expect(guest.connected).toEqual([]);

    const document = documentOf('{"n":1}');
    await stranger.say(newer, announcementOf("alerts:1", document));
    await stranger.say(newer, snapshotOf("tracks:1", documentOf('{"n":2}')));
    await world.seconds(60);
    // What it hears is applied, but it has nobody to answer or to poll.
    expect(guest.keys()).toEqual(["alerts:1", "tracks:1"]);
    expect(stranger.heard).toEqual([]);
    expect([guest.counters.streamsFailed, guest.counters.streamsOpened]).toEqual([1, 0]);

    newer.close(0, "");
    await world.moment();
    const again = await stranger.connect(guest);
    await stranger.say(again, announcementOf("alerts:1", document));
    expect(stranger.heard.length).toBe(1);
  });

  test("later releases keep the newer one", async () => {
    await using world = new GuestWorld();
    const { guest, stranger, link: older } = await meet(world, { laterRelease: true });
    await stranger.connect(guest);
    older.close(0, "");
    await world.moment();
    expect(guest.connected).toEqual([stranger.id]);
  });
});

describe("F6: formation authentication, where a later release asks for it", () => {
  const auth = (connectorSpeaksFirst: boolean) => ({
    formationAuth: { formationId: "peat", connectorSpeaksFirst },
  });

  async function tenMinutes(world: GuestWorld, connectorSpeaksFirst: boolean) {
    const a = await world.guest("guest-a", auth(connectorSpeaksFirst));
    const b = await world.guest("guest-b", { ...auth(connectorSpeaksFirst), dials: true });
    a.write("alerts:1", { n: 1 });
    b.introduce({ name: "guest-a", addresses: a.addresses });
    await world.seconds(600);
    return { a, b };
  }

  test("a dialler that waits for the challenge before it writes waits for ever", async () => {
    await using world = new GuestWorld();
    const { a, b } = await tenMinutes(world, false);
    expect([a.connected, b.connected, b.keys()]).toEqual([[], [], []]);
    expect(a.counters.authenticationsFailed).toBeGreaterThanOrEqual(3);
    const refusals = a.log.filter((line) => line.includes("failed formation key authentication"));
    expect(refusals.length).toBe(a.counters.authenticationsFailed);
    for (const line of refusals) expect(line).toEndWith("Error: timed out");
  });

  test("a dialler that sends its length at once gets in", async () => {
    await using world = new GuestWorld();
    const { a, b } = await tenMinutes(world, true);
    expect([a.connected, b.connected]).toEqual([[b.id], [a.id]]);
    expect(b.jsonText("alerts:1")).toBe('{"n":1}');
    expect(a.counters.authenticationsFailed).toBe(0);
  });

  test("a dialler with another secret is rejected, and one without an answer closed after 30 seconds", async () => {
    await using world = new GuestWorld();
    const guest = await world.guest("guest", auth(true));
    const stranger = await world.stranger("stranger");
    const link = await stranger.dial(guest);
    const wrong = {
      formationId: "peat",
      hmacKey: formationHmacKey(new Uint8Array(32), "peat"),
      connectorSpeaksFirst: true,
      nonce: () => new Uint8Array(32),
    };
    const attempt = authenticateConnector(link, wrong, new GuestTimers(world.clock));
    await expect(world.result(attempt)).rejects.toThrow(/rejected|closed|formation auth failed/);
    expect(await world.result(link.closed)).toContain("formation auth failed (code 1)");

    const silent = await stranger.dial(guest);
    await world.seconds(29);
    expect(guest.counters.authenticationsFailed).toBe(1);
    await world.seconds(2);
    expect(guest.counters.authenticationsFailed).toBe(2);
    expect(await world.result(silent.closed)).toContain("formation auth failed (code 1)");
    expect(guest.connected).toEqual([]);
  });
});

describe("F10: snapshots pass the guard of tombstones", () => {
  async function deletedThenSent(world: GuestWorld, options: Partial<GuestOptions> = {}) {
    const { guest, stranger, link } = await meet(world, options);
    const document = documentOf('{"n":1}');
    for (const collection of ["tracks", "alerts"]) {
      await stranger.say(link, tombstoneFrame(tombstoneOf(collection, "1")));
    }
    await stranger.say(link, announcementOf("alerts:1", document));
    await stranger.say(link, snapshotOf("tracks:1", document));
    return guest;
  }

  test("a snapshot revives a deleted document, a sync message does not", async () => {
    await using world = new GuestWorld();
    const guest = await deletedThenSent(world);
    expect(guest.keys()).toEqual(["tracks:1"]);
    expect(guest.tombstones().map(({ collection }) => collection)).toEqual(["alerts", "tracks"]);
    expect(guest.counters.ignoredAsDeleted).toBe(1);
  });

  test("a guest that guards against it stays without the document", async () => {
    await using world = new GuestWorld();
    const guest = await deletedThenSent(world, { guardsSnapshots: true });
    expect(guest.keys()).toEqual([]);
    expect(guest.counters.ignoredAsDeleted).toBe(2);
  });
});

test("F11: what another writer wrote as JavaScript strings shows as null", async () => {
  await using world = new GuestWorld();
  const { guest, stranger, link } = await meet(world);
  const theirs = GuestDocument.load(save(from({ name: "text", n: 1 })), ACTOR);
  await stranger.say(link, snapshotOf("tracks:1", theirs));
  expect(guest.json("tracks:1")).toEqual({ name: null, n: 1 });
  await stranger.say(link, snapshotOf("tracks:2", documentOf('{"name":"scalar"}')));
  expect(guest.json("tracks:2")).toEqual({ name: "scalar" });
});
