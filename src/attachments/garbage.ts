// What files leave behind in memory. Every byte that is hashed, sent or received is a part of short-lived arrays, and
// the runtime lets tens of megabytes of those pile up before it looks; a node beside other programs has to stay small.

/** Bytes of files after which it is made to look. That takes some ten milliseconds. */
const COLLECT_BYTES = 2 * 1024 * 1024;

export class Garbage {
  #bytes = 0;

  /** So many bytes have gone through. */
  passed(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < COLLECT_BYTES) return;
    this.#bytes = 0;
    Bun.gc(true);
  }
}
