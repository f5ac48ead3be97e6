// Documents with their whole history towards a guest: Automerge's own sync, over the document of the present life.
import { concatBytes, equalBytes, toUtf8 } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { HistoryState } from "../store/state.ts";
import type { Message } from "../wire/message.ts";
import { keepPending, type Note } from "./guest-notes.ts";
import {
  type Answer,
  acknowledgement,
  arrivalOf,
  type Delta,
  exchangeOf,
  type GuestPart,
  headsOfSaved,
  nextMessage,
  type PartContext,
  reading,
  stateOf,
} from "./guest-part.ts";
import { tombstoneOfEarlierLife } from "./guest-tombstones.ts";

export class GuestHistories implements GuestPart {
  readonly #context: PartContext;

  constructor(context: PartContext) {
    this.#context = context;
  }

  async receiveDelta(key: DocumentKey, note: Note, { sync, message }: Delta): Promise<Answer> {
    const { changes, heads } = message;
    if (this.#hasHadItsTime(key, heads)) {
      return { reply: [acknowledgement(key, heads)], theirs: heads, ours: undefined };
    }
    if (changes.length > 0) {
      const outcome = await this.#take(key, [...note.pending, ...changes]);
      if (outcome === "incomplete") keepPending(note, changes);
      else note.pending = [];
      if (outcome === "earlier life") return this.#endEarlier(key, heads);
    }
    const state = this.#state(key);
    const reply = reading(state?.chunks, (document) => {
      note.active = document.receive(exchangeOf(note), sync);
      return nextMessage(key, note, document);
    });
    this.#remember(key, heads);
    return { reply, theirs: heads, ours: this.#ours(key) };
  }

  async receiveSnapshot(key: DocumentKey, note: Note, document: Uint8Array): Promise<Answer> {
    const theirs = headsOfSaved(document);
    if (this.#hasHadItsTime(key, theirs)) return { reply: [], theirs, ours: undefined };
    if ((await this.#take(key, [document])) === "earlier life") {
      return this.#endEarlier(key, theirs);
    }
    this.#remember(key, theirs);
    const ours = this.#ours(key);
    if (ours === undefined || ours.heads.join() === theirs.join()) {
      return { reply: [], theirs, ours };
    }
    note.active = undefined;
    return { reply: this.push(key, note), theirs, ours };
  }

  push(key: DocumentKey, note: Note): Message[] {
    const state = this.#state(key);
    if (state === undefined) return [];
    return reading(state.chunks, (document) => nextMessage(key, note, document));
  }

  announce(key: DocumentKey, note: Note): Message[] {
    return this.push(key, note);
  }

  #state(key: DocumentKey): HistoryState | undefined {
    const state = stateOf(this.#context.store, key);
    return state?.form === "history" ? state : undefined;
  }

  #ours(key: DocumentKey): Answer["ours"] {
    const { store } = this.#context;
    const [heads, hash] = [store.headsOf(key), store.hashOf(key)];
    return heads === undefined || hash === undefined ? undefined : { heads, hash };
  }

  /** A document with a lifetime that is gone here, while the guest says of it what it said before. */
  #hasHadItsTime(key: DocumentKey, heads: readonly string[]): boolean {
    const { store, guest } = this.#context;
    if (arrivalOf(this.#context, key) === 0 || stateOf(store, key) !== undefined) return false;
    const last = store.guests.get(guest, key);
    return last !== undefined && equalBytes(last, toUtf8(heads.join()));
  }

  /** What the guest has of a document with a lifetime: its heads are enough to know it again. */
  #remember(key: DocumentKey, heads: readonly string[]): void {
    const { store, guest } = this.#context;
    if (arrivalOf(this.#context, key) === 0 || stateOf(store, key) === undefined) return;
    const told = toUtf8(heads.join());
    const last = store.guests.get(guest, key);
    if (last === undefined || !equalBytes(last, told)) store.guests.set(guest, key, told);
  }

  /** Joins the changes into the present life, if they belong to it. */
  async #take(
    key: DocumentKey,
    changes: readonly Uint8Array[],
  ): Promise<"complete" | "incomplete" | "earlier life"> {
    const chunks = concatBytes(changes);
    const state = this.#state(key);
    const life = state?.life ?? 0;
    if (state !== undefined && life > 0 && beginsAnew(state, chunks)) return "earlier life";
    const before = state?.born ?? 0;
    const arrival = arrivalOf(this.#context, key);
    const isRefreshed = arrival > before && hasNews(state, chunks);
    const born = isRefreshed ? arrival : before;
    return await this.#context.merge(key, { form: "history", life, born, chunks });
  }

  /** The guest holds what was deleted before the present life began. */
  #endEarlier(key: DocumentKey, heads: readonly string[]): Answer {
    const { store, nodeName } = this.#context;
    const state = stateOf(store, key);
    const reply = [acknowledgement(key, heads)];
    if (state === undefined || state.form === "deleted") {
      return { reply, theirs: heads, ours: undefined };
    }
    const tombstone = tombstoneOfEarlierLife(key, state, nodeName);
    return { reply: [{ kind: "tombstone", tombstone }, ...reply], theirs: heads, ours: undefined };
  }
}

/**
 * A later life is a document of its own: what belongs to it depends on it. A change that depends on nothing is
 * the beginning of an earlier one, or of one that only the guest knows; neither may come back.
 */
function beginsAnew(state: HistoryState, chunks: Uint8Array): boolean {
  return reading(state.chunks, (document) => {
    const since = document.heads();
    try {
      document.apply(chunks);
    } catch (error) {
      // One process start that wrote in both lives has signed both alike, which Automerge refuses.
      if (error instanceof Fault) return true;
      throw error;
    }
    if (!document.isComplete) return false;
    return document.decodedSince(since).some(({ deps }) => deps.length === 0);
  });
}

function hasNews(state: HistoryState | undefined, chunks: Uint8Array): boolean {
  return reading(state?.chunks, (document) => {
    const before = document.heads().join();
    document.apply(chunks);
    return document.heads().join() !== before;
  });
}
