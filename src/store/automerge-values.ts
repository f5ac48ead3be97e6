// JSON <-> values of an Automerge document. Strings are scalars both ways (peat-mesh 0.6.0 wire, §4.2-4.5).

import { type getBackend, getObjectId, ImmutableString } from "@automerge/automerge";
import { compareText } from "../base/text.ts";
import {
  emptyObject,
  isObject,
  JsonFloat,
  type JsonObject,
  type JsonValue,
  toFloat,
} from "./json.ts";

export type Backend = ReturnType<typeof getBackend>;
export type ObjectId = string;
export type Place = string | number;
/** One of the values that concurrent writers gave a place: type, scalar or nothing, id of the operation. */
export type Conflict = ReturnType<Backend["getAll"]>[number];

/** The whole document. RangeError for nesting that the stack can't follow. */
export function readRoot(backend: Backend): JsonObject {
  const root = readObject(backend, "_root");
  return isObject(root) ? root : emptyObject();
}

function readObject(backend: Backend, id: ObjectId): JsonValue {
  return read(backend, backend.materialize(id));
}

/** A value of getAll(), and the id of the operation that wrote it. */
export function readConflict(
  backend: Backend,
  conflict: Conflict,
): { readonly value: JsonValue; readonly writtenBy: string } {
  const [type, value] = conflict;
  if (type === "map" || type === "list") {
    return { value: readObject(backend, value), writtenBy: value };
  }
  const writtenBy = String(conflict[2] ?? value);
  if (type === "text" || type === "table" || type === "counter") return { value: null, writtenBy };
  return { value: readScalar(type, value), writtenBy };
}

/** Of a scalar with its type. */
export function readScalar(type: string, value: unknown): JsonValue {
  if (type === "str") return String(value).toWellFormed();
  if (type === "timestamp" || typeof value === "bigint" || typeof value === "boolean") {
    return readTime(value);
  }
  if (typeof value !== "number" || !Number.isFinite(value)) return null;
  return type === "f64" ? toFloat(value) : value;
}

function readTime(value: unknown): JsonValue {
  if (typeof value === "bigint" || typeof value === "boolean") return value;
  // A time beyond what Date can tell has no number.
  return value instanceof Date && !Number.isNaN(value.getTime()) ? value.getTime() : null;
}

function read(backend: Backend, value: unknown): JsonValue {
  if (value === null || typeof value === "boolean" || typeof value === "bigint") return value;
  if (value instanceof ImmutableString) return value.val.toWellFormed();
  // A string that is none of Automerge's own is Text, edited letter by letter.
  if (typeof value !== "object") return null;
  if (value instanceof Date) return readTime(value);
  const id: unknown = getObjectId(value);
  // Text, bytes, counters and unknown types have no JSON; the older node prints null for them too.
  if (typeof id !== "string") return null;
  if (Array.isArray(value)) return value.map((item, index) => readAt(backend, id, index, item));
  const object = emptyObject();
  for (const [key, item] of Object.entries(value)) {
    object[key.toWellFormed()] = readAt(backend, id, key, item);
  }
  return object;
}

/** 5 and 5.0 look alike once materialized; the document knows which it is. */
function readAt(backend: Backend, parent: ObjectId, place: Place, item: unknown): JsonValue {
  if (typeof item !== "number") return read(backend, item);
  if (!Number.isFinite(item)) return null;
  if (!Number.isInteger(item)) return item;
  const isFloat = backend.getWithType(parent, place)?.[0] === "f64";
  return isFloat ? toFloat(item) : item;
}

/** Replaces what is at `place`. */
export function putValue(backend: Backend, id: ObjectId, place: Place, value: JsonValue): void {
  if (Array.isArray(value)) fillList(backend, backend.putObject(id, place, []), value);
  else if (isObject(value)) fillMap(backend, backend.putObject(id, place, {}), value);
  else backend.put(id, place, ...scalar(value));
}

export function insertValue(backend: Backend, id: ObjectId, index: number, value: JsonValue): void {
  if (Array.isArray(value)) fillList(backend, backend.insertObject(id, index, []), value);
  else if (isObject(value)) fillMap(backend, backend.insertObject(id, index, {}), value);
  else backend.insert(id, index, ...scalar(value));
}

function fillMap(backend: Backend, id: ObjectId, value: JsonObject): void {
  for (const key of Object.keys(value).sort(compareText)) {
    putValue(backend, id, key, value[key] ?? null);
  }
}

function fillList(backend: Backend, id: ObjectId, value: readonly JsonValue[]): void {
  for (const [index, item] of value.entries()) insertValue(backend, id, index, item);
}

type Scalar = [string | number | boolean | null, Parameters<Backend["put"]>[3]];

function scalar(value: JsonValue): Scalar {
  if (value instanceof JsonFloat) return [value.value, "f64"];
  switch (typeof value) {
    case "string":
      // A scalar string: Automerge's Text is null to the older node.
      return [value, "str"];
    case "boolean":
      return [value, "boolean"];
    case "bigint":
      // Automerge takes 64-bit integers as bigint; its typings lag behind.
      return [value as unknown as number, "int"];
    case "number":
      return [value, Number.isInteger(value) ? "int" : "f64"];
    default:
      return [null, "null"];
  }
}
