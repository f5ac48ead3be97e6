// What SQLite says, as faults.
import { SQLiteError } from "bun:sqlite";
import { accessSync, constants } from "node:fs";
import { Fault, messageOf, systemCode } from "../base/faults.ts";

/** A damaged file ends the start, or the process, always with the same remedy. */
export function damagedFile(path: string, told: string, cause?: unknown): Fault {
  const sentence = `${path} is damaged (${told}); restore a backup, or move the file away and let peers refill it`;
  return new Fault("storage_unusable", sentence, {}, cause);
}

function codeOf(error: unknown): string {
  return error instanceof SQLiteError ? (error.code ?? "") : "";
}

export function isFullDisk(error: unknown): boolean {
  return codeOf(error).startsWith("SQLITE_FULL");
}

function unwritable(path: string, told: string, cause: unknown): Fault {
  const sentence = `${path} can't be written (${told}); check its owner and mode, or set another PEAT_DATA_DIR`;
  return new Fault("storage_unusable", sentence, {}, cause);
}

/**
 * Fault `storage_unusable` for a file of a database that is there and that this user may not write: SQLite opens it for
 * reading then, and speaks of an I/O error once it wants a lock.
 */
export function checkWritable(path: string): void {
  for (const file of [path, `${path}-wal`]) {
    try {
      accessSync(file, constants.R_OK | constants.W_OK);
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw unwritable(file, systemCode(error), error);
    }
  }
}

/** Full disks heal, a failed write of unknown outcome does not. */
export function toStorageFault(error: unknown, path: string): Fault {
  if (error instanceof Fault) return error;
  const code = codeOf(error);
  const told = messageOf(error);
  if (isFullDisk(error)) {
    return new Fault("storage_full", `no room left for ${path}; free some space`, {}, error);
  }
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    const sentence = `${path} is in use by another process; stop it or set another PEAT_DATA_DIR`;
    return new Fault("storage_locked", sentence, {}, error);
  }
  if (code.startsWith("SQLITE_CORRUPT") || code.startsWith("SQLITE_NOTADB")) {
    return damagedFile(path, told, error);
  }
  if (code.startsWith("SQLITE_CANTOPEN") || code.startsWith("SQLITE_READONLY")) {
    return unwritable(path, told, error);
  }
  return new Fault("storage_failed", `${path}: ${told}`, {}, error);
}
