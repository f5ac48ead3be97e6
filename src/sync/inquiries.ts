// Questions between two nodes about a document, for whoever wants to know why it is not the same on both: asked one
// by one by people, answered from what the store and the outbox say, and nothing else follows from them.
import { type Clock, within } from "../base/clock.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { Standing } from "../store/standing.ts";
import type { Store } from "../store/store.ts";
import type { Hello } from "../wire/hello.ts";
import { FEATURE_REPORTS, type Inquiry, type Report } from "../wire/inquiry.ts";
import { NO_HASH } from "../wire/native.ts";

/** Questions that wait for their answers; people ask one at a time. */
const WAITING_MAX = 64;
/** A peer is answered so often at once, and then so many times a second. */
const BURST = 64;
const PER_SECOND = 32;
/** Texts of a report are for people; these are ample. */
const NAME_CHARS_MAX = 253;
const REASON_CHARS_MAX = 500;

/** Where a document is on its way to the peer. held: another link probably brings it. */
export type Waits = "queued" | "held" | "sent";

/** What the session of the peer knows. */
export interface Deliveries {
  readonly queueDepth: number;
  readonly isCatchingUp: boolean;
  readonly stuck: ReadonlyMap<string, string>;
  waits(key: DocumentKey): Waits | undefined;
}

export interface InquiriesContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly session: Deliveries;
  readonly send: (message: Inquiry | Report) => void;
  /** What the peer said of its abilities. */
  readonly hello: Pick<Hello, "features">;
}

export class Inquiries {
  readonly #context: InquiriesContext;
  readonly #waiting = new Map<number, (report: Report) => void>();
  #nonce = 0;
  #answers = BURST;
  #answeredAt = 0;

  constructor(context: InquiriesContext) {
    this.#context = context;
  }

  /** Whether the peer is a version that answers. */
  get isAnswered(): boolean {
    return (this.#context.hello.features & FEATURE_REPORTS) !== 0;
  }

  /**
   * What the peer has of the document, or without a key of itself; undefined when it does not say within `withinMs`.
   * Whatever stands in it is the peer's word.
   */
  async ask(key: DocumentKey | "", withinMs: number): Promise<Report | undefined> {
    const { clock, send } = this.#context;
    if (!this.isAnswered || this.#waiting.size >= WAITING_MAX) return undefined;
    this.#nonce = (this.#nonce + 1) >>> 0;
    const nonce = this.#nonce;
    const answer = new Promise<Report>((resolve) => this.#waiting.set(nonce, resolve));
    send({ type: "inquiry", nonce, key });
    const report = await within(clock, withinMs, answer, undefined);
    this.#waiting.delete(nonce);
    return report;
  }

  receive(message: Inquiry | Report): void {
    if (message.type === "inquiry") this.#answer(message);
    // An answer that nobody waits for any more.
    else this.#waiting.get(message.nonce)?.(clipped(message));
  }

  /** One that asks too often hears nothing: each answer is a look into the database. */
  #answer({ nonce, key }: Inquiry): void {
    const now = this.#context.clock.monotonic();
    const earned = ((now - this.#answeredAt) / 1000) * PER_SECOND;
    this.#answers = Math.min(BURST, this.#answers + earned);
    this.#answeredAt = now;
    if (this.#answers < 1) return;
    this.#answers -= 1;
    this.#context.send(clipped(this.#report(nonce, key as DocumentKey | "")));
  }

  #report(nonce: number, key: DocumentKey | ""): Report {
    const { store, clock, session } = this.#context;
    const standing: Standing = key === "" ? { kind: "absent" } : store.standings.of(key);
    const isPresent = "hash" in standing;
    const deletion = isPresent ? standing.deletion : undefined;
    const forgottenAt = standing.kind === "forgotten" ? standing.deletedAt : 0;
    return {
      type: "report",
      nonce,
      now: clock.now(),
      isDiskFull: store.standings.isDiskFull,
      isCatchingUp: session.isCatchingUp,
      isQueued: key !== "" && session.waits(key) !== undefined,
      queued: session.queueDepth,
      standing: standing.kind,
      life: "life" in standing ? standing.life : 0,
      hash: isPresent ? standing.hash : NO_HASH,
      changedAt: isPresent ? standing.changedAt : 0,
      bytes: isPresent ? standing.bytes : 0,
      deletedAt: deletion?.at ?? forgottenAt,
      by: deletion?.by ?? "",
      stuck: session.stuck.get(key) ?? "",
    };
  }
}

/** A peer may write whole books into them. */
function clipped(report: Report): Report {
  const { by, stuck } = report;
  return { ...report, by: by.slice(0, NAME_CHARS_MAX), stuck: stuck.slice(0, REASON_CHARS_MAX) };
}
