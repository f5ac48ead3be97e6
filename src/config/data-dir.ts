// The data directory: made if it is missing, refused with a remedy if it can't be written.
import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { Fault, messageOf, systemCode } from "../base/faults.ts";

/** For the owner, and for the group to read: what lies below is secret-free but not public. */
const DIRECTORY_MODE = 0o750;

function reasonOf(cause: unknown): string {
  const code = systemCode(cause);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") return "is not writable";
  if (code === "ENOTDIR" || code === "EEXIST") return "is not a directory";
  return `can't be used (${code || messageOf(cause)})`;
}

/**
 * Makes `path` and what is missing above it, and checks that this process can write there.
 * Fault `storage_unusable` names the directory and PEAT_DATA_DIR.
 */
export function prepareDataDir(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE });
    if (!statSync(path).isDirectory())
      throw Object.assign(new Error("a file"), { code: "ENOTDIR" });
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new Fault(
      "storage_unusable",
      `data directory ${path} ${reasonOf(cause)}; set PEAT_DATA_DIR to a directory that this user can write`,
      { path },
      cause,
    );
  }
}
