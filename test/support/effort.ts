// How much of what could be tried is tried: `check` takes a share that fits in a minute, the full run
// (PEAT_TEST_FULL=1, set by `bun run test`) takes all.
const IS_FULL = process.env["PEAT_TEST_FULL"] === "1";

/** `full` in the full run, else `quick`. */
export function effort<Value>(quick: Value, full: Value): Value {
  return IS_FULL ? full : quick;
}

/** Random cases of a property: a fifth of them in `check`, but as many as 20. */
export function cases(count: number): { numRuns: number } {
  return { numRuns: effort(Math.min(count, Math.max(20, Math.ceil(count / 5))), count) };
}
