import { expect, test } from "bun:test";
import { Random } from "../../../scripts/model/random.ts";
import { type Sample, trendOf } from "../../../scripts/soak/trend.ts";

const TOLERANCE = { relative: 0.05, absolute: 5 };

function samples(valueAt: (at: number) => number): Sample[] {
  return Array.from({ length: 48 }, (_, i) => ({ at: i * 30, value: valueAt(i * 30) }));
}

test("noise and a sawtooth are flat, also when the last sample is a peak", () => {
  const random = new Random(1);
  expect(
    trendOf(
      samples(() => 100 + random.next() * 20),
      TOLERANCE,
    ).isFlat,
  ).toBe(true);
  expect(
    trendOf(
      samples((at) => 100 + (at % 210) / 10),
      TOLERANCE,
    ).isFlat,
  ).toBe(true);
  const peak = samples((at) => (at === 47 * 30 ? 300 : 100));
  expect(trendOf(peak, TOLERANCE).isFlat).toBe(true);
});

test("what grows by more than is tolerated is found below the noise", () => {
  const random = new Random(2);
  const leak = trendOf(
    samples((at) => 100 + at / 100 + random.next() * 10),
    TOLERANCE,
  );
  expect(leak.isFlat).toBe(false);
  expect(leak.growth).toBeWithin(11, 17);
  expect([leak.first < leak.middle, leak.middle < leak.last]).toEqual([true, true]);
});

test("what shrinks is flat, and two samples are no trend", () => {
  expect(
    trendOf(
      samples((at) => 100 - at / 100),
      TOLERANCE,
    ).isFlat,
  ).toBe(true);
  expect(() => trendOf(samples(() => 1).slice(0, 2), TOLERANCE)).toThrow("too few");
});
