// A rendering shows what its state shows, however it came to be, and grows by one change per write.
import { describe, expect, test } from "bun:test";
import { decodeChange } from "@automerge/automerge";
import fc from "fast-check";
import { Random } from "../../../scripts/model/random.ts";
import { concatBytes } from "../../../src/base/bytes.ts";
import { Fault } from "../../../src/base/faults.ts";
import { HistoryDocument } from "../../../src/store/history.ts";
import { join } from "../../../src/store/join.ts";
import {
  beginRendering,
  decodeTip,
  encodeTip,
  growRendering,
  type Tip,
} from "../../../src/store/rendering.ts";
import { type LatestState, printLatest } from "../../../src/store/state.ts";
import { cases } from "../../support/effort.ts";
import { key } from "../../support/memory-store.ts";
import { HistoryPool, randomState, startId } from "../../support/states.ts";

const KEY = key("tracks:1");

/** Lives like a document of a node: begun, grown by states as they come, its tip on disk in between. */
class Grown {
  tip: Tip;
  readonly chunks: Uint8Array[];
  readonly #start: string;

  constructor(first: LatestState, start = "5") {
    const { tip, changes } = beginRendering(KEY, first);
    this.tip = tip;
    this.chunks = [...changes];
    this.#start = start;
  }

  /** Returns how many changes were added. */
  grow(state: LatestState, start = this.#start): number {
    const context = { key: KEY, start: startId(start), timeSecs: 1_800_000_000 };
    const growth = growRendering(decodeTip(encodeTip(this.tip)), state, context);
    this.tip = growth.tip;
    this.chunks.push(...growth.changes);
    return growth.changes.length;
  }

  get json(): string {
    const document = HistoryDocument.load(concatBytes(this.chunks), startId("9"));
    if (document === undefined) return "incomplete";
    const json = document.printJson();
    document.free();
    return json;
  }
}

type Fields = Record<string, [n: number, json: string | undefined]>;

function latest(floor: number, fields: Fields): LatestState {
  const at = (n: number) => ({ n, start: startId("a") });
  return {
    form: "latest",
    life: 0,
    born: 1,
    floor: at(floor),
    fields: new Map(
      Object.entries(fields).map(([name, [n, json]]) => [name, { stamp: at(n), json }]),
    ),
  };
}

function randomLatest(random: Random, pool: HistoryPool): LatestState {
  while (true) {
    const state = randomState(random, pool, 0);
    if (state.form === "latest") return { ...state, life: 0 };
  }
}

