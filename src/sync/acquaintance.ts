// What a peer and this node know of each other's memory of deletions: whether one of them was away for so long that
// the other may have forgotten what was deleted meanwhile.
import { getLog } from "../base/log.ts";
import { type MemoryMarks, suspectUntil } from "../store/deletion-memory.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { Store } from "../store/store.ts";

const log = getLog("peat_mesh::storage::automerge_sync");

export class Acquaintance {
  readonly #store: Store;
  readonly #peerName: string;
  /** What the peer was told. */
  #told: MemoryMarks | undefined;
  #peer: MemoryMarks = { metAt: 0, forgottenAt: 0 };
  #suspectUntil: number | undefined;

  #hasOrphans = false;

  constructor(store: Store, peerName: string) {
    this.#store = store;
    this.#peerName = peerName;
  }

  /** What the peer is to be told at the beginning, and again whenever isOutdated. */
  introduce(): MemoryMarks {
    this.#told = this.#store.memory.marks;
    return this.#told;
  }

  /** Whether the peer suspects us, and need not any more: we have met another one meanwhile. */
  get isOutdated(): boolean {
    const { metAt } = this.#store.memory.marks;
    const isSuspect = (own: { metAt: number }) => suspectUntil(own, this.#peer) !== undefined;
    return (
      this.#told !== undefined &&
      metAt > this.#told.metAt &&
      isSuspect(this.#told) &&
      !isSuspect({ metAt })
    );
  }

  introduced(peer: MemoryMarks): void {
    this.#peer = peer;
    this.#suspectUntil = suspectUntil(peer, this.#store.memory.marks);
  }

  /** Lives that the peer offers and that began by then (ms) may have been deleted and forgotten here. */
  get suspectUntil(): number | undefined {
    return this.#suspectUntil;
  }

  /** The peer neither has nor remembers these: they were deleted while this node was away. */
  orphaned(entries: readonly { readonly key: string; readonly hash: string }[]): void {
    const until = this.#told === undefined ? undefined : suspectUntil(this.#told, this.#peer);
    if (until === undefined) return;
    const told = entries.map(({ key, hash }) => ({ key: key as DocumentKey, hash }));
    if (this.#store.setAside(told, until) === 0 || this.#hasOrphans) return;
    this.#hasOrphans = true;
    log.warn(
      "This node was away for longer than deletions are remembered; what its peers don't know is set aside (peat-sidecar orphans)",
      { peer: this.#peerName },
    );
  }

  /** Both hold the same at `now`. */
  agreed(now: number): void {
    this.#suspectUntil = undefined;
    this.#store.memory.met(now, this.#peer);
  }
}
