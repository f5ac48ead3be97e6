// Whether a peer is still there. A transport that hears nothing at all, not even that its packets have arrived, has a
// dead path, whatever it thinks of it: the peer may have another address by now. A peer that owes us acknowledgements
// and says nothing has stopped reading, even if its transport lives on; one that only can't commit (a full disk) still
// answers pings, and is waited for.
import type { Clock } from "../base/clock.ts";
import type { Link } from "../net/link.ts";

/** Silence after which the peer is asked, and after which it is given up. */
const ASK_MS = 30_000;
const SILENT_MS = 60_000;
/**
 * So long, and so many round trips, an answer of the transport may take; each doubt doubles it. Where a fifth of the
 * packets is lost, three in a row often are, and the transport waits twice as long after each: twenty round trips.
 */
const DEAF_MS_MIN = 2_000;
const DEAF_ROUND_TRIPS = 20;
const DOUBTS_MAX = 5;
/** Keep-alives come every 5 s; two of them may be lost. */
const KEEP_ALIVE_MS = 12_000;

export interface LivenessContext {
  readonly clock: Clock;
  readonly link: Pick<Link, "path" | "traffic">;
  /** Its answer is a sign of life. */
  readonly ask: () => void;
  /** The path seems dead: another connection may find a better one. */
  readonly doubt: () => void;
  readonly giveUp: () => void;
}

export class Liveness {
  readonly #context: LivenessContext;
  #since: number;
  #hasAsked = false;
  #receivedBytes: number | undefined;
  /** When the transport last heard something. */
  #heardAt: number;
  /** Since when it should have; undefined: nothing is to be heard but keep-alives. */
  #owedAt: number | undefined;
  #doubts = 0;

  constructor(context: LivenessContext) {
    this.#context = context;
    this.#since = context.clock.monotonic();
    this.#heardAt = this.#since;
  }

  /** Something came from the peer. */
  heard(): void {
    this.#since = this.#context.clock.monotonic();
    this.#hasAsked = false;
  }

  /** The transport has not heard what it should have; it is to be looked at often. */
  get isInDoubt(): boolean {
    return this.#owedAt !== undefined;
  }

  /** Called now and then; `isOwed`: whether anything that was sent is unacknowledged. */
  check(isOwed: boolean): void {
    this.#listen(isOwed);
    if (!isOwed) this.heard();
    const silentMs = this.#context.clock.monotonic() - this.#since;
    if (silentMs >= SILENT_MS) this.#context.giveUp();
    else if (silentMs >= ASK_MS && !this.#hasAsked) {
      this.#hasAsked = true;
      this.#context.ask();
    }
  }

  #listen(isOwed: boolean): void {
    const { clock, link, ask, doubt } = this.#context;
    const now = clock.monotonic();
    const receivedBytes = link.traffic()?.receivedBytes;
    if (receivedBytes === undefined) return;
    if (receivedBytes !== this.#receivedBytes) {
      this.#receivedBytes = receivedBytes;
      this.#heardAt = now;
      this.#owedAt = isOwed ? now : undefined;
      this.#doubts = 0;
      return;
    }
    if (isOwed) this.#owedAt ??= now;
    else if (this.#owedAt === undefined && now - this.#heardAt >= KEEP_ALIVE_MS) {
      this.#owedAt = now;
      ask();
    }
    if (this.#owedAt === undefined || now - this.#owedAt < this.#patienceMs) return;
    this.#doubts = Math.min(this.#doubts + 1, DOUBTS_MAX);
    this.#owedAt = now;
    doubt();
  }

  get #patienceMs(): number {
    const roundTripMs = this.#context.link.path().rttMs ?? 0;
    return Math.max(DEAF_MS_MIN, DEAF_ROUND_TRIPS * roundTripMs) * 2 ** this.#doubts;
  }
}
