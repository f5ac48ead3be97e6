// Whole histories of four nodes that are nothing but maps of states, judged by a checker that shares no code with
// the product: 200 in `check`, 20,000 in the full run and by `bun run simulate --model`.
import { describe, expect, test } from "bun:test";
import { DocumentChecker } from "../../scripts/model/checker.ts";
import { newerWinsWhole, stateMutants } from "../../scripts/model/mutants.ts";
import { productRules } from "../../scripts/model/rules.ts";
import { findFailure, runHistories } from "../../scripts/model/world.ts";
import { effort } from "../support/effort.ts";

const HISTORIES = effort(200, 20_000);
const NAIVE_HISTORIES = 100;
const MUTANT_HISTORIES = 1_000;

test(`${HISTORIES} histories end equal on all nodes, without a lost write or a return of the deleted`, () => {
  const run = runHistories(productRules, { firstSeed: 1, count: HISTORIES });
  expect(run.failed).toEqual([]);
  expect(run.writes).toBeGreaterThan(HISTORIES * 10);
}, 1_200_000);

describe("the judge finds out", () => {
  test(newerWinsWhole.name, () => {
    const run = runHistories(newerWinsWhole, { firstSeed: 1, count: NAIVE_HISTORIES });
    // Half of all histories lose a write under this rule.
    expect(run.failedCount).toBeGreaterThan(NAIVE_HISTORIES / 4);
  });

  for (const mutant of stateMutants) {
    test(mutant.name, () => {
      expect(findFailure(mutant, MUTANT_HISTORIES)?.complaints).not.toBeEmpty();
    });
  }
});

describe("the judge complains", () => {
  const world = () => new DocumentChecker("tracks:1", "replaced", 2);
  const put = (body: Record<string, number>) => ({ kind: "put", body }) as const;
  const patch = (body: Record<string, number | null>) => ({ kind: "patch", body }) as const;
  const shown = (document: Record<string, number> | undefined) => [{ document, hash: "h" }];

  test("when nodes show different documents, or different hashes of equal ones", () => {
    const apart = world();
    apart.settled([...shown({ a: 1 }), ...shown({ a: 2 })]);
    expect(apart.complaints.join()).toContain("nodes show");
    const unequal = world();
    unequal.settled([...shown(undefined), { document: undefined, hash: "other" }]);
    expect(unequal.complaints.join()).toContain("unequal hashes");
  });

  test("when a write is gone for no reason", () => {
    const checker = world();
    checker.acknowledged(0, put({ a: 1, b: 2 }), undefined, { a: 1, b: 2 });
    checker.settled(shown({ b: 2 }));
    expect(checker.complaints.join()).toContain("gone without a reason");
  });

  test("when what a write had seen stands against it", () => {
    const checker = world();
    checker.acknowledged(0, put({ a: 1 }), undefined, { a: 1 });
    checker.delivered(0, 1);
    checker.acknowledged(1, patch({ a: 2 }), { a: 1 }, { a: 2 });
    checker.settled(shown({ a: 1 }));
    expect(checker.complaints.join()).toContain("a write that had seen it replaced it");
  });

  test("when a delete is undone by what it had seen", () => {
    const checker = world();
    checker.acknowledged(0, put({ a: 1 }), undefined, { a: 1 });
    checker.acknowledged(0, { kind: "delete" }, { a: 1 }, undefined);
    checker.settled(shown({ a: 1 }));
    expect(checker.complaints.join()).toContain("returned after a delete");
  });

  test("when a document is gone though its last write had seen every delete", () => {
    const checker = world();
    checker.acknowledged(0, put({ a: 1 }), undefined, { a: 1 });
    checker.acknowledged(0, { kind: "delete" }, { a: 1 }, undefined);
    checker.acknowledged(0, put({ a: 2 }), undefined, { a: 2 });
    checker.settled(shown(undefined));
    expect(checker.complaints.join()).toContain("no later or concurrent delete");
  });

  test("when two replacements are mixed", () => {
    const checker = world();
    checker.acknowledged(0, put({ lat: 1, lon: 2 }), undefined, { lat: 1, lon: 2 });
    checker.acknowledged(1, put({ lat: 3, lon: 4 }), undefined, { lat: 3, lon: 4 });
    checker.settled(shown({ lat: 1, lon: 4 }));
    expect(checker.complaints.join()).toContain("mixes fields");
  });

  test("but not when two concurrent writes of a field leave one of them", () => {
    const checker = world();
    checker.acknowledged(0, patch({ a: 1 }), undefined, { a: 1 });
    checker.acknowledged(1, patch({ a: 2, b: 3 }), undefined, { a: 2, b: 3 });
    checker.settled(shown({ a: 1, b: 3 }));
    expect(checker.complaints).toEqual([]);
  });
});
