// When memory is given back: after quiet seconds, some times over, and in the midst of many connections.
import { expect, test } from "bun:test";
import { releaseMemoryWhenIdle } from "../../src/idle-memory.ts";
import { openMemoryStore, put } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

function world() {
  const clock = new VirtualClock();
  const store = openMemoryStore();
  const counts = { connections: 0, collections: 0 };
  const end = releaseMemoryWhenIdle({
    store,
    clock,
    connections: () => counts.connections,
    collect: () => {
      counts.collections += 1;
    },
  });
  const close = () => {
    end();
    store.close();
  };
  return { clock, store, counts, end, [Symbol.dispose]: close };
}

test("a quiet time after the start, after writes, after connections: three times each, and then no more", async () => {
  using it = world();
  for (const work of [
    async () => undefined,
    () => put(it.store, "tracks:1", { n: 1 }),
    async () => {
      it.counts.connections += 1;
    },
  ]) {
    it.counts.collections = 0;
    await work();
    await it.clock.advance(4_900);
    expect(it.counts.collections).toBe(0);
    await it.clock.advance(60_000);
    expect(it.counts.collections).toBe(3);
  }
});

test("while work goes on nothing is collected", async () => {
  using it = world();
  for (let second = 0; second < 30; second += 1) {
    await put(it.store, "tracks:1", { second });
    it.counts.connections += 10;
    await it.clock.advance(1_000);
  }
  expect(it.counts.collections).toBe(0);
});

test("but every 500 connections are worth it: a flood of them must not pile up", async () => {
  using it = world();
  for (let second = 0; second < 20; second += 1) {
    it.counts.connections += 100;
    await it.clock.advance(1_000);
  }
  expect(it.counts.collections).toBe(4);
});

test("after its end it looks no more", async () => {
  using it = world();
  it.end();
  await it.clock.advance(60_000);
  expect(it.counts.collections).toBe(0);
});
