// Delays between dials: short at first, bounded, and never in step.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { backoffMs } from "../../../src/base/backoff.ts";

test("the first retry is quick, later ones at most half a minute apart", () => {
  expect(backoffMs(0, 0.5)).toBe(100);
  expect(backoffMs(1, 0.5)).toBe(250);
  expect(backoffMs(8, 0.5)).toBe(30_000);
  expect(backoffMs(1_000_000, 0.5)).toBe(30_000);
});

test("a delay never falls as failures go on, and chance moves it by a fifth either way", () => {
  fc.assert(
    fc.property(
      fc.nat(100),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (failures, random) => {
        const middle = backoffMs(failures, 0.5);
        expect(backoffMs(failures + 1, 0.5)).toBeGreaterThanOrEqual(middle);
        const delay = backoffMs(failures, random);
        expect(delay).toBeGreaterThanOrEqual(middle * 0.8 - 1e-6);
        expect(delay).toBeLessThanOrEqual(middle * 1.2 + 1e-6);
      },
    ),
  );
});
