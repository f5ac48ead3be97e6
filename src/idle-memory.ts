// Memory that a busy time took is given back once it is over: to a host that runs other things, it matters
// more than the milliseconds that taking it again costs.
import type { Clock } from "./base/clock.ts";
import type { Store } from "./store/store.ts";

const LOOK_EVERY_MS = 5_000;
/** What a collection finds gives back its native memory some moments later only, for the next one to release. */
const PASSES = 3;

export interface IdleMemoryOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** A number that grows with what else takes memory: connections that came and went. */
  readonly activity: () => number;
  /** Collects garbage at once. */
  readonly collect: () => void;
}

/** Starts looking; returns the way to end it. */
export function releaseMemoryWhenIdle(options: IdleMemoryOptions): () => void {
  const { store, clock, activity, collect } = options;
  // The start is a busy time too.
  let isBusy = true;
  let passesLeft = PASSES;
  const endCommits = store.onCommit(() => {
    isBusy = true;
    passesLeft = PASSES;
  });
  let cancel = () => {};
  let activityBefore = activity();
  const look = () => {
    const activityNow = activity();
    if (activityNow !== activityBefore) {
      isBusy = true;
      passesLeft = PASSES;
    }
    activityBefore = activityNow;
    if (!isBusy && passesLeft > 0) {
      passesLeft -= 1;
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
