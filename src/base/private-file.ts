// Small files that only this program's user writes, and that only who may know them reads.
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";

export interface PrivateFileRules {
  /** Of the file when it is written; one that gives others more is not believed. */
  readonly mode: number;
  readonly bytesMax: number;
}

/**
 * The text of a file that nobody else can have written, and that nobody has read who may not; undefined for any other
 * and for one that is missing.
 */
export function readPrivateFile(path: string, rules: PrivateFileRules): string | undefined {
  let file: number;
  try {
    // Not through a link, and without waiting for a pipe's writer.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    // Missing, a link, or not ours to read: all of these are no such file.
    return undefined;
  }
  try {
    const status = fstatSync(file);
    const othersMay = (status.mode & 0o777 & ~rules.mode) !== 0;
    // Somebody else's file holds what somebody else wants.
    const isOurs = status.uid === (process.getuid?.() ?? status.uid) || status.uid === 0;
    if (!status.isFile() || !isOurs || othersMay || status.size > rules.bytesMax) return undefined;
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

/** Writes a new file in the place of whatever is there; readers see the old one or the whole new one. */
export function writePrivateFile(path: string, text: string, mode: number): void {
  const fresh = `${path}.${crypto.randomUUID()}`;
  const file = openSync(fresh, "wx", mode);
  try {
    // The process's umask may have taken a right away.
    fchmodSync(file, mode);
    writeFileSync(file, text);
    renameSync(fresh, path);
  } catch (error) {
    unlinkSync(fresh);
    throw error;
  } finally {
    closeSync(file);
  }
}
