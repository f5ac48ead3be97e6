import { expect, test } from "bun:test";
import { Pace } from "../../../src/rpc/pace.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

test("so many go on at once, the others in later turns, first come, first served", async () => {
  const soon: (() => void)[] = [];
  const clock = Object.assign(new VirtualClock(), { soon: (run: () => void) => soon.push(run) });
  const pace = new Pace(clock);
  const told: number[] = [];
  const sizes: number[] = [];
  const writers = Array.from({ length: 200 }, async (_, n) => {
    const turn = pace.next();
    if (turn !== undefined) await turn;
    told.push(n);
  });
  sizes.push(told.length);
  while (soon.length > 0) {
    soon.shift()?.();
    await Promise.resolve();
    sizes.push(told.length);
  }
  await Promise.all(writers);
  expect(sizes).toEqual([64, 128, 192, 200]);
  expect(told).toEqual(Array.from({ length: 200 }, (_, n) => n));
  expect(pace.next()).toBeUndefined();
});
