// How many bytes of a file may be on their way to us: as many as its path carries without a queue in which documents
// would wait. Measured by how much later answers come than the quickest ones; the idea is LEDBAT's (RFC 6817).
import type { Clock } from "../base/clock.ts";

const BYTES_MIN = 8 * 1024;
const BYTES_START = 32 * 1024;
const BYTES_MAX = 1024 * 1024;
/** So much later than the quickest is aimed at. Beyond the other there is much less at once. */
const TARGET_MS = 20;
const SLOW_MS = 50;
/** The quickest of so many answers counts: a single late one is no queue. */
const RECENT = 3;
/** The quickest of all counts for so long: paths change. */
const QUICKEST_MS = 30_000;
/** In the beginning, more per byte that has come: a quarter per round trip. */
const START_GAIN = 0.25;
/** Later, for each window that has come. */
const STEP_BYTES = 8 * 1024;
/** What a queue that is too long leaves of the window, and what a new look at the path does. */
const LESS = 0.7;
const MUCH_LESS = 0.25;
const PIECE_MIN = 2048;
/** Bytes are asked for in pieces, so many of which fill the window. */
const PIECES = 12;

export class Pace {
  readonly #clock: Clock;
  #size = BYTES_START;
  #inFlight = 0;
  #recentMs: number[] = [];
  #quickest = { lagMs: Number.POSITIVE_INFINITY, since: 0 };
  #isStarting = true;
  /** What was asked for before the window shrank says nothing about it now. */
  #settledAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Bytes that may be on their way. */
  get windowBytes(): number {
    return this.#size;
  }

  /** Whether more may be asked for. */
  get hasRoom(): boolean {
    return this.#inFlight < this.#size;
  }

  /** How much to ask for at once. */
  get pieceBytes(): number {
    return Math.max(PIECE_MIN, Math.floor(this.#size / PIECES));
  }

  asked(bytes: number): void {
    this.#inFlight += bytes;
  }

  /** `lagMs`: from asking to the answer. */
  answered(bytes: number, lagMs: number): void {
    this.#inFlight -= bytes;
    const now = this.#clock.monotonic();
    if (now - this.#quickest.since > QUICKEST_MS) this.#lookAnew(now);
    if (lagMs < this.#quickest.lagMs) this.#quickest = { ...this.#quickest, lagMs };
    this.#recentMs.push(lagMs);
    if (this.#recentMs.length > RECENT) this.#recentMs.shift();
    const queuedMs = Math.min(...this.#recentMs) - this.#quickest.lagMs;
    if (queuedMs > TARGET_MS) this.#isStarting = false;
    if (queuedMs <= SLOW_MS) this.#resize(this.#growth(bytes, queuedMs));
    else if (now >= this.#settledAt) {
      this.#resize(this.#size * (LESS - 1));
      this.#settledAt = now + lagMs;
    }
  }

  #growth(bytes: number, queuedMs: number): number {
    if (this.#isStarting) return bytes * START_GAIN;
    const offTarget = (TARGET_MS - queuedMs) / TARGET_MS;
    return (offTarget * STEP_BYTES * bytes) / this.#size;
  }

  #resize(change: number): void {
    this.#size = Math.round(Math.min(BYTES_MAX, Math.max(BYTES_MIN, this.#size + change)));
  }

  /** Or what queues by now would count as quick: the queue runs empty first. */
  #lookAnew(now: number): void {
    if (this.#quickest.lagMs < Number.POSITIVE_INFINITY) this.#resize(this.#size * (MUCH_LESS - 1));
    this.#quickest = { lagMs: Number.POSITIVE_INFINITY, since: now };
    this.#recentMs = [];
    this.#isStarting = true;
  }
}
