// What a node does of itself while nothing happens: little, and all of it at the same moments. Each time that a process
// at rest is woken costs more than what it does then.
import { expect, test } from "bun:test";
import type { Clock } from "../../src/base/clock.ts";
import { untilBeat } from "../../src/base/clock.ts";
import { releaseMemoryWhenIdle } from "../../src/idle-memory.ts";
import { LoopDelay } from "../../src/metrics/loop-delay.ts";
import { watchLocalAddresses } from "../../src/net/local-addresses.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

test("a beat is the multiple next to when it was to be, however late the last one came", () => {
  const at = (now: number): Clock => ({ ...new VirtualClock(), monotonic: () => now }) as Clock;
  expect(untilBeat(at(0), 1_000)).toBe(1_000);
  expect(untilBeat(at(2_000.4), 1_000)).toBeCloseTo(999.6);
  expect(untilBeat(at(1_999.6), 1_000)).toBeCloseTo(1_000.4);
  expect(untilBeat(at(2_400), 5_000)).toBe(2_600);
  expect(untilBeat(at(2_600), 5_000)).toBe(7_400);
});

test("whoever looks at something every now and then does so with all others", async () => {
  const clock = new VirtualClock();
  const woken = new Set<number>();
  const counted: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    soon: (run) => clock.soon(run),
    after: (delayMs, run) =>
      clock.after(delayMs, () => {
        woken.add(clock.monotonic());
        run();
      }),
  };
  const store = openMemoryStore({ clock: counted });
  const end = new AbortController();
  const { signal } = end;
  const running: Promise<unknown>[] = [store.damage.scrub(signal)];
  // Begun one after the other, at odd moments.
  await clock.advance(170);
  running.push(new LoopDelay(counted).run(signal));
  await clock.advance(230);
  running.push(watchLocalAddresses({ clock: counted, list: () => ({}), changed() {} }, signal));
  await clock.advance(330);
  const connections = () => 0;
  const endLooks = releaseMemoryWhenIdle({ store, clock: counted, connections, collect() {} });
  await clock.advance(60_000);
  woken.clear();
  await clock.advance(60_000);
  // Every two seconds.
  expect(woken.size).toBeLessThanOrEqual(30);
  end.abort();
  endLooks();
  await Promise.all(running);
  store.close();
});
