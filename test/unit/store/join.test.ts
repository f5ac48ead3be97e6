// The laws of the join, on which everything about order rests: 10,000 random states in `check`, 120,000 in the
// full run.
import { describe, expect, test } from "bun:test";
import { Random } from "../../../scripts/model/random.ts";
import { join } from "../../../src/store/join.ts";
import { ZERO_STAMP } from "../../../src/store/stamp.ts";
import type { DeletedState, LatestState, State } from "../../../src/store/state.ts";
import { effort } from "../../support/effort.ts";
import { HistoryPool, observe, randomState, startId } from "../../support/states.ts";

const STATES = effort(10_000, 120_000);
const TRIPLES = Math.ceil(STATES / 3);
const HISTORY_PERCENT = 6;
const FULL_RUN_MS = 120_000;

function firstBroken(law: (a: State, b: State, c: State) => boolean): string {
  const random = new Random(3);
  const pool = new HistoryPool(random, 60);
  for (let i = 0; i < TRIPLES; i += 1) {
    const next = () => randomState(random, pool, HISTORY_PERCENT);
    const [a, b, c] = [next(), next(), next()];
    if (!law(a, b, c)) return `triple ${i}: ${[a, b, c].map(observe).join(" | ")}`;
  }
  return "none";
}

function latest(floor: number, fields: Record<string, number>): LatestState {
  const start = startId("a");
  const entries = Object.entries(fields).map(
    ([name, n]) => [name, { stamp: { n, start }, json: String(n) }] as const,
  );
  const at = floor === 0 ? ZERO_STAMP : { n: floor, start };
  return { form: "latest", life: 0, born: 0, floor: at, fields: new Map(entries) };
}

const tombstone: DeletedState = {
  form: "deleted",
  kind: "latest",
  life: 1,
  born: 5,
  deletedAt: 5,
  by: "node-a",
  reason: "",
};

describe(`join, over ${TRIPLES * 3} random states`, () => {
  test(
    "the order of two does not matter",
    () => {
      expect(firstBroken((a, b) => observe(join(a, b)) === observe(join(b, a)))).toBe("none");
    },
    FULL_RUN_MS,
  );

  test(
    "the grouping of three does not matter",
    () => {
      const law = (a: State, b: State, c: State) =>
        observe(join(join(a, b), c)) === observe(join(a, join(b, c)));
      expect(firstBroken(law)).toBe("none");
    },
    FULL_RUN_MS,
  );

  test(
    "what is in already changes nothing",
    () => {
      const law = (a: State, b: State) => {
        const joined = observe(join(a, b));
        return (
          observe(join(a, a)) === observe(a) &&
          observe(join(join(a, b), b)) === joined &&
          observe(join(a, join(a, b))) === joined
        );
      };
      expect(firstBroken(law)).toBe("none");
    },
    FULL_RUN_MS,
  );
});

test("the laws are refused to a join that forgets the floor", () => {
  const careless = (a: State, b: State): State => {
    const joined = join(a, b);
    if (a.form !== "latest" || b.form !== "latest" || joined.form !== "latest") return joined;
    return a.life === b.life
      ? { ...joined, fields: new Map([...a.fields, ...joined.fields]) }
      : joined;
  };
  const law = (a: State, b: State) => observe(careless(a, b)) === observe(careless(b, a));
  expect(firstBroken(law)).toStartWith("triple");
});

test("a field below the other's floor is dropped, one above it stays", () => {
  const joined = join(latest(0, { lat: 3, lon: 9 }), latest(5, { lat: 5 }));
  expect(observe(joined)).toBe(observe(latest(5, { lat: 5, lon: 9 })));
});

test("a tombstone beats every edit of the life that it ended, however late its stamp", () => {
  expect(join(latest(0, { lat: 1e15 }), tombstone)).toBe(tombstone);
});

test("a new life beats the tombstone before it", () => {
  const revived: State = { ...latest(0, { lat: 1 }), life: 2 };
  expect(join(tombstone, revived)).toBe(revived);
});

test("of two tombstones of one life the later counts, and the later birth", () => {
  const later = { ...tombstone, deletedAt: 6, by: "node-b", born: 4 };
  expect(join(tombstone, later)).toEqual({ ...later, born: 5 });
});
