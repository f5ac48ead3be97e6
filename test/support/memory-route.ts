// The way from one endpoint to another: latency, bandwidth, losses that are sent again, and cuts.
import type { Random } from "../../scripts/model/random.ts";
import type { CancelTimer, Clock } from "../../src/base/clock.ts";
import type { EndpointId } from "../../src/identity/peer.ts";

export interface PathOptions {
  /** One way. */
  readonly latencyMs: number;
  readonly bytesPerMs: number;
  /** Bytes of one stream that were sent and not read yet; a write waits for room. */
  readonly windowBytes: number;
  /** How long a link lives without hearing from the other side. */
  readonly idleMs: number;
  /** Share of what is sent that is lost and sent again, later: other streams overtake it meanwhile. */
  readonly lossPercent: number;
}

export interface LinkContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly path: PathOptions;
  readonly isCut: () => boolean;
  /** Hears of every piece that is sent, on which stream, and to whom. */
  readonly sent: (part: Uint8Array, stream: object, to: EndpointId) => void;
}

/** A loss is noticed after so many round trips, and after this at least. */
const RESEND_ROUND_TRIPS = 1.5;
const RESEND_MS_MIN = 10;

/** What is on its way in one direction of a link; a cut holds everything back. */
export class Route {
  readonly #context: LinkContext;
  /** In the order of arrival. */
  #flight: { readonly at: number; readonly arrive: () => void }[] = [];
  #freeAt = 0;
  #isStranded = false;
  #cancel: CancelTimer | undefined;

  constructor(context: LinkContext) {
    this.#context = context;
  }

  /** Returns when it will arrive; never before `notBefore`: nothing overtakes within a stream. */
  send(bytes: number, notBefore: number, arrive: () => void): number {
    const { clock, path } = this.#context;
    this.#freeAt = Math.max(this.#freeAt, clock.monotonic()) + bytes / path.bytesPerMs;
    const at = Math.max(notBefore, this.#freeAt + path.latencyMs + this.#resendMs());
    if (this.#isStranded) return at;
    let place = this.#flight.length;
    while (place > 0 && (this.#flight[place - 1]?.at ?? 0) > at) place -= 1;
    this.#flight.splice(place, 0, { at, arrive });
    if (place === 0) this.#wait();
    return at;
  }

  #resendMs(): number {
    const { path, random } = this.#context;
    let waitMs = 0;
    let roundMs = Math.max(RESEND_MS_MIN, 2 * RESEND_ROUND_TRIPS * path.latencyMs);
    while (path.lossPercent > 0 && random.chance(path.lossPercent)) {
      waitMs += roundMs;
      roundMs *= 2;
    }
    return waitMs;
  }

  /** After a cut is healed: what was lost is sent again. */
  resume(): void {
    const { clock, path } = this.#context;
    const again = clock.monotonic() + path.latencyMs;
    this.#flight = this.#flight.map(({ at, arrive }) => ({ at: Math.max(at, again), arrive }));
    this.#wait();
  }

  get isStranded(): boolean {
    return this.#isStranded;
  }

  strand(): void {
    this.#isStranded = true;
    this.drop();
  }

  drop(): void {
    this.#flight = [];
    this.#cancel?.();
  }

  #wait(): void {
    this.#cancel?.();
    const [first] = this.#flight;
    if (first === undefined) return;
    const { clock } = this.#context;
    this.#cancel = clock.after(Math.max(0, first.at - clock.monotonic()), () => {
      if (this.#context.isCut()) return;
      const now = clock.monotonic();
      for (let next = this.#flight[0]; next !== undefined; next = this.#flight[0]) {
        // The one that the timer was for has arrived, however the clock rounds.
        if (next !== first && next.at > now) break;
        this.#flight.shift();
        next.arrive();
      }
      this.#wait();
    });
  }
}
