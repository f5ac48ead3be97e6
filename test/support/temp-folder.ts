// A folder of a test's own, gone when the test is over.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TempFolder extends Disposable {
  readonly path: string;
  file(name: string): string;
}

const MEMORY_DISK = "/dev/shm";

/** `isInMemory`: where the system has such a place; for tests of logic, not of the disk. */
export function tempFolder(options: { isInMemory?: boolean } = {}): TempFolder {
  const base = options.isInMemory === true && existsSync(MEMORY_DISK) ? MEMORY_DISK : tmpdir();
  const path = mkdtempSync(join(base, "peat-test-"));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
