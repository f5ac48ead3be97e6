import { describe, expect, test } from "bun:test";
import { Random } from "../../../scripts/model/random.ts";
import { Fault } from "../../../src/base/faults.ts";
import { ZERO_STAMP } from "../../../src/store/stamp.ts";
import {
  checkLatest,
  clipReason,
  decodeState,
  encodeState,
  type Field,
  highestN,
  type LatestState,
  printLatest,
  type State,
} from "../../../src/store/state.ts";
import { HistoryPool, randomState, startId } from "../../support/states.ts";

const random = new Random(5);
const pool = new HistoryPool(random, 8);
const states = Array.from({ length: 300 }, () => randomState(random, pool, 20));

function latest(fields: readonly (readonly [string, Field])[], floor = ZERO_STAMP): LatestState {
  return { form: "latest", life: 4, born: 1_800_000_000_000, floor, fields: new Map(fields) };
}

const stamp = { n: 2 ** 50, start: startId("a") };
const sample: State[] = [
  latest([
    ["lat", { stamp, json: "1.5" }],
    ["gone", { stamp, json: undefined }],
    ["", { stamp: { n: 2 ** 50 + 1, start: startId("b") }, json: '"ü"' }],
  ]),
  latest([], { n: 7, start: startId("c") }),
  { form: "history", life: 2, born: 9, chunks: pool.pick(random) },
  { form: "deleted", kind: "history", life: 3, born: 5, deletedAt: 6, by: "node-a", reason: "öld" },
];

function decodes(bytes: Uint8Array): boolean {
  try {
    decodeState(bytes);
    return true;
  } catch (error) {
    if (error instanceof Fault && error.code === "wire_invalid") return false;
    throw error;
  }
}

test("every state comes back from its bytes", () => {
  for (const state of [...sample, ...states]) {
    expect(decodeState(encodeState(state))).toEqual(state);
  }
});

test("equal states have equal bytes, in whatever order their fields were put in", () => {
  const fields = [
    ["b", { stamp, json: "1" }],
    ["a", { stamp, json: "2" }],
  ] as const;
  expect(encodeState(latest(fields))).toEqual(encodeState(latest(fields.toReversed())));
});

test("every truncation is refused, except of a history, whose chunks say themselves whether they are whole", () => {
  for (const state of sample) {
    const bytes = encodeState(state);
    const firstLegal = state.form === "history" ? 13 : bytes.length;
    for (let length = 0; length < firstLegal; length += 1) {
      expect(decodes(bytes.subarray(0, length))).toBe(false);
    }
    expect(decodes(bytes)).toBe(true);
  }
});

test("bytes after the end are refused", () => {
  for (const state of sample.filter(({ form }) => form !== "history")) {
    expect(decodes(new Uint8Array([...encodeState(state), 0]))).toBe(false);
  }
});

test("of 1,000 mutations each decodes or is refused, and what decodes can be encoded again", () => {
  for (let i = 0; i < 1_000; i += 1) {
    const bytes = encodeState(random.pick(sample)).slice();
    for (let n = 1 + random.below(3); n > 0; n -= 1)
      bytes[random.below(bytes.length)] = random.below(256);
    if (!decodes(bytes)) continue;
    const again = encodeState(decodeState(bytes));
    expect(encodeState(decodeState(again))).toEqual(again);
  }
});

describe("a state is refused", () => {
  const bytes = (state: State) => encodeState(state).slice();

  test("whose life does not fit its form", () => {
    for (const state of sample) {
      const changed = bytes(state);
      changed[4] = (changed[4] ?? 0) ^ 1;
      expect(decodes(changed)).toBe(false);
    }
  });

  test("whose life has no next one", () => {
    const changed = bytes(latest([]));
    changed.set([0xff, 0xff, 0xff, 0xfe], 1);
    expect(decodes(changed)).toBe(true);
    changed.set([0xff, 0xff, 0xff, 0xff], 1);
    expect(decodes(changed)).toBe(false);
  });

  test("with an unknown tag", () => {
    const changed = bytes(latest([]));
    changed[0] = 5;
    expect(decodes(changed)).toBe(false);
  });

  test("with a time that a number can't hold", () => {
    const changed = bytes(latest([]));
    changed[5] = 0xff;
    expect(decodes(changed)).toBe(false);
  });

  test("with a count of fields that it does not have", () => {
    const changed = bytes(latest([], { n: 1, start: startId("a") }));
    changed.set([0xff, 0xff, 0xff, 0xff], changed.length - 4);
    expect(decodes(changed)).toBe(false);
  });

  test("with a field below its floor", () => {
    const state = latest([["a", { stamp: { n: 1, start: startId("a") }, json: "1" }]], stamp);
    expect(() => checkLatest(state)).toThrow("older than the floor");
  });
});

test("a document prints its fields sorted, without the removed ones", () => {
  const [first] = sample;
  expect(first?.form === "latest" && printLatest(first)).toBe('{"":"ü","lat":1.5}');
});

test("the highest number counts removed fields and the floor", () => {
  const removed = { stamp: { n: 9, start: startId("a") }, json: undefined };
  expect(highestN(latest([["a", removed]]))).toBe(9);
  expect(highestN(latest([], { n: 11, start: startId("a") }))).toBe(11);
  expect(highestN(undefined)).toBe(0);
});

test("a reason is cut to what may be kept, and never in the middle of a character's pair", () => {
  expect(clipReason("😀".repeat(2_000)).isWellFormed()).toBe(true);
  expect(clipReason(`x${"😀".repeat(2_000)}`).isWellFormed()).toBe(true);
  expect(clipReason("x".repeat(2_000))).toHaveLength(1_024);
});
