// JSON without loss: 64-bit integers exact, integers and floats kept apart, one canonical text per value.
//
// Canonical text: no blanks, keys sorted by UTF-16 code units (as RFC 8785), integers as digits, floats in the
// shortest form that reads back, always with `.` or `e`: 5 and 5.0 are different values, as in Automerge.

import { Fault } from "../base/faults.ts";
import { compareText } from "../base/text.ts";

/** A float that a JavaScript number can't tell from an integer: 5.0, -0.0, 1e300. */
export class JsonFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export type JsonObject = { [key: string]: JsonValue };
/** A `number` that is an integer is an int; any other `number` is a float; `bigint` is an int beyond 2^53. */
export type JsonValue =
  | null
  | boolean
  | string
  | number
  | bigint
  | JsonFloat
  | readonly JsonValue[]
  | JsonObject;

export const DEPTH_MAX = 64;

const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof JsonFloat)
  );
}

/** Without a prototype, so that a key named `__proto__` is a key like any other. */
export function emptyObject(): JsonObject {
  return Object.create(null) as JsonObject;
}

/** A float of any value in the form that keeps it one. */
export function toFloat(value: number): number | JsonFloat {
  return Number.isInteger(value) ? new JsonFloat(value) : value;
}

/** The nearest float of any number; undefined for what is none. */
export function numberOf(value: JsonValue | undefined): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  return value instanceof JsonFloat ? value.value : undefined;
}

function parseNumber(source: string): JsonValue {
  const isInteger = /^-?\d+$/.test(source) && source !== "-0";
  if (!isInteger) {
    const value = Number(source);
    if (!Number.isFinite(value)) {
      throw new Fault("invalid_argument", `number ${source.slice(0, 40)} is out of range`);
    }
    return toFloat(value);
  }
  const value = Number(source);
  if (Number.isSafeInteger(value)) return value;
  const exact = BigInt(source);
  // Beyond 64 bits an integer can only be kept as a float, as the older node does.
  return exact >= I64_MIN && exact <= I64_MAX ? exact : toFloat(value);
}

// Texts without these have only small integers: JSON.parse alone is exact for them, and much faster.
const NEEDS_SOURCE = /\d[.eE]|\d{16}|-0/;

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

const keepNumbers: Reviver = (_key, value, context) =>
  typeof value === "number" ? parseNumber(context.source ?? String(value)) : value;

/** Fault `invalid_argument` with the parser's reason. Depth and text are checked by printJson. */
export function parseJson(text: string): JsonValue {
  try {
    if (!NEEDS_SOURCE.test(text)) return JSON.parse(text) as JsonValue;
    return JSON.parse(text, keepNumbers as Parameters<typeof JSON.parse>[1]) as JsonValue;
  } catch (error) {
    if (error instanceof Fault) throw error;
    const reason = error instanceof Error ? error.message.replace(/^JSON Parse error: /, "") : "";
    throw new Fault("invalid_argument", `body is not valid JSON: ${reason}`, {}, error);
  }
}

/** As parseJson, and the root must be an object. */
export function parseJsonObject(text: string): JsonObject {
  const value = parseJson(text);
  if (!isObject(value)) {
    throw new Fault("invalid_argument", "the root of a document must be a JSON object");
  }
  return value;
}

function printFloat(value: number): string {
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function printString(text: string): string {
  if (!text.isWellFormed()) {
    throw new Fault(
      "invalid_argument",
      "text holds half of a surrogate pair; send well-formed Unicode",
    );
  }
  return JSON.stringify(text);
}

function tooDeep(): Fault {
  return new Fault("invalid_argument", `document is nested deeper than ${DEPTH_MAX} levels`);
}

/** The canonical text. Fault `invalid_argument` for nesting beyond `depthMax` or ill-formed text. */
export function printJson(value: JsonValue, depthMax = DEPTH_MAX): string {
  switch (typeof value) {
    case "string":
      return printString(value);
    case "number":
      return Number.isInteger(value) ? String(value) : printFloat(value);
    case "bigint":
    case "boolean":
      return String(value);
  }
  if (value === null) return "null";
  if (value instanceof JsonFloat) return printFloat(value.value);
  if (depthMax === 0) throw tooDeep();
  if (Array.isArray(value)) {
    return `[${value.map((item) => printJson(item, depthMax - 1)).join(",")}]`;
  }
  return printObject(value as JsonObject, depthMax);
}

/** Automerge's JavaScript side can't show a field named `__proto__`, so no node may store one. */
export function checkName(name: string): void {
  if (name !== "__proto__") return;
  throw new Fault("invalid_argument", "a field can't be named __proto__; choose another name");
}

function printObject(object: JsonObject, depthMax: number): string {
  let text = "{";
  for (const key of Object.keys(object).sort(compareText)) {
    const value = object[key];
    if (value === undefined) continue;
    checkName(key);
    if (text.length > 1) text += ",";
    text += `${printString(key)}:${printJson(value, depthMax - 1)}`;
  }
  return `${text}}`;
}

/** As their canonical texts are. Costs what the smaller of the two does, however large the other is. */
export function equalJson(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true;
  if (a instanceof JsonFloat) return b instanceof JsonFloat && Object.is(a.value, b.value);
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item: JsonValue, index) => equalJson(item, b[index]));
  }
  return isObject(a) && isObject(b) && equalObjects(a, b);
}

function equalObjects(a: JsonObject, b: JsonObject): boolean {
  let count = 0;
  for (const key in a) {
    if (!Object.hasOwn(b, key) || !equalJson(a[key], b[key])) return false;
    count += 1;
  }
  for (const _key in b) {
    count -= 1;
    if (count < 0) return false;
  }
  return true;
}

/**
 * JSON merge patch, RFC 7386: null removes, objects merge, anything else replaces. Inputs stay as they are.
 * Fault `invalid_argument` for objects nested beyond `depthMax`.
 */
export function mergePatch(
  target: JsonValue | undefined,
  patch: JsonValue,
  depthMax = DEPTH_MAX,
): JsonValue {
  if (!isObject(patch)) return patch;
  if (depthMax === 0) throw tooDeep();
  const result = emptyObject();
  if (isObject(target)) Object.assign(result, target);
  for (const key of Object.keys(patch)) {
    const change = patch[key];
    if (change === undefined) continue;
    if (change === null) delete result[key];
    else result[key] = mergePatch(result[key], change, depthMax - 1);
  }
  return result;
}
