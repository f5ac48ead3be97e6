// When a peer that owes acknowledgements is asked, and when it is given up.
import { expect, test } from "bun:test";
import { Liveness } from "../../../src/sync/liveness.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function world() {
  const clock = new VirtualClock();
  const steps: string[] = [];
  const liveness = new Liveness(clock, {
    ask: () => steps.push("ask"),
    giveUp: () => steps.push("give up"),
  });
  return { clock, liveness, steps };
}

test("a peer that owes an acknowledgement and says nothing is asked once, and given up after a minute", async () => {
  const { clock, liveness, steps } = world();
  for (let seconds = 1; seconds < 60; seconds += 1) {
    await clock.advance(1_000);
    liveness.check(true);
    expect(steps).toEqual(seconds < 30 ? [] : ["ask"]);
  }
  await clock.advance(1_000);
  liveness.check(true);
  expect(steps).toEqual(["ask", "give up"]);
});

test("whatever it says is a sign of life", async () => {
  const { clock, liveness, steps } = world();
  for (let time = 0; time < 10; time += 1) {
    await clock.advance(45_000);
    liveness.check(true);
    liveness.heard();
    liveness.check(true);
  }
  expect(steps).toEqual(Array.from({ length: 10 }, () => "ask"));
});

test("a peer that owes nothing may be silent for ever", async () => {
  const { clock, liveness, steps } = world();
  await clock.advance(3_600_000);
  liveness.check(false);
  await clock.advance(29_000);
  liveness.check(true);
  expect(steps).toEqual([]);
});
