// Asking a peer whether it still answers on this link: a ping, and how long to wait for its pong.
import { type Clock, sleep } from "../base/clock.ts";
import type { LinkPath } from "../net/link.ts";
import type { NativeMessage } from "../wire/native.ts";

type PingPong = Extract<NativeMessage, { nonce: number }> & { readonly type: "ping" | "pong" };

/** Bounds of the wait, which is ten round trips (on a bad path much is sent again), and the wait where nobody knows how long they are. */
const WAIT_MS_MIN = 300;
const WAIT_MS_MAX = 10_000;
const WAIT_MS_UNKNOWN = 1_500;

export class Probes {
  readonly #clock: Clock;
  readonly #send: (message: PingPong) => void;
  readonly #waiting = new Map<number, () => void>();
  #nonce = 0;

  constructor(clock: Clock, send: (message: PingPong) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** True if a pong comes in the time that the longest of the paths takes for a few round trips; false otherwise, or when `signal` aborts. */
  async ask(paths: readonly LinkPath[], signal: AbortSignal): Promise<boolean> {
    this.#nonce = (this.#nonce + 1) >>> 0;
    const nonce = this.#nonce;
    const answered = new Promise<boolean>((resolve) => {
      this.#waiting.set(nonce, () => resolve(true));
    });
    this.#send({ type: "ping", nonce });
    const roundTrips = paths.flatMap(({ rttMs }) => rttMs ?? []);
    const waitMs = roundTrips.length === 0 ? WAIT_MS_UNKNOWN : clamp(10 * Math.max(...roundTrips));
    const late = sleep(this.#clock, waitMs, signal).then(() => false);
    const result = await Promise.race([answered, late]);
    this.#waiting.delete(nonce);
    return result;
  }

  /** Calls back once a ping sent now is answered, however late: what was sent before it has been answered too. */
  after(then: () => void): void {
    this.#nonce = (this.#nonce + 1) >>> 0;
    this.#waiting.set(this.#nonce, then);
    this.#send({ type: "ping", nonce: this.#nonce });
  }

  receive({ type, nonce }: PingPong): void {
    if (type === "ping") {
      this.#send({ type: "pong", nonce });
      return;
    }
    const answered = this.#waiting.get(nonce);
    this.#waiting.delete(nonce);
    answered?.();
  }
}

function clamp(waitMs: number): number {
  return Math.min(WAIT_MS_MAX, Math.max(WAIT_MS_MIN, waitMs));
}
