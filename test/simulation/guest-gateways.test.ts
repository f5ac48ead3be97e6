// Several nodes of ours and several older ones: who dials whom, and what passes through more than one of us.
import { expect, test } from "bun:test";
import type { GuestEmulator } from "../support/guest/guest-emulator.ts";
import { type FormationNode, GuestFormation } from "../support/guest-formation.ts";

function shows(guest: GuestEmulator, node: FormationNode, key: string, value: object): boolean {
  const text = JSON.stringify(value);
  return JSON.stringify(guest.json(key)) === text && node.read(key) === text;
}

function gatewaysOf(nodes: readonly FormationNode[], guest: string): FormationNode[] {
  return nodes.filter((node) => node.isRunning && node.guestSession(guest) !== undefined);
}

async function nodes(world: GuestFormation, count: number): Promise<FormationNode[]> {
  const all: FormationNode[] = [];
  for (let n = 1; n <= count; n += 1) all.push(await world.node(`new-${n}`));
  return all;
}

test("at most two of five nodes serve a guest, and others take over when they are gone", async () => {
  await using world = new GuestFormation();
  const ours = await nodes(world, 5);
  await world.seconds(2);
  const guest = await world.guest("old-1");
  await world.seconds(60);
  const first = gatewaysOf(ours, "old-1");
  expect(first.length).toBe(2);
  expect(guest.counters.linksAccepted).toBe(2);
  // Those who don't serve it see its documents all the same.
  guest.write("notes:1", { n: 1 });
  await world.until("all have it", () => ours.every((node) => node.read("notes:1") === '{"n":1}'));
  for (const node of first) node.crash();
  await world.until("others serve it", () => gatewaysOf(ours, "old-1").length === 2, 120);
  guest.write("notes:1", { n: 2 });
  await world.until(
    "all have it",
    () => gatewaysOf(ours, "old-1").every((node) => node.read("notes:1") === '{"n":2}'),
    120,
  );
  for (const node of first) node.restart();
  await world.until(
    "the first serve it again",
    () => first.every((node) => node.guestSession("old-1")),
    180,
  );
  await world.until("and only they", () => gatewaysOf(ours, "old-1").length === 2, 180);
  expect(world.bugs).toEqual([]);
});

test("a node that alone can reach the guest serves it, whatever its turn", async () => {
  await using world = new GuestFormation();
  const guest = await world.guest("old-1");
  const ours = await nodes(world, 4);
  for (const node of ours.slice(0, 3)) world.net.cut(node.id, guest.id as typeof node.id);
  await world.until("it serves it", () => ours[3]?.guestSession("old-1") !== undefined, 120);
  guest.write("tracks:1", { n: 1 });
  await world.until(
    "all have it",
    () => ours.every((node) => node.read("tracks:1") === '{"n":1}'),
    30,
  );
});

test("two guests have each other's documents through two gateways, and old snapshots revert nothing", async () => {
  await using world = new GuestFormation({ seed: 3 });
  const [a, b] = [await world.guest("old-1"), await world.guest("old-2")];
  const [x, y] = await nodes(world, 2);
  if (x === undefined || y === undefined) throw new Error("two nodes");
  await world.until("all are connected", () =>
    [x, y].every((node) => node.coordinator.guests.length === 2),
  );
  for (const key of ["tracks:1", "notes:1"]) a.write(key, { by: "a", n: 1 });
  await world.until("b has them", () =>
    ["tracks:1", "notes:1"].every((key) => shows(b, y, key, { by: "a", n: 1 })),
  );
  for (let n = 2; n < 8; n += 1) {
    for (const key of ["tracks:1", "notes:1"]) {
      const writer = n % 3;
      if (writer === 0) await x.put(key, { by: "x", n });
      else if (writer === 1) b.write(key, { by: "b", n });
      else await y.put(key, { by: "y", n });
    }
    await world.seconds(n % 2 === 0 ? 2 : 11);
  }
  await world.seconds(40);
  for (const key of ["tracks:1", "notes:1"]) {
    expect(x.store.hashOf(key as never)).toBe(y.store.hashOf(key as never) ?? "");
    for (const guest of [a, b]) expect(JSON.stringify(guest.json(key))).toBe(x.read(key) ?? "");
    expect(JSON.parse(x.read(key) ?? "{}").n).toBe(7);
  }
  const hash = x.store.summary().rootHash;
  await world.seconds(120);
  expect(x.store.summary().rootHash).toBe(hash);
  expect(world.bugs).toEqual([]);
});

