// Who reads the feed and how much waits for them, by the kind of reader: for whoever shows it.

export type ReaderKind = "websocket" | "rpc" | "files" | "other";

export interface FeedLoad {
  readonly kind: ReaderKind;
  readonly readers: number;
  /** Changes that wait for them. */
  readonly queued: number;
}

interface Reader {
  readonly queue: { readonly length: number };
  readonly kind: ReaderKind;
}

const SHOWN: readonly ReaderKind[] = ["websocket", "rpc", "files"];

export class FeedReaders {
  readonly #readers = new Set<Reader>();

  add(reader: Reader): void {
    this.#readers.add(reader);
  }

  delete(reader: Reader): void {
    this.#readers.delete(reader);
  }

  load(): FeedLoad[] {
    return SHOWN.map((kind) => {
      const ofKind = [...this.#readers].filter((reader) => reader.kind === kind);
      const queued = ofKind.reduce((sum, { queue }) => sum + queue.length, 0);
      return { kind, readers: ofKind.length, queued };
    });
  }
}
