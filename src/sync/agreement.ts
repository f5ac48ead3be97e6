// When two nodes compare their sums, and what they last agreed on.
import type { Clock } from "../base/clock.ts";
import type { Store } from "../store/store.ts";
import { ROOT } from "../store/sums.ts";
import type { CatchUp } from "./catch-up.ts";

/** How often sums are compared while anything has changed since the last agreement. */
const COMPARE_MS = 3_500;
/** Only one side asks at a time, as a rule: the answers of both would send everything twice. */
const ACCEPTOR_EXTRA_MS = 1_000;
/** A catch-up puts that off as long as it moves, and at most this long. */
const COMPARE_BUSY_MS = 30_000;
const COMPARE_LATEST_MS = 600_000;
/** A catch-up is over when its peer has sent nothing more for so long. */
const SILENT_MS = 500;

export interface AgreementContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly catchUp: CatchUp;
  readonly isDialer: boolean;
}

export class Agreement {
  readonly #context: AgreementContext;
  #root: string | undefined;
  #comparedAt: number;
  #isPutOff = false;
  #lastSentAt = 0;

  constructor(context: AgreementContext) {
    this.#context = context;
    this.#comparedAt = context.clock.monotonic();
  }

  /** Both sides had equal sums when they last compared, and nothing has changed here since. */
  get holds(): boolean {
    return this.#root !== undefined && this.#root === this.#context.store.summary().rootHash;
  }

  /** Our sum and the peer's are equal now. */
  reached(): void {
    this.#root = this.#context.store.summary().rootHash;
    this.#comparedAt = this.#context.clock.monotonic();
    this.#context.catchUp.done(this);
  }

  /** Whether to compare now; if another peer has to be caught up with first, it is due as soon as that is. */
  mayCompare(theirs?: number): boolean {
    const { store, clock, catchUp } = this.#context;
    // Who has agreed before is not asked for everything again.
    const known = theirs ?? (this.#root === undefined ? undefined : 0);
    const may = catchUp.mayCompare(this, store.sum(ROOT).count, known);
    this.#isPutOff = !may;
    if (may) this.#comparedAt = clock.monotonic();
    return may;
  }

  /** The peer sent documents; `more` of its catch-up follow. */
  received(more: boolean): void {
    this.#lastSentAt = this.#context.clock.monotonic();
    if (more) this.#context.catchUp.progress(this);
  }

  /** The peer has acknowledged something. */
  progressed(): void {
    this.#lastSentAt = this.#context.clock.monotonic();
  }

  /** A comparison has listed only a part of what differs: the next follows as soon as that is settled. */
  again(): void {
    this.#isPutOff = true;
  }

  /** Called now and then: lets others catch up once this peer has fallen silent, and says when to compare. */
  isDue(isBusy: boolean): boolean {
    const { clock, catchUp, isDialer } = this.#context;
    const now = clock.monotonic();
    const quietMs = now - Math.max(this.#lastSentAt, this.#comparedAt);
    if (!isBusy && quietMs >= SILENT_MS) catchUp.done(this);
    if (this.#isPutOff && !isBusy) return true;
    if (this.holds) return false;
    const sinceMs = now - this.#comparedAt;
    if (isBusy) return quietMs >= COMPARE_BUSY_MS || sinceMs >= COMPARE_LATEST_MS;
    return sinceMs >= COMPARE_MS + (isDialer ? 0 : ACCEPTOR_EXTRA_MS);
  }

  /** The link is over. */
  end(): void {
    this.#context.catchUp.done(this);
  }
}
