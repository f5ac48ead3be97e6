// The changes of an Automerge document, the newest first, each with what it did to the document that it was made on.
// Values are told as JSON of bounded length: a change may hold a whole document.
import { getBackend, init } from "@automerge/automerge";
import { Fault } from "../base/faults.ts";
import { compareText } from "../base/text.ts";
import { checkChunks, understood } from "./automerge-chunks.ts";
import { type Backend, type ObjectId, type Place, readScalar } from "./automerge-values.ts";
import { type FieldPath, printFieldPath } from "./field-path.ts";
import { printJson } from "./json.ts";

export interface Edit {
  readonly path: string;
  /** JSON, `…` where it was cut; undefined where there was, or is, nothing, or in lists whose places have moved. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

export interface ReadChange {
  /** Hex. */
  readonly hash: string;
  readonly actor: string;
  /** Ms since the Unix epoch, to the second; 0 if it has none. */
  readonly atMs: number;
  readonly bytes: number;
  readonly edits: readonly Edit[];
  /** Edits beyond those. */
  readonly editsLeft: number;
}

export const EDITS_MAX = 20;
export const VALUE_CHARS_MAX = 240;
/** Looked at for one change; what a change of a guest did beyond is not told. */
const PATCHES_MAX = 10_000;

type Patch = ReturnType<Backend["diff"]>[number];
type Meta = NonNullable<ReturnType<Backend["getChangeMetaByHash"]>>;
type Found = NonNullable<ReturnType<Backend["getWithType"]>>;
type Heads = string[];

/** JSON of a value as it was at some heads; ends when it is long enough. */
class ClippedJson {
  readonly #backend: Backend;
  readonly #heads: Heads;
  #text = "";

  constructor(backend: Backend, heads: Heads) {
    this.#backend = backend;
    this.#heads = heads;
  }

  print(found: Found): string {
    this.#value(found);
    const text = this.#text;
    return this.#isFull ? `${text.slice(0, VALUE_CHARS_MAX).toWellFormed()}…` : text;
  }

  get #isFull(): boolean {
    return this.#text.length > VALUE_CHARS_MAX;
  }

  #value(found: Found): void {
    const [type, value] = found;
    if (type === "map") this.#map(String(value));
    else if (type === "list") this.#list(String(value));
    // Text and counters, which only guests have, are null in documents too.
    else if (type === "text" || type === "table" || type === "counter") this.#text += "null";
    else this.#text += printJson(readScalar(type, value));
  }

  #map(id: ObjectId): void {
    this.#text += "{";
    for (const [index, name] of this.#backend.keys(id, this.#heads).entries()) {
      if (this.#isFull) return;
      this.#text += `${index === 0 ? "" : ","}${JSON.stringify(name.toWellFormed())}:`;
      this.#member(id, name);
    }
    this.#text += "}";
  }

  #list(id: ObjectId): void {
    this.#text += "[";
    const length = this.#backend.length(id, this.#heads);
    for (let index = 0; index < length; index += 1) {
      if (this.#isFull) return;
      if (index > 0) this.#text += ",";
      this.#member(id, index);
    }
    this.#text += "]";
  }

  #member(id: ObjectId, place: Place): void {
    const found = this.#backend.getWithType(id, place, this.#heads);
    if (found === null) this.#text += "null";
    else this.#value(found);
  }
}

/** Undefined where nothing was. */
function printAt(backend: Backend, path: FieldPath, heads: Heads): string | undefined {
  let id = "_root";
  for (const step of path.slice(0, -1)) {
    const found = backend.getWithType(id, step, heads);
    if (found?.[0] !== "map" && found?.[0] !== "list") return undefined;
    id = String(found[1]);
  }
  const last = path.at(-1);
  const found = last === undefined ? null : backend.getWithType(id, last, heads);
  return found === null ? undefined : new ClippedJson(backend, heads).print(found);
}

/** Of an insertion, each place that it made. */
function pathsOf(patch: Patch): FieldPath[] {
  const { path } = patch;
  const last = path.at(-1);
  if (patch.action !== "insert" || typeof last !== "number") return [path];
  return patch.values.slice(0, EDITS_MAX + 1).map((_, i) => [...path.slice(0, -1), last + i]);
}

