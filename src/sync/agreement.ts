// When two nodes compare their sums, and what they last agreed on.
import type { Clock } from "../base/clock.ts";
import type { Store } from "../store/store.ts";
import { ROOT } from "../store/sums.ts";
import type { CatchUp } from "./catch-up.ts";

/** How long after a change, and how often while anything goes on changing, sums are compared. */
const COMPARE_MS = 3_500;
/** Each step of a comparison takes one; the next comparison does not begin between them. */
const COMPARE_ROUND_TRIPS = 2;
/** Only one side asks at a time, as a rule: the answers of both would send everything twice. */
const ACCEPTOR_EXTRA_MS = 1_000;
/** A catch-up puts that off as long as it moves, and at most this long. */
const COMPARE_BUSY_MS = 30_000;
const COMPARE_LATEST_MS = 600_000;
/** The same, while what would differ is mostly on its way by another link. */
const COMPARE_OVERTAKEN_MS = 180_000;
/** A peer that has sent nothing more for so long is asked whether that was all. */
const SILENT_MS = 500;
/** How long more is waited for, after a peer has said that more follows. */
const RECEIVING_MS = 5_000;

export interface AgreementContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly catchUp: CatchUp;
  readonly isDialer: boolean;
  readonly road: {
    /** Another link brings or takes what a comparison would find. */
    readonly isOvertaken: boolean;
    /** How long an answer takes now. */
    readonly roundTripMs: number;
  };
  /** Calls back once the peer has had all that we sent by now, and we its answers. */
  readonly afterAnswers: (then: () => void) => void;
}

export class Agreement {
  readonly #context: AgreementContext;
  /** Of the store when it agreed; what has had its time since then has had it on both sides. */
  #revision: number | undefined;
  #comparedAt: number;
  /** When it was first seen that the last agreement holds no more. */
  #changedAt: number | undefined;
  #isPutOff = false;
  #hasMore = false;
  #lastSentAt = 0;
  #isAsking = false;
  /** Our sums are on their way, or their answer. */
  #isAwaited = false;
  /** Before the first comparison nothing of one can be on its way: what moves are new changes, which may never end. */
  #hasCompared = false;
  /** A comparison has once been brought to its end on this link, or on those before it. */
  #isSettled = false;
  /** The last comparison was ended between its steps: the next one goes on whatever moves. */
  #wasStopped = false;
  /** The comparison under way was begun though much moved: it goes on though much does. */
  #isInSpite = false;
  /** When a comparison was last answered: two that are busy would else decline each other for ever. */
  #answeredAt: number;

  constructor(context: AgreementContext) {
    this.#context = context;
    this.#comparedAt = context.clock.monotonic();
    this.#answeredAt = this.#comparedAt;
  }

  /** Both ends send on what they were to send on the link before this one: what that one knew still holds. */
  resume(before: Agreement): void {
    this.#hasCompared = before.#isSettled;
    this.#isSettled = before.#isSettled;
    this.#answeredAt = before.#answeredAt;
    this.#isPutOff = this.#context.isDialer;
  }

  /** Both sides had equal sums when they last compared, and nothing has changed here since. */
  get holds(): boolean {
    return this.#revision === this.#context.store.revision;
  }

  /** Our sum and the peer's are equal now. */
  reached(): void {
    this.#isSettled = true;
    this.#answered();
    this.#revision = this.#context.store.revision;
    this.#comparedAt = this.#context.clock.monotonic();
    this.#context.catchUp.done(this);
  }

  /** Whether to compare now; if another peer has to be caught up with first, it is due as soon as that is. */
  mayCompare(isBusy: boolean, theirs?: number): boolean {
    const { store, clock, catchUp } = this.#context;
    // Who has agreed before lacks little. Of any other nobody knows: equal counts may be of other documents.
    const known = this.#revision === undefined ? undefined : (theirs ?? 0);
    const may = catchUp.mayCompare(this, store.sum(ROOT).count, known);
    this.#isPutOff = !may;
    if (may) {
      this.#comparedAt = clock.monotonic();
      this.#isInSpite = isBusy || this.#wasStopped;
      this.#wasStopped = false;
    }
    return may;
  }

