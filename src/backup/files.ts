// Files as a backup needs them: read in order and copied while they may grow, written so that they are there whole or
// not at all.
import { type FileHandle, open, rename, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault, messageOf, systemCode } from "../base/faults.ts";

const READ_BYTES = 256 * 1024;
/** Of the disk, left to others. */
const SPARE_BYTES = 16 * 1024 * 1024;

/** What the system says of a file, as a fault; faults stay what they are. */
export function toFileFault(error: unknown, path: string): Fault {
  if (error instanceof Fault) return error;
  const code = systemCode(error);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new Fault("storage_full", `no room left for ${path}; free some space`, {}, error);
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    const sentence = `this user may not use ${path}; run the command as the service's user or as root`;
    return new Fault("storage_unusable", sentence, {}, error);
  }
  if (code === "ENOENT") return new Fault("storage_unusable", `${path} is not there`, {}, error);
  return new Fault("storage_failed", `${path}: ${messageOf(error)}`, {}, error);
}

/** From the file's beginning to where it ends when that is reached. */
export async function* contentOf(file: FileHandle, signal: AbortSignal) {
  for (let position = 0; ; ) {
    signal.throwIfAborted();
    const buffer = new Uint8Array(READ_BYTES);
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Writes all of it; a write may take less than it is given. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}

/** A new file for this user alone. */
export function createFile(path: string): Promise<FileHandle> {
  return open(path, "wx", 0o600);
}

/** Faults: storage_full, unless the disk of `folder` has room for so many bytes more. */
export async function checkRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize - SPARE_BYTES;
  if (bytes <= free) return;
  throw new Fault(
    "storage_full",
    `${folder} has room for ${Math.max(0, free)} bytes and ${bytes} are needed; free some space`,
  );
}

/**
 * Refuses a path at which a whole new file can't be put: a directory or a device, and, unless `force`, a file that is
 * there. Faults: invalid_argument, already_exists.
 */
export async function checkTarget(path: string, { force }: { force: boolean }): Promise<void> {
  const status = await stat(path).catch(() => undefined);
  if (status === undefined) return;
  if (status.isDirectory()) throw new Fault("invalid_argument", `${path} is a directory`);
  // In place of it would be a file: nobody means that of /dev/null.
  if (!status.isFile()) {
    throw new Fault("invalid_argument", `${path} is no file; name one, or - for standard output`);
  }
  if (force) return;
  throw new Fault("already_exists", `${path} is there already; name another file, or --force`);
}

/** After a power cut the names in it are as they are now. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}

/** `from` is there as `to`, durably, in place of whatever was. */
export async function moveInto(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFolder(dirname(to));
}
