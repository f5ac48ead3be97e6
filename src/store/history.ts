// Documents with their whole history, as Automerge keeps it: the only file that changes an Automerge document.

import { getBackend, getObjectId, ImmutableString, init } from "@automerge/automerge";
import { concatBytes } from "../base/bytes.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { compareText } from "../base/text.ts";
import {
  emptyObject,
  equalJson,
  isObject,
  JsonFloat,
  type JsonObject,
  type JsonValue,
  printJson,
  toFloat,
} from "./json.ts";
import { NO_START, type StartId } from "./stamp.ts";
import type { HistoryState } from "./state.ts";

type Backend = ReturnType<typeof getBackend>;
type ObjectId = string;
type Place = string | number;

// Cloning one empty document is ten times cheaper than init().
const EMPTY: Backend = getBackend(init());

/** Loaded CRDTs hold memory that no garbage collector sees: free() every one. */
export class HistoryDocument {
  readonly #backend: Backend;

  private constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** `actor` signs the writes of this process start; it must not have written to a copy of this document. */
  static empty(actor: StartId): HistoryDocument {
    return new HistoryDocument(EMPTY.clone(actor));
  }

  /** Undefined when changes are missing that others depend on; Fault `wire_invalid` for damaged chunks. */
  static load(chunks: Uint8Array, actor: StartId): HistoryDocument | undefined {
    const document = HistoryDocument.empty(actor);
    try {
      if (document.apply(chunks) === "complete") {
        if (document.heads().length > 0) return document;
        throw new Fault("wire_invalid", "history is empty");
      }
    } catch (error) {
      document.free();
      throw error;
    }
    document.free();
    return undefined;
  }

  free(): void {
    this.#backend.free();
  }

  /** Sorted hex. */
  heads(): readonly string[] {
    return this.#backend.getHeads().sort(compareText);
  }

  /** Whether every one of these changes is in the document. */
  has(hashes: readonly string[]): boolean {
    return hashes.every((hash) => this.#backend.getChangeMetaByHash(hash) !== null);
  }

  /** The whole history, compressed. */
  save(): Uint8Array {
    return this.#backend.save();
  }

  /** Chunks with what is not in the past of `heads`; unknown heads count as nothing known. */
  changesSince(heads: readonly string[]): Uint8Array {
    return this.#backend.saveSince([...heads]);
  }

  /**
   * Adds changes. "incomplete": some depend on changes that are not here; the document is then unfit for use
   * (it would save them too) and must be freed. Fault `wire_invalid` for damaged bytes.
   */
  apply(chunks: Uint8Array): "complete" | "incomplete" {
    try {
      this.#backend.loadIncremental(chunks);
    } catch (cause) {
      throw new Fault("wire_invalid", `history is damaged: ${messageOf(cause)}`, {}, cause);
    }
    return this.#backend.getMissingDeps([]).length === 0 ? "complete" : "incomplete";
  }

  /**
   * Makes the document equal to `after`, touching only what differs from `before` (what it is now).
   * Returns the bytes of the change, or undefined when nothing differs.
   */
  write(before: JsonObject, after: JsonObject, timeMs: number): Uint8Array | undefined {
    this.#writeMap("_root", before, after);
    if (this.#backend.pendingOps() === 0) {
      // An empty document that is created still needs a change of its own, or it would have no heads.
      if (this.#backend.getHeads().length > 0) return undefined;
      this.#backend.emptyChange(null, Math.floor(timeMs / 1000));
    } else this.#backend.commit(null, Math.floor(timeMs / 1000));
    return this.#backend.getLastLocalChange() ?? undefined;
  }

  toJson(): JsonObject {
    const root = this.#read(this.#backend.materialize("_root"));
    return isObject(root) ? root : emptyObject();
  }

  /** Canonical JSON text. Fault `wire_invalid` for nesting that the stack can't follow: no local write made it. */
  printJson(): string {
    try {
      return printJson(this.toJson(), Number.POSITIVE_INFINITY);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new Fault("wire_invalid", "history is nested too deeply to be read", {}, cause);
    }
  }

  #read(value: unknown): JsonValue {
    if (value === null || typeof value === "boolean" || typeof value === "bigint") return value;
    if (typeof value === "string") return value.toWellFormed();
    if (value instanceof ImmutableString) return value.val.toWellFormed();
    if (typeof value !== "object") return null;
    // A time beyond what Date can tell has no number.
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.getTime();
    const id = getObjectId(value);
    // Bytes, counters and unknown types have no JSON; the older node prints null for them too.
    if (id === null) return null;
    if (Array.isArray(value)) return value.map((item, index) => this.#readAt(id, index, item));
    const object = emptyObject();
    for (const [key, item] of Object.entries(value)) {
      object[key.toWellFormed()] = this.#readAt(id, key, item);
    }
    return object;
  }

  /** 5 and 5.0 look alike once materialized; the document knows which it is. */
  #readAt(parent: ObjectId, place: Place, item: unknown): JsonValue {
    if (typeof item !== "number") return this.#read(item);
    if (!Number.isFinite(item)) return null;
    if (!Number.isInteger(item)) return item;
    const isFloat = this.#backend.getWithType(parent, place)?.[0] === "f64";
    return isFloat ? toFloat(item) : item;
  }

  #writeMap(id: ObjectId, before: JsonObject, after: JsonObject): void {
    for (const key of Object.keys(before)) {
      if (!Object.hasOwn(after, key)) this.#backend.delete(id, key);
    }
    for (const key of Object.keys(after).sort(compareText)) {
      const value = after[key];
      if (value !== undefined) this.#writeAt(id, key, before[key], value);
    }
  }

