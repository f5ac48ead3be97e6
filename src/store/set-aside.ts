// Contents that are in the file but not in the documents: of deleted documents that can be restored, of documents
// that the formation no longer knows, and of damaged rows.
import type { Database as Sqlite } from "bun:sqlite";
import type { DocumentKey } from "./document-key.ts";
import { jsonPlace, textBytes } from "./row.ts";
import type { Seal } from "./seal.ts";

/**
 * deleted: its collection keeps the content of deleted documents for a while.
 * orphan: this node was away for longer than deletions are remembered, and its peers don't have the document.
 * damaged: the disk changed it.
 */
export type WhyAside = "deleted" | "orphan" | "damaged";

export interface AsideEntry {
  readonly id: number;
  readonly why: WhyAside;
  readonly key: DocumentKey;
  /** Ms since the Unix epoch, by this node's clock. */
  readonly at: number;
  /** Of its text; undefined where the content is lost. */
  readonly bytes: number | undefined;
}

export interface AsideQuery {
  readonly why: WhyAside;
  readonly limit: number;
  /** Only entries with greater ids. */
  readonly after: number;
}

type RawEntry = { id: number; why: string; key: string; at: number; bytes: number | null };

const COLUMNS = `id, why, key, at, ${textBytes("json")} AS bytes`;

export class SetAside {
  readonly #sqlite: Sqlite;
  readonly #seal: Seal;

  constructor(sqlite: Sqlite, seal: Seal) {
    this.#sqlite = sqlite;
    this.#seal = seal;
  }

  /** In place of an earlier entry of the same key and reason. To be called in a transaction. */
  put(entry: Omit<AsideEntry, "id" | "bytes"> & { readonly json: string }): void {
    const { at, why, key, json } = entry;
    this.removeOf(why, key);
    this.#sqlite
      .query("INSERT INTO set_aside (at, why, key, json) VALUES (?, ?, ?, ?)")
      .run(at, why, key, this.#seal.closeText(json, jsonPlace(key)));
  }

  find(id: number): AsideEntry | undefined {
    const raw = this.#sqlite
      .query<RawEntry, [number]>(`SELECT ${COLUMNS} FROM set_aside WHERE id = ?`)
      .get(id);
    return raw === null ? undefined : fromRaw(raw);
  }

  /** Canonical JSON; undefined where it is lost. */
  contentOf(id: number): string | undefined {
    const query = this.#sqlite.query<{ key: string; json: unknown }, [number]>(
      "SELECT key, json FROM set_aside WHERE id = ?",
    );
    const raw = query.get(id);
    if (raw === null) return undefined;
    return this.#seal.openText(raw.json, jsonPlace(raw.key));
  }

  remove(id: number): void {
    this.#sqlite.query("DELETE FROM set_aside WHERE id = ?").run(id);
  }

  removeOf(why: WhyAside, key: DocumentKey): void {
    this.#sqlite.query("DELETE FROM set_aside WHERE why = ? AND key = ?").run(why, key);
  }

  /** In the order in which they were set aside. */
  list({ why, limit, after }: AsideQuery): AsideEntry[] {
    return this.#sqlite
      .query<RawEntry, [string, number, number]>(
        `SELECT ${COLUMNS} FROM set_aside WHERE why = ? AND id > ? ORDER BY id LIMIT ?`,
      )
      .all(why, after, limit)
      .map(fromRaw);
  }

  count(why: WhyAside): number {
    const query = this.#sqlite.query<{ count: number }, [string]>(
      "SELECT count(*) AS count FROM set_aside WHERE why = ?",
    );
    return query.get(why)?.count ?? 0;
  }

  has(why: WhyAside, key: DocumentKey): boolean {
    const query = this.#sqlite.query("SELECT 1 FROM set_aside WHERE why = ? AND key = ? LIMIT 1");
    return query.get(why, key) !== null;
  }

  /** The oldest contents of deleted documents, without the contents. */
  oldestDeleted(limit: number): { id: number; key: string; at: number }[] {
    return this.#sqlite
      .query<{ id: number; key: string; at: number }, [number]>(
        "SELECT id, key, at FROM set_aside WHERE why = 'deleted' ORDER BY id LIMIT ?",
      )
      .all(limit);
  }
}

function fromRaw({ id, why, key, at, bytes }: RawEntry): AsideEntry {
  return {
    id,
    why: why === "deleted" || why === "orphan" ? why : "damaged",
    key: key as DocumentKey,
    at,
    bytes: bytes ?? undefined,
  };
}
