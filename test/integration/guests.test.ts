// An older node as a guest over real Iroh on loopback: the connection by the older protocol, what passes both
// ways, and a later release that dials.
import { expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { systemClock } from "../../src/base/clock.ts";
import { parseNodeName } from "../../src/identity/peer.ts";
import { NodeStatus } from "../../src/node-status.ts";
import { GuestEmulator, type GuestOptions } from "../support/guest/guest-emulator.ts";
import { type GuestClock, systemGuestClock } from "../support/guest/link.ts";
import { overIroh } from "../support/guest/over-iroh.ts";
import { LogLines, randomSecret, TestNode } from "../support/start-node.ts";

const LIMIT_MS = 20_000;
const secret = randomSecret();

function start(name: string): Promise<TestNode> {
  return TestNode.start({ name, secrets: [secret] });
}

function guestOf(name: string, options: Partial<GuestOptions> = {}): Promise<GuestEmulator> {
  return GuestEmulator.start({ name, secret: secret.expose(), open: overIroh(), ...options });
}

function seek(node: TestNode, guest: GuestEmulator): void {
  const [address] = guest.addresses;
  if (address === undefined) throw new Error("the guest listens nowhere");
  node.seek({ name: parseNodeName(guest.name), address });
}

function shows(guest: GuestEmulator, key: string, value: object): Promise<true> {
  const text = JSON.stringify(value);
  return waitFor(`${key} on ${guest.name}`, LIMIT_MS, () =>
    JSON.stringify(guest.json(key)) === text ? true : undefined,
  );
}

test("an older node that is dialled becomes a guest: documents, changes and deletes pass both ways", async () => {
  using log = new LogLines();
  await using guest = await guestOf("old-1");
  guest.write("notes:1", { from: "guest" });
  guest.write("tracks:1", { from: "guest" });
  await using node = await start("new-1");
  await node.put("notes:2", { from: "node", text: "é" });
  await node.put("tracks:2", { from: "node" });
  seek(node, guest);
  await log.shows("INFO", "Peer speaks only the older protocol", "peer=old-1");
  await log.shows("Peer connected to Iroh", "peer=old-1", "dialect=guest");
  await Promise.all([
    node.shows("notes:1", '{"from":"guest"}'),
    node.shows("tracks:1", '{"from":"guest"}'),
    shows(guest, "notes:2", { from: "node", text: "é" }),
    shows(guest, "tracks:2", { from: "node" }),
  ]);
  await node.put("notes:1", { from: "node again" });
  await node.put("tracks:1", { from: "node again" });
  await node.remove("notes:2");
  await shows(guest, "notes:1", { from: "node again" });
  await shows(guest, "tracks:1", { from: "node again" });
  await waitFor("the delete", LIMIT_MS, () => guest.json("notes:2") === undefined || undefined);
  const { version, store, coordinator } = { version: "test", ...node };
  const status = new NodeStatus({
    nodeName: node.name,
    version,
    clock: systemClock,
    store,
    coordinator,
  });
  expect(status.peers()).toMatchObject([
    { id: "old-1", connected: true, state: "connected", dialect: "guest", path: "direct" },
  ]);
  expect(guest.breakerOf(node.network.id)).toBe("closed");
  expect(node.fatal).toEqual([]);
}, 40_000);

test("a large document passes both ways", async () => {
  await using guest = await guestOf("old-1");
  await using node = await start("new-1");
  seek(node, guest);
  const text = crypto.getRandomValues(new Uint8Array(300_000)).toBase64();
  await node.put("notes:large", { text });
  await shows(guest, "notes:large", { text });
  guest.write("tracks:large", { text });
  await node.shows("tracks:large", JSON.stringify({ text }));
}, 40_000);

test("a later release that dials and asks for proof is met both ways", async () => {
  const formationAuth = { formationId: "peat", connectorSpeaksFirst: true };
  await using node = await start("new-1");
  await using guest = await guestOf("later", { laterRelease: true, dials: true, formationAuth });
  guest.write("notes:1", { n: 1 });
  guest.introduce({ name: "new-1", addresses: [node.address] });
  await node.shows("notes:1", '{"n":1}');
  await node.put("tracks:1", { n: 2 });
  await shows(guest, "tracks:1", { n: 2 });
  // Nobody told us of it: it goes by its id, since it could prove no name.
  expect(node.coordinator.guests.map(({ name }) => `${name}`)).toEqual([guest.id]);
}, 40_000);

/** The guest's polls, five seconds apart, come only once they may; nothing else of it waits for so long. */
function heldPolls() {
  const held = new Set<() => void>();
  let isHeld = true;
  const clock: GuestClock = {
    now: systemGuestClock.now,
    after(delayMs, run) {
      if (!isHeld || delayMs < 1000) return systemGuestClock.after(delayMs, run);
      held.add(run);
      return () => held.delete(run);
    },
  };
  const release = () => {
    isHeld = false;
    for (const run of held) run();
  };
  return { clock, release };
}

test("hundreds of documents pass to a guest, and as many from it as its limits let through", async () => {
  const polls = heldPolls();
  await using guest = await guestOf("old-1", { clock: polls.clock });
  await using node = await start("new-1");
  const count = 300;
  // Of more than a hundred an older node announces only the first ones at each poll.
  const own = 80;
  for (let n = 0; n < own; n += 1) guest.write(`alerts:g${n}`, { n });
  await Promise.all(Array.from({ length: count }, (_, n) => node.put(`notes:n${n}`, { n })));
  seek(node, guest);
  await waitFor(
    "its documents",
    60_000,
    () =>
      Array.from({ length: count }, (_, n) => guest.json(`notes:n${n}`)).every(
        (json, n) => JSON.stringify(json) === JSON.stringify({ n }),
      ) || undefined,
  );
  // What it has not answered yet it could not announce, and five of those are the end of its announcing.
  const [session] = node.coordinator.guests;
  await waitFor("its answers", 60_000, () => session?.isLevel || undefined);
  await waitFor("an end of the frames", 60_000, () => {
    const { framesReceived, framesSent } = guest.counters;
    const { sentFrames = 0, receivedFrames = 0 } = session?.statistics ?? {};
    return (framesReceived.delta >= sentFrames && framesSent.delta <= receivedFrames) || undefined;
  });
  polls.release();
  await waitFor(
    "the node's documents",
    60_000,
    () => node.store.count("alerts") === own || undefined,
  );
  expect(guest.breakerOf(node.network.id)).toBe("closed");
}, 240_000);
