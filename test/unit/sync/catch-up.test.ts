// Who is caught up with, and for how long.
import { expect, test } from "bun:test";
import { CatchUp } from "../../../src/sync/catch-up.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

test("a catch-up runs while its peer goes on sending, and ends by its silence", async () => {
  const clock = new VirtualClock();
  const catchUp = new CatchUp(clock);
  const peer = {};
  expect(catchUp.isRunning).toBe(false);
  expect(catchUp.mayCompare(peer, 0, 10_000)).toBe(true);
  for (let second = 0; second < 60; second += 6) {
    await clock.advance(6_000);
    expect(catchUp.isRunning).toBe(true);
    catchUp.progress(peer);
  }
  await clock.advance(10_000);
  expect(catchUp.isRunning).toBe(false);
});

test("a catch-up is over when its peer has no more, and none begins with one that has little more", () => {
  const catchUp = new CatchUp(new VirtualClock());
  const peer = {};
  catchUp.mayCompare(peer, 0, undefined);
  expect(catchUp.isRunning).toBe(true);
  catchUp.done(peer);
  expect(catchUp.isRunning).toBe(false);
  catchUp.mayCompare(peer, 9_900, 10_000);
  expect(catchUp.isRunning).toBe(false);
});

test("a peer that always says that more follows keeps nobody else waiting for ever", async () => {
  const clock = new VirtualClock();
  const catchUp = new CatchUp(clock);
  const [endless, other] = [{}, {}];
  catchUp.mayCompare(endless, 0, 10_000);
  for (let second = 0; second < 1_200; second += 6) {
    await clock.advance(6_000);
    catchUp.progress(endless);
  }
  expect(catchUp.isRunning).toBe(false);
  expect(catchUp.mayCompare(other, 0, 10_000)).toBe(true);
});
