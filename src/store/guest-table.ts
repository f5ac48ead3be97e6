// What each guest was last known to hold of each document without history: Automerge documents to write on top
// of. Nothing depends on it but how long they grow: a lost one is begun anew, and read back by its stamps. So it
// is written behind, many in one transaction, and what a full disk does not take is let go.
import type { Database as Sqlite } from "bun:sqlite";
import type { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { DocumentKey } from "./document-key.ts";
import type { Place, Seal } from "./seal.ts";
import { toStorageFault } from "./storage-fault.ts";

const log = getLog("peat_mesh::storage::automerge_store");

/** Bytes that wait to be written; beyond them they are at once. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** How exactly it is known when a row was last of use. */
const USE_STEP_MS = 24 * 60 * 60 * 1000;

interface Waiting {
  readonly guest: string;
  readonly key: DocumentKey;
  /** Undefined: the row is to go. */
  readonly chunks: Uint8Array | undefined;
}

export interface GuestTableOptions {
  readonly path: string;
  readonly seal: Seal;
  /** Ms since the Unix epoch. */
  readonly now: () => number;
  /** Called when the file can't be read or written any more. */
  readonly onFailure: (fault: Fault) => void;
}

export class GuestTable {
  readonly #sqlite: Sqlite;
  readonly #options: GuestTableOptions;
  readonly #waiting = new Map<string, Waiting>();
  /** Rows that were read and have not been for a day. */
  readonly #used = new Map<string, Pick<Waiting, "guest" | "key">>();
  #waitingBytes = 0;
  #losses = 0;

  constructor(sqlite: Sqlite, options: GuestTableOptions) {
    this.#sqlite = sqlite;
    this.#options = options;
  }

  /** How often something was lost since the start. What was written before must not be continued. */
  get losses(): number {
    return this.#losses;
  }

  /** What lies there is damaged. */
  lose(guest: string, key: DocumentKey): void {
    this.#losses += 1;
    this.set(guest, key, undefined);
  }

  get(guest: string, key: DocumentKey): Uint8Array | undefined {
    const waiting = this.#waiting.get(nameOf(guest, key));
    if (waiting !== undefined) return waiting.chunks;
    const query = this.#sqlite.query<{ chunks: unknown; used_at: number }, [string, string]>(
      "SELECT chunks, used_at FROM guest_histories WHERE guest = ? AND key = ?",
    );
    try {
      const row = query.get(guest, key);
      if (row !== null && row.used_at < this.#options.now() - USE_STEP_MS) {
        this.#used.set(nameOf(guest, key), { guest, key });
      }
      return row === null ? undefined : this.#options.seal.open(row.chunks, placeOf(guest, key));
    } catch (error) {
      const fault = toStorageFault(error, this.#options.path);
      this.#options.onFailure(fault);
      throw fault;
    }
  }

  /**
   * Removes up to `limit` rows that were last used before `time` (ms, to within a day), of guests and documents that
   * are gone for good; returns their number. To be called in a transaction.
   */
  forget(time: number, limit: number): number {
    const { changes } = this.#sqlite
      .query(
        `DELETE FROM guest_histories WHERE (guest, key) IN (
           SELECT guest, key FROM guest_histories WHERE used_at < ? LIMIT ?)`,
      )
      .run(time, limit);
    return changes;
  }

  /** Whether there are rows that were last used before `time`. */
  hasUnused(time: number): boolean {
    const query = this.#sqlite.query("SELECT 1 FROM guest_histories WHERE used_at < ? LIMIT 1");
    return query.get(time) !== null;
  }

  /** Undefined forgets it. Written by the next flush(). */
  set(guest: string, key: DocumentKey, chunks: Uint8Array | undefined): void {
    const name = nameOf(guest, key);
    this.#waitingBytes += (chunks?.length ?? 0) - (this.#waiting.get(name)?.chunks?.length ?? 0);
    this.#waiting.set(name, { guest, key, chunks });
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.flush();
  }

  /** What it can't write is gone. */
  flush(): void {
    if (this.#waiting.size === 0 && this.#used.size === 0) return;
    const [waiting, used] = [[...this.#waiting.values()], [...this.#used.values()]];
    const now = this.#options.now();
    this.#waiting.clear();
    this.#used.clear();
    this.#waitingBytes = 0;
    const put = this.#sqlite.query("INSERT OR REPLACE INTO guest_histories VALUES (?, ?, ?, ?)");
    const remove = this.#sqlite.query("DELETE FROM guest_histories WHERE guest = ? AND key = ?");
    const use = this.#sqlite.query(
      "UPDATE guest_histories SET used_at = ? WHERE guest = ? AND key = ?",
    );
    const write = this.#sqlite.transaction(() => {
      for (const { guest, key } of used) use.run(now, guest, key);
      for (const { guest, key, chunks } of waiting) {
        if (chunks === undefined) remove.run(guest, key);
        else put.run(guest, key, this.#options.seal.close(chunks, placeOf(guest, key)), now);
      }
    });
    try {
      write.immediate();
    } catch (error) {
      this.#losses += 1;
      const fault = toStorageFault(error, this.#options.path);
      if (fault.code !== "storage_full") this.#options.onFailure(fault);
      else log.warn("What guests hold was not written down", { cause: fault.message });
    }
  }
}

/** Where a guest's history of a document lies. */
export function placeOf(guest: string, key: string): Place {
  return { column: `guest ${guest}`, key };
}

function nameOf(guest: string, key: DocumentKey): string {
  return `${guest}\n${key}`;
}
