// What one peer is sent of documents that fit no frame, or that change faster than they are sent: each state once, and
// of a history what changed.
import { describe, expect, test } from "bun:test";
import { joinDeltas } from "../../../src/store/state.ts";
import { ROOT } from "../../../src/store/sums.ts";
import { Assemblies } from "../../../src/sync/assembly.ts";
import type { OutboxItem } from "../../../src/sync/outbox.ts";
import { STATES_BYTES_TARGET } from "../../../src/wire/native.ts";
import { key, openMemoryStore, read, remove } from "../../support/memory-store.ts";
import {
  commit,
  drain,
  filler,
  HALF_FRAME,
  keysOf,
  outboxWorld,
  received,
  sizeOf,
} from "../../support/outbox-world.ts";

/** On a machine that has much else to do. */
const SLOW_MS = 60_000;

const KIB = 1024;

/** Keys of what is sent in parts, once for each time that it is. */
const begunIn = (items: readonly OutboxItem[]) =>
  items.flatMap((item) => (item.kind === "chunk" && item.part.offset === 0 ? [item.part.key] : []));

describe("a large state", () => {
  test("goes in parts that are together the whole", async () => {
    using it = outboxWorld();
    await commit(it, "tracks:large", { text: filler(300 * KIB) });
    it.outbox.pushState(key("tracks:large"));
    const assemblies = new Assemblies();
    let whole: { bytes: Uint8Array } | undefined;
    const items = drain(it.outbox);
    expect(items.length).toBe(7);
    for (const item of items) {
      if (item.kind === "chunk") {
        expect(item.part.bytes.length).toBeLessThanOrEqual(STATES_BYTES_TARGET);
        whole = assemblies.add(item.part);
      }
    }
    expect(whole?.bytes).toEqual(it.store.stateFor(key("tracks:large"))?.bytes ?? new Uint8Array());
    expect(it.outbox.isEmpty).toBe(true);
  });

  test("never holds up a small change for more than one frame", async () => {
    using it = outboxWorld();
    await commit(it, "tracks:large", { text: filler(800 * KIB) });
    it.outbox.pushState(key("tracks:large"));
    it.outbox.take();
    for (let n = 0; n < 5; n += 1) {
      it.outbox.push(await commit(it, `tracks:${n}`, { n }));
      const next = [it.outbox.take(), it.outbox.take()].filter((item) => item !== undefined);
      expect(keysOf(next)).toEqual([`tracks:${n}`]);
    }
    expect(it.outbox.isEmpty).toBe(false);
  });

  test("shares the link with a catch-up of small documents", async () => {
    using it = outboxWorld();
    await commit(it, "tracks:large", { text: filler(900 * KIB) });
    for (let n = 0; n < 20; n += 1) await commit(it, `tracks:${n}`, { text: filler(HALF_FRAME) });
    it.outbox.pushBulkBelow(ROOT);
    it.outbox.pushState(key("tracks:large"));
    const kinds = drain(it.outbox).map(({ kind }) => kind);
    const early = kinds.slice(0, 16).filter((kind) => kind === "states").length;
    expect(early).toBeGreaterThanOrEqual(7);
    expect(early).toBeLessThanOrEqual(9);
  });

  test("that changes while it is on its way is sent whole first, and then anew", async () => {
    using it = outboxWorld();
    await commit(it, "tracks:large", { n: 0, text: filler(300 * KIB) });
    it.outbox.pushState(key("tracks:large"));
    const items: OutboxItem[] = [];
    const takeOne = () => {
      const item = it.outbox.take();
      if (item !== undefined) items.push(item);
    };
    takeOne();
    it.outbox.push(await commit(it, "tracks:large", { n: 1, text: filler(300 * KIB) }));
    takeOne();
    it.outbox.push(await commit(it, "tracks:large", { n: 2, text: filler(300 * KIB) }));
    items.push(...drain(it.outbox));
    const assemblies = new Assemblies();
    const hashes: string[] = [];
    // The receiver refuses parts that don't follow each other: that would cost the link.
    for (const item of items) {
      const whole = item.kind === "chunk" ? assemblies.add(item.part) : undefined;
      if (whole !== undefined) hashes.push(whole.hash);
    }
    expect(hashes.length).toBe(2);
    expect(hashes.at(-1)).toBe(it.store.hashOf(key("tracks:large")) ?? "");
  });

  test("one after the other goes when many wait, two at a time", async () => {
    using it = outboxWorld();
    for (let n = 0; n < 12; n += 1) {
      await commit(it, `tracks:large-${n}`, { n, text: filler(120 * KIB) });
      it.outbox.pushState(key(`tracks:large-${n}`));
    }
    const assemblies = new Assemblies();
    const done: string[] = [];
    for (const item of drain(it.outbox)) {
      const whole = item.kind === "chunk" ? assemblies.add(item.part) : undefined;
      if (whole !== undefined) done.push(whole.key);
    }
    expect(new Set(done).size).toBe(12);
  });

  test("is sent once, whoever finds meanwhile that the peer lacks it", async () => {
    using it = outboxWorld();
    const large = key("tracks:large");
    await commit(it, large, { text: filler(300 * KIB) });
    it.outbox.pushBulkBelow(ROOT);
    const items = [it.outbox.take(), it.outbox.take()].filter((item) => item !== undefined);
    it.outbox.pushBulkBelow(ROOT);
    items.push(...drain(it.outbox));
    // All of it is sent, and nothing acknowledged.
    it.outbox.pushState(large);
    items.push(...drain(it.outbox));
    expect(begunIn(items)).toEqual([large]);
    // It has arrived; who asks now has lost it.
    it.outbox.arrived([large]);
    it.outbox.pushState(large);
    expect(begunIn(drain(it.outbox))).toEqual([large]);
  });

  test("is sent anew on another link, as a whole and once", async () => {
    using it = outboxWorld();
    const large = key("tracks:large");
    await commit(it, large, { text: filler(300 * KIB) });
    it.outbox.pushState(large);
    it.outbox.take();
    it.outbox.resume([]);
    it.outbox.pushState(large);
    const items = drain(it.outbox);
    expect(begunIn(items)).toEqual([large]);
    expect(items.length).toBe(7);
  });

  test("that changes on its way is followed by what changed, not by another whole", async () => {
    using it = outboxWorld();
    const large = key("notes:large");
    const text = filler(300 * KIB);
    await commit(it, large, { text, n: 0 });
    it.outbox.pushState(large);
    const items = [it.outbox.take(), it.outbox.take()].filter((item) => item !== undefined);
    for (let n = 1; n <= 20; n += 1) {
      it.outbox.push(await commit(it, large, { text, n }));
      const next = it.outbox.take();
      if (next !== undefined) items.push(next);
    }
    items.push(...drain(it.outbox));
    expect(await received(items)).toBe(read(it.store, large));
    expect(sizeOf(items)).toBeLessThan(310 * KIB);
  });

  test("is sent once though it changes, whoever finds meanwhile that the peer lacks it", async () => {
    using it = outboxWorld();
    const large = key("notes:large");
    const text = filler(300 * KIB);
    await commit(it, large, { text, n: 0 });
    it.outbox.pushBulkBelow(ROOT);
    const items = [it.outbox.take(), it.outbox.take()].filter((item) => item !== undefined);
    it.outbox.push(await commit(it, large, { text, n: 1 }));
    // While the change waits, and once it is behind the whole.
    it.outbox.pushState(large);
    for (let n = 0; n < 2; n += 1)
      items.push(...[it.outbox.take()].filter((one) => one !== undefined));
    it.outbox.pushBulkBelow(ROOT);
    it.outbox.pushState(large);
    items.push(...drain(it.outbox));
    expect(await received(items)).toBe(read(it.store, large));
    expect(sizeOf(items)).toBeLessThan(310 * KIB);
  });

  test("and what a peer asks for that has some of it are two things", async () => {
    using it = outboxWorld();
    const large = key("notes:large");
    const text = filler(300 * KIB);
    await commit(it, large, { text, n: 0 });
    const heads = it.store.headsOf(large) ?? [];
    it.outbox.pushState(large);
    const items = drain(it.outbox);
    // The first of two changes was left to somebody else, who never told it.
    await commit(it, large, { text, n: 1 });
    it.outbox.push(await commit(it, large, { text, n: 2 }));
    drain(it.outbox);
    it.outbox.pushState(large, heads);
    items.push(...drain(it.outbox));
    expect(await received(items)).toBe(read(it.store, large));
  });

  test("does not hold up the delete that makes it useless", async () => {
    using it = outboxWorld();
    await commit(it, "notes:large", { text: filler(900 * KIB) });
    it.outbox.pushState(key("notes:large"));
    it.outbox.take();
    await remove(it.store, "notes:large");
    const deleted = it.commits.at(-1);
    if (deleted !== undefined) it.outbox.push(deleted);
    const next = [it.outbox.take(), it.outbox.take()].filter((item) => item !== undefined);
    expect(keysOf(next)).toEqual(["notes:large"]);
  });

  test("that was deleted before its turn is passed over", async () => {
    using it = outboxWorld();
    await commit(it, "tracks:large", { text: filler(300 * KIB) });
    it.outbox.pushState(key("tracks:large"));
    await remove(it.store, "tracks:large");
    expect(keysOf(drain(it.outbox))).toEqual(["tracks:large"]);
  });
});

