// What SQLite says, as faults.
import { SQLiteError } from "bun:sqlite";
import { Fault, messageOf } from "../base/faults.ts";

/** A damaged file ends the start, or the process, always with the same remedy. */
export function damagedFile(path: string, told: string, cause?: unknown): Fault {
  const sentence = `${path} is damaged (${told}); restore a backup, or move the file away and let peers refill it`;
  return new Fault("storage_unusable", sentence, {}, cause);
}

/** Full disks heal, a failed write of unknown outcome does not. */
export function toStorageFault(error: unknown, path: string): Fault {
  if (error instanceof Fault) return error;
  const code = error instanceof SQLiteError ? (error.code ?? "") : "";
  const told = messageOf(error);
  if (code.startsWith("SQLITE_FULL")) {
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
    const sentence = `${path} can't be written (${told}); check its owner and mode, or set another PEAT_DATA_DIR`;
    return new Fault("storage_unusable", sentence, {}, error);
  }
  return new Fault("storage_failed", `${path}: ${told}`, {}, error);
}
