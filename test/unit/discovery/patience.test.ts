// Who was connected and is heard of no more is missing, not gone: for a day.
import { expect, test } from "bun:test";
import { Patience } from "../../../src/discovery/patience.ts";
import { type NodeName, type PeerEvent, parseNodeName } from "../../../src/identity/peer.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const name = parseNodeName("node-b");
const identity = { kind: "name", name } as const;
const seen: PeerEvent = {
  kind: "seen",
  peer: { identity, hosts: [{ host: "10.0.0.2", port: 1 }] },
};
const gone: PeerEvent = { kind: "gone", identity };
const silent: PeerEvent = { kind: "gone", identity, isSilent: true };

function world() {
  const clock = new VirtualClock();
  const told: string[] = [];
  const listeners = new Set<(notice: { kind: string; name: NodeName }) => void>();
  const patience = new Patience({
    clock,
    tell: (source, event) => void told.push(`${source} ${event.kind}`),
    onPeer: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  });
  const connect = () => {
    for (const listener of listeners) listener({ kind: "connected", name });
  };
  return { clock, told, patience, connect, listeners };
}

test("a peer that was connected is given up a day after its source fell silent, and not before", async () => {
  const { clock, told, patience, connect } = world();
  patience.handle("mdns", seen);
  connect();
  patience.handle("mdns", silent);
  await clock.advance(DAY_MS - 1);
  expect(told).toEqual(["mdns seen"]);
  await clock.advance(1);
  expect(told).toEqual(["mdns seen", "mdns gone"]);
});

test("a peer that is heard of again within the day has never been gone", async () => {
  const { clock, told, patience, connect } = world();
  connect();
  patience.handle("mdns", silent);
  patience.handle("mdns", seen);
  await clock.advance(2 * DAY_MS);
  expect(told).toEqual(["mdns seen"]);
});

test("a goodbye is believed at once, also of a peer that is missed already", async () => {
  const { clock, told, patience, connect } = world();
  connect();
  patience.handle("mdns", silent);
  patience.handle("mdns", gone);
  patience.handle("kubernetes", gone);
  expect(told).toEqual(["mdns gone", "kubernetes gone"]);
  await clock.advance(2 * DAY_MS);
  expect(told).toHaveLength(2);
});

test("a stranger that was announced and never connected is gone as soon as it is silent", () => {
  const { told, patience } = world();
  patience.handle("mdns", silent);
  expect(told).toEqual(["mdns gone"]);
});

test("what one source misses says nothing of another", () => {
  const { told, patience, connect } = world();
  connect();
  patience.handle("mdns", silent);
  patience.handle("static", gone);
  expect(told).toEqual(["static gone"]);
});

test("a stop ends every wait", async () => {
  const { clock, told, patience, connect, listeners } = world();
  connect();
  patience.handle("mdns", silent);
  patience.close();
  expect(listeners.size).toBe(0);
  await clock.advance(2 * DAY_MS);
  expect(told).toEqual([]);
});
