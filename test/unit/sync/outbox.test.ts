// What one peer is sent, and in which order: urgent first, the oldest never forgotten, each document once,
// large ones in parts that hold nobody up, all of it bounded.
import { describe, expect, test } from "bun:test";
import type { Committed } from "../../../src/store/store.ts";
import { ROOT } from "../../../src/store/sums.ts";
import { key, remove } from "../../support/memory-store.ts";
import {
  commit,
  drain,
  filler,
  HALF_FRAME,
  keysOf,
  outboxWorld,
} from "../../support/outbox-world.ts";

const KIB = 1024;

describe("of the changes that wait", () => {
  test("the most urgent collection goes first, then the oldest", async () => {
    using it = outboxWorld();
    for (const name of ["audit_logs:1", "tracks:1", "alerts:1", "tracks:2", "commands:1"]) {
      it.outbox.push(await commit(it, name, { name }));
    }
    expect(keysOf(drain(it.outbox))).toEqual([
      "alerts:1",
      "commands:1",
      "tracks:1",
      "tracks:2",
      "audit_logs:1",
    ]);
  });

  test("the oldest has every fourth frame, however much that is urgent comes", async () => {
    using it = outboxWorld();
    const old = await commit(it, "audit_logs:old", { text: filler(HALF_FRAME) });
    it.outbox.push(old);
    let frames = 0;
    for (let sent = false; !sent; frames += 1) {
      for (const name of ["alerts:1", "alerts:2"]) {
        it.outbox.push(await commit(it, name, { frames, text: filler(HALF_FRAME) }));
      }
      const item = it.outbox.take();
      sent = item !== undefined && keysOf([item]).includes("audit_logs:old");
      expect(frames).toBeLessThan(8);
    }
    expect(frames).toBeGreaterThan(1);
    expect(frames).toBeLessThanOrEqual(4);
  });

  test("a document that changed often is sent once, as it is when its turn comes", async () => {
    using it = outboxWorld();
    for (let n = 0; n < 100; n += 1) it.outbox.push(await commit(it, "tracks:1", { n }));
    expect(it.outbox.depth).toBe(1);
    const items = drain(it.outbox);
    expect(keysOf(items)).toEqual(["tracks:1"]);
    const [item] = items;
    const entry = item?.kind === "states" ? item.entries[0] : undefined;
    expect(entry?.hash).toBe(it.store.hashOf(key("tracks:1")) ?? "");
    expect(entry?.bytes).toEqual(it.store.stateFor(key("tracks:1"))?.bytes ?? new Uint8Array());
  });

  test("a single change of a history travels as what changed, not as the whole", async () => {
    using it = outboxWorld();
    const text = filler(10_000);
    await commit(it, "notes:1", { text, n: 0 });
    it.outbox.push(await commit(it, "notes:1", { text, n: 1 }));
    const [item] = drain(it.outbox);
    const bytes = item?.kind === "states" ? item.entries[0]?.bytes.length : undefined;
    expect(bytes).toBeLessThan(500);
  });

  test("a delete is sent like any other change", async () => {
    using it = outboxWorld();
    await commit(it, "tracks:1", { n: 1 });
    await remove(it.store, "tracks:1");
    const deleted = it.commits.at(-1);
    if (deleted !== undefined) it.outbox.push(deleted);
    expect(keysOf(drain(it.outbox))).toEqual(["tracks:1"]);
  });

  test("frames are cut near the target size", async () => {
    using it = outboxWorld();
    for (let n = 0; n < 40; n += 1) {
      it.outbox.push(await commit(it, `tracks:${n}`, { text: filler(10 * KIB) }));
    }
    const items = drain(it.outbox);
    expect(items.length).toBe(8);
    expect(keysOf(items).length).toBe(40);
  });
});

