// How many bytes may be on their way to one peer, unacknowledged: as many as its link carries without a queue. What
// is urgent waits behind no more than them, on a link of a few kilobytes a second too.
import type { Clock } from "../base/clock.ts";
import type { DocumentKey } from "../store/document-key.ts";
import { STATES_BYTES_TARGET } from "../wire/native.ts";
import type { PeerTimes } from "./sync-times.ts";

const BYTES_MIN = 8 * 1024;
const BYTES_START = 16 * 1024;
const BYTES_MAX = 4 * 1024 * 1024;
/** The quickest of so many acknowledgements counts: one that was lost on the way and sent again is no queue. */
const RECENT = 4;
/** So much later than the quickest of all: nothing queues, there may be more. Beyond the other: less. */
const FAST_MS = 100;
const SLOW_MS = 300;
/** The quickest counts for so long: paths change. */
const QUICKEST_MS = 30_000;
/** A frame of states is a part of the window, so that it moves on evenly. */
const FRAME_SHARE = 3;

interface Sent {
  readonly serial: number;
  readonly bytes: number;
  readonly at: number;
  readonly keys: readonly DocumentKey[];
}

export class Window {
  readonly #clock: Clock;
  readonly #times: PeerTimes | undefined;
  readonly #sent: Sent[] = [];
  #size = BYTES_START;
  #inFlight = 0;
  #serial = 0;
  #lastLagMs = 0;
  /** Bytes of states per byte of the last frames. */
  #packing = 1;
  readonly #recentMs: number[] = [];
  #quickest = { lagMs: Number.POSITIVE_INFINITY, at: 0 };

  /** `times` hears of every acknowledgement. */
  constructor(clock: Clock, times?: PeerTimes) {
    this.#clock = clock;
    this.#times = times;
  }

  get hasRoom(): boolean {
    return this.#inFlight < this.#size;
  }

  /** Bytes of states, before they are packed, that the next frame should not exceed by much. */
  get frameBytes(): number {
    return Math.min(STATES_BYTES_TARGET, Math.round((this.#size / FRAME_SHARE) * this.#packing));
  }

  /** Frames that are not acknowledged. */
  get inFlightFrames(): number {
    return this.#sent.length;
  }

  /** When the oldest frame that is not acknowledged was sent; infinity: all are. */
  get oldestSentAt(): number {
    return this.#sent[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Ms since the last frame was sent. */
  get sinceLastMs(): number {
    const last = this.#sent.at(-1);
    return last === undefined ? Number.POSITIVE_INFINITY : this.#clock.monotonic() - last.at;
  }

  get inFlightBytes(): number {
    return this.#inFlight;
  }

  /** From sending to the acknowledgement of the commit; of the newest acknowledged frame. */
  get lastLagMs(): number {
    return this.#lastLagMs;
  }

  nextSerial(): number {
    this.#serial = (this.#serial + 1) >>> 0;
    return this.#serial;
  }

  /** Documents that are on their way. */
  get unacknowledged(): DocumentKey[] {
    return this.#sent.flatMap(({ keys }) => keys);
  }

  /** `statesBytes`: what the frame of `bytes` holds, before it was packed. */
  sent(
    serial: number,
    bytes: number,
    statesBytes = bytes,
    keys: readonly DocumentKey[] = [],
  ): void {
    this.#packing += (Math.max(1, statesBytes / bytes) - this.#packing) / 4;
    this.#sent.push({ serial, bytes, at: this.#clock.monotonic(), keys });
    this.#inFlight += bytes;
  }

  /** All up to `serial` is committed; an unknown serial acknowledges nothing. The documents that are now there. */
  acknowledged(serial: number): DocumentKey[] {
    const index = this.#sent.findIndex((sent) => sent.serial === serial);
    const settled = this.#sent.splice(0, index + 1);
    for (const { bytes, at, keys } of settled) {
      this.#lastLagMs = this.#clock.monotonic() - at;
      this.#times?.acknowledged(keys, at, this.#lastLagMs);
      this.#adapt(bytes);
      this.#inFlight -= bytes;
    }
    return settled.flatMap(({ keys }) => keys);
  }

  /** The peer has all that this node has. */
  agreed(): void {
    this.#times?.agreed();
  }

  #adapt(bytes: number): void {
    const now = this.#clock.monotonic();
    if (now - this.#quickest.at > QUICKEST_MS) {
      // What queues by now would count as quick: the queue runs empty first.
      this.#size = Math.min(this.#size, BYTES_START);
      this.#quickest = { lagMs: Number.POSITIVE_INFINITY, at: now };
    }
    if (this.#lastLagMs <= this.#quickest.lagMs) {
      this.#quickest = { lagMs: this.#lastLagMs, at: now };
    }
    this.#recentMs.push(this.#lastLagMs);
    if (this.#recentMs.length > RECENT) this.#recentMs.shift();
    const queuedMs = Math.min(...this.#recentMs) - this.#quickest.lagMs;
    if (queuedMs < FAST_MS) this.#size = Math.min(BYTES_MAX, this.#size + bytes);
    else if (queuedMs > SLOW_MS) {
      // What a link once carried says nothing of one that has become slow: what queues on it now is too much.
      const used = Math.min(this.#size, Math.max(this.#inFlight, BYTES_START));
      this.#size = Math.max(BYTES_MIN, used - bytes);
    }
  }
}
