// What one session's link is like as one of several by which changes may go: how long, how full, and to whose peer.
import type { Clock } from "../base/clock.ts";
import type { NodeName } from "../identity/peer.ts";
import type { Link } from "../net/link.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { Outbox } from "./outbox.ts";
import type { Carriage, DueChange, RelayPeer, Relays } from "./relays.ts";
import type { Window } from "./window.ts";

/** A path with such a round trip is a slow one; asked so often. */
const SLOW_MS = 150;
const LOOK_MS = 100;
/** So is one on which a frame waits so long for its acknowledgement; a busy peer may take a while to commit. */
const UNANSWERED_MS = 300;
/** One that is not acknowledged for so long is not on its way. */
const STUCK_MS = 30_000;
/** With so much on its way, or so many documents waiting, one more would be late. */
const LADEN_BYTES = 2 * 1024;
const LADEN_DOCUMENTS = 8;
/** Held changes that are named one by one; more of them are settled by sums. */
const NAMED_MAX = 64;
/** The same on a slow link, at each look: some 300 bytes a second. */
const NAMED_SLOW = 4;

export interface CarrierContext {
  readonly name: NodeName;
  readonly relays: Relays;
  readonly clock: Clock;
  readonly link: Pick<Link, "path">;
  readonly outbox: () => Outbox;
  readonly window: () => Window;
  /** The outbox has something. */
  readonly wake: () => void;
  /** Whether sums find whatever this link leaves out. */
  readonly isAllCompared: () => boolean;
  /** Whether anything comes from the peer. */
  readonly isReceiving: () => boolean;
}

export class Carrier implements RelayPeer {
  readonly name: NodeName;
  /** As it last told. */
  neighbours: ReadonlySet<string> = new Set();
  #context: CarrierContext;
  #isSlow = false;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(context: CarrierContext) {
    this.#context = context;
    this.name = context.name;
  }

  /** Another link to the same peer takes the place of this one. */
  moveTo(context: CarrierContext): void {
    this.#context = context;
    this.#lookedAt = Number.NEGATIVE_INFINITY;
  }

  /** How a change goes by this link, now that its turn has come. */
  readonly carriage = (key: DocumentKey, hash: string): Carriage =>
    this.#context.relays.carriage(this, key, hash);

  /** How long an answer takes now, with what queues before it. */
  get roundTripMs(): number {
    const { link, window } = this.#context;
    return Math.max(link.path().rttMs ?? 0, window().lastLagMs);
  }

  /** Another slow link moves. */
  get isOvertaken(): boolean {
    return this.#context.relays.isMovingElsewhere(this);
  }

  /** What is on its way, by this link or another slow one, would be found to differ, and sent again. */
  get isBusy(): boolean {
    return this.isMoving || this.isOvertaken;
  }

  /** A long path, on which a change may be left to another one: sums will tell whether it arrived. */
  get isSlow(): boolean {
    const { clock, link, isAllCompared } = this.#context;
    const now = clock.monotonic();
    if (now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now;
      // The transport learns of a path that has become long from its answers, and so too late for what is sent until then.
      const unansweredMs = now - this.#context.window().oldestSentAt;
      this.#isSlow = (link.path().rttMs ?? 0) >= SLOW_MS || unansweredMs >= UNANSWERED_MS;
    }
    return this.#isSlow && isAllCompared();
  }

  /** Another peer is gone: what it was to pass on to this one is sent after all. */
  otherEnded(other: RelayPeer): void {
    this.#context.outbox().carrierEnded(other);
    this.#context.wake();
  }

  release(key: DocumentKey): void {
    this.#context.outbox().release(key);
    this.#context.wake();
  }

  /** Held changes that are named to the peer now, to hear whether it has them. */
  toName(): readonly DueChange[] {
    const { outbox, isAllCompared } = this.#context;
    if (this.isSlow) {
      // The next comparison says of many documents what naming each would say at length, and a slow link has no room
      // for that. Only of what another link carried nobody else may know: few at a time, while there is room.
      const hasRoom = !(this.isLaden || this.isOvertaken);
      const carried = outbox().takeDue(hasRoom ? NAMED_SLOW : 0);
      return carried.filter(({ by }) => by !== undefined);
    }
    const due = outbox().takeDue();
    return due.length > NAMED_MAX && isAllCompared() ? [] : due;
  }

  hasAllSentBy(at: number): boolean {
    return this.#context.window().oldestSentAt > at;
  }

  /** The peer has all that we have: whatever was held back for it has reached it. */
  agreed(): void {
    const { outbox, window, isAllCompared } = this.#context;
    if (!isAllCompared()) return;
    outbox().forgetHeld();
    window().agreed();
  }

  get isLaden(): boolean {
    const { outbox, window } = this.#context;
    return window().inFlightBytes >= LADEN_BYTES || outbox().depth >= LADEN_DOCUMENTS;
  }

  get isMoving(): boolean {
    const { clock, outbox, window, isReceiving } = this.#context;
    // A peer that can't commit acknowledges nothing: what waits for it does not move.
    if (clock.monotonic() - window().oldestSentAt >= STUCK_MS) return isReceiving();
    return !outbox().isEmpty || window().inFlightBytes > 0 || isReceiving();
  }
}
