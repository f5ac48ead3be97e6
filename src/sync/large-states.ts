// What one peer is to be sent and fits no frame: in parts, a few documents at a time, and on one link each state
// once, however often it is found meanwhile that the peer has nothing of it.
import { assert } from "../base/assert.ts";
import { getLog } from "../base/log.ts";
import type { DocumentKey } from "../store/document-key.ts";
import { isHistoryState, joinDeltas } from "../store/state.ts";
import type { Store } from "../store/store.ts";
import { STATE_BYTES_MAX } from "../wire/native.ts";

const log = getLog("peat_mesh::storage::automerge_sync");

/** Part of a state that is too large for one frame. */
export interface ChunkPart {
  readonly key: DocumentKey;
  readonly hash: string;
  readonly total: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** What a peer lacks of a document. */
export interface Wanted {
  readonly key: DocumentKey;
  readonly hash: string;
  /** What it needs if it has all that was committed before them; undefined: the state, read when sent. */
  readonly deltas: readonly Uint8Array[] | undefined;
  /** The first of them is a whole state: what was before it is of no use. */
  readonly isWhole: boolean;
  /** Heads that the peer has told us, if it has the history; else none. */
  readonly heads: readonly string[];
}

/** One document; only of the first few are the bytes in memory. */
interface Large {
  readonly wanted: Wanted;
  readonly sending:
    | { readonly hash: string; readonly bytes: Uint8Array; offset: number }
    | undefined;
  /** What is wanted since that is on its way: it has to arrive whole first. */
  readonly next: Wanted | undefined;
}

/** States that share a link at one time. */
const ACTIVE_MAX = 2;
/** A catch-up that has found so many waits for them: the list stays short. */
const FOUND_MAX = 8;
/** Changes of one document that wait are joined when there are so many: each is added to a copy of the list. */
const DELTAS_MAX = 256;
const STUCK_MAX = 1000;

export class LargeStates {
  readonly #store: Store;
  /** The first in turn first. */
  readonly #byKey = new Map<DocumentKey, Large>();
  /** Whole states that the peer will have, with what was sent after them; until it says that it has them. */
  readonly #coming = new Map<DocumentKey, string>();
  readonly #stuck = new Map<DocumentKey, string>();
  #deltaBytes = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** A catch-up waits. */
  get isFull(): boolean {
    return this.#byKey.size >= FOUND_MAX;
  }

  /** Bytes of changes that are kept here. */
  get deltaBytes(): number {
    return this.#deltaBytes;
  }

  /** Documents that can't be sent, with the reason. */
  get stuck(): ReadonlyMap<DocumentKey, string> {
    return this.#stuck;
  }

  /** The document was changed: it may fit now. */
  changed(key: DocumentKey): void {
    this.#stuck.delete(key);
  }

  waits(key: DocumentKey): boolean {
    return this.#byKey.has(key);
  }

  /** Whether a change of the document is of no use to the peer before what waits here. */
  holdsUp({ key, deltas }: Wanted): boolean {
    const large = this.#byKey.get(key);
    const last = deltas?.at(-1);
    if (large === undefined || last === undefined || !isHistoryState(last)) return false;
    return large.sending !== undefined || large.wanted.deltas !== undefined;
  }

  /** Whether a whole state of the document is on its way, so that a peer without any of it lacks nothing but changes. */
  isComing(key: DocumentKey): boolean {
    return this.#coming.has(key);
  }

  /** Whether a peer that has nothing of the document will have it as it is now, if nothing more is sent. */
  brings(key: DocumentKey): boolean {
    const coming = this.#coming.get(key);
    if (coming === undefined) return false;
    const next = this.#byKey.get(key)?.next;
    const promised = next?.deltas === undefined ? coming : next.hash;
    return promised === this.#store.hashOf(key);
  }

  /** One that waits already goes as the newest version when its turn comes. */
  add(wanted: Wanted): void {
    const { key } = wanted;
    const large = this.#byKey.get(key);
    if (large === undefined) this.#put(key, { wanted, sending: undefined, next: undefined });
    else if (large.sending === undefined) {
      this.#put(key, { ...large, wanted: united(large.wanted, wanted) });
    } else {
      const next = large.next === undefined ? wanted : united(large.next, wanted);
      this.#put(key, { ...large, next });
    }
  }

