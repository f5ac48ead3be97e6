// Where in a document a value lies. As text: names with dots between them, places in lists in brackets, a backslash
// before each of . [ ] \ that is part of a name. It may stand before , and - too, which mean something in lists of
// paths.
//
//   position.lat      readings[0].value      app\.kubernetes\.io/name
import { Fault } from "../base/faults.ts";
import { isObject, type JsonObject, type JsonValue } from "./json.ts";

/** Names of fields, and places in lists, from the root on; never empty. */
export type FieldPath = readonly (string | number)[];

const STEPS_MAX = 16;
const CHARS_MAX = 512;
const PLACE_MAX = 1_000_000;

const STEP = /(?<name>(?:[^.[\]\\]|\\[.[\]\\,-])+)|\[(?<place>0|[1-9][0-9]{0,6})\]/y;

/** Fault `invalid_argument` with the form that a path must have. */
export function parseFieldPath(text: string): FieldPath {
  const path = text.length <= CHARS_MAX && text.isWellFormed() ? stepsOf(text) : undefined;
  if (path !== undefined) return path;
  throw new Fault(
    "invalid_argument",
    `${JSON.stringify(text.slice(0, 80))} must be a path such as position.lat or readings[0].value, with a backslash before . [ ] \\ in names, of at most ${STEPS_MAX} steps and ${CHARS_MAX} characters`,
  );
}

function stepsOf(text: string): FieldPath | undefined {
  const path: (string | number)[] = [];
  let at = 0;
  while (at < text.length) {
    const isName = text[at] !== "[";
    // A list's place stands behind a name or a place, a name behind a dot.
    if (isName && path.length > 0) {
      if (text[at] !== ".") return undefined;
      at += 1;
    }
    STEP.lastIndex = at;
    const groups = STEP.exec(text)?.groups;
    const { name, place } = groups ?? {};
    if (isName && name !== undefined) path.push(name.replaceAll(/\\(.)/g, "$1"));
    else if (!isName && place !== undefined && path.length > 0) path.push(Number(place));
    else return undefined;
    at = STEP.lastIndex;
  }
  const isFar = path.some((step) => typeof step === "number" && step > PLACE_MAX);
  return path.length === 0 || path.length > STEPS_MAX || isFar ? undefined : path;
}

/** As parseFieldPath reads it; longer paths than that takes are printed, too. */
export function printFieldPath(path: FieldPath): string {
  const steps = path.map((step, index) => {
    if (typeof step === "number") return `[${step}]`;
    return `${index === 0 ? "" : "."}${step.toWellFormed().replaceAll(/[.[\]\\]/g, "\\$&")}`;
  });
  return steps.join("");
}

/** The value there; undefined where the document has none. Of objects their own fields only: not `toString`. */
export function valueAt(document: JsonObject, path: FieldPath): JsonValue | undefined {
  let value: JsonValue | undefined = document;
  for (const step of path) {
    if (typeof step === "number") value = Array.isArray(value) ? value[step] : undefined;
    else value = isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return value;
}
