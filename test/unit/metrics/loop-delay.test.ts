// What is told of the event loop: nothing of one that is in time, and all of what held it up.
import { expect, test } from "bun:test";
import { LoopDelay } from "../../../src/metrics/loop-delay.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** A clock that can be held up, and what a loop by it has counted. */
function world() {
  const clock = new VirtualClock();
  const held = { ms: 0 };
  const late = { ...clock.skewed(() => 0), monotonic: () => clock.monotonic() + held.ms };
  const loop = new LoopDelay(late);
  const end = new AbortController();
  const done = loop.run(end.signal);
  const looks = () => loop.delays.cumulated().at(-1) ?? 0;
  return { clock, held, loop, end, done, looks };
}

test("a timer that is late is counted with its lateness", async () => {
  const { clock, held, loop, end, done, looks } = world();
  await clock.advance(200);
  expect(looks()).toBe(1);
  expect(loop.delays.sum).toBe(0);
  held.ms = 3_000;
  await clock.advance(400);
  expect(looks()).toBe(2);
  expect(loop.delays.sum).toBe(3);
  end.abort();
  await done;
  expect(looks()).toBe(2);
});

test("where nothing is late it looks every two seconds, and from the first delay on five times as often and more", async () => {
  const { clock, held, end, done, looks } = world();
  await clock.advance(10_000);
  const before = looks();
  await clock.advance(20_000);
  expect(looks() - before).toBe(10);
  for (let n = 0; n < 40; n += 1) {
    held.ms += 50;
    await clock.advance(200);
  }
  expect(looks() - before).toBeGreaterThan(35);
  end.abort();
  await done;
});
