// Waiting for something that another process does: always with a deadline, always with a name.

/** Asks again and again until the answer is not undefined. Throws after `limitMs`, naming what was awaited. */
export async function waitFor<T>(
  what: string,
  limitMs: number,
  ask: () => Promise<T | undefined> | T | undefined,
  pauseMs = 10,
): Promise<T> {
  const startedMs = performance.now();
  while (true) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() - startedMs > limitMs) {
      throw new Error(`waited ${limitMs / 1000} s in vain for ${what}`);
    }
    await Bun.sleep(pauseMs);
  }
}

/** Runs `work` over all items with at most `lanes` at a time; the first failure ends it. */
export async function forEachBounded<T>(
  items: readonly T[],
  lanes: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      const item = items[index];
      if (item !== undefined) await work(item, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane));
}
