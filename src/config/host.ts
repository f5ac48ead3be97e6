// The machine as settings see it: its name, small files, and which directories can be written.
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { systemCode } from "../base/faults.ts";
import type { Host } from "./setting.ts";

/** A secret or a configuration file; more is a wrong path. */
const FILE_BYTES_MAX = 1024 * 1024;

export const systemHost: Host = {
  hostName: () => hostname(),
  readText(path) {
    const stat = statSync(path);
    if (stat.isDirectory()) throw new Error("it is a directory");
    if (stat.size > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes`);
    return readFileSync(path, "utf8");
  },
  isWritableDirectory(path) {
    try {
      accessSync(path, constants.W_OK | constants.X_OK);
      return statSync(path).isDirectory();
    } catch {
      // Missing, forbidden, or on a read-only file system: not writable is the whole answer.
      return false;
    }
  },
};

/** Why a file can't be read, in words. */
export function fileProblem(path: string, error: unknown): string {
  const code = systemCode(error);
  if (code === "ENOENT") return `can't read ${JSON.stringify(path)}: there is no such file`;
  if (code === "EACCES") {
    return `can't read ${JSON.stringify(path)}: permission denied; run this as root or in the file's group`;
  }
  const reason = error instanceof Error ? error.message : String(error);
  return `can't read ${JSON.stringify(path)}: ${reason}`;
}

/** Whether the file is there and this user may not read it. */
export function isUnreadable(error: unknown): boolean {
  if (!(error instanceof Error && "syscall" in error)) return false;
  return systemCode(error) === "EACCES" && error.syscall === "open";
}
