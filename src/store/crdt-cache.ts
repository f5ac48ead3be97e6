// Loaded Automerge documents, bounded by bytes: WebAssembly memory is not collected, so eviction frees it.
import type { DocumentKey } from "./document-key.ts";
import { HistoryDocument } from "./history.ts";
import type { StartId } from "./stamp.ts";

interface Entry {
  readonly document: HistoryDocument;
  /** Length of the chunks after the last compressed save. */
  savedBytes: number;
  cost: number;
}

/** What a loaded document costs beyond its chunks, and per byte of them: measured, rounded up. */
const COST_BASE = 12 * 1024;
const COST_PER_BYTE = 12;

export class CrdtCache {
  #actor: StartId;
  readonly #newActor: () => StartId;
  /** Of documents that were lost in this start. */
  readonly #renewed = new Map<DocumentKey, StartId>();
  readonly #bytesMax: number;
  // Insertion order is order of use: the first is the one unused for longest.
  readonly #entries = new Map<DocumentKey, Entry>();
  #cost = 0;

  /** `newActor` makes an actor that never wrote anything. */
  constructor(options: { actor: StartId; newActor: () => StartId; bytesMax: number }) {
    this.#actor = options.actor;
    this.#newActor = options.newActor;
    this.#bytesMax = options.bytesMax;
  }

  /**
   * The document's present content is lost here, while peers may have it: what this node writes on top of less
   * is signed by another actor, since Automerge refuses two changes of one actor and number for ever.
   */
  renewActor(key: DocumentKey): void {
    this.discard(key);
    this.#renewed.set(key, this.#newActor());
  }

  /** This node lets go of a document that peers may still have: nothing is signed by its actor any more. */
  forget(key: DocumentKey): void {
    this.discard(key);
    this.#renewed.delete(key);
    // One actor for all documents again: each takes it when it is loaded next.
    this.#actor = this.#newActor();
  }

  #actorOf(key: DocumentKey): StartId {
    return this.#renewed.get(key) ?? this.#actor;
  }

  /** The document of `key` if it is loaded, else loaded from `chunks`; undefined when they are incomplete. */
  open(key: DocumentKey, chunks: Uint8Array): HistoryDocument | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
      return entry.document;
    }
    const document = HistoryDocument.load(chunks, this.#actorOf(key));
    if (document !== undefined) this.#keep(key, document, chunks.length);
    return document;
  }

  /** A new, empty document in place of whatever is loaded under `key`. */
  create(key: DocumentKey): HistoryDocument {
    this.discard(key);
    const document = HistoryDocument.empty(this.#actorOf(key));
    this.#keep(key, document, 0);
    return document;
  }

  /**
   * The chunks of a document that had `before` and was given `added`: appended, or saved anew once the
   * appended part has doubled the whole, so that a long life of small writes costs a constant factor.
   */
  grow(key: DocumentKey, before: Uint8Array | undefined, added: Uint8Array): Uint8Array {
    const entry = this.#entries.get(key);
    const length = (before?.length ?? 0) + added.length;
    if (entry === undefined || length <= 2 * entry.savedBytes + 4096) {
      return before === undefined ? added : Buffer.concat([before, added]);
    }
    const saved = entry.document.save();
    entry.savedBytes = saved.length;
    this.#cost -= entry.cost;
    entry.cost = costOf(saved.length);
    this.#cost += entry.cost;
    return saved;
  }

  discard(key: DocumentKey): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#cost -= entry.cost;
    entry.document.free();
  }

  clear(): void {
    for (const key of [...this.#entries.keys()]) this.discard(key);
  }

  #keep(key: DocumentKey, document: HistoryDocument, chunkBytes: number): void {
    const cost = costOf(chunkBytes);
    // Room first: what is given back now is what the new one takes, and WebAssembly memory never shrinks.
    for (const oldest of this.#entries.keys()) {
      if (this.#cost + cost <= this.#bytesMax) break;
      this.discard(oldest);
    }
    this.#entries.set(key, { document, savedBytes: chunkBytes, cost });
    this.#cost += cost;
  }
}

function costOf(chunkBytes: number): number {
  return COST_BASE + COST_PER_BYTE * chunkBytes;
}
