// A path below a root or inbox, as it comes from a client or a peer: names only, so that it can't lead out.
import { toUtf8 } from "../base/bytes.ts";

/** The parts of a path; the last one is the file. Made by parseRelativePath only. */
export type RelativePath = readonly [string, ...string[]];

const PATH_BYTES_MAX = 1024;
const NAME_BYTES_MAX = 255;
const NAMES_MAX = 32;
// biome-ignore lint/suspicious/noControlCharactersInRegex: names must not hold them.
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

function isName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && toUtf8(name).length <= NAME_BYTES_MAX;
}

/** What is wrong with a path as a clause, or its parts. */
export function parseRelativePath(text: string): RelativePath | string {
  if (text === "") return "must not be empty";
  if (text.startsWith("/")) return "must be relative";
  if (toUtf8(text).length > PATH_BYTES_MAX) return `must be at most ${PATH_BYTES_MAX} bytes`;
  if (!text.isWellFormed() || CONTROL.test(text)) {
    return "must be well-formed text without control characters";
  }
  const [first = "", ...others] = text.split("/");
  if (others.length >= NAMES_MAX) return `must have at most ${NAMES_MAX} parts`;
  if ([first, ...others].every(isName)) return [first, ...others];
  return `must have parts of 1 to ${NAME_BYTES_MAX} bytes that are neither . nor ..`;
}
