// Two hundred thousand inputs for everything that takes what others send; ten millions by `bun scripts/fuzz.ts`.
import { expect, test } from "bun:test";
import { FuzzPool } from "../../scripts/fuzz/pool.ts";
import { TARGETS } from "../../scripts/fuzz/targets.ts";

const INPUTS = 200_000;
const SEED = 20_261_121;

test("every input is accepted or refused by a fault, soon, and means the same when written again", async () => {
  const shares = TARGETS.reduce((sum, { share }) => sum + share, 0);
  await using pool = new FuzzPool(2);
  const totals = await pool.run(
    TARGETS.map(({ name, share }) => ({
      target: name,
      seed: SEED,
      from: 0,
      count: Math.ceil((INPUTS * share) / shares),
    })),
  );
  expect(totals.flatMap(({ failure }) => failure ?? [])).toEqual([]);
  expect(totals.reduce((sum, { inputs }) => sum + inputs, 0)).toBeGreaterThanOrEqual(INPUTS);
  // Each target accepts some and is not accepted out of hand: inputs are nearly right.
  for (const { target, accepted, inputs } of totals) {
    expect([target, accepted > inputs / 100]).toEqual([target, true]);
  }
}, 120_000);
