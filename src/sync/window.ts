// How many bytes may be on their way to one peer, unacknowledged. Small where acknowledgements are slow, so
// that what is urgent never waits behind much; large where they are fast.
import type { Clock } from "../base/clock.ts";

const BYTES_MIN = 64 * 1024;
const BYTES_START = 256 * 1024;
const BYTES_MAX = 4 * 1024 * 1024;
/** Acknowledged sooner: the peer could take more. Later: it is given less. */
const FAST_MS = 100;
const SLOW_MS = 400;

interface Sent {
  readonly serial: number;
  readonly bytes: number;
  readonly at: number;
}

export class Window {
  readonly #clock: Clock;
  readonly #sent: Sent[] = [];
  #size = BYTES_START;
  #inFlight = 0;
  #serial = 0;
  #lastLagMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get hasRoom(): boolean {
    return this.#inFlight < this.#size;
  }

  /** Frames that are not acknowledged. */
  get inFlightFrames(): number {
    return this.#sent.length;
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

  sent(serial: number, bytes: number): void {
    this.#sent.push({ serial, bytes, at: this.#clock.monotonic() });
    this.#inFlight += bytes;
  }

  /** All up to `serial` is committed; an unknown serial acknowledges nothing. */
  acknowledged(serial: number): void {
    const index = this.#sent.findIndex((sent) => sent.serial === serial);
    for (const { bytes, at } of this.#sent.splice(0, index + 1)) {
      this.#inFlight -= bytes;
      this.#lastLagMs = this.#clock.monotonic() - at;
      if (this.#lastLagMs < FAST_MS) this.#size = Math.min(BYTES_MAX, this.#size + bytes);
      else if (this.#lastLagMs > SLOW_MS) this.#size = Math.max(BYTES_MIN, this.#size - bytes);
    }
  }
}