  #writeAt(id: ObjectId, place: Place, before: JsonValue | undefined, after: JsonValue): void {
    if (equalJson(before, after)) return;
    const inner = this.#innerObject(id, place, before, after);
    if (inner === undefined) this.#put(id, place, after);
    else if (isObject(before) && isObject(after)) this.#writeMap(inner, before, after);
    else if (Array.isArray(before) && Array.isArray(after)) this.#writeList(inner, before, after);
  }

  /** The object at `place`, if it can be edited into `after` instead of being replaced. */
  #innerObject(
    id: ObjectId,
    place: Place,
    before: JsonValue | undefined,
    after: JsonValue,
  ): ObjectId | undefined {
    const alike =
      (isObject(before) && isObject(after)) || (Array.isArray(before) && Array.isArray(after));
    if (!alike) return undefined;
    const found = this.#backend.getWithType(id, place);
    if (found?.[0] !== "map" && found?.[0] !== "list") return undefined;
    return String(found[1]);
  }

  /** Keeps the common beginning and end; edits pairs between them; inserts or deletes the rest. */
  #writeList(id: ObjectId, before: readonly JsonValue[], after: readonly JsonValue[]): void {
    const shorter = Math.min(before.length, after.length);
    let head = 0;
    while (head < shorter && equalJson(before[head], after[head])) head += 1;
    let tail = 0;
    while (tail < shorter - head && equalJson(before.at(-1 - tail), after.at(-1 - tail))) tail += 1;
    const pairs = shorter - head - tail;
    for (let i = head; i < head + pairs; i += 1) {
      this.#writeAt(id, i, before[i], after[i] ?? null);
    }
    const at = head + pairs;
    for (let i = before.length - tail - 1; i >= at; i -= 1) this.#backend.delete(id, i);
    for (let i = at; i < after.length - tail; i += 1) this.#insert(id, i, after[i] ?? null);
  }

  #put(id: ObjectId, place: Place, value: JsonValue): void {
    if (Array.isArray(value)) this.#fillList(this.#backend.putObject(id, place, []), value);
    else if (isObject(value)) this.#fillMap(this.#backend.putObject(id, place, {}), value);
    else this.#backend.put(id, place, ...scalar(value));
  }

  #insert(id: ObjectId, index: number, value: JsonValue): void {
    if (Array.isArray(value)) this.#fillList(this.#backend.insertObject(id, index, []), value);
    else if (isObject(value)) this.#fillMap(this.#backend.insertObject(id, index, {}), value);
    else this.#backend.insert(id, index, ...scalar(value));
  }

  #fillMap(id: ObjectId, value: JsonObject): void {
    for (const key of Object.keys(value).sort(compareText)) this.#put(id, key, value[key] ?? null);
  }

  #fillList(id: ObjectId, value: readonly JsonValue[]): void {
    for (const [index, item] of value.entries()) this.#insert(id, index, item);
  }
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

/** Union of two complete histories of one life, by loading both. */
export function uniteHistories(a: HistoryState, b: HistoryState): HistoryState {
  return withHistory(concatBytes([a.chunks, b.chunks]), (document) => ({
    form: "history",
    life: a.life,
    born: Math.max(a.born, b.born),
    chunks: document.save(),
  }));
}

/** Heads of a complete history, by loading it. */
export function headsOf(state: HistoryState): readonly string[] {
  return withHistory(state.chunks, (document) => document.heads());
}

function withHistory<T>(chunks: Uint8Array, use: (document: HistoryDocument) => T): T {
  const document = HistoryDocument.load(chunks, NO_START);
  if (document === undefined) {
    throw new Fault("wire_invalid", "history lacks changes that it depends on");
  }
  try {
    return use(document);
  } finally {
    document.free();
  }
}
