// A folder that is reached into by descriptors alone: every step of a path is opened below the one before it and no
// symbolic link is followed, so nobody who may write there can lead us out of it, at whatever moment he tries.
//
// The system has calls for that (openat and its kin) which this runtime lacks; `/proc/self/fd/N/name` is the same.
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rename, statfs, unlink } from "node:fs/promises";
import { Fault, messageOf, systemCode } from "../base/faults.ts";
import type { RelativePath } from "./relative-path.ts";

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

const OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
/** A pipe that nobody writes to must not hold us. */
const OPEN_FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
const OWN_MODE = 0o600;
const OWN_FOLDER_MODE = 0o700;

const FULL_CODES = ["ENOSPC", "EDQUOT"];

/** Fault `storage_full` or `storage_failed` for what the system says of a file of ours. */
export function toFileFault(error: unknown, what: string): Fault {
  if (error instanceof Fault) return error;
  const code = FULL_CODES.includes(systemCode(error)) ? "storage_full" : "storage_failed";
  return new Fault(code, `${what}: ${messageOf(error)}`, {}, error);
}

export class SafeFolder implements AsyncDisposable {
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** The folder at an absolute path that somebody of this machine has set: links on the way to it are his. */
  static async open(path: string): Promise<SafeFolder> {
    return new SafeFolder(await open(path, O_RDONLY | O_DIRECTORY));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  /** A folder in this one; with `madeAs`, made with that mode if there is none. Rejects with the system's error. */
  async folder(name: string, madeAs?: number): Promise<SafeFolder> {
    const path = this.#at(name);
    const isNew = madeAs !== undefined && (await makeFolder(path));
    await using undo = new AsyncDisposableStack();
    const handle = undo.use(await open(path, OPEN_FOLDER));
    // Whatever the umask is: what a service makes for others would be its own alone.
    if (isNew) await handle.chmod(madeAs);
    undo.move();
    return new SafeFolder(handle);
  }

  /** Permission bits. */
  async mode(): Promise<number> {
    return (await this.#handle.stat()).mode & 0o777;
  }

  /** The folder that a path's file is in; with `madeAs`, what is missing on the way is made. */
  async parentOf(path: RelativePath, madeAs?: number): Promise<SafeFolder> {
    let folder = new SafeFolder(await open(this.#at("."), O_RDONLY | O_DIRECTORY));
    for (const name of path.slice(0, -1)) {
      await using above = folder;
      folder = await above.folder(name, madeAs);
    }
    return folder;
  }

  /** A regular file, to be read; undefined for anything else that has this name. */
  async openFile(name: string): Promise<FileHandle | undefined> {
    return await openRegular(this.#at(name), OPEN_FILE);
  }

  /** A file to be read and written; `isNew`: there must not be one. */
  async openOwn(name: string, options: { isNew?: boolean } = {}): Promise<FileHandle> {
    const flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
    const file = await openRegular(this.#at(name), options.isNew ? flags | O_EXCL : flags);
    if (file === undefined) throw new Fault("storage_failed", `${name} is no file`);
    return file;
  }

  /** Moves a file here, in place of whatever file has the name, at once or not at all; it stays after a power cut. */
  async moveIn(name: string, from: { readonly folder: SafeFolder; readonly name: string }) {
    await rename(from.folder.#at(from.name), this.#at(name));
    await this.#handle.sync();
  }

  /** Nothing happens if there is none. */
  async remove(name: string): Promise<void> {
    await unlink(this.#at(name)).catch((error: unknown) => {
      if (systemCode(error) !== "ENOENT") throw error;
    });
  }

  /** Names of what is in it, for a reader that takes its time. */
  get listed(): string {
    return this.#at(".");
  }

  /** Bytes that this process may still write. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#at("."));
    return bavail * bsize;
  }

  /** Names come from parseRelativePath or are our own: one part, neither empty nor leading up. */
  #at(name: string): string {
    return `/proc/self/fd/${this.#handle.fd}/${name}`;
  }
}

/** Undefined for anything else than a regular file; one that is made has OWN_MODE. */
async function openRegular(path: string, flags: number): Promise<FileHandle | undefined> {
  // A handle that is left to the garbage collector ends the process.
  await using undo = new AsyncDisposableStack();
  const file = undo.use(await open(path, flags, OWN_MODE));
  if (!(await file.stat()).isFile()) return undefined;
  undo.move();
  return file;
}

/** Whether there was none. */
async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: OWN_FOLDER_MODE });
    return true;
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
    return false;
  }
}
