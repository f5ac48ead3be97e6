import { describe, expect, test } from "bun:test";
import {
  changeRates,
  roundBytesMax,
  roundMax,
  SAMPLES_MAX,
  type Sample,
  trafficRates,
  withSample,
} from "../../../../src/dashboard/page/series.ts";

function sample(atMs: number, parts: Partial<Sample> = {}): Sample {
  const nothing = { documents: 0, databaseBytes: 0, lagMs: undefined, rttMs: undefined };
  return { atMs, changes: 0, traffic: new Map(), ...nothing, ...parts };
}

const sent = (peer: string, bytes: number) => ({
  traffic: new Map([[peer, { sent: bytes, received: 0 }]]),
});

describe("a rate", () => {
  test("is what a counter has grown by in a second", () => {
    const rates = changeRates([sample(0, { changes: 10 }), sample(2000, { changes: 30 })]);
    expect(rates).toEqual([{ atMs: 2000, value: 10 }]);
  });

  test("is not known across a restart, a pause, or where the node does not tell", () => {
    const restarted = [sample(0, { changes: 10 }), sample(1000, { changes: 3 })];
    const paused = [sample(0), sample(60_000, { changes: 9 })];
    const silent = [sample(0, { changes: undefined }), sample(1000)];
    for (const samples of [restarted, paused, silent]) {
      expect(changeRates(samples)[0]?.value).toBeUndefined();
    }
  });

  test("of traffic counts a new connection from its beginning", () => {
    const samples = [sample(0, sent("a", 500)), sample(1000, sent("a", 70))];
    expect(trafficRates(samples, "sent")).toEqual([{ atMs: 1000, value: 70 }]);
  });
});

test("samples are bounded, and the oldest goes", () => {
  let samples: readonly Sample[] = [];
  for (let i = 0; i < SAMPLES_MAX + 5; i += 1) samples = withSample(samples, sample(i));
  expect(samples).toHaveLength(SAMPLES_MAX);
  expect(samples[0]?.atMs).toBe(5);
});

test("an axis of bytes ends at a power of two", () => {
  expect(roundBytesMax([{ atMs: 0, value: 70_000 }], 1024)).toBe(131_072);
  expect(roundBytesMax([], 1024)).toBe(1024);
});

test.each([
  [[3], 1, 5],
  [[10], 1, 10],
  [[11], 1, 20],
  [[0.3], 0.1, 0.5],
  [[], 5, 5],
])("the axis for %p, at least %p, ends at %p", (values, least, max) => {
  expect(
    roundMax(
      values.map((value) => ({ atMs: 0, value })),
      least,
    ),
  ).toBeCloseTo(max);
});
