// The Automerge renderings of this node's latest documents: written after each commit, read as a whole, compacted.
import { SQLiteError } from "bun:sqlite";
import { concatBytes } from "../base/bytes.ts";
import { type Compacted, Compactor, type SweepOptions } from "./compaction.ts";
import type { DocumentKey } from "./document-key.ts";
import { type CommittedRow, Renderer, type RendererOptions } from "./renderer.ts";
import { toStorageFault } from "./storage-fault.ts";

const ALL_PARTS = -1;

export class Renderings {
  readonly #options: RendererOptions;
  readonly #renderer: Renderer;
  readonly #compactor: Compactor;
  readonly #closing = new AbortController();

  constructor(options: RendererOptions) {
    this.#options = options;
    this.#renderer = new Renderer(options);
    this.#compactor = new Compactor(options);
  }

  /** To be called after every commit, in commit order. */
  committed(rows: readonly CommittedRow[]): void {
    this.#renderer.committed(rows);
  }

  /**
   * Automerge chunks that load to the document; a moment behind its newest state. Undefined while there are none,
   * for deleted documents and for those that keep their whole history.
   */
  read(key: DocumentKey): Uint8Array | undefined {
    const table = this.#options.database.renderings;
    const stored = table.find(key);
    if (stored === undefined) return undefined;
    return concatBytes(table.parts(key, ALL_PARTS, stored.parts).map(({ chunks }) => chunks));
  }

  /** Commits that are not rendered yet. */
  get waiting(): number {
    return this.#renderer.waiting;
  }

  /** Rewrites what has grown, in small pieces. Faults of the storage; what was rewritten by then stays so. */
  async compact(options: SweepOptions): Promise<Compacted> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    try {
      return await this.#compactor.sweep({ ...options, signal });
    } catch (error) {
      if (!(error instanceof SQLiteError)) throw error;
      throw toStorageFault(error, this.#options.database.path);
    }
  }

  /** Before the file is closed. */
  close(): void {
    this.#closing.abort();
    this.#renderer.close();
  }
}
