// Memory that a busy time took is given back once it is over: to a host that runs other things, it matters
// more than the milliseconds that taking it again costs.
import type { Clock } from "./base/clock.ts";
import type { Store } from "./store/store.ts";

const LOOK_EVERY_MS = 5_000;

export interface IdleMemoryOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Collects garbage at once. */
  readonly collect: () => void;
}

/** Starts looking; returns the way to end it. */
export function releaseMemoryWhenIdle({ store, clock, collect }: IdleMemoryOptions): () => void {
  // The start is a busy time too.
  let isBusy = true;
  let hasToRelease = true;
  const endCommits = store.onCommit(() => {
    isBusy = true;
    hasToRelease = true;
  });
  let cancel = () => {};
  const look = () => {
    if (!isBusy && hasToRelease) {
      hasToRelease = false;
      store.releaseMemory();
      collect();
    }
    isBusy = false;
    cancel = clock.after(LOOK_EVERY_MS, look);
  };
  cancel = clock.after(LOOK_EVERY_MS, look);
  return () => {
    cancel();
    endCommits();
  };
}
