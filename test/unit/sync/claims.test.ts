// Which peer a document is being settled with: one at a time, and never for long.
import { expect, test } from "bun:test";
import { Claims } from "../../../src/sync/claims.ts";
import { key } from "../../support/memory-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const NAME = key("tracks:1");

function world() {
  const clock = new VirtualClock();
  return { clock, claims: new Claims(clock), one: { name: "one" }, other: { name: "other" } };
}

test("one peer may settle a document, again and again, and no other meanwhile", () => {
  const { claims, one, other } = world();
  expect(claims.claim(one, NAME, 10)).toBe(true);
  expect(claims.claim(other, NAME, 10)).toBe(false);
  expect(claims.claim(one, NAME, 10)).toBe(true);
  expect(claims.claim(other, key("tracks:2"), 10)).toBe(true);
});

test.each([
  [undefined, 1_500],
  [10, 1_500],
  [600, 2_400],
])("with round trips of %p ms a claim runs out after %d ms", async (rttMs, lastsMs) => {
  const { clock, claims, one, other } = world();
  claims.claim(one, NAME, rttMs);
  await clock.advance(lastsMs - 1);
  expect(claims.claim(other, NAME, rttMs)).toBe(false);
  await clock.advance(1);
  expect(claims.claim(other, NAME, rttMs)).toBe(true);
});

test("what has arrived, or whose peer is gone, is free again", () => {
  const { claims, one, other } = world();
  claims.claim(one, NAME, 10);
  claims.settled(other, NAME);
  expect(claims.claim(other, NAME, 10)).toBe(false);
  claims.settled(one, NAME);
  expect(claims.claim(other, NAME, 10)).toBe(true);
  claims.drop(other);
  expect(claims.claim(one, NAME, 10)).toBe(true);
});

test("beyond 50,000 documents whoever names one may settle it", () => {
  const { claims, one, other } = world();
  for (let n = 0; n < 50_001; n += 1) claims.claim(one, key(`tracks:${n}`), 10);
  expect(claims.claim(other, key("tracks:49999"), 10)).toBe(false);
  expect(claims.claim(other, key("tracks:50000"), 10)).toBe(true);
});
