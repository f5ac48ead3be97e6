// Conditions as people type them, made the filters that a node understands.
//
//   status=lost      position.lat>48      readings[0].value<=0.5      status!=ok
//   callsign         there is such a field            !callsign       there is none
//
// What follows the sign is JSON if it can be (5, true, null, "5"), else a text.
import { Fault } from "../base/faults.ts";
import { parseFilter } from "../broker/filter.ts";
import { parseFieldPath } from "../store/field-path.ts";
import { isObject, type JsonValue, parseJson } from "../store/json.ts";
import { type Arguments, asOption, type OptionRow, repeated } from "./arguments.ts";
import { printExact } from "./exact-json.ts";

export const WHERE_OPTION: OptionRow = {
  name: "where",
  value: "CONDITION",
  repeats: true,
  help: "Only documents of which this is true: status=lost, confidence>0.8, callsign (is there), !callsign; several of them hold together.",
};
export const FILTER_OPTION: OptionRow = {
  name: "filter",
  value: "JSON",
  help: 'Only documents that pass this filter of the HTTP API, such as {"or":[{"field":"a","eq":1},{"field":"b","exists":true}]}.',
};

const CONDITION = /^(?<path>[^=<>!]+)(?<sign>!=|<=|>=|=|<|>)(?<value>.*)$/su;
const PRESENCE = /^(?<not>!?)(?<path>[^=<>!]+)$/su;
const ORDERED: Readonly<Record<string, string>> = { "<": "lt", "<=": "le", ">": "gt", ">=": "ge" };

/** The text of a JSON value that is compared with, and whether it is a number. */
function readValue(text: string): { readonly json: string; readonly isNumber: boolean } {
  try {
    const value = JSON.parse(text);
    return { json: text, isNumber: typeof value === "number" };
  } catch {
    // Not JSON: a text as it stands there.
    return { json: printExact(text), isNumber: false };
  }
}

/** Fault `invalid_argument` names the condition. */
function readPath(text: string, condition: string): string {
  const path = text.trim();
  try {
    parseFieldPath(path);
    return printExact(path);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const shown = JSON.stringify(condition.slice(0, 80));
    throw new Fault("invalid_argument", `--where ${shown}: ${error.message}`, {}, error);
  }
}

function filterOf(condition: string): string {
  const presence = PRESENCE.exec(condition)?.groups;
  if (presence !== undefined) {
    const field = readPath(presence["path"] ?? "", condition);
    return `{"field":${field},"exists":${presence["not"] === ""}}`;
  }
  const { path = "", sign = "", value = "" } = CONDITION.exec(condition)?.groups ?? {};
  if (sign === "") {
    const shown = JSON.stringify(condition.slice(0, 80));
    throw new Fault(
      "invalid_argument",
      `--where ${shown} must be like status=lost, confidence>0.8, callsign or !callsign`,
    );
  }
  const field = readPath(path, condition);
  const { json, isNumber } = readValue(value.trim());
  const ordered = ORDERED[sign];
  if (ordered !== undefined) return `{"field":${field},"${ordered}":${json}}`;
  // People mean 5 and 5.0 alike, which are two values: as numbers they are neither less nor greater.
  const equal = isNumber
    ? `{"field":${field},"ge":${json},"le":${json}}`
    : `{"field":${field},"eq":${json}}`;
  return sign === "=" ? equal : `{"not":${equal}}`;
}

/** Fault `invalid_argument` for what is no JSON object; what it means, the node judges. */
function checkFilter(text: string): string {
  let value: JsonValue;
  try {
    value = parseJson(text);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const reason = error.message.replace(/^body /, "");
    throw new Fault("invalid_argument", `--filter ${reason}`, {}, error);
  }
  if (isObject(value)) return text;
  throw new Fault(
    "invalid_argument",
    '--filter must be an object such as {"field":"status","eq":"lost"}',
  );
}

/** One filter of which all is true: every condition, and `filter`; undefined for none. */
export function parseWhere(
  conditions: readonly string[],
  filter: string | undefined,
): string | undefined {
  const all = [...conditions.map(filterOf), ...(filter === undefined ? [] : [checkFilter(filter)])];
  return all.length > 1 ? `{"and":[${all.join(",")}]}` : all[0];
}

/** As parseWhere, of a command that takes both options; what a node would refuse is refused here. */
export function readWhere(options: Arguments["options"]): string | undefined {
  const filter = parseWhere(repeated(options, WHERE_OPTION), options.get(FILTER_OPTION.name));
  // The place in a filter of several parts is that in the whole.
  if (filter !== undefined) asOption(FILTER_OPTION, () => parseFilter(filter));
  return filter;
}
