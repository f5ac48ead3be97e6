// How long to wait before trying again: delays as data, with jitter, so that a formation that lost its network
// (or its API server) does not come back in step.

const DELAYS_MS = [100, 250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];
/** Share of the delay that is left to chance. */
const JITTER = 0.4;

/** Delay before attempt `failures + 1`; `random` is in [0, 1). */
export function backoffMs(failures: number, random: number): number {
  const delay = DELAYS_MS[Math.min(failures, DELAYS_MS.length - 1)] ?? 0;
  return delay * (1 - JITTER / 2 + JITTER * random);
}
