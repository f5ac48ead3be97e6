// Sizes of files that may not be there.
import { statSync } from "node:fs";

/** 0 while there is no such file. */
export function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
