// When SQLite's log is written back into the file of the database. Held while both are copied: meanwhile the file
// stays as it is and the log only grows, so that a copy of the file and then of the log is the database of the
// moment at which the copy of the log ended. The log is emptied first: one that was written back whole would begin
// anew with the next commit, and a copy of it with the one's beginning and the other's end takes pages back in time.
import type { Database as Sqlite } from "bun:sqlite";
import { isFullDisk } from "./storage-fault.ts";

/** SQLite's own default: written back by the commit after which the log has so many pages. */
const PAGES = 1000;
/** What the log keeps of the disk once it was written back; a copy, or a huge commit, may have made it grow. */
const LOG_BYTES_KEPT = 8 * 1024 * 1024;

/** Throws what SQLite throws. */
export class Checkpoints {
  readonly #sqlite: Sqlite;
  #isHeld = false;

  constructor(sqlite: Sqlite) {
    this.#sqlite = sqlite;
    sqlite.exec(`PRAGMA journal_size_limit = ${LOG_BYTES_KEPT}`);
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** The file does not change until release(), or until it is closed, and the log only grows. */
  hold(): void {
    try {
      this.truncate();
    } catch (error) {
      // Without room for it in the file, what is in the log keeps that from beginning anew.
      if (!isFullDisk(error)) throw error;
    }
    this.#sqlite.exec("PRAGMA wal_autocheckpoint = 0");
    this.#isHeld = true;
  }

  /** The next commit writes the log back. */
  release(): void {
    this.#isHeld = false;
    this.#sqlite.exec(`PRAGMA wal_autocheckpoint = ${PAGES}`);
  }

  /** Writes the log back into the file now and gives back the space of both; does nothing while held. */
  truncate(): void {
    if (!this.#isHeld) this.#sqlite.query("PRAGMA wal_checkpoint(TRUNCATE)").all();
  }
}
