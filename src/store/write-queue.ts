// Writes that wait for their group: the node's own first, then as many of its peers' as time allows.
import { Fault } from "../base/faults.ts";
import type { WriteRequest, WriteResult } from "./precondition.ts";
import type { IncomingState, MergeOutcome } from "./write-group.ts";

export interface LocalWrite {
  readonly request: WriteRequest;
  readonly resolve: (result: WriteResult) => void;
  readonly reject: (error: unknown) => void;
}

export interface PeerMerge {
  readonly incoming: IncomingState;
  readonly origin: string;
  readonly resolve: (outcome: MergeOutcome) => void;
  readonly reject: (error: unknown) => void;
}

const LOCAL_PER_GROUP = 512;
const MERGES_PER_GROUP = 512;
/** How long the node's own writes may hold up everything else. */
const LOCAL_MS_PER_GROUP = 20;
/** How long peers' documents may hold up a group, and thereby everybody's answers. */
const MERGE_MS_PER_GROUP = 8;
/** Waiting local writes beyond this are refused at once: an answer now is worth more than one never. */
const LOCAL_WAITING_MAX = 20_000;

export class WriteQueue {
  #local: LocalWrite[] = [];
  #merges: PeerMerge[] = [];
  #turns: (() => void)[] = [];

  get isEmpty(): boolean {
    return this.#local.length === 0 && this.#merges.length === 0;
  }

  /** Fault `overloaded` when too many wait already. */
  pushLocal(write: LocalWrite): void {
    if (this.#local.length >= LOCAL_WAITING_MAX) {
      throw new Fault("overloaded", "too many writes are waiting; slow down and try again");
    }
    this.#local.push(write);
  }

  pushMerge(merge: PeerMerge): void {
    this.#merges.push(merge);
  }

  /** Calls `apply` for the node's own writes in order: at least one, until their share of the time is used up. */
  takeLocal(now: () => number, apply: (write: LocalWrite) => void): void {
    takeSome(this.#local, { countMax: LOCAL_PER_GROUP, msMax: LOCAL_MS_PER_GROUP, now }, apply);
  }

  /** Resolves at the next end of a turn. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.#turns.push(resolve));
  }

  endTurn(): void {
    for (const resolve of this.#turns.splice(0)) resolve();
  }

  /** The node is stopping: what peers sent is not acknowledged. */
  refuseMerges(): void {
    for (const { reject } of this.#merges.splice(0)) {
      reject(new Fault("not_ready", "the node is stopping"));
    }
  }

  /** Calls `apply` for peers' documents in order: at least one, until their share of the group is used up. */
  takeMerges(now: () => number, apply: (merge: PeerMerge) => void): void {
    takeSome(this.#merges, { countMax: MERGES_PER_GROUP, msMax: MERGE_MS_PER_GROUP, now }, apply);
  }
}

interface Share {
  readonly countMax: number;
  readonly msMax: number;
  readonly now: () => number;
}

/** Applies and removes the first of `waiting`: at least one, then as many as their share allows. */
function takeSome<T>(waiting: T[], { countMax, msMax, now }: Share, apply: (one: T) => void): void {
  const until = now() + msMax;
  let taken = 0;
  for (const one of waiting) {
    if (taken === countMax || (taken > 0 && now() >= until)) break;
    taken += 1;
    apply(one);
  }
  waiting.splice(0, taken);
}
