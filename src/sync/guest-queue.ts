// Documents that a guest is to hear of: each once, the urgent collections first, none of them by its bytes.
import { PRIORITY_CLASSES, priorityOf } from "../store/collection-policies.ts";
import { type DocumentKey, splitKey } from "../store/document-key.ts";

export type Errand = "push" | "announce";

/** Beyond this they are forgotten, and all documents are gone through again. */
const WAITING_MAX = 50_000;

export class GuestQueue {
  readonly #classes = Array.from(
    { length: PRIORITY_CLASSES },
    () => new Map<DocumentKey, Errand>(),
  );
  /** Not before a time of Clock.monotonic(). */
  readonly #later = new Map<DocumentKey, { readonly errand: Errand; readonly at: number }>();
  #isForgetful = false;

  get size(): number {
    return this.#classes.reduce((sum, map) => sum + map.size, 0) + this.#later.size;
  }

  /** True once after something was forgotten for want of room. */
  takeForgetful(): boolean {
    const was = this.#isForgetful;
    this.#isForgetful = false;
    return was;
  }

  /** A push takes the place of an announcement, never the other way. */
  put(key: DocumentKey, errand: Errand): void {
    if (this.#later.has(key)) return;
    const map = this.#classes[priorityOf(splitKey(key).collection)];
    if (map === undefined) return;
    if (!map.has(key) && this.size >= WAITING_MAX) this.#isForgetful = true;
    else if (errand === "push" || !map.has(key)) map.set(key, errand);
  }

  putLater(key: DocumentKey, errand: Errand, at: number): void {
    if (this.size >= WAITING_MAX) this.#isForgetful = true;
    else this.#later.set(key, { errand, at });
  }

  /** Those whose time has come wait with the others from now on. */
  ripen(now: number): void {
    for (const [key, { errand, at }] of this.#later) {
      if (at > now) continue;
      this.#later.delete(key);
      this.put(key, errand);
    }
  }

  /** The next one that is not `busy`. */
  take(busy: ReadonlySet<DocumentKey>): { key: DocumentKey; errand: Errand } | undefined {
    for (const map of this.#classes) {
      for (const [key, errand] of map) {
        if (busy.has(key)) continue;
        map.delete(key);
        return { key, errand };
      }
    }
    return undefined;
  }
}
