// Names that several nodes have: each told once, however often it is met.
import { expect, test } from "bun:test";
import { waitFor } from "../../../scripts/support/waiting.ts";
import { type PeerAddress, parseHostPort, parseNodeName } from "../../../src/identity/peer.ts";
import { NameCollisions } from "../../../src/net/name-collisions.ts";
import { LogLines } from "../../support/start-node.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const name = parseNodeName("peat-mesh-0");
const open = () => new AbortController().signal;

function told(listed: string): Map<string, PeerAddress> {
  const place = (address: string): PeerAddress => ({
    identity: { kind: "name", name },
    hosts: [parseHostPort(address)],
  });
  return new Map([
    ["static", place(listed)],
    ["kubernetes", place("10.42.0.1:11204")],
  ]);
}

test("a collision is one line, whichever way and however often it shows", async () => {
  using log = new LogLines();
  const collisions = new NameCollisions(new VirtualClock());
  await collisions.compare(name, told("192.0.2.1:31204"), open());
  await collisions.compare(name, told("192.0.2.2:31204"), open());
  collisions.twins(name, ["10.42.0.1:11204", "192.0.2.1:31204"]);
  expect(log.lines.length).toBe(1);
  expect(log.lines[0]).toContain('peer=peat-mesh-0 addresses=["192.0.2.1:31204"]');
  expect(collisions.all.length).toBe(1);
  for (const address of ["10.42.0.1:11204", "192.0.2.1:31204"]) {
    expect(collisions.all[0]?.message).toContain(address);
  }
});

test("a listed host name that does not resolve is asked for again, until it is not listed any more", async () => {
  const clock = new VirtualClock();
  const collisions = new NameCollisions(clock);
  const control = new AbortController();
  const places = told("no-such-host.invalid:1");
  let isOver = false;
  const comparing = collisions.compare(name, places, control.signal).then(() => {
    isOver = true;
  });
  const [place] = told("192.0.2.1:1").values();
  if (place !== undefined) places.set("static", place);
  // The first look is under way with the name that does not resolve; only real time ends it.
  await waitFor("the second look", 20_000, async () => {
    await clock.advance(30_000);
    return isOver || undefined;
  });
  await comparing;
  expect(collisions.all.length).toBe(1);
  control.abort();
});

test("a comparison ends with the search for the peer", async () => {
  const collisions = new NameCollisions(new VirtualClock());
  const control = new AbortController();
  const comparing = collisions.compare(name, told("no-such-host.invalid:1"), control.signal);
  control.abort();
  await comparing;
  expect(collisions.all).toEqual([]);
});

test("no more than a hundred are kept, or told", () => {
  using log = new LogLines();
  const collisions = new NameCollisions(new VirtualClock());
  for (let i = 0; i < 150; i += 1) {
    collisions.twins(parseNodeName(`twin-${i}`), ["a", "b"]);
  }
  expect(collisions.all.length).toBe(100);
  expect(log.lines.length).toBe(100);
});
