// What one peer is sent, and in which order: urgent first, the oldest never forgotten, each document once,
// large ones in parts that hold nobody up, all of it bounded.
import { describe, expect, test } from "bun:test";
import { Random } from "../../../scripts/model/random.ts";
import type { Committed, Store } from "../../../src/store/store.ts";
import { ROOT } from "../../../src/store/sums.ts";
import { Assemblies } from "../../../src/sync/assembly.ts";
import { Outbox, type OutboxItem } from "../../../src/sync/outbox.ts";
import { STATES_BYTES_TARGET } from "../../../src/wire/native.ts";
import { key, openMemoryStore, put, remove } from "../../support/memory-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** On a machine that has much else to do. */
const SLOW_MS = 60_000;

const KIB = 1024;

/** A store, an outbox, and the commits of the store as they happen. */
function world() {
  const clock = new VirtualClock();
  const store = openMemoryStore();
  const outbox = new Outbox(store, clock);
  const commits: Committed[] = [];
  store.onCommit((committed) => commits.push(...committed));
  return { clock, store, outbox, commits, [Symbol.dispose]: () => store.close() };
}

/** One commit of one document. */
async function commit(
  { store, commits }: { store: Store; commits: Committed[] },
  name: string,
  value: object,
) {
  await put(store, name, value);
  const last = commits.at(-1);
  if (last === undefined) throw new Error("nothing was committed");
  return last;
}

/** Takes until nothing is left. */
function drain(outbox: Outbox): OutboxItem[] {
  const items: OutboxItem[] = [];
  for (let item = outbox.take(); item !== undefined; item = outbox.take()) items.push(item);
  return items;
}

function keysOf(items: readonly OutboxItem[]): string[] {
  return items.flatMap((item) =>
    item.kind === "states" ? item.entries.map((entry) => entry.key) : [],
  );
}

const random = new Random(1);
/** Text that compression leaves about three quarters of. */
const filler = (bytes: number) =>
  random.fill(new Uint8Array(Math.ceil((bytes * 3) / 4))).toBase64();
/** Two documents of this size are more than a frame, whether they are compressed or not. */
const HALF_FRAME = STATES_BYTES_TARGET * 0.7;

describe("of the changes that wait", () => {
  test("the most urgent collection goes first, then the oldest", async () => {
    using it = world();
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
    using it = world();
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
    using it = world();
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
    using it = world();
    const text = filler(10_000);
    await commit(it, "notes:1", { text, n: 0 });
    it.outbox.push(await commit(it, "notes:1", { text, n: 1 }));
    const [item] = drain(it.outbox);
    const bytes = item?.kind === "states" ? item.entries[0]?.bytes.length : undefined;
    expect(bytes).toBeLessThan(500);
  });

  test("a delete is sent like any other change", async () => {
    using it = world();
    await commit(it, "tracks:1", { n: 1 });
    await remove(it.store, "tracks:1");
    const deleted = it.commits.at(-1);
    if (deleted !== undefined) it.outbox.push(deleted);
    expect(keysOf(drain(it.outbox))).toEqual(["tracks:1"]);
  });

  test("frames are cut near the target size", async () => {
    using it = world();
    for (let n = 0; n < 40; n += 1) {
      it.outbox.push(await commit(it, `tracks:${n}`, { text: filler(10 * KIB) }));
    }
    const items = drain(it.outbox);
    expect(items.length).toBe(8);
    expect(keysOf(items).length).toBe(40);
  });
});

describe("a large state", () => {
  test("goes in parts that are together the whole", async () => {
    using it = world();
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
    using it = world();
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
    using it = world();
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
    using it = world();
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
    using it = world();
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

  test("that was deleted before its turn is passed over", async () => {
    using it = world();
    await commit(it, "tracks:large", { text: filler(300 * KIB) });
    it.outbox.pushState(key("tracks:large"));
    await remove(it.store, "tracks:large");
    expect(keysOf(drain(it.outbox))).toEqual(["tracks:large"]);
  });
});

describe("a change that is held back", () => {
  test("is due after a second, and not before", async () => {
    using it = world();
    const change = await commit(it, "tracks:1", { n: 1 });
    it.outbox.hold(change);
    await it.clock.advance(999);
    expect(it.outbox.takeDue()).toEqual([]);
    await it.clock.advance(1);
    expect(it.outbox.takeDue()).toEqual([{ key: change.key, hash: change.hash, by: undefined }]);
    expect(it.outbox.hasHeld).toBe(false);
  });

  test("is dropped when the peer turns out to have it, and only then", async () => {
    using it = world();
    const change = await commit(it, "tracks:1", { n: 1 });
    it.outbox.hold(change);
    it.outbox.has(change.key, "another state");
    expect(it.outbox.hasHeld).toBe(true);
    it.outbox.has(change.key, change.hash);
    expect(it.outbox.hasHeld).toBe(false);
  });

  test("follows a newer one that has to be sent at once", async () => {
    using it = world();
    it.outbox.hold(await commit(it, "tracks:1", { n: 1 }));
    it.outbox.push(await commit(it, "tracks:1", { n: 2 }));
    expect(it.outbox.hasHeld).toBe(false);
    expect(keysOf(drain(it.outbox))).toEqual(["tracks:1"]);
  });

  test("joins an earlier one that waits to be sent", async () => {
    using it = world();
    it.outbox.push(await commit(it, "tracks:1", { n: 1 }));
    const newer = await commit(it, "tracks:1", { n: 2 });
    it.outbox.hold(newer);
    expect(it.outbox.hasHeld).toBe(false);
    const [item] = drain(it.outbox);
    expect(item?.kind === "states" ? item.entries[0]?.hash : undefined).toBe(newer.hash);
  });
});

test("a change that the peer has by then is not sent", async () => {
  using it = world();
  const change = await commit(it, "tracks:1", { n: 1 });
  it.outbox.push(change);
  it.outbox.has(change.key, change.hash);
  expect(it.outbox.isEmpty).toBe(true);
  expect(it.outbox.take()).toBeUndefined();
});

describe("a catch-up", () => {
  test("sends every document below a prefix, and says until the last frame that more follows", async () => {
    using it = world();
    for (let n = 0; n < 50; n += 1) await commit(it, `tracks:${n}`, { text: filler(4 * KIB) });
    it.outbox.pushBulkBelow(ROOT);
    const items = drain(it.outbox);
    expect(new Set(keysOf(items)).size).toBe(50);
    const more = items.map((item) => item.kind === "states" && item.more);
    expect(more.slice(0, -1).every(Boolean)).toBe(true);
    expect(it.outbox.isEmpty).toBe(true);
  });

  test("waits behind new changes", async () => {
    using it = world();
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
    origin: undefined,
  });

  test("waiting documents beyond 50,000 are left to the sums", () => {
    using it = world();
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
    using it = world();
    for (let n = 0; n <= 50_000; n += 1) it.outbox.hold(fake(n));
    expect(it.outbox.takeForgetful()).toBe(true);
  });

  test("bytes of changes beyond 4 MiB are read again when their turn comes", async () => {
    using it = world();
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
      using it = world();
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
