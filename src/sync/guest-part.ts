// What the exchanges of both kinds of documents with a guest have in common.
import type { SyncState } from "@automerge/automerge";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { type DocumentKey, splitKey } from "../store/document-key.ts";
import {
  type DecodedSync,
  encodeAcknowledgement,
  GuestDocument,
  wakingState,
} from "../store/guest-document.ts";
import { NO_START } from "../store/stamp.ts";
import { decodeState, type State, type StateHash } from "../store/state.ts";
import type { Store } from "../store/store.ts";
import type { Message } from "../wire/message.ts";
import type { Note } from "./guest-notes.ts";

export interface PartContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly nodeName: string;
  /** Name of the guest. */
  readonly guest: string;
  /** Joins a state into the store. Faults of Store.merge. */
  readonly merge: (key: DocumentKey, state: State) => Promise<"complete" | "incomplete">;
}

export interface Delta {
  readonly sync: Uint8Array;
  readonly message: DecodedSync;
}

/** What came of a message. */
export interface Answer {
  readonly reply: Message[];
  /** Heads that the guest has. */
  readonly theirs: readonly string[];
  /** Heads of what it should have, and the hash of the state that they show; undefined: no longer of this kind. */
  readonly ours: { readonly heads: readonly string[]; readonly hash: StateHash } | undefined;
}

/** Documents of one kind. Faults `wire_invalid` where the guest's document is to blame. */
export interface GuestPart {
  receiveDelta(key: DocumentKey, note: Note, delta: Delta): Promise<Answer>;
  receiveSnapshot(key: DocumentKey, note: Note, document: Uint8Array): Promise<Answer>;
  push(key: DocumentKey, note: Note): Message[];
  announce(key: DocumentKey, note: Note): Message[];
}

export function stateOf(store: Store, key: DocumentKey): State | undefined {
  const found = store.stateFor(key);
  return found === undefined ? undefined : decodeState(found.bytes);
}

export function acknowledgement(key: string, heads: readonly string[]): Message {
  return { kind: "delta", key, sync: encodeAcknowledgement(heads) };
}

/**
 * When the lifetime of what a guest wrote begins, in collections that have one: its changes carry no time, so it
 * is that of their arrival. Ms since the Unix epoch; 0 elsewhere, where the bytes alone decide.
 */
export function arrivalOf({ store, clock }: PartContext, key: DocumentKey): number {
  const { ttlSecs } = store.policies.of(splitKey(key).collection);
  return ttlSecs === undefined ? 0 : clock.now();
}

/** The exchange so far, or a new one that knows where the last one ended. */
export function exchangeOf(note: Note): SyncState {
  return note.active ?? wakingState(note.resting);
}

/** The next message of the exchange, if there is one. */
export function nextMessage(key: DocumentKey, note: Note, document: GuestDocument): Message[] {
  const { state, message } = document.generate(exchangeOf(note));
  note.active = state;
  return message === null ? [] : [{ kind: "delta", key, sync: message }];
}

/** Uses a document that nobody writes to, and frees it. */
export function reading<T>(chunks: Uint8Array | undefined, use: (document: GuestDocument) => T): T {
  const document = GuestDocument.open(chunks, NO_START);
  try {
    return use(document);
  } finally {
    document.free();
  }
}

/** Heads of a saved document. Fault `wire_invalid` when it is damaged or empty. */
export function headsOfSaved(document: Uint8Array): readonly string[] {
  const heads = reading(document, (it) => it.heads());
  if (heads.length === 0) throw new Fault("wire_invalid", "document is empty");
  return heads;
}
