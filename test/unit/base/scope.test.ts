import { describe, expect, test } from "bun:test";
import { sleep, within } from "../../../src/base/clock.ts";
import { Scope } from "../../../src/base/scope.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

describe("a scope", () => {
  test("closes in reverse order, and one failure or delay skips nothing", async () => {
    const clock = new VirtualClock();
    const scope = new Scope(clock);
    const closed: string[] = [];
    scope.defer("first", () => void closed.push("first"));
    scope.defer("late", () => new Promise(() => closed.push("late")), 300);
    scope.defer("failing", () => {
      closed.push("failing");
      throw new Error("no");
    });
    scope.defer("last", async () => {
      await sleep(clock, 100);
      closed.push("last");
    });
    const done = scope.close().then(() => closed.push("done"));
    await clock.advance(99);
    expect(closed).toEqual([]);
    await clock.advance(2);
    expect(closed).toEqual(["last", "failing", "late"]);
    await clock.advance(300);
    await done;
    expect(closed).toEqual(["last", "failing", "late", "first", "done"]);
  });

  test("closes once, however often it is told to", async () => {
    const scope = new Scope(new VirtualClock());
    let count = 0;
    scope.defer("counted", () => {
      count += 1;
    });
    expect(scope.close()).toBe(scope.close());
    await scope.close();
    expect(count).toBe(1);
  });

  test("tells loops to end, and waits for them", async () => {
    const scope = new Scope(new VirtualClock());
    const events: string[] = [];
    scope.run("loop", async (signal) => {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      events.push("loop ended");
    });
    await scope.close();
    events.push("closed");
    expect(events).toEqual(["loop ended", "closed"]);
  });

  test("tells of a loop that failed, but not of one that failed because it had to end", async () => {
    const scope = new Scope(new VirtualClock());
    scope.run("broken", () => Promise.reject(new Error("broken loop")));
    expect(await scope.failed.catch((error: Error) => error.message)).toBe("broken loop");
    const other = new Scope(new VirtualClock());
    other.run("aborted", async (signal) => {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      throw new Error("aborted");
    });
    await other.close();
    expect(await Promise.race([other.failed.catch(() => "failed"), "silent"])).toBe("silent");
  });
});

describe("time", () => {
  test("sleep ends at its time, or when it is aborted", async () => {
    const clock = new VirtualClock();
    const woken: string[] = [];
    const abort = new AbortController();
    void sleep(clock, 100).then(() => woken.push("slept"));
    void sleep(clock, 1_000, abort.signal).then(() => woken.push("aborted"));
    await clock.advance(99);
    expect(woken).toEqual([]);
    await clock.advance(1);
    expect(woken).toEqual(["slept"]);
    abort.abort();
    await clock.advance(0);
    expect(woken).toEqual(["slept", "aborted"]);
    await sleep(clock, 1_000, abort.signal);
  });

  test("within gives the work's result, or the fallback when time is up; a failure passes through", async () => {
    const clock = new VirtualClock();
    const slow = within(
      clock,
      50,
      sleep(clock, 100).then(() => "work"),
      "late",
    );
    const quick = within(
      clock,
      150,
      sleep(clock, 100).then(() => "work"),
      "late",
    );
    const failing = within(clock, 50, Promise.reject(new Error("no")), "late").catch(String);
    await clock.advance(200);
    expect(await Promise.all([slow, quick, failing])).toEqual(["late", "work", "Error: no"]);
  });
});

describe("virtual time", () => {
  test("runs timers by their time, and by their order where that is equal", async () => {
    const clock = new VirtualClock();
    const ran: string[] = [];
    clock.after(20, () => ran.push(`c ${clock.monotonic()}`));
    clock.after(10, () => {
      ran.push(`a ${clock.monotonic()}`);
      clock.soon(() => ran.push(`soon ${clock.monotonic()}`));
      clock.after(5, () => ran.push(`inner ${clock.monotonic()}`));
    });
    clock.after(10, () => ran.push(`b ${clock.monotonic()}`));
    clock.after(10, () => ran.push("cancelled"))();
    const cancel = clock.after(15, () => ran.push("cancelled too"));
    void sleep(clock, 12).then(cancel);
    await clock.advance(30);
    expect(ran).toEqual(["a 10", "b 10", "soon 10", "inner 15", "c 20"]);
    expect(clock.monotonic()).toBe(30);
  });

  test("passes even for a wait that is too small to be added to it", async () => {
    const clock = new VirtualClock();
    await clock.advance(19.08);
    let moved = 0;
    const before = clock.monotonic();
    clock.after(1.7763568394002505e-15, () => {
      moved = clock.monotonic() - before;
    });
    await clock.advance(1);
    expect(moved).toBeGreaterThan(0);
  });

  test("skewed clocks share their timers, not their wall clock", async () => {
    const clock = new VirtualClock();
    const late = clock.skewed(() => -5_000);
    let ranAt = 0;
    late.after(10, () => {
      ranAt = clock.monotonic();
    });
    await clock.advance(10);
    expect(ranAt).toBe(10);
    expect(late.now()).toBe(clock.now() - 5_000);
  });
});
