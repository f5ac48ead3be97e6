// Fifty rounds of kills of the compiled executable; a thousand by `bun scripts/durability.ts`.
import { beforeAll, expect, test } from "bun:test";
import { DurabilityRun } from "../../scripts/model/durability-rounds.ts";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";

const ROUNDS = 50;

beforeAll(async () => {
  await ensureHostExecutable();
}, 120_000);

test("every write that was acknowledged before SIGKILL is there after the restart", async () => {
  const results = await DurabilityRun.run({
    executable: meshNodePath,
    rounds: ROUNDS,
    seed: 20_261_121,
    told: () => undefined,
  });
  expect(results.flatMap(({ lost }) => lost)).toEqual([]);
  const acknowledged = results.reduce((sum, result) => sum + result.acknowledged, 0);
  expect(acknowledged).toBeGreaterThan(ROUNDS * 10);
  // Some kill must have met a write under way, or they all came too late to prove anything.
  expect(results.some(({ underWay }) => underWay > 0)).toBe(true);
  expect(results.some(({ found }) => found > 0)).toBe(true);
  expect(results.some(({ killed, isConnected }) => isConnected && killed.length === 1)).toBe(true);
  expect(results.filter(({ isCompared }) => isCompared).length).toBe(2);
}, 240_000);
