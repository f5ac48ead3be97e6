// Two stores find what differs by sums alone: messages carried by hand, every byte counted.

import { describe, expect, test } from "bun:test";
import { Random } from "../../../scripts/model/random.ts";
import { ByteReader } from "../../../src/base/bytes.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { decodeState, encodeState } from "../../../src/store/state.ts";
import type { Store } from "../../../src/store/store.ts";
import { ROOT } from "../../../src/store/sums.ts";
import { Assemblies } from "../../../src/sync/assembly.ts";
import { Outbox } from "../../../src/sync/outbox.ts";
import {
  answerCompare,
  answerLeaves,
  answerMerge,
  answerSums,
  rootSums,
} from "../../../src/sync/reconcile.ts";
import { readFrame } from "../../../src/wire/frame.ts";
import {
  decodeNative,
  encodeNative,
  type NativeMessage,
  NO_HASH,
} from "../../../src/wire/native.ts";
import { key, openMemoryStore, put, read, remove } from "../../support/memory-store.ts";

/** Every document may be settled here. */
const ANY = () => true;

/** One store with what a session has around it, without link, window and time. */
class Side {
  readonly store: Store;
  readonly outbox: Outbox;
  readonly #assemblies = new Assemblies();
  /** Encoded frames for the other side. */
  waiting: Uint8Array[] = [];
  hasAgreed = false;

  constructor(name: string) {
    this.store = openMemoryStore({ nodeName: name });
    this.outbox = new Outbox(this.store, systemClock);
  }

  send(messages: readonly NativeMessage[]): void {
    this.waiting.push(...messages.map((message) => encodeNative(message)));
  }

  /** What is sent before anything can come back: answers, then a frame of states. */
  take(): Uint8Array[] {
    const frames = this.waiting.splice(0);
    const item = this.outbox.take();
    if (item?.kind === "chunk")
      frames.push(encodeNative({ type: "chunk", serial: 0, ...item.part }));
    if (item?.kind === "states") {
      const { kind: type, ...states } = item;
      frames.push(encodeNative({ type, serial: 0, ...states }));
    }
    return frames;
  }

