import { expect, test } from "bun:test";
import { StaticList } from "../../../src/discovery/static-list.ts";
import { type PeerEvent, parsePeerAddress } from "../../../src/identity/peer.ts";

async function eventsOf(...texts: readonly string[]): Promise<PeerEvent[]> {
  const events: PeerEvent[] = [];
  const source = new StaticList(texts.map(parsePeerAddress));
  await source.start((event) => events.push(event));
  await source.close();
  return events;
}

test("every peer of the list is seen at start, by name or by id, names of hosts as they are", async () => {
  const id = "ab".repeat(32);
  expect(await eventsOf("alpha@alpha.example:11204", `${id}@[fd00::1]:9`)).toEqual([
    { kind: "seen", peer: parsePeerAddress("alpha@alpha.example:11204") },
    { kind: "seen", peer: parsePeerAddress(`${id}@[fd00::1]:9`) },
  ]);
});

test("a peer that is listed with two addresses is seen once with both", async () => {
  const events = await eventsOf("alpha@10.0.0.1:1", "beta@10.0.0.9:1", "alpha@10.0.0.2:2");
  const hosts = [
    { host: "10.0.0.1", port: 1 },
    { host: "10.0.0.2", port: 2 },
  ];
  expect(events).toHaveLength(2);
  expect(events[0]).toMatchObject({ kind: "seen", peer: { hosts } });
});

test("a repeated entry changes nothing", async () => {
  expect(await eventsOf("alpha@10.0.0.1:1", "alpha@10.0.0.1:1")).toEqual(
    await eventsOf("alpha@10.0.0.1:1"),
  );
});

test("an empty list sees nobody", async () => {
  expect(await eventsOf()).toEqual([]);
});

test("another list tells of who is new, who moved and who is gone, and of nobody else", async () => {
  const events: PeerEvent[] = [];
  const source = new StaticList(
    ["stays@10.0.0.1:1", "moves@10.0.0.2:1", "goes@10.0.0.3:1"].map(parsePeerAddress),
  );
  await source.start((event) => events.push(event));
  events.length = 0;
  const next = ["new@10.0.0.4:1", "moves@10.0.0.9:1", "stays@10.0.0.1:1"].map(parsePeerAddress);
  source.replace(next);
  expect(events).toEqual([
    { kind: "gone", identity: parsePeerAddress("goes@10.0.0.3:1").identity },
    { kind: "seen", peer: parsePeerAddress("new@10.0.0.4:1") },
    { kind: "seen", peer: parsePeerAddress("moves@10.0.0.9:1") },
  ]);
  events.length = 0;
  source.replace(next);
  expect(events).toEqual([]);
  await source.close();
  source.replace([]);
  expect(events).toEqual([]);
});
