// What one guest says of documents and what it is answered: messages in, messages out, the store between. Every
// document has one exchange at a time; whoever calls sees to that.
//
//   history     Automerge's own sync messages, over the document of the present life
//   latest      snapshots, or sync messages if the guest begins with them, over what the guest holds (guest-latest.ts)
//   deleted     a tombstone, whatever the guest says
import { type Clock, sleep } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { type DocumentKey, splitKey } from "../store/document-key.ts";
import { decodeSync, restingState } from "../store/guest-document.ts";
import { encodeState, type State } from "../store/state.ts";
import type { Store } from "../store/store.ts";
import type { Message } from "../wire/message.ts";
import type { Tombstone } from "../wire/tombstone.ts";
import { GuestHistories } from "./guest-histories.ts";
import { GuestLatest } from "./guest-latest.ts";
import { GuestNotes, type Note } from "./guest-notes.ts";
import { type Answer, acknowledgement, type GuestPart, stateOf } from "./guest-part.ts";
import { fromTombstone, toTombstone } from "./guest-tombstones.ts";

export interface ExchangeContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly nodeName: string;
  /** Name of the guest. */
  readonly guest: string;
  readonly signal: AbortSignal;
  /** A document or message of the guest that was refused. */
  readonly refused: (key: string, cause: string) => void;
}

export type DeltaMessage = Extract<Message, { kind: "delta" }>;
export type SnapshotMessage = Extract<Message, { kind: "snapshot" }>;

/** Longest key that is taken from a guest, in UTF-16 units: twice what a local write may have. */
const KEY_LENGTH_MAX = 1_300;
/** Largest saved document, and largest sync message. */
const DOCUMENT_BYTES_MAX = 24 * 1024 * 1024;
/** An acknowledgement that is answered sooner than this was answered by another one. */
const QUICK_MS = 2_000;
const QUICK_ANSWERS_MAX = 3;
/** Between acknowledgements of one document towards a guest that acknowledges too. */
const SPARING_MS = 60_000;
/** A guest that keeps what it was told to delete is told ever less often. */
const BURY_MS = 4_000;
const BURY_MS_MAX = 3_600_000;
const RETRY_MS = 1_000;

export class GuestExchange {
  readonly notes = new GuestNotes();
  readonly #context: ExchangeContext;
  readonly #histories: GuestHistories;
  readonly #latest: GuestLatest;
  /** Documents that the guest is not known to have as they are here. */
  readonly #unsettled = new Set<DocumentKey>();
  #isAcknowledging = false;

  constructor(context: ExchangeContext) {
    this.#context = context;
    const parts = {
      ...context,
      merge: (key: DocumentKey, state: State) => this.#merge(key, state),
    };
    this.#histories = new GuestHistories(parts);
    this.#latest = new GuestLatest(parts);
  }

  get unsettled(): number {
    return this.#unsettled.size;
  }

  #state(key: DocumentKey): State | undefined {
    return stateOf(this.#context.store, key);
  }

  /** The document differs from what the guest was last told. */
  changed(key: DocumentKey): void {
    this.#unsettled.add(key);
  }

