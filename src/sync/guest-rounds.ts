// When to speak of what to a guest: all documents once after it has connected, those that it does not mention
// ever less often, and all again if it seems to hear without being heard.
//
// An older node goes on announcing only while its announcements are answered (peat-mesh 0.6.0 wire, §3.5-3.6).
// One that has fallen silent about a document is waiting for a word on it; one that is silent about all of them
// has most likely lost the connection on its side (F5).
import type { Clock } from "../base/clock.ts";
import type { DocumentKey } from "../store/document-key.ts";
import { splitKey } from "../store/document-key.ts";
import type { Store } from "../store/store.ts";
import { bucketsBelow, DEPTH, ROOT } from "../store/sums.ts";
import type { Message } from "../wire/message.ts";
import type { Tombstone } from "../wire/tombstone.ts";
import type { GuestExchange } from "./guest-exchange.ts";
import type { Note } from "./guest-notes.ts";
import { stateOf } from "./guest-part.ts";
import type { GuestQueue } from "./guest-queue.ts";
import { toTombstone } from "./guest-tombstones.ts";

/** What the guest holds it says within its first poll; until then nothing is written that it may have. */
const FIRST_POLL_MS = 6_500;
/** It polls every 5 s: a document that it leaves out twice waits for a word. */
const UNHEARD_MS = 13_000;
/** One that it sends as a snapshot always comes again, unless its limits leave it out. */
const SNAPSHOT_UNHEARD_MS = 60_000;
const UNANSWERED_MS = 30_000;
const UNHEARD_MS_MAX = 960_000;
const SCAN_MS = 5_000;
/** Silence after which it is asked something, and after which the connection is of no more use. */
const SILENT_MS = 30_000;
const DEAF_MS = 55_000;
const PROBE_MS = 6_000;
const TOMBSTONES_PER_FRAME = 500;
const REFILL_BELOW = 256;
/** An answer to what we said comes sooner than this, about. */
const ANSWER_MS = 3_000;

export interface RoundsContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly exchange: GuestExchange;
  readonly queue: GuestQueue;
  readonly send: (messages: readonly Message[]) => void;
}

export class GuestRounds {
  readonly #context: RoundsContext;
  readonly #startedAt: number;
  #nextBucket = 0;
  #heardAt: number;
  #scannedAt: number;
  #probedAt = Number.NEGATIVE_INFINITY;
  #hasSpoken = false;
  #hasHeard = false;

  constructor(context: RoundsContext) {
    this.#context = context;
    const now = context.clock.monotonic();
    this.#startedAt = now;
    this.#heardAt = now;
    this.#scannedAt = now;
  }

  /** Every document has been gone through. */
  get isComplete(): boolean {
    return this.#nextBucket > bucketsBelow(ROOT).last;
  }

  /** It was told of documents, asked about them, and has said nothing for too long. */
  get isDeaf(): boolean {
    const { clock } = this.#context;
    return this.#hasSpoken && clock.monotonic() - this.#heardAt >= DEAF_MS;
  }

  get isHeard(): boolean {
    return this.#hasHeard && this.#context.clock.monotonic() - this.#heardAt < SILENT_MS;
  }

  heard(): void {
    this.#hasHeard = true;
    this.#heardAt = this.#context.clock.monotonic();
  }

  said(key: DocumentKey): void {
    this.#hasSpoken = true;
    const note = this.#context.exchange.notes.of(key);
    this.#setDue(note, UNANSWERED_MS);
    note.tries += 1;
  }

  heardOf(key: DocumentKey, isDelta: boolean): void {
    const { exchange, clock } = this.#context;
    this.#hasSpoken = true;
    const note = exchange.notes.of(key);
    // By itself, not as an answer: it goes on announcing.
    if (clock.monotonic() - note.saidAt > ANSWER_MS) note.tries = 0;
    if (note.levelAt === undefined) this.#setDue(note, UNANSWERED_MS);
    else this.#setDue(note, isDelta ? UNHEARD_MS : SNAPSHOT_UNHEARD_MS);
  }

  /** When the document may be told of: not before the guest has had time to show what it holds of it. */
  mayGoAt(key: DocumentKey, note: Note | undefined): number {
    const { store } = this.#context;
    const pacedUntil = note?.pacedUntil ?? 0;
    const isHeard = (note?.heardAt ?? 0) > 0;
    const isHistory = store.policies.kindOf(splitKey(key).collection) === "history";
    if (isHeard || isHistory) return pacedUntil;
    return Math.max(pacedUntil, this.#startedAt + FIRST_POLL_MS);
  }

  /** Puts more of the documents that have not been gone through yet into the queue; false when none is left. */
  refill(): boolean {
    const { store, queue, send } = this.#context;
    if (queue.takeForgetful()) this.#nextBucket = 0;
    if (this.isComplete || queue.size >= REFILL_BELOW) return false;
    const tombstones: Tombstone[] = [];
    while (
      !this.isComplete &&
      queue.size < REFILL_BELOW &&
      tombstones.length < TOMBSTONES_PER_FRAME
    ) {
      for (const { key, deleted } of store.leaves({ depth: DEPTH, index: this.#nextBucket })) {
        const state = deleted ? stateOf(store, key) : undefined;
        if (state?.form === "deleted") tombstones.push(toTombstone(key, state));
        else this.#begin(key);
      }
      this.#nextBucket += 1;
    }
    if (tombstones.length > 0) {
      this.#hasSpoken = true;
      send([{ kind: "tombstones", tombstones }]);
    }
    return true;
  }

  #begin(key: DocumentKey): void {
    const { exchange, queue } = this.#context;
    exchange.changed(key);
    queue.put(key, "announce");
  }

  /** Called every second. */
  tick(): void {
    const { clock, queue } = this.#context;
    const now = clock.monotonic();
    queue.ripen(now);
    this.#payOwed(now);
    if (now - this.#scannedAt >= SCAN_MS) this.#announceDue(now);
    const isSilent = this.#hasSpoken && now - this.#heardAt >= SILENT_MS;
    if (isSilent && now - this.#probedAt >= PROBE_MS) this.#probe(now);
  }

  #payOwed(now: number): void {
    const { exchange, send } = this.#context;
    for (const [key, note] of exchange.notes.owing()) {
      if (note.owed === undefined || note.owed.at > now) continue;
      send(exchange.payOwed(key, note));
    }
  }

  #announceDue(now: number): void {
    const { exchange, queue } = this.#context;
    this.#scannedAt = now;
    for (const [key, note] of exchange.notes.entries()) {
      if (note.dueAt > now) continue;
      note.dueAt = Number.POSITIVE_INFINITY;
      queue.put(key, "announce");
    }
  }

  /** A document that the guest knows is the one that it answers about. */
  #probe(now: number): void {
    const { exchange, queue, store } = this.#context;
    this.#probedAt = now;
    let chosen: DocumentKey | undefined;
    for (const [key, note] of exchange.notes.entries()) {
      const isAlive = store.get(key) !== undefined;
      if (isAlive && (chosen === undefined || note.heardAt > 0)) chosen = key;
      if (isAlive && note.heardAt > 0) break;
    }
    if (chosen !== undefined) queue.put(chosen, "announce");
  }

  #setDue(note: Note, afterMs: number): void {
    const waitMs = Math.min(UNHEARD_MS_MAX, afterMs * 2 ** Math.min(note.tries, 10));
    note.dueAt = this.#context.clock.monotonic() + waitMs;
  }
}
