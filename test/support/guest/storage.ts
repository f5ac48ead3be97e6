// What a guest has on disk: documents and tombstones, by key in byte order. It outlives restarts; nothing else does.
import { GuestDocument } from "./document.ts";
import { type GuestTombstone, keyOf } from "./tombstone.ts";

function byBytes(a: string, b: string): number {
  return Buffer.from(a).compare(Buffer.from(b));
}

export class GuestStorage {
  readonly #documents = new Map<string, GuestDocument>();
  readonly #tombstones = new Map<string, GuestTombstone>();

  keys(): string[] {
    return [...this.#documents.keys()].sort(byBytes);
  }

  get(key: string): GuestDocument | undefined {
    return this.#documents.get(key);
  }

  put(key: string, document: GuestDocument): void {
    const before = this.#documents.get(key);
    if (before !== document) before?.free();
    this.#documents.set(key, document);
  }

  /** Without a tombstone. */
  drop(key: string): boolean {
    this.#documents.get(key)?.free();
    return this.#documents.delete(key);
  }

  isDeleted(key: string): boolean {
    return this.#tombstones.has(key);
  }

  tombstones(): GuestTombstone[] {
    return [...this.#tombstones.values()].sort((a, b) => byBytes(keyOf(a), keyOf(b)));
  }

  /** False when there is one already: the first stays, whatever the other says. */
  bury(tombstone: GuestTombstone): boolean {
    const key = keyOf(tombstone);
    if (this.#tombstones.has(key)) return false;
    this.#tombstones.set(key, tombstone);
    this.drop(key);
    return true;
  }

  forget(tombstone: GuestTombstone): void {
    this.#tombstones.delete(keyOf(tombstone));
  }

  /** As a backup of the directory would be; `actor` names a writer that has written nothing yet. */
  copy(actor: () => string): GuestStorage {
    const copy = new GuestStorage();
    // Tombstones first: a document may stand beside its own.
    for (const tombstone of this.#tombstones.values()) copy.bury(tombstone);
    for (const [key, document] of this.#documents) {
      copy.put(key, GuestDocument.load(document.save(), actor()));
    }
    return copy;
  }
}
