// Two emulated nodes of the older release, over each transport they have: what they keep equal, and how.
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { Random } from "../../scripts/model/random.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { systemClock } from "../../src/base/clock.ts";
import { encodeFrame, FRAME } from "../support/guest/frame.ts";
import { GuestEmulator, type GuestOptions } from "../support/guest/guest-emulator.ts";
import { endpointIdentity } from "../support/guest/identity.ts";
import { type GuestClock, type OpenEndpoint, systemGuestClock } from "../support/guest/link.ts";
import { overIroh } from "../support/guest/over-iroh.ts";
import { overMemory } from "../support/guest/over-memory.ts";
import { MemoryNet } from "../support/memory-network.ts";
import automerge from "../vectors/automerge.json" with { type: "json" };

// Half of the connections to an endpoint that has just come back to its port go deaf, each for three seconds.
const LIMIT_MS = 45_000;
/** The polls of both nodes come so many times as often as they would. */
const HURRY = 20;

const hurriedClock: GuestClock = {
  now: () => Math.floor(performance.now() * HURRY),
  after: (delayMs, run) => systemGuestClock.after(delayMs / HURRY, run),
};

/** Of an empty document. */
const announcement = {
  key: "alerts:empty",
  type: FRAME.delta,
  payload: Buffer.from(automerge.messageOfEmptyDocument, "hex"),
};

/** Makes one way of opening endpoints for each node of a test. */
type Transport = () => (index: number) => OpenEndpoint;

const transports: Readonly<Record<string, Transport>> = {
  "real Iroh": () => () => overIroh(),
  "the memory network": () => {
    const net = new MemoryNet({ clock: systemClock, random: new Random(1) });
    return (index) => overMemory(net, `10.0.0.${index + 1}:11204`);
  },
};