  /** Whether to answer the peer's sums now; if not, ours follow when they can. */
  mayAnswer(theirs: number, isBusy: boolean): boolean {
    if (isBusy && this.#hasCompared && !this.#isOverdue) {
      this.#isPutOff = true;
      return false;
    }
    const may = this.mayCompare(isBusy, theirs);
    this.#hasCompared ||= may;
    return may;
  }

  /** Whether to take the next step of a comparison; if others have begun to move since it began, what is on its way there would be listed. */
  get mayGoOn(): boolean {
    if (!this.#context.road.isOvertaken || this.#isInSpite) return true;
    this.#wasStopped = true;
    // The first one of all is tried again soon, in spite of what moves.
    this.#isPutOff = this.#hasCompared;
    return false;
  }

  /** The peer sends much, and has said that more follows. */
  get isReceiving(): boolean {
    return this.#hasMore && this.#quietMs < RECEIVING_MS;
  }

  /** Since the peer last sent or acknowledged something. */
  get #quietMs(): number {
    return this.#context.clock.monotonic() - Math.max(this.#lastSentAt, this.#comparedAt);
  }

  /** Much is always under way between two that are busy; now and then they compare all the same. */
  get #isOverdue(): boolean {
    const sinceMs = this.#context.clock.monotonic() - this.#answeredAt;
    if (this.#context.road.isOvertaken) return sinceMs >= COMPARE_OVERTAKEN_MS;
    return this.#quietMs >= COMPARE_BUSY_MS || sinceMs >= COMPARE_LATEST_MS;
  }

  /** Our sums have been sent. */
  asked(): void {
    this.#isAwaited = true;
  }

  #answered(): void {
    this.#isAwaited = false;
    this.#hasCompared = true;
    this.#answeredAt = this.#context.clock.monotonic();
  }

  /** The peer compares with somebody else at the moment, and will ask us when that is over. */
  declined(): void {
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    this.#context.catchUp.done(this);
  }

  /** So many documents came together; `more` follow. */
  statesCame(count: number, more: boolean): void {
    this.#hasMore = more;
    if (more && count > 0) this.advanced();
    else this.received();
  }

  /** The peer sent documents. */
  received(): void {
    this.#lastSentAt = this.#context.clock.monotonic();
  }

  /** Something of a catch-up arrives: what differs, documents with more to follow, the middle of a frame. */
  advanced(): void {
    this.received();
    this.#context.catchUp.progress(this);
  }

  /** The peer has acknowledged something. */
  progressed(): void {
    this.#lastSentAt = this.#context.clock.monotonic();
  }

  /** The peer has answered our sums, or asked about its own. */
  compared(): void {
    this.#answered();
    this.advanced();
  }

  /** Something is left to compare as soon as what is under way is settled. */
  again(): void {
    this.#isPutOff = true;
  }

  /** Called now and then: lets others catch up once this peer has fallen silent, and says when to compare. */
  isDue(isMoving: boolean): boolean {
    const { clock, isDialer, road } = this.#context;
    const isBusy = isMoving && this.#hasCompared;
    const now = clock.monotonic();
    if (!isMoving && this.#quietMs >= SILENT_MS) this.#askWhetherAll(now);
    if (this.#isAwaited && now - this.#comparedAt < COMPARE_BUSY_MS) return false;
    if (this.#isPutOff && !isBusy) return true;
    if (this.holds) {
      this.#changedAt = undefined;
      return false;
    }
    this.#changedAt ??= now;
    if (isMoving && now - this.#comparedAt < COMPARE_BUSY_MS) return false;
    if (isBusy) return this.#isOverdue;
    const sinceMs = now - Math.max(this.#comparedAt, this.#changedAt, this.#answeredAt);
    const quietMs = Math.max(COMPARE_MS, COMPARE_ROUND_TRIPS * road.roundTripMs);
    return sinceMs >= quietMs + (isDialer ? 0 : ACCEPTOR_EXTRA_MS);
  }

  /** No time tells a slow link from a peer that has sent all. */
  #askWhetherAll(askedAt: number): void {
    const { catchUp, afterAnswers } = this.#context;
    if (this.#isAsking || !catchUp.isFrom(this)) return;
    this.#isAsking = true;
    afterAnswers(() => {
      this.#isAsking = false;
      if (Math.max(this.#lastSentAt, this.#comparedAt) <= askedAt) catchUp.done(this);
    });
  }

  /** The link is over. */
  end(): void {
    this.#context.catchUp.done(this);
  }
}
