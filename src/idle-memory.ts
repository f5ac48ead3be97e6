// Memory that a busy time took is given back once it is over: to a host that runs other things, it matters
// more than the milliseconds that taking it again costs.
import { type Clock, untilBeat } from "./base/clock.ts";
import type { Store } from "./store/store.ts";

const LOOK_EVERY_MS = 1_000;
/** Once there is nothing more to give back. */
const REST_MS = 2_000;
/** Looks in a row without any work: a quiet time. */
const QUIET_LOOKS = 5;
/** What a collection finds gives back its native memory some moments later only, for the next one to release. */
const PASSES = 3;
/** So many connections are worth a collection in the midst of work: each left some 60 KB of native memory behind. */
const CONNECTIONS_MAX = 500;

export interface IdleMemoryOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Connections so far, whatever became of them. */
  readonly connections: () => number;
  /** Collects garbage at once. */
  readonly collect: () => void;
}

/** Starts looking; returns the way to end it. */
export function releaseMemoryWhenIdle(options: IdleMemoryOptions): () => void {
  const { store, clock, connections, collect } = options;
  // The start is a busy time too.
  let isBusy = true;
  let passesLeft = PASSES;
  let quietLooks = 0;
  let seen = connections();
  let seenAtCollection = seen;
  const endCommits = store.onCommit(() => {
    isBusy = true;
  });
  let cancel = () => {};
  const look = () => {
    const before = seen;
    seen = connections();
    if (isBusy || seen !== before) {
      quietLooks = 0;
      passesLeft = PASSES;
    } else quietLooks += 1;
    isBusy = false;
    const isQuiet = quietLooks > 0 && quietLooks % QUIET_LOOKS === 0;
    const isDue = isQuiet && passesLeft > 0;
    if (isDue || seen - seenAtCollection >= CONNECTIONS_MAX) {
      if (isDue) passesLeft -= 1;
      seenAtCollection = seen;
      store.releaseMemory();
      collect();
    }
    const isAtRest = quietLooks > 0 && passesLeft === 0;
    cancel = clock.after(untilBeat(clock, isAtRest ? REST_MS : LOOK_EVERY_MS), look);
  };
  cancel = clock.after(untilBeat(clock, LOOK_EVERY_MS), look);
  return () => {
    cancel();
    endCommits();
  };
}