function movesPlaces(patch: Patch): boolean {
  const isInList = typeof patch.path.at(-1) === "number";
  return isInList && (patch.action === "insert" || patch.action === "del");
}

/** What the change did to values, by path; what lies in something new is told with it. */
function editsOf(backend: Backend, { deps, hash }: Meta): Pick<ReadChange, "edits" | "editsLeft"> {
  const patches = backend.diff(deps, [hash]).slice(0, PATCHES_MAX);
  const haveMoved = patches.some(movesPlaces);
  const edits: Edit[] = [];
  const told = new Set<string>();
  let editsLeft = 0;
  for (const patch of patches) {
    for (const path of pathsOf(patch)) {
      const isWithin = path.some((_, end) => told.has(JSON.stringify(path.slice(0, end + 1))));
      if (isWithin || path.length === 0) continue;
      told.add(JSON.stringify(path));
      if (edits.length === EDITS_MAX) {
        editsLeft += 1;
        continue;
      }
      const isMoved = haveMoved && path.some((step) => typeof step === "number");
      const isNew = isMoved || patch.action === "insert";
      const before = isNew ? undefined : printAt(backend, path, deps);
      const after = patch.action === "del" ? undefined : printAt(backend, path, [hash]);
      // What was written again as it was; of two that were cut nobody knows.
      const isSame = before === after && before !== undefined && !before.endsWith("…");
      if (!isSame) edits.push({ path: printFieldPath(path), before, after });
    }
  }
  edits.sort((a, b) => compareText(a.path, b.path));
  return { edits, editsLeft };
}

/** Holds memory that no garbage collector sees: free() it. */
class ChangeReader {
  readonly #backend: Backend;

  private constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Fault `wire_invalid` for damaged chunks. */
  static load(chunks: Uint8Array): ChangeReader {
    checkChunks(chunks);
    const backend = getBackend(init());
    try {
      understood(() => backend.loadIncremental(chunks));
      return new ChangeReader(backend);
    } catch (fault) {
      backend.free();
      throw fault;
    }
  }

  free(): void {
    this.#backend.free();
  }

  /** How many changes there are. */
  get count(): number {
    return understood(() => this.#backend.stats().numChanges);
  }

  /** None before those that were made on it. */
  *newest(): Generator<ReadChange> {
    const waiting = new Map<string, Meta>();
    const add = (hash: string) => {
      const meta = understood(() => this.#backend.getChangeMetaByHash(hash));
      if (meta === null) throw new Fault("wire_invalid", "history lacks a change of its own");
      waiting.set(hash, meta);
    };
    for (const hash of understood(() => this.#backend.getHeads())) add(hash);
    while (waiting.size > 0) {
      // A change has a higher last operation than all that it depends on.
      const [next] = [...waiting.values()].sort(
        (a, b) => b.maxOp - a.maxOp || (a.hash < b.hash ? -1 : 1),
      );
      if (next === undefined) return;
      waiting.delete(next.hash);
      for (const hash of next.deps) add(hash);
      yield this.#read(next);
    }
  }

  #read(meta: Meta): ReadChange {
    return understood(() => ({
      hash: meta.hash,
      actor: meta.actor,
      atMs: Math.max(0, Math.min(meta.time, Number.MAX_SAFE_INTEGER / 1000)) * 1000,
      bytes: this.#backend.getChangeByHash(meta.hash)?.length ?? 0,
      ...editsOf(this.#backend, meta),
    }));
  }
}

export interface ReadWish {
  readonly chunks: Uint8Array;
  readonly limit: number;
}

export interface NewestChanges {
  readonly changes: readonly ReadChange[];
  readonly changeCount: number;
}

/** After so long what was read by then is given. */
const READ_MS = 4_000;

/** The newest changes of a history, which is loaded for that as a whole. Fault `wire_invalid` for a damaged one. */
export function readNewest({ chunks, limit }: ReadWish): NewestChanges {
  const reader = ChangeReader.load(chunks);
  try {
    const startedMs = performance.now();
    const changes: ReadChange[] = [];
    for (const change of reader.newest()) {
      changes.push(change);
      if (changes.length >= limit || performance.now() - startedMs > READ_MS) break;
    }
    return { changes, changeCount: reader.count };
  } finally {
    reader.free();
  }
}
