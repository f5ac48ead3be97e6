// Renderings on disk: a line for each latest document, and its chunks in parts that are only ever appended or
// replaced together. All of it follows from the documents, so its commits don't wait for the disk: after a power
// cut some of the newest are missing, and are made again.
import type { Database as Sqlite } from "bun:sqlite";
import type { Checkpoints } from "./checkpoints.ts";
import type { DocumentKey } from "./document-key.ts";
import type { Place, Seal } from "./seal.ts";

/** Created with the file, or when a file of schema 1 is opened. A row that goes, goes with its rendering. */
export const RENDERING_SCHEMA = `
  CREATE TABLE renderings (
    key TEXT PRIMARY KEY, tip BLOB NOT NULL, bytes INTEGER NOT NULL, parts INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE rendering_parts (
    key TEXT NOT NULL, part INTEGER NOT NULL, at INTEGER NOT NULL, chunks BLOB NOT NULL,
    state BLOB, PRIMARY KEY (key, part)
  ) WITHOUT ROWID;
  CREATE TRIGGER rendering_goes_with_document AFTER DELETE ON documents BEGIN
    DELETE FROM renderings WHERE key = OLD.key;
    DELETE FROM rendering_parts WHERE key = OLD.key;
  END;
`;

export interface StoredRendering {
  readonly key: DocumentKey;
  /** Encoded Tip. */
  readonly tip: Uint8Array;
  /** Of all chunks together. */
  readonly bytes: number;
  /** Parts are numbered from 0 without gaps; the first is the document without its past. */
  readonly parts: number;
}

/** What one version of the document added. */
export interface RenderingPart {
  /** Ms since the Unix epoch of that version's commit on this node. */
  readonly at: number;
  /** Automerge chunks. */
  readonly chunks: Uint8Array;
  /** The whole version as an encoded State, where the collection keeps a window of its history. */
  readonly state: Uint8Array | undefined;
}

export interface RenderingUpdate {
  readonly rendering: StoredRendering;
  /** The last parts; all of them when their number is that of the rendering. */
  readonly added: readonly RenderingPart[];
}

/** A commit of which the renderings may not know yet. */
export interface RenderableCommit {
  readonly seq: number;
  readonly key: DocumentKey;
  /** Whether the document keeps its whole history itself; of one that is encrypted only the row tells. */
  readonly isHistory: boolean;
}

export type RenderingSize = Pick<StoredRendering, "key" | "bytes" | "parts">;

const RENDERED_SEQ = "rendered_seq";
/** First byte of the encoded state of a document with its whole history. */
const HISTORY_TAG = "x'01'";

type RawPart = { part: number; at: number; chunks: unknown; state: unknown };

const NO_BYTES = new Uint8Array(0);

export function tipPlace(key: string): Place {
  return { column: "tip", key };
}

export function chunksPlace(key: string, part: number): Place {
  return { column: `chunks ${part}`, key };
}

/** Of the version that a part keeps. */
export function versionPlace(key: string, part: number): Place {
  return { column: `version ${part}`, key };
}

/** Throws what SQLite throws. */
export class RenderingTable {
  readonly #sqlite: Sqlite;
  readonly #seal: Seal;
  readonly #checkpoints: Checkpoints;

  constructor(sqlite: Sqlite, seal: Seal, checkpoints: Checkpoints) {
    this.#sqlite = sqlite;
    this.#seal = seal;
    this.#checkpoints = checkpoints;
  }

