// The option by which files of documents say what they are.
import { Fault } from "../../base/faults.ts";
import { choiceOf, type OptionRow } from "../arguments.ts";
import type { Call } from "../command.ts";
import { FORMATS, type Format, formatOfName } from "./records.ts";

export const FORMAT_OPTION: OptionRow = {
  name: "format",
  value: "FORMAT",
  help: "ndjson (a document a line), json (an array of them) or csv; by the ending of FILE unless given.",
};

/** Fault `invalid_argument` where neither the option nor the name tells. */
export function readFormat({ options }: Call, path: string | undefined, fallback?: Format): Format {
  const given = choiceOf(options, FORMAT_OPTION, FORMATS);
  const format = given ?? (path === undefined ? undefined : formatOfName(path)) ?? fallback;
  if (format !== undefined) return format;
  throw new Fault("invalid_argument", `--format must be one of ${FORMATS.join(", ")}`);
}
