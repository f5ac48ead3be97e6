// One Automerge change that sets and removes root fields, written without loading the document that it extends:
// what it needs of the past is the change before it and, for each field, the operation that it replaces.
//
//   chunk = 85 6f 4a 83 || first 4 bytes of hash || 01 || uleb length || body
//   hash  = SHA-256(01 || uleb length || body)
//   body  = uleb parents x [32] || actor || uleb seq || uleb startOp || sleb seconds || 00 (no message)
//           || uleb others x actor || uleb columns x (uleb id || uleb length) || columns
//   actor = uleb length || bytes
//
// Automerge's own encodeChange goes through JSON and changes the last digit of some floats.
import { ByteWriter, fromHex, toHex } from "../base/bytes.ts";
import { compareText } from "../base/text.ts";
import {
  BooleanColumn,
  DifferenceColumn,
  type JsonScalar,
  numberColumn,
  textColumn,
  ValueColumns,
} from "./automerge-columns.ts";
import { isObject, type JsonObject, type JsonValue } from "./json.ts";

/** An operation, by its number in the document and the actor (hex) that issued it. */
export interface OperationId {
  readonly counter: number;
  readonly actor: string;
}

export interface FieldEdit {
  readonly name: string;
  /** Undefined removes the field; then there must be a `replaced`. */
  readonly value: JsonValue | undefined;
  readonly replaced: OperationId | undefined;
}

export interface ChangeHeader {
  /** Hex. */
  readonly actor: string;
  /** Of this actor's changes: 1 for the first, then without gaps. */
  readonly seq: number;
  /** One more than the highest counter in the document. */
  readonly startOp: number;
  readonly timeSecs: number;
  /** Hash (hex) of the change that this one follows; undefined for a document's first. */
  readonly parent: string | undefined;
}

export interface EncodedChange {
  readonly bytes: Uint8Array;
  /** Hex. */
  readonly hash: string;
  /** Counter of the operation that sets each field, in the order of the edits. */
  readonly counters: readonly number[];
  /** The highest counter of the document with this change; `startOp - 1` for a change without operations. */
  readonly lastOp: number;
}

const MAGIC = new Uint8Array([0x85, 0x6f, 0x4a, 0x83]);
const CHUNK_CHANGE = 1;
const ACTION = { makeMap: 0, set: 1, makeList: 2, remove: 3 } as const;
/** Of an object in its own change, and of the list element that nothing stands before. */
const OWN_ACTOR = 0;
const HEAD = 0;

/** Where an operation acts: `object` is the counter of one made in this change, undefined for the root. */
interface Place {
  readonly object: number | undefined;
  /** Name in a map, or counter of the element before the new one in a list. */
  readonly at: string | number;
  readonly replaced: OperationId | undefined;
}

class OperationColumns {
  readonly #actors: ReadonlyMap<string, number>;
  readonly #objectActor = numberColumn();
  readonly #objectCounter = numberColumn();
  readonly #elementActor = numberColumn();
  readonly #elementCounter = new DifferenceColumn();
  readonly #name = textColumn();
  readonly #isInsert = new BooleanColumn();
  readonly #action = numberColumn();
  readonly #values = new ValueColumns();
  readonly #replacedCount = numberColumn();
  readonly #replacedActor = numberColumn();
  readonly #replacedCounter = new DifferenceColumn();
  #next: number;

  constructor(startOp: number, actors: ReadonlyMap<string, number>) {
    this.#next = startOp;
    this.#actors = actors;
  }

  get next(): number {
    return this.#next;
  }

  put(place: Place, value: JsonValue): void {
    if (Array.isArray(value)) {
      const object = this.#append(place, ACTION.makeList, null);
      let before = HEAD;
      for (const item of value) {
        const counter = this.#next;
        this.put({ object, at: before, replaced: undefined }, item);
        before = counter;
      }
    } else if (isObject(value)) {
      const object = this.#append(place, ACTION.makeMap, null);
      for (const [name, item] of sortedEntries(value)) {
        this.put({ object, at: name, replaced: undefined }, item);
      }
    } else this.#append(place, ACTION.set, value as JsonScalar);
  }