  /** Something small of the same document was sent after it. */
  followed(key: DocumentKey, hash: string): void {
    if (this.#coming.has(key)) this.#coming.set(key, hash);
  }

  /** The peer has acknowledged what was sent last of these. */
  arrived(keys: readonly DocumentKey[]): void {
    if (this.#coming.size === 0) return;
    for (const key of keys) {
      if (this.#byKey.get(key)?.sending === undefined) this.#coming.delete(key);
    }
  }

  /** The peer is known to have this state now. */
  has(key: DocumentKey, hash: string): void {
    const large = this.#byKey.get(key);
    if (large === undefined || this.#store.hashOf(key) !== hash) return;
    if (large.sending === undefined) this.#remove(key);
    else this.#put(key, { ...large, next: undefined });
  }

  /** The link is another one: what was sent in part is sent anew, as it is now. */
  resume(): void {
    this.#coming.clear();
    for (const [key, { wanted, next }] of this.#byKey) {
      const both = next === undefined ? wanted : united(wanted, next);
      this.#put(key, { wanted: both, sending: undefined, next: undefined });
    }
  }

  /** The next part, of at most `bytesMax`; `turn` chooses among those that share the link. */
  take(turn: number, bytesMax: number): ChunkPart | undefined {
    while (this.#byKey.size > 0) {
      const active = [...this.#byKey.values().take(ACTIVE_MAX)];
      const large = active[turn % active.length];
      assert(large !== undefined, "the first of the list is always active");
      const { wanted } = large;
      const { key } = wanted;
      const sending = large.sending ?? this.#load(wanted);
      if (sending === undefined) {
        this.#remove(key);
        continue;
      }
      const { hash, bytes, offset } = sending;
      const part = bytes.subarray(offset, offset + bytesMax);
      sending.offset += part.length;
      if (sending.offset < bytes.length) this.#put(key, { ...large, sending });
      else {
        this.#remove(key);
        if (large.next !== undefined) this.add(large.next);
      }
      return { key, hash, total: bytes.length, offset, bytes: part };
    }
    return undefined;
  }

  #put(key: DocumentKey, large: Large): void {
    this.#deltaBytes += keptBy(large) - keptBy(this.#byKey.get(key));
    this.#byKey.set(key, large);
  }

  #remove(key: DocumentKey): void {
    this.#deltaBytes -= keptBy(this.#byKey.get(key));
    this.#byKey.delete(key);
  }

  #load({ key, hash, deltas, heads }: Wanted): Large["sending"] {
    if (deltas !== undefined) {
      this.followed(key, hash);
      return { hash, bytes: joinDeltas(deltas), offset: 0 };
    }
    const state = this.#store.stateFor(key, heads);
    if (state === undefined) return undefined;
    if (state.bytes.length > STATE_BYTES_MAX) {
      // Local writes stay below the limit; what two partitions made larger together no peer would take.
      this.#refuse(key, state.bytes.length);
      return undefined;
    }
    // Of a part of a history the peer may say that it is not enough.
    if (heads.length === 0) this.#coming.set(key, state.hash);
    return { ...state, offset: 0 };
  }

  #refuse(key: DocumentKey, bytes: number): void {
    if (this.#stuck.has(key) || this.#stuck.size >= STUCK_MAX) return;
    const reason = `state of ${bytes} bytes exceeds the ${STATE_BYTES_MAX} that can be sent; delete the document and write it anew`;
    this.#stuck.set(key, reason);
    log.warn("Document can't be sent to peers", { doc_key: key, cause: reason });
  }
}

/** Changes and those after them. */
export function followedBy(
  older: readonly Uint8Array[],
  newer: readonly Uint8Array[],
): readonly Uint8Array[] {
  return [...(older.length < DELTAS_MAX ? older : [joinDeltas(older)]), ...newer];
}

/** Bytes of changes that it keeps in memory. */
export function bytesOf(wanted: Pick<Wanted, "deltas"> | undefined): number {
  return wanted?.deltas?.reduce((sum, { length }) => sum + length, 0) ?? 0;
}

function keptBy(large: Large | undefined): number {
  return bytesOf(large?.wanted) + bytesOf(large?.next);
}

/** Two wants of one document, the second the newer one. */
function united(older: Wanted, newer: Wanted): Wanted {
  if (older.deltas !== undefined && newer.deltas !== undefined) {
    return newer.isWhole
      ? newer
      : { ...newer, deltas: followedBy(older.deltas, newer.deltas), isWhole: older.isWhole };
  }
  // The peer has the heads that it told last, whatever follows them here.
  const heads = newer.deltas === undefined ? newer.heads : older.heads;
  return { ...newer, deltas: undefined, heads };
}