  async receive(frame: Uint8Array): Promise<void> {
    const message = decodeNative(readFrame(new ByteReader(frame)));
    switch (message?.type) {
      case "sums": {
        const { replies, isAgreed } = answerSums(this.store, this.outbox, message);
        this.hasAgreed ||= isAgreed;
        return this.send(replies);
      }
      case "leaves":
        return this.send(answerLeaves(this.store, this.outbox, message, ANY));
      case "compare":
        return this.send(answerCompare(this.store, this.outbox, message, ANY));
      case "agreed":
        this.hasAgreed = true;
        return;
      case "states":
        await Promise.all(message.entries.map((entry) => this.#merge(entry)));
        return;
      case "chunk": {
        const whole = this.#assemblies.add({ ...message, key: key(message.key) });
        if (whole !== undefined) await this.#merge(whole);
        return;
      }
      default:
        throw new Error(`unexpected ${message?.type}`);
    }
  }

  async #merge(entry: { key: string; hash: string; bytes: Uint8Array }): Promise<void> {
    const incoming = { ...entry, key: key(entry.key) };
    const { kind } = await this.store.merge(incoming, "other");
    if (kind === "expired" || kind === "orphan") throw new Error(`unexpected ${kind}`);
    if (kind === "equal") this.outbox.has(incoming.key, incoming.hash);
    else this.send(answerMerge(this.store, this.outbox, { key: incoming.key, kind }));
  }

  isQuiet(): boolean {
    return this.waiting.length === 0 && this.outbox.isEmpty;
  }
}

interface Cost {
  bytes: number;
  frames: number;
}

/** `asking` compares its root; then everything is carried to and fro until nobody has anything to say. */
async function reconcile(asking: Side, answering: Side): Promise<Cost> {
  const cost: Cost = { bytes: 0, frames: 0 };
  asking.send([rootSums(asking.store)]);
  for (let round = 0; round < 10_000; round += 1) {
    for (const [from, to] of [
      [asking, answering],
      [answering, asking],
    ] as const) {
      for (const frame of from.take()) {
        cost.bytes += frame.length;
        cost.frames += 1;
        await to.receive(frame);
      }
    }
    if (asking.isQuiet() && answering.isQuiet()) return cost;
  }
  throw new Error("they never stop talking");
}

function expectEqual(a: Side, b: Side): void {
  expect(a.store.sum(ROOT)).toEqual(b.store.sum(ROOT));
}

/** Two sides with the same `documents`, copied from one to the other by reconciliation. */
async function twins(documents: number, collection = "tracks"): Promise<[Side, Side]> {
  const [a, b] = [new Side("node-a"), new Side("node-b")];
  await Promise.all(
    Array.from({ length: documents }, (_, n) => put(a.store, `${collection}:${n}`, { n })),
  );
  if (documents > 0) await reconcile(a, b);
  expectEqual(a, b);
  return [a, b];
}

function close(...sides: readonly Side[]): void {
  for (const side of sides) side.store.close();
}

test.each([0, 1, 3000])(
  "with nothing new among %d documents, at most 300 bytes are spent",
  async (documents) => {
    const [a, b] = await twins(documents);
    const cost = await reconcile(a, b);
    expect(cost.bytes).toBeLessThanOrEqual(300);
    expect(cost.frames).toBe(2);
    expect([a.hasAgreed, b.hasAgreed]).toEqual([true, true]);
    close(a, b);
  },
);

test("10 of 10,000 changed: only those travel, whoever asks", async () => {
  const [a, b] = await twins(10_000);
  for (const asking of ["a", "b"]) {
    const hash = (n: number) => b.store.hashOf(key(`tracks:${n}`));
    const before = hash(5);
    for (let n = 0; n < 10; n += 1) await put(a.store, `tracks:${n * 997}`, { n, asking });
    const cost = asking === "a" ? await reconcile(a, b) : await reconcile(b, a);
    expectEqual(a, b);
    expect(read(b.store, "tracks:997")).toBe(`{"asking":"${asking}","n":1}`);
    expect(hash(5)).toBe(before);
    // 10 leaves behind 10 paths of 16 sums each, and ten small states.
    expect(cost.bytes).toBeLessThan(20_000);
  }
  close(a, b);
});

test("an empty store gets everything, whoever asks, for little more than the documents", async () => {
  for (const asking of ["full", "empty"]) {
    const [full, empty] = [new Side("node-a"), new Side("node-b")];
    let stateBytes = 0;
    await Promise.all(
      Array.from({ length: 2000 }, (_, n) => put(full.store, `tracks:${n}`, { n })),
    );
    for (let n = 0; n < 2000; n += 1) {
      stateBytes += full.store.stateFor(key(`tracks:${n}`))?.bytes.length ?? 0;
    }
    const cost = asking === "full" ? await reconcile(full, empty) : await reconcile(empty, full);
    expectEqual(full, empty);
    expect(empty.store.count("tracks")).toBe(2000);
    // Beside its state a document costs its key, hash and lengths.
    expect(cost.bytes).toBeLessThan(stateBytes + 2000 * 40);
    close(full, empty);
  }
});

test("both have what the other lacks, both changed and deleted some: equal after one comparison", async () => {
  const [a, b] = await twins(300);
  for (let n = 0; n < 50; n += 1) {
    await put(a.store, `tracks:only-a-${n}`, { n });
    await put(b.store, `tracks:only-b-${n}`, { n });
    await put(a.store, `tracks:${n}`, { n, by: "a" });
    await put(b.store, `tracks:${n + 25}`, { n, by: "b" });
    await remove(a.store, `tracks:${n + 100}`);
    await remove(b.store, `tracks:${n + 125}`);
  }
  await reconcile(a, b);
  expectEqual(a, b);
  expect(read(a.store, "tracks:only-b-49")).toBe('{"n":49}');
  expect(read(b.store, "tracks:100")).toBeUndefined();
  expect(read(a.store, "tracks:174")).toBeUndefined();
  close(a, b);
});

describe("of histories", () => {
  const text = new Random(1).fill(new Uint8Array(60_000)).toBase64();

  test("edited on one side only the new changes travel, whoever asks", async () => {
    for (const asking of ["newer", "older"]) {
      const [a, b] = await twins(0);
      await put(a.store, "notes:1", { text });
      await reconcile(a, b);
      await put(a.store, "notes:1", { text, a: 1 });
      const cost = asking === "newer" ? await reconcile(a, b) : await reconcile(b, a);
      expectEqual(a, b);
      expect(read(b.store, "notes:1")).toContain('{"a":1,');
      expect(cost.bytes).toBeLessThan(3000);
      close(a, b);
    }
  });

  test("edited on both sides one history travels once, and of the other only what is new", async () => {
    const [a, b] = await twins(0);
    await put(a.store, "notes:1", { text });
    await reconcile(a, b);
    await put(a.store, "notes:1", { text, a: 1 });
    await put(b.store, "notes:1", { text, b: 1 });
    const stateBytes = a.store.stateFor(key("notes:1"))?.bytes.length ?? 0;
    const cost = await reconcile(a, b);
    expectEqual(a, b);
    expect(read(a.store, "notes:1")).toContain('{"a":1,"b":1,');
    expect(cost.bytes).toBeLessThan(stateBytes + 3000);
    close(a, b);
  });

  test("that began on both sides separately become one", async () => {
    const [a, b] = await twins(0);
    await put(a.store, "notes:1", { a: 1 });
    await put(b.store, "notes:1", { b: 1 });
    await reconcile(a, b);
    expectEqual(a, b);
    close(a, b);
  });

  test("that are large go in parts", async () => {
    const [a, b] = await twins(0);
    const long = new Random(2).fill(new Uint8Array(500_000)).toBase64();
    await put(a.store, "notes:1", { text: long });
    const cost = await reconcile(b, a);
    expectEqual(a, b);
    expect(cost.frames).toBeGreaterThan(8);
    close(a, b);
  });
});

test("any two stores become equal, whatever happened to them before", async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const random = new Random(seed);
    const [a, b] = [new Side("node-a"), new Side("node-b")];
    const sides = [a, b];
    for (let step = 0; step < 60; step += 1) {
      const { store } = random.pick(sides);
      const name = `${random.pick(["tracks", "notes"])}:${random.below(12)}`;
      if (random.chance(20) && read(store, name) !== undefined) await remove(store, name);
      else await put(store, name, { [random.pick(["x", "y"])]: random.below(5) });
      if (random.chance(5)) await reconcile(a, b);
    }
    if (random.chance(50)) await reconcile(a, b);
    else await reconcile(b, a);
    expect(a.store.sum(ROOT), `seed ${seed}`).toEqual(b.store.sum(ROOT));
    close(a, b);
  }
}, 60_000);

