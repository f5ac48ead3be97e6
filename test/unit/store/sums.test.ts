import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BugError } from "../../../src/base/assert.ts";
import {
  bucketOf,
  bucketsBelow,
  childrenOf,
  DEPTH,
  FAN_OUT,
  type Prefix,
  ROOT,
  Sums,
} from "../../../src/store/sums.ts";

const LEAVES = FAN_OUT ** DEPTH;

/** The definition, without a tree: every document below the prefix, added up as one big number. */
function sumByDefinition(documents: readonly (readonly [string, string])[], prefix: Prefix) {
  const { first, last } = bucketsBelow(prefix);
  const below = documents.filter(([key]) => bucketOf(key) >= first && bucketOf(key) <= last);
  let sum = 0n;
  for (const [key, hash] of below) {
    const digest = new Bun.CryptoHasher("sha256").update(`${key}\n${hash}`).digest("hex");
    sum = (sum + BigInt(`0x${digest.slice(0, 32)}`)) % 2n ** 128n;
  }
  return { count: below.length, sum: sum.toString(16).padStart(32, "0") };
}

function sumsOf(documents: readonly (readonly [string, string])[]): Sums {
  const sums = new Sums();
  for (const [key, hash] of documents) sums.add(bucketOf(key), key, hash);
  return sums;
}

const documents = fc.uniqueArray(fc.tuple(fc.string(), fc.constantFrom("00", "01", "ff")), {
  selector: ([key]) => key,
  maxLength: 40,
});

describe("a sum", () => {
  test("is what its definition says, at the root, at a leaf, and in between", () => {
    fc.assert(
      fc.property(documents, (list) => {
        const sums = sumsOf(list);
        const leaf = { depth: DEPTH, index: list[0] === undefined ? 0 : bucketOf(list[0][0]) };
        const middle = { depth: 1, index: Math.floor(leaf.index / FAN_OUT ** (DEPTH - 1)) };
        for (const prefix of [ROOT, middle, leaf]) {
          expect(sums.at(prefix)).toEqual(sumByDefinition(list, prefix));
        }
      }),
    );
  });

  test("does not depend on the order, and removing undoes adding", () => {
    fc.assert(
      fc.property(documents, documents, (kept, removed) => {
        const sums = new Sums();
        for (const [key, hash] of removed) sums.add(bucketOf(key), key, hash);
        for (const [key, hash] of kept) sums.add(bucketOf(key), key, hash);
        for (const [key, hash] of removed) sums.remove(bucketOf(key), key, hash);
        expect(sums.at(ROOT)).toEqual(sumsOf(kept.toReversed()).at(ROOT));
      }),
    );
  });

  test("of a prefix is that of its children together", () => {
    const list = Array.from({ length: 500 }, (_, i) => [`tracks:${i}`, `${i}`] as const);
    const sums = sumsOf(list);
    for (const prefix of [ROOT, { depth: 1, index: 3 }, { depth: 2, index: 77 }]) {
      const children = childrenOf(prefix).map((child) => sums.at(child));
      const total = children.reduce((sum, child) => sum + BigInt(`0x${child.sum}`), 0n);
      expect(children.reduce((count, child) => count + child.count, 0)).toBe(sums.at(prefix).count);
      expect((total % 2n ** 128n).toString(16).padStart(32, "0")).toBe(sums.at(prefix).sum);
    }
  });

  test("tells two states of one document apart", () => {
    expect(sumsOf([["a:1", "00"]]).at(ROOT)).not.toEqual(sumsOf([["a:1", "01"]]).at(ROOT));
  });
});

describe("prefixes", () => {
  test("of one level cover all leaves, each once", () => {
    for (let depth = 0; depth <= DEPTH; depth += 1) {
      let next = 0;
      for (let index = 0; index < FAN_OUT ** depth; index += 1) {
        const { first, last } = bucketsBelow({ depth, index });
        expect(first).toBe(next);
        next = last + 1;
      }
      expect(next).toBe(LEAVES);
    }
  });

  test("outside of the tree are our mistake", () => {
    expect(() => new Sums().at({ depth: 1, index: FAN_OUT })).toThrow(BugError);
    expect(() => new Sums().at({ depth: DEPTH + 1, index: 0 })).toThrow(BugError);
  });
});