describe("changes of a history that wait", () => {
  test("many changes of a history travel together as what changed, not as the whole", async () => {
    using it = outboxWorld();
    const text = filler(30_000);
    await commit(it, "notes:1", { text, n: 0 });
    it.outbox.pushState(key("notes:1"));
    const before = drain(it.outbox);
    for (let n = 1; n <= 5; n += 1) it.outbox.push(await commit(it, "notes:1", { text, n }));
    const items = drain(it.outbox);
    expect(keysOf(items)).toEqual(["notes:1"]);
    expect(sizeOf(items)).toBeLessThan(1_500);
    expect(await received(items, before)).toBe(read(it.store, "notes:1"));
  });

  test("more changes than the whole is long travel as the whole", async () => {
    using it = outboxWorld();
    await commit(it, "notes:1", { text: "", n: 0 });
    for (let n = 1; n <= 600; n += 1) {
      const text = `${"x".repeat(n % 7)}${n}`;
      it.outbox.push(await commit(it, "notes:1", { text, n }));
    }
    const items = drain(it.outbox);
    const whole = it.store.stateFor(key("notes:1"))?.bytes.length ?? 0;
    expect(sizeOf(items)).toBeLessThanOrEqual(whole);
    expect(await received(items)).toBe(read(it.store, "notes:1"));
  });

  test("a document that was deleted and written anew between two frames arrives as it is", async () => {
    using it = outboxWorld();
    await commit(it, "notes:1", { n: 0 });
    it.outbox.pushState(key("notes:1"));
    const before = drain(it.outbox);
    it.outbox.push(await commit(it, "notes:1", { n: 1 }));
    await remove(it.store, "notes:1");
    const deleted = it.commits.at(-1);
    if (deleted !== undefined) it.outbox.push(deleted);
    it.outbox.push(await commit(it, "notes:1", { n: 2 }));
    it.outbox.push(await commit(it, "notes:1", { n: 3, more: true }));
    expect(await received(drain(it.outbox), before)).toBe(read(it.store, "notes:1"));
  });

  test("a newer state that needs none before it takes their place", async () => {
    using it = outboxWorld();
    for (let n = 0; n < 102; n += 1) {
      it.outbox.push(await commit(it, "tracks:1", { n, text: filler(40 * KIB) }));
    }
    const { delta } = await commit(it, "tracks:2", { text: filler(40 * KIB) });
    expect(it.outbox.keptBytes).toBeLessThan(2 * delta.length);
  });

  test("changes of one life are never joined to those of another", async () => {
    using it = outboxWorld();
    const deltas: Uint8Array[] = [];
    it.store.onCommit((committed) => deltas.push(...committed.map(({ delta }) => delta)));
    const text = filler(300);
    await commit(it, "notes:1", { text, n: 0 });
    await commit(it, "notes:1", { text, n: 1 });
    await remove(it.store, "notes:1");
    expect(joinDeltas(deltas)).toEqual(deltas[2] ?? new Uint8Array());
    await commit(it, "notes:1", { text, n: 2 });
    const whole = deltas[3] ?? new Uint8Array();
    expect(joinDeltas(deltas)).toEqual(whole);
    await commit(it, "notes:1", { text, n: 3 });
    const peer = openMemoryStore();
    const hash = it.store.hashOf(key("notes:1")) ?? "";
    const bytes = joinDeltas(deltas);
    expect(bytes.length).toBeLessThan(whole.length + 200);
    expect(await peer.merge({ key: key("notes:1"), hash, bytes }, "sender")).toEqual({
      kind: "equal",
    });
    peer.close();
  });

  test("a large change and one after it survive another link", async () => {
    using it = outboxWorld();
    const text = filler(300 * KIB);
    await commit(it, "notes:1", { text, n: 0 });
    it.outbox.pushState(key("notes:1"));
    const before = drain(it.outbox);
    it.outbox.arrived([key("notes:1")]);
    it.outbox.push(await commit(it, "notes:1", { text, more: filler(250 * KIB), n: 1 }));
    it.outbox.take();
    it.outbox.push(await commit(it, "notes:1", { text, more: "", n: 2 }));
    // One of two turns is that of small ones.
    it.outbox.take();
    it.outbox.take();
    it.outbox.resume([]);
    const items = drain(it.outbox);
    expect(sizeOf(items)).toBeLessThan(270 * KIB);
    expect(await received(items, before)).toBe(read(it.store, "notes:1"));
    expect(it.outbox.keptBytes).toBe(0);
  });

  test("a change that fits no frame goes in parts, and without the history before it", async () => {
    using it = outboxWorld();
    const text = filler(300 * KIB);
    await commit(it, "notes:1", { text, n: 0 });
    it.outbox.pushState(key("notes:1"));
    const before = drain(it.outbox);
    it.outbox.push(await commit(it, "notes:1", { text, more: filler(100 * KIB), n: 1 }));
    it.outbox.push(await commit(it, "notes:1", { text, more: "", n: 2 }));
    const items = drain(it.outbox);
    expect(sizeOf(items)).toBeLessThan(110 * KIB);
    expect(await received(items, before)).toBe(read(it.store, "notes:1"));
  });
});

describe("a document that partitions have made too large together", () => {
  test(
    "is told as one that can't be sent, until it is written anew",
    async () => {
      const big = "x".repeat(17 * 1024 * KIB);
      const states = [];
      for (const field of ["left", "right"]) {
        const side = openMemoryStore({ documentBytesMax: 64 * 1024 * KIB });
        const operation = { kind: "patch", body: JSON.stringify({ [field]: big }) } as const;
        await side.write({ key: key("tracks:1"), operation });
        const state = side.stateFor(key("tracks:1"));
        if (state !== undefined) states.push({ key: key("tracks:1"), ...state });
        side.close();
      }
      using it = outboxWorld();
      for (const state of states) await it.store.merge(state, "peer");
      it.outbox.pushState(key("tracks:1"));
      expect(drain(it.outbox)).toEqual([]);
      expect(it.outbox.stuck.get(key("tracks:1"))).toContain("can be sent");
      it.outbox.push(await commit(it, "tracks:1", { small: 1 }));
      expect(it.outbox.stuck.size).toBe(0);
      expect(keysOf(drain(it.outbox))).toEqual(["tracks:1"]);
    },
    SLOW_MS,
  );
});