describe("what a peer asks that makes no sense", () => {
  test("prefixes outside of the tree are passed over", () => {
    const side = new Side("node-a");
    const entry = (depth: number, index: number) => ({
      depth,
      index,
      count: 1,
      sum: "0".repeat(32),
    });
    const asked = answerSums(side.store, side.outbox, {
      type: "sums",
      horizon: 0,
      entries: [entry(4, 0), entry(255, 65_535), entry(0, 1), entry(3, 4096)],
    });
    expect(asked).toEqual({ replies: [], isAgreed: false, isPartial: false });
    expect(
      answerLeaves(
        side.store,
        side.outbox,
        { type: "leaves", horizon: 0, depth: 3, index: 4096, entries: [] },
        ANY,
      ),
    ).toEqual([]);
    expect(side.outbox.isEmpty).toBe(true);
    close(side);
  });

  test("heads of a document that has no history here get its state, and are asked for theirs", async () => {
    const side = new Side("node-a");
    await put(side.store, "tracks:1", { n: 1 });
    const asked = { key: "tracks:1", hash: "1".repeat(32), heads: ["2".repeat(64)] };
    const replies = answerCompare(
      side.store,
      side.outbox,
      { type: "compare", entries: [asked] },
      ANY,
    );
    expect(replies).toEqual([
      { type: "compare", entries: [{ key: "tracks:1", hash: NO_HASH, heads: [] }] },
    ]);
    const item = side.outbox.take();
    expect(item?.kind === "states" ? item.entries[0]?.key : undefined).toBe(key("tracks:1"));
    close(side);
  });

  test("heads that nobody has are answered with ours, and then with the whole history", async () => {
    const side = new Side("node-a");
    await put(side.store, "notes:1", { n: 1 });
    const heads = ["2".repeat(64)];
    const ask = (hash: string) =>
      answerCompare(
        side.store,
        side.outbox,
        {
          type: "compare",
          entries: [{ key: "notes:1", hash, heads }],
        },
        ANY,
      );
    const own = side.store.headsOf(key("notes:1")) ?? [];
    expect(ask("1".repeat(32))).toEqual([
      { type: "compare", entries: [{ key: "notes:1", hash: NO_HASH, heads: own }] },
    ]);
    expect(side.outbox.isEmpty).toBe(true);
    expect(ask(NO_HASH)).toEqual([]);
    const item = side.outbox.take();
    const bytes = item?.kind === "states" ? item.entries[0]?.bytes : undefined;
    expect(bytes).toEqual(side.store.stateFor(key("notes:1"))?.bytes ?? new Uint8Array());
    close(side);
  });

  test("what is being settled with another peer is neither asked for nor compared", async () => {
    const side = new Side("node-a");
    await put(side.store, "tracks:known", { n: 1 });
    await put(side.store, "tracks:lacking", { n: 1 });
    const asked: [string, boolean][] = [];
    const never = (name: string, isKnown: boolean) => {
      asked.push([name, isKnown]);
      return false;
    };
    const hash = "1".repeat(32);
    const named = ["tracks:known", "tracks:unknown"].map((name) => ({
      key: name,
      hash,
      heads: [],
    }));
    const { store, outbox } = side;
    expect(answerCompare(store, outbox, { type: "compare", entries: named }, never)).toEqual([]);
    expect(outbox.isEmpty).toBe(true);
    const leaves = { type: "leaves", horizon: 0, depth: 0, index: 0, entries: named } as const;
    expect(answerLeaves(store, outbox, leaves, never)).toEqual([]);
    const claims: [string, boolean][] = [
      ["tracks:known", true],
      ["tracks:unknown", false],
    ];
    expect(asked).toEqual([...claims, ...claims]);
    // What the peer lacks is for us to send, whoever else settles what.
    const item = outbox.take();
    const keys = item?.kind === "states" ? item.entries.map((entry) => entry.key) : [];
    expect(keys).toEqual([key("tracks:lacking")]);
    close(side);
  });

  test("a peer that asks for what we have not is not asked for it", () => {
    const side = new Side("node-a");
    const asked = { key: "tracks:1", hash: NO_HASH, heads: [] };
    const message = { type: "compare", entries: [asked] } as const;
    expect(answerCompare(side.store, side.outbox, message, ANY)).toEqual([]);
    close(side);
  });
});

test("histories of the same changes that began at different moments are made equal", async () => {
  const [a, b] = await twins(1, "notes");
  const state = decodeState(b.store.stateFor(key("notes:0"))?.bytes ?? new Uint8Array());
  const bytes = encodeState({ ...state, born: state.born + 1_000 });
  await b.store.merge({ key: key("notes:0"), bytes, hash: "0".repeat(32) }, "c");
  await reconcile(a, b).then(() => expectEqual(a, b));
});
