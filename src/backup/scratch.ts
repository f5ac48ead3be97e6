// A folder for what is not done yet: on the disk where it is to be, seen by this user only, gone at the end. One that
// a killed process left is removed by the next that comes along a day later.
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { toFileFault } from "./files.ts";

const PREFIX = ".peat-backup-";
const STALE_MS = 24 * 60 * 60_000;

export class Scratch implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** In the folder `parent`. Faults: storage_*. */
  static async open(parent: string): Promise<Scratch> {
    try {
      await removeStale(parent);
      // Made with mode 0700.
      return new Scratch(await mkdtemp(join(parent, PREFIX)));
    } catch (error) {
      throw toFileFault(error, parent);
    }
  }

  file(name: string): string {
    return join(this.path, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

async function removeStale(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(parent, name);
    const status = await stat(path).catch(() => undefined);
    if (status === undefined || status.mtimeMs > Date.now() - STALE_MS) continue;
    // Somebody else's is theirs to remove.
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}