  remove(place: Place): void {
    this.#append(place, ACTION.remove, null);
  }

  #append({ object, at, replaced }: Place, action: number, value: JsonScalar): number {
    const isElement = typeof at === "number";
    this.#objectActor.append(object === undefined ? null : OWN_ACTOR);
    this.#objectCounter.append(object ?? null);
    this.#elementActor.append(isElement && at !== HEAD ? OWN_ACTOR : null);
    this.#elementCounter.append(isElement ? at : null);
    this.#name.append(isElement ? null : at);
    this.#isInsert.append(isElement);
    this.#action.append(action);
    this.#values.append(value);
    this.#replacedCount.append(replaced === undefined ? 0 : 1);
    if (replaced !== undefined) {
      this.#replacedActor.append(this.#actors.get(replaced.actor) ?? OWN_ACTOR);
      this.#replacedCounter.append(replaced.counter);
    }
    this.#next += 1;
    return this.#next - 1;
  }

  write(writer: ByteWriter): void {
    const { kinds, raw } = this.#values.finish();
    const columns: [number, Uint8Array][] = [
      [0x01, this.#objectActor.finish()],
      [0x02, this.#objectCounter.finish()],
      [0x11, this.#elementActor.finish()],
      [0x13, this.#elementCounter.finish()],
      [0x15, this.#name.finish()],
      [0x34, this.#isInsert.finish()],
      [0x42, this.#action.finish()],
      [0x56, kinds],
      [0x57, raw],
      [0x70, this.#replacedCount.finish()],
      [0x71, this.#replacedActor.finish()],
      [0x73, this.#replacedCounter.finish()],
    ];
    const present = columns.filter(([, bytes]) => bytes.length > 0);
    writer.uleb(present.length);
    for (const [id, bytes] of present) writer.uleb(id).uleb(bytes.length);
    for (const [, bytes] of present) writer.bytes(bytes);
  }
}

function sortedEntries(value: JsonObject): [string, JsonValue][] {
  return Object.entries(value).sort(([a], [b]) => compareText(a, b));
}

function writeActor(writer: ByteWriter, actor: string): void {
  const bytes = fromHex(actor);
  writer.uleb(bytes.length).bytes(bytes);
}

/** The bytes are those that Automerge itself would write for these operations. */
export function encodeChange(header: ChangeHeader, edits: readonly FieldEdit[]): EncodedChange {
  const others = new Set<string>();
  for (const { replaced } of edits) if (replaced !== undefined) others.add(replaced.actor);
  others.delete(header.actor);
  const sorted = [...others].sort(compareText);
  const actors = new Map([header.actor, ...sorted].map((actor, index) => [actor, index]));
  const columns = new OperationColumns(header.startOp, actors);
  const counters: number[] = [];
  for (const { name, value, replaced } of edits) {
    counters.push(columns.next);
    const place = { object: undefined, at: name, replaced };
    if (value === undefined) columns.remove(place);
    else columns.put(place, value);
  }
  const body = new ByteWriter(512).uleb(header.parent === undefined ? 0 : 1);
  if (header.parent !== undefined) body.bytes(fromHex(header.parent));
  writeActor(body, header.actor);
  body.uleb(header.seq).uleb(header.startOp).sleb(header.timeSecs).uleb(0).uleb(sorted.length);
  for (const actor of sorted) writeActor(body, actor);
  columns.write(body);
  return { ...seal(body.finish()), counters, lastOp: columns.next - 1 };
}

function seal(body: Uint8Array): { bytes: Uint8Array; hash: string } {
  const hashed = new ByteWriter(body.length + 8).u8(CHUNK_CHANGE).uleb(body.length).bytes(body);
  const content = hashed.finish();
  const hash = new Bun.CryptoHasher("sha256").update(content).digest();
  const chunk = new ByteWriter(content.length + 8).bytes(MAGIC).bytes(hash.subarray(0, 4));
  return { bytes: chunk.bytes(content).finish(), hash: toHex(hash) };
}
