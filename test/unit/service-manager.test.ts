// What a service manager hears of a node, and when.
import { describe, expect, test } from "bun:test";
import { ServiceManager, type Watched } from "../../src/service-manager.ts";
import { openMemoryStore } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function world(watchdogMs?: number) {
  const clock = new VirtualClock();
  const sent: string[] = [];
  const notifier = {
    watchdogMs,
    send: (lines: readonly string[]) => sent.push(lines.join("\n")),
    monotonicUs: () => 12_345_678n,
  };
  const manager = new ServiceManager(notifier, clock);
  const state = { waitsFor: "the first peer", summary: "0 of 0 peers connected", turns: true };
  const node: Watched = {
    readiness: () =>
      state.waitsFor === "" ? [] : [{ name: "x", ready: false, message: state.waitsFor }],
    summary: () => state.summary,
    turn: () => (state.turns ? Promise.resolve() : new Promise(() => undefined)),
  };
  const count = (line: string) => sent.filter((text) => text === line).length;
  return { clock, sent, manager, state, node, count };
}

describe("readiness", () => {
  test("is told once, when nothing is waited for any more, with the status", async () => {
    const { clock, sent, manager, state, node } = world();
    manager.starting("opening the database");
    manager.watch(node);
    await clock.advance(1_000);
    expect(sent).toEqual([
      "STATUS=Starting: opening the database",
      "STATUS=Not ready: the first peer",
    ]);
    state.waitsFor = "";
    await clock.advance(60_000);
    expect(sent.slice(2)).toEqual(["READY=1\nSTATUS=0 of 0 peers connected"]);
  });

  test("does not wait for checks that are only worth knowing", () => {
    const { sent, manager, node } = world();
    const clock = { name: "clock", ready: true, message: "the clock of b is ahead" };
    manager.watch({ ...node, readiness: () => [clock] });
    expect(sent[0]).toStartWith("READY=1");
  });
});

describe("reading the settings again", () => {
  test("is told at its beginning, with the time, and at its end", async () => {
    const { sent, manager, state, node } = world();
    state.waitsFor = "";
    manager.watch(node);
    await manager.reloading(async () => {
      expect(sent.slice(1)).toEqual(["RELOADING=1\nMONOTONIC_USEC=12345678"]);
    });
    expect(sent.slice(2)).toEqual(["READY=1"]);
    await expect(manager.reloading(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(sent.slice(-1)).toEqual(["READY=1"]);
  });

  test("makes no node ready that is not", async () => {
    const { sent, manager, node } = world();
    manager.watch(node);
    let isTaken = false;
    await manager.reloading(async () => {
      isTaken = true;
    });
    expect(isTaken).toBe(true);
    expect(sent.join("\n")).not.toContain("READY");
    expect(sent.join("\n")).not.toContain("RELOADING");
  });
});

test("the status follows the node, and is silent while nothing changes", async () => {
  const { clock, sent, manager, state, node } = world();
  state.waitsFor = "";
  manager.watch(node);
  await clock.advance(60_000);
  expect(sent).toHaveLength(1);
  state.summary = "1 of 1 peers connected";
  await clock.advance(60_000);
  expect(sent.slice(1)).toEqual(["STATUS=1 of 1 peers connected"]);
});

describe("signs of life", () => {
  test("are given several times in every interval", async () => {
    const { clock, manager, node, count } = world(30_000);
    manager.watch(node);
    await clock.advance(30_000);
    expect(count("WATCHDOG=1")).toBeGreaterThanOrEqual(3);
  });

  test("are not given where nobody waits for them", async () => {
    const { clock, manager, node, count } = world();
    manager.watch(node);
    await clock.advance(60_000);
    expect(count("WATCHDOG=1")).toBe(0);
  });

  test("end when the loop that commits has no more turns", async () => {
    const { clock, manager, node, state, count } = world(30_000);
    manager.watch(node);
    await clock.advance(10_000);
    state.turns = false;
    await clock.advance(10_000);
    const before = count("WATCHDOG=1");
    await clock.advance(120_000);
    expect(count("WATCHDOG=1")).toBe(before);
  });

  test("come from the turns of a real store, also of one that writes nothing", async () => {
    const store = openMemoryStore();
    await store.turn();
    store.close();
    const after = store.turn().then(() => "turned");
    const moment = new Promise((resolve) => setTimeout(() => resolve("no turn"), 20));
    expect(await Promise.race([after, moment])).toBe("no turn");
  });
});

test("a stop is told at once, and nothing after it", async () => {
  const { clock, sent, manager, node } = world(30_000);
  manager.watch(node);
  await clock.advance(1_000);
  manager.stopping();
  expect(sent.at(-1)).toBe("STOPPING=1\nSTATUS=Stopping");
  const { length } = sent;
  await clock.advance(120_000);
  expect(sent).toHaveLength(length);
});
