// Documents without history towards a guest: what it holds of each is kept as an Automerge document, read by its
// stamps, and written on top of.

import { Fault } from "../base/faults.ts";
import type { DocumentKey } from "../store/document-key.ts";
import { GuestDocument } from "../store/guest-document.ts";
import {
  guestWrites,
  isNews,
  readGuestHistory,
  writeGuestHistory,
} from "../store/guest-history.ts";
import { guestActor, printStampMessage } from "../store/guest-stamps.ts";
import { ZERO_STAMP } from "../store/stamp.ts";
import type { LatestState } from "../store/state.ts";
import type { Message } from "../wire/message.ts";
import { keepPending, type Note } from "./guest-notes.ts";
import {
  type Answer,
  arrivalOf,
  type Delta,
  exchangeOf,
  type GuestPart,
  headsOfSaved,
  nextMessage,
  type PartContext,
  stateOf,
} from "./guest-part.ts";

/** Snapshots that the guest does not take are sent again ever less often. */
const ANSWER_MS = 5_000;
const ANSWER_MS_MAX = 600_000;

export class GuestLatest implements GuestPart {
  readonly #context: PartContext;

  constructor(context: PartContext) {
    this.#context = context;
  }

  async receiveDelta(key: DocumentKey, note: Note, { sync, message }: Delta): Promise<Answer> {
    const { changes, heads: theirs } = message;
    const document = this.#open(key);
    try {
      const since = document.heads();
      if (changes.length > 0) for (const change of note.pending) document.apply(change);
      note.active = document.receive(exchangeOf(note), sync);
      let ours: Answer["ours"];
      if (document.isComplete) {
        note.pending = [];
        await this.#read(key, document, since);
        ours = this.#settle(key, document, since);
        if (ours === undefined && this.#present(key) === undefined && document.heads().length > 0)
          return { reply: [], theirs, ours };
      } else keepPending(note, changes);
      return { reply: nextMessage(key, note, document), theirs, ours };
    } finally {
      document.free();
    }
  }

  async receiveSnapshot(key: DocumentKey, note: Note, bytes: Uint8Array): Promise<Answer> {
    const theirs = headsOfSaved(bytes);
    const document = this.#open(key);
    try {
      const since = document.heads();
      document.apply(bytes);
      await this.#read(key, document, since);
      const ours = this.#settle(key, document, since);
      const lacksNothing = ours === undefined || ours.heads.join() === theirs.join();
      const reply = lacksNothing ? [] : this.#answer(key, note, document);
      return { reply, theirs, ours };
    } finally {
      document.free();
    }
  }

  push(key: DocumentKey, note: Note): Message[] {
    const document = this.#open(key);
    try {
      const ours = this.#settle(key, document, document.heads());
      if (ours === undefined) return [];
      if (ours.heads.join() === note.heads) {
        note.levelAt = ours.hash;
        return [];
      }
      note.answered = undefined;
      return this.#answer(key, note, document);
    } finally {
      document.free();
    }
  }

  announce(key: DocumentKey, note: Note): Message[] {
    const document = this.#open(key);
    try {
      const isKnown = document.heads().length > 0;
      const ours = this.#settle(key, document, document.heads());
      if (ours === undefined) return [];
      // Of a document that the guest never had, a snapshot says all at once.
      return isKnown ? nextMessage(key, note, document) : [snapshot(key, document)];
    } finally {
      document.free();
    }
  }

  /** Takes every field out of a document that was deleted, and that the guest holds on to. */
  empty(key: DocumentKey, bytes: Uint8Array): Message[] {
    const { store, guest } = this.#context;
    const life = stateOf(store, key)?.life ?? 0;
    // Of these bytes only: another document must not get other changes under the same name.
    const about = `${key}\n${Bun.hash(bytes)}`;
    const { losses } = store.guests;
    const actor = guestActor({ start: store.start, guest, key: about, life, losses });
    const document = GuestDocument.open(bytes, actor);
    try {
      const names = document.names();
      if (names.length === 0) return [];
      const fields = new Map(names.map((name) => [name, undefined]));
      const told = { stamp: ZERO_STAMP, life: Math.max(0, life - 1), isFloor: false };
      const message = printStampMessage(told);
      document.write(fields, { message, timeSecs: 0 });
      return [snapshot(key, document)];
    } finally {
      document.free();
    }
  }

  #present(key: DocumentKey): LatestState | undefined {
    const state = stateOf(this.#context.store, key);
    return state?.form === "latest" ? state : undefined;
  }

  /** What the guest holds, as far as we know; to be written to under an actor of its own. */
  #open(key: DocumentKey): GuestDocument {
    const { store, guest } = this.#context;
    const life = stateOf(store, key)?.life ?? -1;
    const open = () => {
      const { losses } = store.guests;
      const actor = guestActor({ start: store.start, guest, key, life, losses });
      return GuestDocument.open(store.guests.get(guest, key), actor);
    };
    try {
      return open();
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== "wire_invalid") throw error;
      // Damaged on disk: begun anew, since it can be read from the guest again.
      store.guests.lose(guest, key);
      return open();
    }
  }

  /** Joins what the changes after `since` say. */
  async #read(key: DocumentKey, document: GuestDocument, since: readonly string[]): Promise<void> {
    if (document.heads().join() === since.join()) return;
    const present = this.#present(key);
    const read = readGuestHistory(document, { since, present });
    if (read === undefined) return;
    if (!isNews(read, present)) return;
    await this.#context.merge(key, { ...read, born: arrivalOf(this.#context, key) });
  }

  /** Writes on top what the guest has to show, and keeps the result. */
  #settle(key: DocumentKey, document: GuestDocument, since: readonly string[]): Answer["ours"] {
    const { store, guest } = this.#context;
    const found = stateOf(store, key);
    const hash = store.hashOf(key);
    if (found !== undefined && found.form !== "latest") {
      store.guests.set(guest, key, undefined);
      return undefined;
    }
    if (found === undefined || hash === undefined) {
      // It has had its time here; that the guest still holds it must not make it new.
      if (document.heads().join() !== since.join()) store.guests.set(guest, key, document.save());
      return undefined;
    }
    const state = found;
    writeGuestHistory(document, guestWrites(document, state), state.life);
    const heads = document.heads();
    if (heads.join() !== since.join()) store.guests.set(guest, key, document.save());
    return { heads, hash };
  }

  #answer(key: DocumentKey, note: Note, document: GuestDocument): Message[] {
    const heads = document.heads().join();
    const now = this.#context.clock.monotonic();
    const { answered } = note;
    const times = answered?.heads === heads ? answered.times + 1 : 0;
    const waitMs = Math.min(ANSWER_MS_MAX, ANSWER_MS * 2 ** times) / 2;
    if (times > 0 && answered !== undefined && now - answered.at < waitMs) return [];
    note.answered = { heads, at: now, times };
    return [snapshot(key, document)];
  }
}

function snapshot(key: string, document: GuestDocument): Message {
  return { kind: "snapshot", key, document: document.save() };
}
