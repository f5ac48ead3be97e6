// Strangers and a member gone mad, over real Iroh: what each is answered, what it can hold up, what the log tells.
import { describe, expect, test } from "bun:test";
import { ATTACKS, SILENCE } from "../../scripts/hostile/attacks.ts";
import { damaged, FRAMES, fateOf, poisons } from "../../scripts/hostile/madness.ts";
import { endOf, greetAs, helloFrame, joinAs, Stranger } from "../../scripts/hostile/stranger.ts";
import { Random } from "../../scripts/model/random.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { parseNodeName } from "../../src/identity/peer.ts";
import {
  acquaint,
  allConnected,
  allEqual,
  LogLines,
  randomSecret,
  TestNode,
} from "../support/start-node.ts";

const secret = randomSecret();
const start = (name: string) => TestNode.start({ name, secrets: [secret] });
const targetOf = (node: TestNode) => ({ id: node.network.id, address: node.address });

/** A node with a good peer, and the log. */
async function world() {
  const log = new LogLines("debug");
  const [a, b] = [await start("node-a"), await start("node-b")];
  acquaint([a, b]);
  await allConnected([a, b]);
  return {
    log,
    a,
    b,
    /** Whatever happened, the good peer and the node go on as if nothing had. */
    async expectUnharmed() {
      expect([...a.fatal, ...b.fatal]).toEqual([]);
      const nonce = crypto.randomUUID();
      await b.put("tracks:good", { nonce });
      await a.shows("tracks:good", `{"nonce":"${nonce}"}`);
      await a.put("notes:good", { nonce });
      await b.shows("notes:good", `{"nonce":"${nonce}"}`);
    },
    async [Symbol.asyncDispose]() {
      log[Symbol.dispose]();
      await a[Symbol.asyncDispose]();
      await b[Symbol.asyncDispose]();
    },
  };
}

describe("a stranger that comes with", () => {
  const reasons: Readonly<Record<string, RegExp>> = {
    "leaves without a word": /left without a word/,
    garbage: /began with something else than a hello/,
    HTTP: /began with something else than a hello/,
    "a hello of four gigabytes": /began with something else than a hello/,
    "a hello one byte too long": /began with something else than a hello/,
    "a hello full of garbage": /expected \d+ more bytes/,
    "half a hello, then leaves": /left in the middle of its hello|ConnectionLost/,
    "a name that nobody may have": /node name .* must be/,
    "a valid hello of another secret": /but its id is of another secret/,
    "90 streams of 1 MiB": /cause=./,
    "90 one-way streams of 1 MiB": /cause=./,
    "the older protocol": /said nothing for 10 s/,
  };

  test.each(ATTACKS.filter(({ name }) => name !== SILENCE).map((attack) => [attack.name, attack]))(
    "%s is thrown out, with the reason in the log",
    async (name, attack) => {
      await using it = await world();
      const stranger = await Stranger.open();
      const attacking = stranger.connect(targetOf(it.a), attack.alpn).then(async (connection) => {
        // Whatever it does ends in a failure when the node closes the connection.
        await attack.run(connection).catch(() => undefined);
        stranger.drop(connection);
      });
      await attacking.catch(() => undefined);
      const line = await it.log.shows("WARN", "Connection refused", "address=127.0.0.1");
      expect(line).toMatch(reasons[name] ?? /a reason that the table knows/);
      expect(it.a.coordinator.sessions.length).toBe(1);
      await it.expectUnharmed();
      await stranger.close();
    },
    30_000,
  );
});

test("silence is thrown out after ten seconds, and holds nobody up meanwhile", async () => {
  await using it = await world();
  // One connection each: an endpoint that knows another way to the node, by ::1, may come by that the next time.
  const strangers = await Promise.all(
    Array.from({ length: 80 }, (_, n) =>
      Stranger.open({ bindAddress: `127.0.2.${(n % 8) + 1}:0` }),
    ),
  );
  // Eight of each address get in, and with 8 addresses all places are taken.
  const sinceMs = performance.now();
  const dials = strangers.map((stranger) => stranger.connect(targetOf(it.a)));
  const outcomes = await Promise.allSettled(dials);
  const inside = outcomes.flatMap((o) => (o.status === "fulfilled" ? [o.value] : []));
  expect(inside.length).toBe(64);
  // Who hears nothing for a second asks again, and is refused again.
  expect(it.a.coordinator.refusedConnections).toBeGreaterThanOrEqual(80 - 64);
  await it.expectUnharmed();
  // A peer that is new has the place of one that is silent, at once.
  await using c = await start("node-c");
  c.seek(it.a);
  await c.connected(it.a);
  expect(inside.filter((each) => each.closeReason() === null).length).toBeGreaterThan(32);
  const ends = await Promise.all(inside.map(endOf));
  expect(new Set(ends)).toEqual(new Set(["closed by peer: formation auth failed (code 1)"]));
  const tookMs = performance.now() - sinceMs;
  expect(tookMs).toBeGreaterThan(9_500);
  const lines = it.log.with("Connection refused");
  expect(lines.length).toBeLessThanOrEqual(2 + Math.floor(tookMs / 10_000));
  expect(lines[0]).toContain("too many unproved connections");
  expect(lines.some((line) => line.includes("said nothing for 10 s"))).toBe(true);
  await Promise.all(strangers.map((stranger) => stranger.close()));
}, 100_000);

