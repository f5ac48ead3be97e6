// The database's file and its log, copied as they lie there: first the file, then the log, while the file is held
// still, by the node that has it open or by its lock.
import { type FileHandle, open } from "node:fs/promises";
import { systemCode } from "../base/faults.ts";
import { contentOf, createFile, toFileFault, writeAll } from "./files.ts";

const LOG = "-wal";

export interface CopyOptions {
  readonly from: string;
  readonly to: string;
  readonly signal: AbortSignal;
  /** Called with the number of bytes that were copied of the file. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** Files that were read, still open: closing one would end this process's locks on it (POSIX). */
export interface Copied extends AsyncDisposable {
  /** Ms since the Unix epoch: what was committed by then is in the copy. */
  readonly asOfMs: number;
}

async function copyFile(source: FileHandle, options: CopyOptions): Promise<void> {
  await using target = await createFile(options.to);
  let done = 0;
  for await (const bytes of contentOf(source, options.signal)) {
    await writeAll(target, bytes);
    done += bytes.length;
    options.onProgress?.(done);
  }
}

/** Undefined where there is no such file. */
async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** To be disposed once no lock on them is needed any more. Faults: storage_*; the reason of `signal`. */
export async function copyDatabaseFiles(options: CopyOptions): Promise<Copied> {
  const { from, to, signal } = options;
  const stack = new AsyncDisposableStack();
  try {
    const database = stack.use(await open(from, "r"));
    await copyFile(database, options);
    const asOfMs = Date.now();
    const log = await openIfThere(`${from}${LOG}`);
    if (log !== undefined) {
      stack.use(log);
      await copyFile(log, { from: `${from}${LOG}`, to: `${to}${LOG}`, signal });
    }
    return { asOfMs, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw signal.aborted ? signal.reason : toFileFault(error, from);
  }
}
