// Which changes go over one slow link only, and which over all.
import { expect, test } from "bun:test";
import type { DocumentKey } from "../../../src/store/document-key.ts";
import { CARRIED_MS, type RelayPeer, Relays } from "../../../src/sync/relays.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const KEY = "tracks:1" as DocumentKey;
const HASH = "ab".repeat(16);

interface Road {
  isSlow: boolean;
  isLaden: boolean;
  isMoving: boolean;
  neighbours: ReadonlySet<string>;
}

/** Three peers behind slow, full links, all connected to each other. */
function world() {
  const clock = new VirtualClock();
  const relays = new Relays(clock);
  const peer = (name: string): RelayPeer & Road => {
    const neighbours = new Set(["a", "b", "c"].filter((other) => other !== name));
    const nothing = {
      hasAllSentBy: () => true,
      release: () => undefined,
      otherEnded: () => undefined,
    };
    return { name, neighbours, isSlow: true, isLaden: true, isMoving: false, ...nothing };
  };
  const [a, b, c] = [peer("a"), peer("b"), peer("c")];
  for (const one of [a, b, c]) relays.add(one);
  const kindFor = (one: RelayPeer, key = KEY, hash = HASH) => relays.carriage(one, key, hash).kind;
  return { clock, relays, a, b, c, kindFor };
}

test("the first of several slow links carries a change, and the others hold it back", () => {
  const { relays, a, b, c, kindFor } = world();
  expect(kindFor(a)).toBe("entrusted");
  expect(relays.carriage(b, KEY, HASH)).toEqual({ kind: "held", by: a });
  expect(kindFor(c)).toBe("held");
  // Sent again over its own link it is still the same change.
  expect(kindFor(a)).toBe("entrusted");
});

test("a newer state of the document is another change", () => {
  const { a, b, kindFor } = world();
  kindFor(a);
  expect(kindFor(b, KEY, "cd".repeat(16))).toBe("entrusted");
});

test("a quick link carries everything", () => {
  const { a, b, kindFor } = world();
  kindFor(a);
  b.isSlow = false;
  expect(kindFor(b)).toBe("alone");
});

test("so does a slow one on which nothing waits", () => {
  const { a, b, kindFor } = world();
  kindFor(a);
  b.isLaden = false;
  expect(kindFor(b)).not.toBe("held");
});

test("alerts take every path", () => {
  const { a, b, kindFor } = world();
  const alert = "alerts:1" as DocumentKey;
  expect([kindFor(a, alert), kindFor(b, alert)]).toEqual(["alone", "alone"]);
});

test("who is not connected to the one that has it gets it from us", () => {
  const { a, b, kindFor } = world();
  a.neighbours = new Set(["c"]);
  kindFor(a);
  expect(kindFor(b)).not.toBe("held");
});

test("a peer that nobody waits behind is entrusted with nothing", () => {
  const { a, b, c, kindFor } = world();
  b.isSlow = false;
  c.isSlow = false;
  expect(kindFor(a)).toBe("alone");
});

test("the end of the link that carries it, and time, end the holding back", async () => {
  const { clock, relays, a, b, c, kindFor } = world();
  kindFor(a);
  relays.end(a);
  expect(kindFor(b)).toBe("entrusted");
  expect(kindFor(c)).toBe("held");
  await clock.advance(CARRIED_MS + 1);
  expect(kindFor(c)).toBe("entrusted");
});

test("while one slow link moves, another is not compared by", () => {
  const { relays, a, b, c } = world();
  expect(relays.isMovingElsewhere(a)).toBe(false);
  b.isMoving = true;
  expect(relays.isMovingElsewhere(a)).toBe(true);
  expect(relays.isMovingElsewhere(b)).toBe(false);
  c.isSlow = false;
  expect(relays.isMovingElsewhere(c)).toBe(false);
});

test("what is entrusted is passed on at once, as long as its sender is its author", () => {
  const { relays } = world();
  const release = relays.entrust("a", [KEY]);
  expect(relays.isEntrusted(KEY, "a")).toBe(true);
  expect(relays.isEntrusted(KEY, "b")).toBe(false);
  expect(relays.isEntrusted(KEY, undefined)).toBe(false);
  release();
  expect(relays.isEntrusted(KEY, "a")).toBe(false);
});