  /** Every version up to this one has been rendered. */
  renderedSeq(): number {
    const query = this.#sqlite.query<{ value: string }, [string]>(
      "SELECT value FROM meta WHERE name = ?",
    );
    // A number that damage made nothing of: all are looked at again.
    return Number(query.get(RENDERED_SEQ)?.value) || 0;
  }

  find(key: DocumentKey): StoredRendering | undefined {
    const query = this.#sqlite.query<StoredRendering, [string]>(
      "SELECT key, tip, bytes, parts FROM renderings WHERE key = ?",
    );
    const raw = query.get(key);
    return raw === null
      ? undefined
      : { ...raw, tip: this.#seal.open(raw.tip, tipPlace(key)) ?? NO_BYTES };
  }

  /** Parts of one document with their numbers, those after `after`. */
  parts(key: DocumentKey, after: number, limit: number): (RenderingPart & { part: number })[] {
    const query = this.#sqlite.query<RawPart, [string, number, number]>(
      "SELECT part, at, chunks, state FROM rendering_parts WHERE key = ? AND part > ? ORDER BY part LIMIT ?",
    );
    return query.all(key, after, limit).map((raw) => ({
      ...raw,
      chunks: this.#seal.open(raw.chunks, chunksPlace(key, raw.part)) ?? NO_BYTES,
      state: this.#seal.open(raw.state, versionPlace(key, raw.part)),
    }));
  }

  /** Number of the last part that was committed before `at`; undefined when there is none. */
  lastPartBefore(key: DocumentKey, at: number): number | undefined {
    const query = this.#sqlite.query<{ part: number | null }, [string, number]>(
      "SELECT max(part) AS part FROM rendering_parts WHERE key = ? AND at < ?",
    );
    return query.get(key, at)?.part ?? undefined;
  }

  /** Renderings of `collection` in key order, those after `after`. */
  sizes(collection: string, after: DocumentKey | undefined, limit: number): RenderingSize[] {
    // ";" is the character after ":", so this range is the collection and nothing else.
    const query = this.#sqlite.query<RenderingSize, [string, string, number]>(
      "SELECT key, bytes, parts FROM renderings WHERE key > ? AND key < ? ORDER BY key LIMIT ?",
    );
    return query.all(after ?? `${collection}:`, `${collection};`, limit);
  }

  hasDocument(key: DocumentKey): boolean {
    return this.#sqlite.query("SELECT 1 FROM documents WHERE key = ?").get(key) !== null;
  }

  /** What was committed after `seq`, in that order; of each document its newest commit only. */
  committedSince(seq: number, limit: number): RenderableCommit[] {
    const query = this.#sqlite.query<
      { seq: number; key: DocumentKey; isHistory: number },
      [number, number]
    >(
      `SELECT seq, key, substr(state, 1, 1) = ${HISTORY_TAG} AS isHistory FROM documents
       WHERE seq > ? ORDER BY seq LIMIT ?`,
    );
    return query.all(seq, limit).map((raw) => ({ ...raw, isHistory: raw.isHistory === 1 }));
  }

  /** One transaction. */
  write(batch: {
    readonly updates: readonly RenderingUpdate[];
    readonly dropped: readonly DocumentKey[];
    readonly renderedSeq?: number;
  }): void {
    this.#withoutWaiting(() => {
      for (const key of batch.dropped) this.#drop(key);
      for (const update of batch.updates) this.#store(update);
      if (batch.renderedSeq === undefined) return;
      this.#sqlite
        .query("INSERT OR REPLACE INTO meta VALUES (?, ?)")
        .run(RENDERED_SEQ, String(batch.renderedSeq));
    });
  }

  #drop(key: DocumentKey): void {
    this.#sqlite.query("DELETE FROM renderings WHERE key = ?").run(key);
    this.#sqlite.query("DELETE FROM rendering_parts WHERE key = ?").run(key);
  }

  #store({ rendering, added }: RenderingUpdate): void {
    const { key, tip, bytes, parts } = rendering;
    if (added.length === parts) this.#drop(key);
    this.#sqlite
      .query("INSERT OR REPLACE INTO renderings VALUES (?, ?, ?, ?)")
      .run(key, this.#seal.close(tip, tipPlace(key)), bytes, parts);
    const insert = this.#sqlite.query(
      "INSERT OR REPLACE INTO rendering_parts VALUES (?, ?, ?, ?, ?)",
    );
    for (const [index, { at, chunks, state }] of added.entries()) {
      const part = parts - added.length + index;
      const cells = [
        this.#seal.close(chunks, chunksPlace(key, part)),
        state === undefined ? null : this.#seal.close(state, versionPlace(key, part)),
      ] as const;
      insert.run(key, part, at, ...cells);
    }
  }

  /** The next commit of documents takes these along to the disk. */
  #withoutWaiting(change: () => void): void {
    this.#sqlite.exec("PRAGMA synchronous = NORMAL");
    try {
      this.#sqlite.transaction(change).immediate();
    } finally {
      this.#sqlite.exec("PRAGMA synchronous = FULL");
    }
  }

  /** Pages of the file that hold nothing. */
  freePages(): number {
    const query = this.#sqlite.query<{ freelist_count: number }, []>("PRAGMA freelist_count");
    return query.get()?.freelist_count ?? 0;
  }

  /** Takes at most so many empty pages out of the file; it shrinks once the log is written back. */
  vacuum(pagesMax: number): void {
    this.#withoutWaiting(() => {
      this.#sqlite.exec(`PRAGMA incremental_vacuum(${pagesMax})`);
    });
  }

  /** Writes the log back into the file and gives back the space of both; not while they are being copied. */
  shrinkFiles(): void {
    this.#checkpoints.truncate();
  }
}
