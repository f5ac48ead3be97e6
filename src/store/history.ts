// Documents with their whole history, as Automerge keeps it: loaded, written to, united.

import { getBackend, init } from "@automerge/automerge";
import { concatBytes } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { compareText } from "../base/text.ts";
import { checkChunks, understood } from "./automerge-chunks.ts";
import {
  type Backend,
  insertValue,
  type ObjectId,
  type Place,
  putValue,
  readRoot,
} from "./automerge-values.ts";
import {
  equalJson,
  isObject,
  JsonFloat,
  type JsonObject,
  type JsonValue,
  printJson,
} from "./json.ts";
import { NO_START, type StartId } from "./stamp.ts";
import type { HistoryState } from "./state.ts";

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

  /** Ms of the newest of the last changes, to the end of its second; 0 if none of them has a time. */
  changedAt(): number {
    const times = understood(() =>
      this.#backend.getHeads().map((head) => this.#backend.getChangeMetaByHash(head)?.time ?? 0),
    );
    const newest = Math.max(0, ...times);
    return newest === 0 ? 0 : Math.min(newest * 1000 + 999, Number.MAX_SAFE_INTEGER);
  }

  /** Who wrote the last changes: Automerge's actors, the starts of nodes for what nodes wrote. */
  lastActors(): readonly string[] {
    return understood(() =>
      this.#backend
        .getHeads()
        .flatMap((head) => this.#backend.getChangeMetaByHash(head)?.actor ?? []),
    );
  }

  /** Whether every one of these changes is in the document. */
  has(hashes: readonly string[]): boolean {
    return understood(() =>
      hashes.every((hash) => this.#backend.getChangeMetaByHash(hash) !== null),
    );
  }

  /** The whole history, compressed. */
  save(): Uint8Array {
    return understood(() => this.#backend.save());
  }

  /**
   * Chunks with what is not in the past of `heads`; unknown heads count as nothing known. Where Automerge can't
   * tell, `whole` (all chunks), or a Fault `wire_invalid` without it.
   */
  changesSince(heads: readonly string[], whole?: Uint8Array): Uint8Array {
    try {
      return understood(() => this.#backend.saveSince([...heads]));
    } catch (fault) {
      if (whole === undefined) throw fault;
      return whole;
    }
  }

  /**
   * Adds changes. "incomplete": some depend on changes that are not here; the document is then unfit for use
   * (it would save them too) and must be freed. Fault `wire_invalid` for damaged bytes.
   */
  apply(chunks: Uint8Array): "complete" | "incomplete" {
    checkChunks(chunks);
    understood(() => this.#backend.loadIncremental(chunks));
    return this.#backend.getMissingDeps([]).length === 0 ? "complete" : "incomplete";
  }

  /**
   * Makes the document equal to `after`, touching only what differs from `before` (what it is now).
   * Returns the bytes of the change, or undefined when nothing differs, unless it `isRefreshed` all the same.
   */
  write(
    before: JsonObject,
    after: JsonObject,
    timeMs: number,
    isRefreshed = false,
  ): Uint8Array | undefined {
    return understood(() => this.#write(before, after, { timeMs, isRefreshed }));
  }

  #write(
    before: JsonObject,
    after: JsonObject,
    { timeMs, isRefreshed }: { timeMs: number; isRefreshed: boolean },
  ): Uint8Array | undefined {
    this.#writeMap("_root", before, after);
    if (this.#backend.pendingOps() === 0) {
      // An empty document that is created still needs a change of its own, or it would have no heads.
      if (this.#backend.getHeads().length > 0 && !isRefreshed) return undefined;
      this.#backend.emptyChange(null, Math.floor(timeMs / 1000));
    } else this.#backend.commit(null, Math.floor(timeMs / 1000));
    return this.#backend.getLastLocalChange() ?? undefined;
  }

  toJson(): JsonObject {
    return readRoot(this.#backend);
  }

  /** Canonical JSON text. Fault `wire_invalid` for nesting that the stack can't follow: no local write made it. */
  printJson(): string {
    return understood(() => {
      try {
        return printJson(this.toJson(), Number.POSITIVE_INFINITY);
      } catch (cause) {
        if (!(cause instanceof RangeError)) throw cause;
        throw new Fault("wire_invalid", "history is nested too deeply to be read", {}, cause);
      }
    });
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
    if (areZeros(before, after)) this.#replace(id, place, after);
    else if (inner === undefined) putValue(this.#backend, id, place, after);
    else if (isObject(before) && isObject(after)) this.#writeMap(inner, before, after);
    else if (Array.isArray(before) && Array.isArray(after)) this.#writeList(inner, before, after);
  }

  /** As an operation even where Automerge takes the two values for one. */
  #replace(id: ObjectId, place: Place, after: JsonValue): void {
    this.#backend.delete(id, place);
    if (typeof place === "string") putValue(this.#backend, id, place, after);
    else insertValue(this.#backend, id, place, after);
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
    for (let i = at; i < after.length - tail; i += 1)
      insertValue(this.#backend, id, i, after[i] ?? null);
  }
}

/** 0.0 and -0.0 have different texts; to Automerge, which writes nothing that is there already, they are equal. */
function areZeros(a: JsonValue | undefined, b: JsonValue): boolean {
  return a instanceof JsonFloat && b instanceof JsonFloat && a.value === 0 && b.value === 0;
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