describe("a member gone mad", () => {
  test.each([...FRAMES])(
    "that damages $name a thousand times harms nobody",
    async ({ name, bytes }) => {
      await using it = await world();
      const random = new Random(20_261_121);
      const seed = it.a.formation.endpointKey(parseNodeName("mad")).seed.expose();
      const stranger = await Stranger.open({ seed });
      const fates = { taken: 0, waits: 0, refused: 0 };
      let member = await greetAs(stranger, targetOf(it.a), { name: "mad" });
      for (let n = 0; n < 1000; n += 1) {
        const frame = damaged(bytes, random);
        const fate = fateOf(frame);
        fates[fate] += 1;
        await member.stream.send.writeAll([...frame]);
        // A chunk may begin a state of which four are taken at a time: each has a link of its own.
        if (fate === "taken" && name !== "chunk") continue;
        if (fate === "refused") {
          expect(await endOf(member.connection)).toBe(
            "closed by peer: protocol violation (code 4)",
          );
        }
        stranger.drop(member.connection);
        member = await greetAs(stranger, targetOf(it.a), { name: "mad" });
      }
      await it.expectUnharmed();
      await stranger.close();
      expect(fates.taken + fates.waits + fates.refused).toBe(1000);
      expect(fates.refused).toBeGreaterThan(0);
      expect(it.log.with("ERROR")).toEqual([]);
      expect(it.log.with("WARN", "Peer broke the protocol", "peer=mad").length).toBe(fates.refused);
      await allEqual([it.a, it.b]);
    },
    120_000,
  );

  test("that sends states which poison what is written later is refused, document by document", async () => {
    await using it = await world();
    const mad = await joinAs(targetOf(it.a), { formation: it.a.formation, name: "mad" });
    for (const { frame } of poisons()) await mad.stream.send.writeAll([...frame]);
    await waitFor(
      "the refusals",
      20_000,
      () => it.a.coordinator.stuck().size === poisons().length || undefined,
    );
    for (const { key } of poisons()) {
      expect(it.a.read(key)).toBeUndefined();
      await it.a.put(key, { n: 1 });
      await it.a.put(key, { n: 2 });
      await it.b.shows(key, '{"n":2}');
      await it.a.remove(key);
      await it.b.shows(key, undefined);
    }
    // The member itself stays: its other documents may be good.
    expect(it.a.sessionWith({ name: parseNodeName("mad") })).toBeDefined();
    await mad.close();
  });

  test("that reads nothing holds up neither the node nor its other peers", async () => {
    await using it = await world();
    const mad = await joinAs(targetOf(it.a), { formation: it.a.formation, name: "mad" });
    const text = new Random(1).fill(new Uint8Array(30_000)).toBase64();
    for (let n = 0; n < 500; n += 1) await it.a.put(`tracks:${n}`, { n, text });
    await it.expectUnharmed();
    await allEqual([it.a, it.b], 502, 60_000);
    const session = it.a.sessionWith({ name: parseNodeName("mad") });
    // 20 MB wait for it; on their way is no more than its window.
    expect(session?.statistics.sentBytes).toBeLessThan(5 * 1024 * 1024);
    expect(session?.queueDepth).toBeGreaterThan(100);
    await mad.close();
  }, 120_000);

  test("that asks without end and reads no answer is closed", async () => {
    await using it = await world();
    const mad = await joinAs(targetOf(it.a), { formation: it.a.formation, name: "mad" });
    for (let n = 0; n < 300; n += 1) await it.a.put(`tracks:${n}`, { n });
    // Each asks for the sums of everything below the root.
    const sums = FRAMES.find(({ name }) => name === "sums");
    const block = [
      ...Buffer.concat(new Array<Uint8Array>(2000).fill(sums?.bytes ?? new Uint8Array())),
    ];
    const asking = (async () => {
      while (mad.connection.closeReason() === null) await mad.stream.send.writeAll(block);
    })().catch(() => undefined);
    const end = await endOf(mad.connection);
    await asking;
    expect(end).toContain("nothing was read for too long (code 6)");
    await it.log.shows("WARN", "Peer reads too slowly; closing its connection", "peer=mad");
    await it.expectUnharmed();
    await mad.close();
  }, 60_000);
});

test("a hello that comes in single bytes is a hello all the same", async () => {
  await using it = await world();
  const { formation } = it.a;
  const seed = formation.endpointKey(parseNodeName("slow")).seed.expose();
  const member = await Stranger.open({ seed });
  const connection = await member.connect(targetOf(it.a));
  const stream = await connection.openBi();
  for (const byte of helloFrame("slow")) await stream.send.writeAll([byte]);
  await waitFor("its admission", 20_000, () =>
    it.a.sessionWith({ name: parseNodeName("slow") }) === undefined ? undefined : true,
  );
  await member.close();
});