for (const [name, transport] of Object.entries(transports)) {
  describe(`over ${name}`, () => {
    /** Two nodes of one formation, of which only the second dials. */
    async function pair(options: Partial<GuestOptions> = {}) {
      const open = transport();
      const secret = new Uint8Array(randomBytes(32));
      const common = { secret, clock: hurriedClock, ...options };
      const a = await GuestEmulator.start({ ...common, name: "guest-a", open: open(0) });
      const b = await GuestEmulator.start({
        ...common,
        name: "guest-b",
        open: open(1),
        dials: true,
      });
      /** An endpoint of that formation without habits, connected to `guest`. */
      const stranger = async (guest: GuestEmulator) => {
        const endpoint = await open(2)(endpointIdentity(secret, "stranger"));
        const connect = () => endpoint.connect({ id: guest.id, addresses: guest.addresses });
        return { connect, link: await connect(), close: () => endpoint.close() };
      };
      return {
        a,
        b,
        stranger,
        meet: () => b.introduce({ name: "guest-a", addresses: a.addresses }),
      };
    }

    const shows = (guest: GuestEmulator, key: string, text: string | undefined) =>
      waitFor(`${key} of ${guest.name} to be ${text}`, LIMIT_MS, () =>
        guest.jsonText(key) === text ? true : undefined,
      );

    for (const laterRelease of [false, true]) {
      const release = laterRelease ? "later releases" : "0.6.0";

      test(`two nodes of ${release} tell each other what they hold`, async () => {
        const world = await pair({ laterRelease });
        await using a = world.a;
        await using b = world.b;
        a.write("alerts:a", '{"from":"a","level":1}');
        b.write("alerts:b", '{"from":"b","ratio":2.0}');
        a.write("tracks:a", '{"lat":1.5}');
        b.write("tracks:b", '{"lat":2.5}');
        world.meet();
        await shows(b, "alerts:a", '{"from":"a","level":1}');
        await shows(a, "alerts:b", '{"from":"b","ratio":2.0}');
        await shows(b, "tracks:a", '{"lat":1.5}');
        await shows(a, "tracks:b", '{"lat":2.5}');
        expect(a.heads("alerts:b")).toEqual(b.heads("alerts:b"));
        // What is sent is counted once it is written: the other one may have it before.
        await waitFor("the counters", LIMIT_MS, () => {
          const { snapshot, delta } = a.counters.framesSent;
          return (snapshot > 0 && delta > 0) || undefined;
        });
        expect([a.counters.linksAccepted, b.counters.linksDialed]).toEqual([1, 1]);
        if (laterRelease) expect(a.counters.streamsOpened).toBe(1);
        else expect(a.counters.framesSent.batch).toBe(0);
      }, 100_000);

      test(`a tombstone deletes at both nodes of ${release}`, async () => {
        const world = await pair({ laterRelease });
        await using a = world.a;
        await using b = world.b;
        a.write("alerts:gone", '{"n":1}');
        world.meet();
        await shows(b, "alerts:gone", '{"n":1}');
        await b.applyTombstone({
          collection: "alerts",
          documentId: "gone",
          deletedAtMs: 1_700_000_000_000,
          lamport: 7n,
          deletedBy: "guest-b",
          reason: "over",
          direction: "system-wide",
        });
        await shows(a, "alerts:gone", undefined);
        expect(a.tombstones()).toEqual(b.tombstones());
        expect(a.keys()).toEqual([]);
      }, 100_000);
    }

    test("members of later releases prove themselves, and a stranger is turned away", async () => {
      const formationAuth = { formationId: "peat", connectorSpeaksFirst: true };
      const world = await pair({ laterRelease: true, formationAuth });
      await using a = world.a;
      await using b = world.b;
      a.write("alerts:1", '{"n":1}');
      world.meet();
      await shows(b, "alerts:1", '{"n":1}');
      const before = a.counters.authenticationsFailed;
      const { link, close } = await world.stranger(a);
      const stream = await link.openBi();
      await stream.write(Uint8Array.of(32, 0, 0, 0, ...new Uint8Array(32)));
      expect(await link.closed).toContain("formation auth failed");
      expect(a.counters.authenticationsFailed).toBe(before + 1);
      expect(a.connected).toEqual([b.id]);
      await close();
    }, 100_000);

    test("F5: the end of an older connection takes the newer one's place", async () => {
      const world = await pair();
      await using a = world.a;
      await using _b = world.b;
      const { connect, link: older, close } = await world.stranger(a);
      await waitFor("the first link", LIMIT_MS, () => a.connected[0]);
      const newer = await connect();
      await waitFor("the second link", LIMIT_MS, () => a.counters.linksAccepted === 2 || undefined);
      expect(a.connected.length).toBe(1);
      older.close(0, "");
      await waitFor(
        "the end of the first",
        LIMIT_MS,
        () => a.counters.linksEnded === 1 || undefined,
      );
      expect(a.connected).toEqual([]);
      const stream = await newer.openBi();
      await stream.write(encodeFrame(announcement));
      await stream.finish();
      await shows(a, announcement.key, "{}");
      await waitFor("a lost answer", LIMIT_MS, () => a.counters.streamsFailed === 1 || undefined);
      await close();
    }, 100_000);

    test("F3: what follows the first frame of a stream meets a stopped one", async () => {
      const world = await pair();
      await using a = world.a;
      await using _b = world.b;
      const { link, close } = await world.stranger(a);
      const stream = await link.openBi();
      await stream.write(encodeFrame(announcement));
      await shows(a, announcement.key, "{}");
      const failure = await waitFor("a failed write", LIMIT_MS, () =>
        stream.write(Uint8Array.of(0)).then(
          () => undefined,
          (error: unknown) => String(error),
        ),
      );
      expect(failure).toMatch(/stopped/i);
      await close();
    }, 100_000);

    test("F6: a dialler that waits for the challenge before it writes waits for ever", async () => {
      const formationAuth = { formationId: "peat", connectorSpeaksFirst: false };
      const world = await pair({ formationAuth });
      await using a = world.a;
      await using b = world.b;
      world.meet();
      const isRefused = () => a.counters.authenticationsFailed >= 2 || undefined;
      await waitFor("two refusals", LIMIT_MS, isRefused);
      expect([a.connected, b.connected]).toEqual([[], []]);
      expect(a.log.at(-1)).toEndWith("Error: timed out");
    }, 100_000);

    /** Both have `alerts:1`, and what they said of it has arrived: one that stops now leaves nothing on its way. */
    async function met() {
      const world = await pair();
      const { a, b, meet } = world;
      a.write("alerts:1", '{"n":1}');
      meet();
      await shows(b, "alerts:1", '{"n":1}');
      // It asks for the document, and tells that it has it. The older release that hears the latter after the end
      // of the connection remembers it of the peer's next life.
      const hasArrived = () => {
        const [ofA, ofB] = [a.counters, b.counters];
        const isAll =
          ofA.framesSent.delta === ofB.framesReceived.delta &&
          ofB.framesSent.delta === ofA.framesReceived.delta;
        return (isAll && ofA.framesReceived.delta >= 2) || undefined;
      };
      await waitFor("the acknowledgement", LIMIT_MS, hasArrived);
      const stop = async () => {
        await b.stop();
        // Its next connection would go with this one (F5).
        await waitFor("the end", LIMIT_MS, () => a.counters.linksEnded === 1 || undefined);
      };
      return { a, b, stop };
    }

    test("a node that comes back finds its documents, and hears of new ones", async () => {
      const { a, b, stop } = await met();
      await using _a = a;
      await using _b = b;
      await stop();
      await b.restart("kept");
      expect(b.jsonText("alerts:1")).toBe('{"n":1}');
      a.write("alerts:2", '{"n":2}');
      await shows(b, "alerts:2", '{"n":2}');
    }, 100_000);

    test("a node that lost its documents gets them again", async () => {
      const { a, b, stop } = await met();
      await using _a = a;
      await using _b = b;
      await stop();
      await b.restart("lost");
      expect(b.keys()).toEqual([]);
      await shows(b, "alerts:1", '{"n":1}');
    }, 100_000);
  });
}