describe("a change that is held back", () => {
  test("is due after a second, and not before", async () => {
    using it = outboxWorld();
    const change = await commit(it, "tracks:1", { n: 1 });
    it.outbox.hold(change);
    await it.clock.advance(999);
    expect(it.outbox.takeDue()).toEqual([]);
    await it.clock.advance(1);
    expect(it.outbox.takeDue()).toEqual([{ key: change.key, hash: change.hash, by: undefined }]);
    expect(it.outbox.hasHeld).toBe(false);
  });

  test("is dropped when the peer turns out to have it, and only then", async () => {
    using it = outboxWorld();
    const change = await commit(it, "tracks:1", { n: 1 });
    it.outbox.hold(change);
    it.outbox.has(change.key, "another state");
    expect(it.outbox.hasHeld).toBe(true);
    it.outbox.has(change.key, change.hash);
    expect(it.outbox.hasHeld).toBe(false);
  });

  test("follows a newer one that has to be sent at once", async () => {
    using it = outboxWorld();
    it.outbox.hold(await commit(it, "tracks:1", { n: 1 }));
    it.outbox.push(await commit(it, "tracks:1", { n: 2 }));
    expect(it.outbox.hasHeld).toBe(false);
    expect(keysOf(drain(it.outbox))).toEqual(["tracks:1"]);
  });

  test("joins an earlier one that waits to be sent", async () => {
    using it = outboxWorld();
    it.outbox.push(await commit(it, "tracks:1", { n: 1 }));
    const newer = await commit(it, "tracks:1", { n: 2 });
    it.outbox.hold(newer);
    expect(it.outbox.hasHeld).toBe(false);
    const [item] = drain(it.outbox);
    expect(item?.kind === "states" ? item.entries[0]?.hash : undefined).toBe(newer.hash);
  });
});

test("a change that the peer has by then is not sent", async () => {
  using it = outboxWorld();
  const change = await commit(it, "tracks:1", { n: 1 });
  it.outbox.push(change);
  it.outbox.has(change.key, change.hash);
  expect(it.outbox.isEmpty).toBe(true);
  expect(it.outbox.take()).toBeUndefined();
});

describe("a catch-up", () => {
  test("sends every document below a prefix, and says until the last frame that more follows", async () => {
    using it = outboxWorld();
    for (let n = 0; n < 50; n += 1) await commit(it, `tracks:${n}`, { text: filler(4 * KIB) });
    it.outbox.pushBulkBelow(ROOT);
    const items = drain(it.outbox);
    expect(new Set(keysOf(items)).size).toBe(50);
    const more = items.map((item) => item.kind === "states" && item.more);
    expect(more.slice(0, -1).every(Boolean)).toBe(true);
    expect(it.outbox.isEmpty).toBe(true);
  });

  test("waits behind new changes", async () => {
    using it = outboxWorld();
    for (let n = 0; n < 50; n += 1) await commit(it, `tracks:${n}`, { text: filler(4 * KIB) });
    it.outbox.pushBulkBelow(ROOT);
    it.outbox.take();
    it.outbox.push(await commit(it, "tracks:new", { n: 1 }));
    const item = it.outbox.take();
    expect(item?.kind === "states" ? item.entries[0]?.key : undefined).toBe(key("tracks:new"));
  });
});

describe("it is bounded", () => {
  const fake = (n: number): Committed => ({
    key: key(`tracks:${n}`),
    hash: "0".repeat(32),
    delta: new Uint8Array(8),
    isWhole: false,
    origin: undefined,
  });

  test("waiting documents beyond 50,000 are left to the sums", () => {
    using it = outboxWorld();
    for (let n = 0; n < 50_000; n += 1) it.outbox.push(fake(n));
    expect(it.outbox.takeForgetful()).toBe(false);
    it.outbox.push(fake(50_000));
    expect(it.outbox.depth).toBe(50_000);
    expect(it.outbox.takeForgetful()).toBe(true);
    expect(it.outbox.takeForgetful()).toBe(false);
    // One that waits already may still change.
    it.outbox.push(fake(7));
    expect(it.outbox.takeForgetful()).toBe(false);
  });

  test("held changes beyond 50,000 are left to the sums", () => {
    using it = outboxWorld();
    for (let n = 0; n <= 50_000; n += 1) it.outbox.hold(fake(n));
    expect(it.outbox.takeForgetful()).toBe(true);
  });

  test("bytes of changes beyond 4 MiB are read again when their turn comes", async () => {
    using it = outboxWorld();
    const text = filler(40 * KIB);
    const names = Array.from({ length: 150 }, (_, n) => `tracks:${n}`);
    for (const name of names) it.outbox.push(await commit(it, name, { text, n: 1 }));
    // What was not kept shows its newest state without having been pushed again.
    for (const name of names) await commit(it, name, { text, n: 2 });
    const old = drain(it.outbox)
      .flatMap((item) => (item.kind === "states" ? item.entries : []))
      .filter((entry) => entry.hash !== it.store.hashOf(key(entry.key)));
    const keptBytes = old.reduce((sum, entry) => sum + entry.bytes.length, 0);
    expect(keptBytes).toBeLessThanOrEqual(4 * 1024 * KIB);
    expect(old.length).toBeGreaterThan(50);
    expect(old.length).toBeLessThan(150);
  });
});
