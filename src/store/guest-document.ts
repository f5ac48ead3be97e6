// An Automerge document that is shared with a guest: taken in within limits, brought level by Automerge's own
// sync messages, and its root fields with the operations that wrote them.

import {
  type DecodedChange,
  type DecodedSyncMessage,
  type Doc,
  decodeChange,
  decodeSyncMessage,
  decodeSyncState,
  encodeSyncMessage,
  encodeSyncState,
  generateSyncMessage,
  getBackend,
  init,
  initSyncState,
  receiveSyncMessage,
  type SyncState,
} from "@automerge/automerge";
import { concatBytes } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { compareText } from "../base/text.ts";
import { checkChunks, understood } from "./automerge-chunks.ts";
import { type Backend, putValue, readConflict } from "./automerge-values.ts";
import type { ChangeMeta } from "./guest-stamps.ts";
import type { JsonValue } from "./json.ts";
import type { StartId } from "./stamp.ts";

/** What Automerge says at the end of its own messages: two abilities, whole documents in messages among them. */
const CAPABILITIES = Uint8Array.of(0x02, 0x02, 0x84);

export type DecodedSync = DecodedSyncMessage;

/** Loaded documents hold memory that no garbage collector sees: free() every one. */
export class GuestDocument {
  #doc: Doc<unknown>;
  readonly #backend: Backend;

  private constructor(doc: Doc<unknown>) {
    this.#doc = doc;
    this.#backend = getBackend(doc);
  }

  /** `actor` signs what is written here. Fault `wire_invalid` for damaged or incomplete chunks. */
  static open(chunks: Uint8Array | undefined, actor: StartId): GuestDocument {
    const document = new GuestDocument(init({ actor }));
    if (chunks === undefined) return document;
    try {
      document.apply(chunks);
      if (document.isComplete) return document;
    } catch (error) {
      document.free();
      throw error;
    }
    document.free();
    throw new Fault("wire_invalid", "document lacks changes that it depends on");
  }

  free(): void {
    this.#backend.free();
  }

  /** Sorted hex. */
  heads(): readonly string[] {
    return this.#backend.getHeads().sort(compareText);
  }

  /** False while changes wait for others: it must not be saved then. */
  get isComplete(): boolean {
    return this.#backend.getMissingDeps([]).length === 0;
  }

  save(): Uint8Array {
    return understood(() => this.#backend.save());
  }

  /** Fault `wire_invalid` for damaged bytes. */
  apply(chunks: Uint8Array): void {
    checkChunks(chunks);
    understood(() => this.#backend.loadIncremental(chunks));
  }

  /** Of all changes, each after those that it depends on. */
  metas(): readonly ChangeMeta[] {
    return understood(() => this.#backend.getChangesMeta([]));
  }

  /** Bytes of the changes that are not in the past of `heads`, which must be known. */
  changesSince(heads: readonly string[]): readonly Uint8Array[] {
    return understood(() => this.#backend.getChanges([...heads]));
  }

  decodedSince(heads: readonly string[]): readonly DecodedChange[] {
    const changes = this.changesSince(heads);
    return understood(() => changes.map((change) => decodeChange(change)));
  }

  /** The message that comes next in the exchange, if there is anything to say. */
  generate(state: SyncState): { readonly state: SyncState; readonly message: Uint8Array | null } {
    const [next, message] = understood(() => generateSyncMessage(this.#doc, state));
    return { state: next, message };
  }

  /** Takes a message in, with the changes in it. Fault `wire_invalid`. */
  receive(state: SyncState, message: Uint8Array): SyncState {
    const [doc, next] = understood(() => receiveSyncMessage(this.#doc, state, message));
    this.#doc = doc;
    return next;
  }

  /** Root fields that show a value. */
  names(): readonly string[] {
    return understood(() => this.#backend.keys("_root"));
  }

  /** All values that concurrent writers gave a root field; the last is the one that shows. */
  conflicts(name: string): readonly { readonly value: JsonValue; readonly writtenBy: string }[] {
    return understood(() => {
      const all = this.#backend.getAll("_root", name);
      return all.map((conflict) => readConflict(this.#backend, conflict));
    });
  }

  /** Where an object lies; empty for one that no longer shows. */
  pathOf(object: string): readonly (string | number)[] {
    return understood(() => this.#backend.objInfo(object).path ?? []);
  }

  /** One change: root fields set, or removed where undefined. */
  write(
    fields: ReadonlyMap<string, JsonValue | undefined>,
    { message, timeSecs }: { message: string; timeSecs: number },
  ): void {
    for (const [name, value] of fields) {
      if (value === undefined) this.#backend.delete("_root", name);
      else putValue(this.#backend, "_root", name, value);
    }
    if (this.#backend.pendingOps() > 0) this.#backend.commit(message, timeSecs);
    else this.#backend.emptyChange(message, timeSecs);
  }
}

/** Fault `wire_invalid` for bytes that are no sync message. */
export function decodeSync(message: Uint8Array): DecodedSync {
  return understood(() => decodeSyncMessage(message));
}

/** The message that ends an exchange: nothing to give, nothing to ask, both have `heads`. */
export function encodeAcknowledgement(heads: readonly string[]): Uint8Array {
  const message = encodeSyncMessage({
    heads: [...heads],
    need: [],
    have: [{ lastSync: [...heads], bloom: new Uint8Array(0) }],
    changes: [],
  });
  return concatBytes([message, CAPABILITIES]);
}

/** What is kept of an exchange that is over: the heads that both have. */
export function restingState(state: SyncState): Uint8Array {
  return encodeSyncState(state);
}

export function wakingState(resting: Uint8Array | undefined): SyncState {
  return resting === undefined ? initSyncState() : decodeSyncState(resting);
}