describe("growing", () => {
  test("a write is one change that sets what it set and removes what it removed", () => {
    const grown = new Grown(latest(1, { a: [1, "1"], b: [1, '"x"'] }));
    expect(grown.grow(latest(1, { a: [2, "2"], b: [1, '"x"'] }))).toBe(1);
    expect(grown.grow(latest(1, { a: [2, "2"], b: [3, undefined] }))).toBe(1);
    expect(grown.json).toBe('{"a":2}');
    expect(grown.grow(latest(4, { c: [4, "[1,{}]"] }))).toBe(1);
    expect(grown.json).toBe('{"c":[1,{}]}');
    expect(grown.tip.fields.size).toBe(1);
  });

  test("a state that brings three writes brings three changes, in the order of their stamps", () => {
    const grown = new Grown(latest(1, { a: [1, "1"] }));
    expect(grown.grow(latest(1, { a: [9, "9"], b: [7, "7"], c: [8, "8"], d: [8, "8"] }))).toBe(3);
    const names = grown.chunks
      .slice(1)
      .map((chunk) => decodeChange(chunk).ops.map((op) => ("key" in op ? op.key : undefined)));
    expect(names).toEqual([["b"], ["c", "d"], ["a"]]);
  });

  test("a state that it has grown beyond adds nothing, and takes nothing", () => {
    const grown = new Grown(latest(5, { a: [5, "5"], b: [6, "6"] }));
    const before = encodeTip(grown.tip);
    expect(grown.grow(latest(1, { a: [1, "1"], gone: [2, "2"] }))).toBe(0);
    expect(grown.grow(latest(5, { a: [5, "5"] }))).toBe(0);
    expect(encodeTip(grown.tip)).toEqual(before);
    expect(grown.json).toBe('{"a":5,"b":6}');
  });

  test("each process start signs as an actor of its own, and so does the same start after a compaction", () => {
    const first = latest(1, { a: [1, "1"] });
    const [one, two] = [new Grown(first, "5"), new Grown(first, "6")];
    const actors = new Set<string>();
    for (const grown of [one, two]) {
      actors.add(grown.tip.author.actor);
      grown.grow(latest(1, { a: [2, "2"] }));
      actors.add(grown.tip.author.actor);
    }
    const compacted = new Grown(latest(1, { a: [2, "2"] }), "5");
    actors.add(compacted.tip.author.actor);
    compacted.grow(latest(1, { a: [3, "3"] }));
    actors.add(compacted.tip.author.actor);
    expect(actors.size).toBe(5);
    // Across a restart the same rendering goes on.
    one.grow(latest(1, { a: [3, "3"] }), "7");
    expect(one.json).toBe('{"a":3}');
  });

  test("whatever states come, in whatever order, it shows their join", () => {
    const pool = new HistoryPool(new Random(1), 1);
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = new Random(seed);
        let state = randomLatest(random, pool);
        const grown = new Grown(state);
        const states = [state];
        for (let i = 0; i < 8; i += 1) {
          const joined = join(state, randomLatest(random, pool));
          if (joined.form !== "latest") throw new Error("a join of latest states is one");
          state = joined;
          states.push(state);
          grown.grow(state, random.pick(["5", "5", "6"]));
          expect(grown.json).toBe(printLatest(state));
        }
        // As after a compaction that was ahead of the queue.
        const compacted = new Grown(state);
        for (const late of states) compacted.grow(late);
        expect(compacted.json).toBe(printLatest(state));
      }),
      cases(200),
    );
  });
});

describe("beginning", () => {
  test("equal states begin with equal bytes at time 0, others by another actor", () => {
    const state = latest(1, { b: [2, "2"], a: [1, "1"], gone: [3, undefined] });
    const [one, two] = [beginRendering(KEY, state), beginRendering(KEY, state)];
    expect(one).toEqual(two);
    const [change = new Uint8Array()] = one.changes;
    const { time, actor, ops } = decodeChange(change);
    expect(time).toBe(0);
    expect(ops.map((op) => ("key" in op ? op.key : ""))).toEqual(["a", "b"]);
    expect(one.changes.length).toBe(1);
    for (const other of [
      beginRendering(key("tracks:2"), state),
      beginRendering(KEY, latest(1, { b: [2, "2"], a: [1, "1"] })),
    ]) {
      expect(decodeChange(other.changes[0] ?? new Uint8Array()).actor).not.toBe(actor);
    }
  });

  test("an empty document is one change without operations, and grows", () => {
    const grown = new Grown(latest(1, {}));
    expect(grown.json).toBe("{}");
    grown.grow(latest(1, { a: [2, "1.0"] }));
    expect(grown.json).toBe('{"a":1.0}');
  });
});

describe("the tip on disk", () => {
  test("comes back as it was, for every state", () => {
    const pool = new HistoryPool(new Random(1), 1);
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const { tip } = beginRendering(KEY, randomLatest(new Random(seed), pool));
        expect(decodeTip(encodeTip(tip))).toEqual(tip);
      }),
    );
  });

  test("cut anywhere, it is refused", () => {
    const { tip } = beginRendering(KEY, latest(1, { a: [1, "1"], b: [2, undefined] }));
    const bytes = encodeTip(tip);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeTip(bytes.subarray(0, length))).toThrow(Fault);
    }
  });
});
