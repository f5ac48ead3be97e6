// PORT Clock: the only source of time and timers, so that a simulation can own both.

/** Ends a timer that has not fired yet; harmless afterwards. */
export type CancelTimer = () => void;

export interface Clock {
  /** Wall clock, ms since the Unix epoch. May jump. */
  now(): number;
  /** Monotonic ms since some fixed moment; for durations. */
  monotonic(): number;
  /** Calls `run` once after `delayMs`. A pending timer does not keep the process alive. */
  after(delayMs: number, run: () => void): CancelTimer;
  /** Calls `run` in a later turn of the event loop, after the I/O that is ready now. */
  soon(run: () => void): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  soon(run) {
    setImmediate(run);
  },
};

/**
 * Ms until the multiple of `everyMs` that is next to so long from now: whoever looks at something every now and then
 * does so in the same turn as all others, and a process at rest is woken once.
 */
export function untilBeat(clock: Clock, everyMs: number): number {
  const now = clock.monotonic();
  return Math.round(now / everyMs + 1) * everyMs - now;
}

/** Resolves after `delayMs`, or as soon as `signal` aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = clock.after(delayMs, finish);
    signal?.addEventListener("abort", finish, { once: true });
  });
}

/** Resolves with `work`'s result, or with `fallback` when `delayMs` pass first. */
export async function within<T, F>(
  clock: Clock,
  delayMs: number,
  work: Promise<T>,
  fallback: F,
): Promise<T | F> {
  let cancel: CancelTimer = () => undefined;
  const late = new Promise<F>((resolve) => {
    cancel = clock.after(delayMs, () => resolve(fallback));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