test("nodes that are cut apart both write through the same guest, and agree when they meet", async () => {
  await using world = new GuestFormation({ seed: 5 });
  const guest = await world.guest("old-1");
  const [x, y] = await nodes(world, 2);
  if (x === undefined || y === undefined) throw new Error("two nodes");
  await x.put("tracks:1", { a: 1, b: 1, c: 1 });
  await world.until("the guest has it", () => guest.json("tracks:1") !== undefined);
  world.net.cut(x.id, y.id);
  await world.seconds(40);
  await x.patch("tracks:1", { a: 2, c: null });
  await y.patch("tracks:1", { b: 3 });
  const text = '{"a":2,"b":3}';
  await world.until(
    "both by the guest",
    () => x.read("tracks:1") === text && y.read("tracks:1") === text,
    60,
  );
  const polls = guest.counters.framesReceived.snapshot;
  await world.seconds(120);
  // And nobody goes on correcting the other.
  expect(guest.counters.framesReceived.snapshot - polls).toBeLessThan(3);
  world.net.heal(x.id, y.id);
  await world.until(
    "they agree",
    () => x.store.summary().rootHash === y.store.summary().rootHash,
    60,
  );
  expect(x.read("tracks:1")).toBe(text);
  expect(world.bugs).toEqual([]);
});

test("a later release dials us, sends batches on one stream, and is a guest like any other", async () => {
  await using world = new GuestFormation();
  const node = await world.node("new-1");
  await node.put("notes:1", { n: 1 });
  await node.put("tracks:1", { n: 1 });
  const guest = await world.guest("old-1", { dials: true, laterRelease: true });
  guest.introduce({ name: "new-1", addresses: [node.address] });
  for (const key of ["notes:2", "tracks:2"]) guest.write(key, { n: 2 });
  await world.until("both have all", () =>
    ["notes:1", "tracks:1", "notes:2", "tracks:2"].every(
      (key) => node.read(key) !== undefined && JSON.stringify(guest.json(key)) === node.read(key),
    ),
  );
  await node.remove("notes:2");
  await world.until("it is gone", () => guest.json("notes:2") === undefined);
  await world.seconds(60);
  expect(guest.connected).toEqual([node.id]);
  expect(node.coordinator.guests.length).toBe(1);
  expect(node.guestSession("old-1")?.refused.size).toBe(0);
  expect(world.bugs).toEqual([]);
});

test("a later release that asks for proof gets it, from the second connection on", async () => {
  await using world = new GuestFormation();
  const formationAuth = { formationId: "peat", connectorSpeaksFirst: true };
  const guest = await world.guest("old-1", { formationAuth, laterRelease: true });
  guest.write("notes:1", { n: 1 });
  const node = await world.node("new-1");
  await world.until("the node has it", () => node.read("notes:1") === '{"n":1}', 120);
  expect(guest.counters.authenticationsFailed).toBe(1);
  expect(guest.counters.linksAccepted).toBe(1);
});

test("an older node that nobody told us of is let in only with proof", async () => {
  await using world = new GuestFormation();
  const formationAuth = { formationId: "peat", connectorSpeaksFirst: true };
  const node = await world.node("new-1");
  const stranger = await world.guest("nobody", { dials: true, laterRelease: true });
  const proved = await world.guest("unheard-of", {
    dials: true,
    laterRelease: true,
    formationAuth,
  });
  for (const guest of [stranger, proved]) node.forget(guest.name);
  await world.seconds(40);
  for (const guest of [stranger, proved]) {
    guest.introduce({ name: "new-1", addresses: [node.address] });
    guest.write(`notes:${guest.name}`, { n: 1 });
  }
  await world.until("the proved one is heard", () => node.read("notes:unheard-of") !== undefined);
  await world.seconds(60);
  expect(node.read("notes:nobody")).toBeUndefined();
  expect(node.coordinator.guests.map(({ name }) => `${name}`)).toEqual([proved.id]);
  expect(node.coordinator.refusedConnections).toBeGreaterThan(0);
});
