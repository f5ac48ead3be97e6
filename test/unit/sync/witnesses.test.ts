// Two tell each peer of a change that it should have heard from its author, whoever looks.
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { DocumentKey } from "../../../src/store/document-key.ts";
import { isWitness, rankWitnesses } from "../../../src/sync/witnesses.ts";

const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 20 });

test("for each peer exactly two of the others, or all where there are fewer", () => {
  fc.assert(
    fc.property(names, fc.string(), (all, id) => {
      const ranked = rankWitnesses(`tracks:${id}` as DocumentKey, new Set(all));
      for (const peer of all) {
        const others = all.filter((name) => name !== peer);
        const telling = others.filter((own) => isWitness(ranked, own, peer));
        expect(telling.length).toBe(Math.min(2, others.length));
      }
    }),
  );
});

test("the same whatever the order in which the neighbours were told", () => {
  fc.assert(
    fc.property(names, fc.string(), (all, id) => {
      const key = `tracks:${id}` as DocumentKey;
      const there = rankWitnesses(key, new Set(all));
      expect(rankWitnesses(key, new Set(all.toReversed()))).toEqual(there);
    }),
  );
});

test("the work is shared: over many documents each of eight has its part", () => {
  const all = ["a", "b", "c", "d", "e", "f", "g", "h"];
  const counts = new Map(all.map((name) => [name, 0]));
  for (let i = 0; i < 800; i += 1) {
    const [first = ""] = rankWitnesses(`tracks:${i}` as DocumentKey, new Set(all));
    counts.set(first, (counts.get(first) ?? 0) + 1);
  }
  for (const count of counts.values()) expect(count).toBeGreaterThan(50);
});
