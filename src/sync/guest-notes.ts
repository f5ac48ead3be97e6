// What is known of each document at one guest: how far an exchange about it has come, what was last heard and
// said, and when to speak of it again.
import type { SyncState } from "@automerge/automerge";
import type { DocumentKey } from "../store/document-key.ts";
import type { StateHash } from "../store/state.ts";

/** Changes that wait for others that they depend on. */
const PENDING_BYTES_MAX = 4 * 1024 * 1024;
const NOTES_MAX = 50_000;

export interface Note {
  /** An exchange of sync messages that is not over. */
  active: SyncState | undefined;
  /** What was left of the last one: the heads that both have. */
  resting: Uint8Array | undefined;
  /** Our state when the guest last showed that it has all of it. */
  levelAt: StateHash | undefined;
  /** Heads that the guest had then, joined. */
  heads: string | undefined;
  /** Hash of the last snapshot that came; an equal one says nothing new. */
  snapshot: number | bigint | undefined;
  /** Changes that came before those that they depend on. */
  pending: Uint8Array[];
  /** Of Clock.monotonic(); 0 for never. */
  heardAt: number;
  saidAt: number;
  acknowledgedAt: number;
  /** An acknowledgement that is put off until then, and the heads it tells. */
  owed: { readonly at: number; readonly heads: readonly string[] } | undefined;
  /** Acknowledgements that were answered at once, one after the other. */
  quickAnswers: number;
  /** When to speak of it again, and how often that was in vain. */
  dueAt: number;
  tries: number;
  /** No snapshot of it goes before: large ones must not fill the link. */
  pacedUntil: number;
  /** The last snapshot that was sent to it: its heads, when, and how often again. */
  answered: { readonly heads: string; readonly at: number; readonly times: number } | undefined;
  /** How often the guest was told in vain that the document is deleted. */
  burials: number;
  buriedAt: number;
}

function newNote(): Note {
  return {
    active: undefined,
    resting: undefined,
    levelAt: undefined,
    heads: undefined,
    snapshot: undefined,
    pending: [],
    heardAt: 0,
    saidAt: 0,
    acknowledgedAt: Number.NEGATIVE_INFINITY,
    owed: undefined,
    quickAnswers: 0,
    dueAt: Number.POSITIVE_INFINITY,
    tries: 0,
    pacedUntil: 0,
    answered: undefined,
    burials: 0,
    buriedAt: Number.NEGATIVE_INFINITY,
  };
}

export class GuestNotes {
  // Insertion order is order of use: the first is the one unused for longest.
  readonly #notes = new Map<DocumentKey, Note>();

  get size(): number {
    return this.#notes.size;
  }

  peek(key: DocumentKey): Note | undefined {
    return this.#notes.get(key);
  }

  /** The note of a document, a new one if need be; what was unused for longest gives way. */
  of(key: DocumentKey): Note {
    const note = this.#notes.get(key) ?? newNote();
    this.#notes.delete(key);
    this.#notes.set(key, note);
    const [oldest] = this.#notes.keys();
    if (this.#notes.size > NOTES_MAX && oldest !== undefined) this.#notes.delete(oldest);
    return note;
  }

  /** Owing an acknowledgement since earlier. */
  *owing(): Generator<[DocumentKey, Note]> {
    for (const entry of this.#notes) if (entry[1].owed !== undefined) yield entry;
  }

  entries(): IterableIterator<[DocumentKey, Note]> {
    return this.#notes.entries();
  }
}

/** Keeps changes for when those before them have come; forgets all when they grow too many. */
export function keepPending(note: Note, changes: readonly Uint8Array[]): void {
  const all = [...note.pending, ...changes];
  const bytes = all.reduce((sum, change) => sum + change.length, 0);
  note.pending = bytes > PENDING_BYTES_MAX ? [] : all;
}