  async receiveDelta({ key: text, sync }: DeltaMessage): Promise<Message[]> {
    const message = decodeSync(sync);
    const { heads } = message;
    const key = text as DocumentKey;
    // Also where nothing came of it: an announcement without an answer is a failure to the older node, and
    // five in a row end its announcements for good.
    if (!this.#isWelcome(key, sync.length)) return [acknowledgement(key, heads)];
    const note = this.#heard(key);
    const isBare = message.changes.length === 0 && message.need.length === 0;
    if (isBare && this.#isLevel(key, note, heads)) return this.#acknowledge(key, note, heads);
    try {
      const present = this.#state(key);
      if (present?.form === "deleted") return this.#bury(key, note, heads);
      const answer = await this.#partOf(key, present).receiveDelta(key, note, { sync, message });
      this.#learned(key, note, answer);
      return answer.reply.length > 0 ? answer.reply : this.#acknowledge(key, note, heads);
    } catch (error) {
      return this.#refuse(key, error) ? [acknowledgement(key, heads)] : [];
    }
  }

  async receiveSnapshot({ key: text, document }: SnapshotMessage): Promise<Message[]> {
    const key = text as DocumentKey;
    if (!this.#isWelcome(key, document.length)) return [];
    const note = this.#heard(key);
    const hash = Bun.hash(document);
    const isOld = note.snapshot === hash;
    if (isOld && this.#context.store.hashOf(key) === note.levelAt) return [];
    note.snapshot = hash;
    try {
      const present = this.#state(key);
      if (present?.form === "deleted") return this.#buryShown(key, note, document);
      const answer = await this.#partOf(key, present).receiveSnapshot(key, note, document);
      this.#learned(key, note, answer);
      return answer.reply;
    } catch (error) {
      this.#refuse(key, error);
      return [];
    }
  }

  async receiveTombstone(tombstone: Tombstone): Promise<void> {
    const key = `${tombstone.collection}:${tombstone.documentId}` as DocumentKey;
    if (!this.#isWelcome(key, 0)) return;
    try {
      const present = this.#state(key);
      const kind = this.#context.store.policies.kindOf(tombstone.collection);
      const deleted = fromTombstone(tombstone, present, kind);
      if (deleted === undefined) return;
      await this.#merge(key, deleted);
      this.#context.store.guests.set(this.#context.guest, key, undefined);
      this.#unsettled.delete(key);
    } catch (error) {
      this.#refuse(key, error);
    }
  }

  /** What the guest needs of a document that has changed, or that it may not have. */
  push(key: DocumentKey): Message[] {
    const note = this.notes.of(key);
    const state = this.#state(key);
    if (state === undefined) return [];
    note.saidAt = this.#context.clock.monotonic();
    if (state.form === "deleted") {
      this.#context.store.guests.set(this.#context.guest, key, undefined);
      this.#unsettled.delete(key);
      return [{ kind: "tombstone", tombstone: toTombstone(key, state) }];
    }
    const messages = this.#partOf(key, state).push(key, note);
    if (note.levelAt === this.#context.store.hashOf(key)) this.#unsettled.delete(key);
    return messages;
  }

  /** Tells the heads of a document, so that the guest answers with its own. */
  announce(key: DocumentKey): Message[] {
    const note = this.notes.of(key);
    const state = this.#state(key);
    if (state === undefined || state.form === "deleted") return [];
    note.saidAt = this.#context.clock.monotonic();
    note.active = undefined;
    return this.#partOf(key, state).announce(key, note);
  }

  /** What was to be said was not: the exchange begins anew. */
  giveUp(key: DocumentKey): void {
    const note = this.notes.of(key);
    note.active = undefined;
    note.answered = undefined;
    note.burials = 0;
  }

  /** The acknowledgement that was put off, if it is still owed. */
  payOwed(key: DocumentKey, note: Note): Message[] {
    const { owed } = note;
    note.owed = undefined;
    if (owed === undefined) return [];
    note.acknowledgedAt = this.#context.clock.monotonic();
    return [acknowledgement(key, owed.heads)];
  }

  #partOf(key: DocumentKey, present: State | undefined): GuestPart {
    const { policies } = this.#context.store;
    const kind = present?.form ?? policies.kindOf(splitKey(key).collection);
    return kind === "history" ? this.#histories : this.#latest;
  }

  #isWelcome(key: string, bytes: number): boolean {
    const { refused } = this.#context;
    if (key.length === 0 || key.length > KEY_LENGTH_MAX) {
      refused(key.slice(0, 80), `a key of ${key.length} characters`);
      return false;
    }
    if (bytes <= DOCUMENT_BYTES_MAX) return true;
    refused(key, `a document of ${bytes} bytes exceeds ${DOCUMENT_BYTES_MAX}`);
    return false;
  }

  #heard(key: DocumentKey): Note {
    const note = this.notes.of(key);
    note.heardAt = this.#context.clock.monotonic();
    note.owed = undefined;
    return note;
  }

  /** The guest has these heads: is that all that we have? */
  #learned(key: DocumentKey, note: Note, { theirs, ours }: Answer): void {
    note.heads = theirs.join();
    note.burials = 0;
    const isLevel = ours !== undefined && ours.heads.join() === note.heads;
    note.levelAt = isLevel ? ours.hash : undefined;
    if (isLevel) this.#unsettled.delete(key);
    else if (ours !== undefined) this.#unsettled.add(key);
  }

  #isLevel(key: DocumentKey, note: Note, heads: readonly string[]): boolean {
    if (note.heads !== heads.join() || note.levelAt === undefined) return false;
    return note.levelAt === this.#context.store.hashOf(key);
  }

  /**
   * Ends an exchange with a message that says nothing new, which the older node needs to go on announcing. A
   * guest that answers it with another one would go on for ever: it soon gets no more.
   */
  #acknowledge(key: DocumentKey, note: Note, heads: readonly string[]): Message[] {
    const now = this.#context.clock.monotonic();
    if (note.active !== undefined) note.resting = restingState(note.active);
    note.active = undefined;
    const sinceMs = now - note.acknowledgedAt;
    if (sinceMs >= (this.#isAcknowledging ? SPARING_MS : QUICK_MS)) {
      note.quickAnswers = 0;
      note.acknowledgedAt = now;
      return [acknowledgement(key, heads)];
    }
    note.quickAnswers += 1;
    if (note.quickAnswers >= QUICK_ANSWERS_MAX) this.#isAcknowledging = true;
    if (!this.#isAcknowledging) note.owed = { at: note.acknowledgedAt + QUICK_MS, heads };
    return [];
  }

  /** The answer to whatever is said of a deleted document. */
  #bury(key: DocumentKey, note: Note, heads: readonly string[] | undefined): Message[] {
    const now = this.#context.clock.monotonic();
    const waitMs = Math.min(BURY_MS_MAX, BURY_MS * 2 ** note.burials);
    const state = this.#state(key);
    if (note.burials > 0 && now - note.buriedAt < waitMs) {
      return heads === undefined ? [] : [acknowledgement(key, heads)];
    }
    if (state?.form !== "deleted") return [];
    note.burials += 1;
    note.buriedAt = now;
    return [{ kind: "tombstone", tombstone: toTombstone(key, state) }];
  }

  /** A guest that has a tombstone of an earlier life takes no other: then the document is emptied. */
  #buryShown(key: DocumentKey, note: Note, document: Uint8Array): Message[] {
    const told = note.burials > 0;
    const messages = this.#bury(key, note, undefined);
    if (messages.length === 0 || !told) return messages;
    return [...messages, ...this.#latest.empty(key, document)];
  }

  /** Joins a state into the store; waits for room on a full disk, where the guest waits too. */
  async #merge(key: DocumentKey, state: State): Promise<"complete" | "incomplete"> {
    const { store, clock, guest, signal } = this.#context;
    const incoming = { key, bytes: encodeState(state), hash: "" };
    while (true) {
      try {
        const outcome = await store.merge(incoming, guest);
        return outcome.kind === "incomplete" ? "incomplete" : "complete";
      } catch (error) {
        const isFull = error instanceof Fault && error.code === "storage_full";
        if (!isFull || signal.aborted) throw error;
        await sleep(clock, RETRY_MS, signal);
      }
    }
  }

  /** True when the guest's document is to blame; then it is told once, and left alone. */
  #refuse(key: DocumentKey, error: unknown): boolean {
    if (!(error instanceof Fault)) throw error;
    if (error.code === "not_ready" || error.code.startsWith("storage_")) return false;
    this.#context.refused(key, error.message);
    return true;
  }
}
