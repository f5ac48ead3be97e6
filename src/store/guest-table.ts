// What each guest was last known to hold of each document without history: Automerge documents to write on top
// of. Nothing depends on it but how long they grow: a lost one is begun anew, and read back by its stamps. So it
// is written behind, many in one transaction, and what a full disk does not take is let go.
import type { Database as Sqlite } from "bun:sqlite";
import type { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { DocumentKey } from "./document-key.ts";
import { toStorageFault } from "./storage-fault.ts";

const log = getLog("peat_mesh::storage::automerge_store");

/** Bytes that wait to be written; beyond them they are at once. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

interface Waiting {
  readonly guest: string;
  readonly key: DocumentKey;
  /** Undefined: the row is to go. */
  readonly chunks: Uint8Array | undefined;
}

export class GuestTable {
  readonly #sqlite: Sqlite;
  readonly #path: string;
  readonly #onFailure: (fault: Fault) => void;
  readonly #waiting = new Map<string, Waiting>();
  #waitingBytes = 0;
  #losses = 0;

  /** `onFailure` is called when the file can't be read or written any more. */
  constructor(sqlite: Sqlite, options: { path: string; onFailure: (fault: Fault) => void }) {
    this.#sqlite = sqlite;
    this.#path = options.path;
    this.#onFailure = options.onFailure;
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
    const query = this.#sqlite.query<{ chunks: Uint8Array }, [string, string]>(
      "SELECT chunks FROM guest_histories WHERE guest = ? AND key = ?",
    );
    try {
      return query.get(guest, key)?.chunks;
    } catch (error) {
      const fault = toStorageFault(error, this.#path);
      this.#onFailure(fault);
      throw fault;
    }
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
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#waitingBytes = 0;
    const put = this.#sqlite.query("INSERT OR REPLACE INTO guest_histories VALUES (?, ?, ?)");
    const remove = this.#sqlite.query("DELETE FROM guest_histories WHERE guest = ? AND key = ?");
    const write = this.#sqlite.transaction(() => {
      for (const { guest, key, chunks } of waiting) {
        if (chunks === undefined) remove.run(guest, key);
        else put.run(guest, key, chunks);
      }
    });
    try {
      write.immediate();
    } catch (error) {
      this.#losses += 1;
      const fault = toStorageFault(error, this.#path);
      if (fault.code !== "storage_full") this.#onFailure(fault);
      else log.warn("What guests hold was not written down", { cause: fault.message });
    }
  }
}

function nameOf(guest: string, key: DocumentKey): string {
  return `${guest}\n${key}`;
}
