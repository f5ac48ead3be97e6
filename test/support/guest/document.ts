// Documents as the older node writes and shows them (peat-mesh 0.6.0 wire, §4): one Automerge document each, JSON
// in by replacing what is nested, JSON out with null for all that it doesn't know.
import {
  clone,
  type Doc,
  decodeSyncState,
  encodeSyncState,
  free,
  generateSyncMessage,
  getBackend,
  init,
  load,
  merge,
  receiveSyncMessage,
  type SyncState,
} from "@automerge/automerge";

type Backend = ReturnType<typeof getBackend>;
type Place = string | number;

/** A number with its source text: 5 and 5.0 are different values. */
class JsonNumber {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

type Input = null | boolean | string | JsonNumber | readonly Input[] | { [key: string]: Input };

const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;
const ROOT = "_root";

/** An Automerge document; every method that changes it leaves the old handle unusable. Free what is dropped. */
export class GuestDocument {
  #doc: Doc<unknown>;

  private constructor(doc: Doc<unknown>) {
    this.#doc = doc;
  }

  static empty(actor: string): GuestDocument {
    return new GuestDocument(init({ actor }));
  }

  static load(bytes: Uint8Array, actor: string): GuestDocument {
    return new GuestDocument(load(bytes, { actor }));
  }

  free(): void {
    free(this.#doc);
  }

  save(): Uint8Array {
    return getBackend(this.#doc).save();
  }

  heads(): string[] {
    return getBackend(this.#doc)
      .getHeads()
      .sort((a, b) => (a < b ? -1 : 1));
  }

  /** Number of changes in its history. */
  changes(): number {
    return getBackend(this.#doc).getChangesMeta([]).length;
  }

  merge(other: GuestDocument): void {
    this.#doc = merge(this.#doc, other.#doc);
  }

  /** One transaction under a new actor, at time 0 as the Rust library commits: all keys are put, others deleted. */
  write(json: string, actor: string): void {
    const root = parse(json);
    if (!isMap(root)) throw new Error("Root value must be a JSON object");
    const fork = clone(this.#doc, { actor });
    const backend = getBackend(fork);
    try {
      for (const [key, value] of Object.entries(root)) put(backend, ROOT, key, value);
      const present = new Set(Object.keys(root));
      for (const key of backend.keys(ROOT)) if (!present.has(key)) backend.delete(ROOT, key);
      backend.commit(null, 0);
    } catch (error) {
      free(fork);
      throw error;
    }
    free(this.#doc);
    this.#doc = fork;
  }

  /** As the broker prints it, without the `_id` that it adds: sorted keys, floats with a point. */
  jsonText(): string {
    return printMap(getBackend(this.#doc), ROOT);
  }

  /** `_created_at` in ms, which counts only as an unsigned integer. */
  createdAt(): number | undefined {
    const value = getBackend(this.#doc).getWithType(ROOT, "_created_at");
    return value?.[0] === "uint" ? Number(value[1]) : undefined;
  }

  /** What to say in this state, and the state once it is said. */
  generate(state: SyncState): { state: SyncState; message: Uint8Array | undefined } {
    const [next, message] = generateSyncMessage(this.#doc, state);
    return { state: next, message: message ?? undefined };
  }

  receive(state: SyncState, message: Uint8Array): SyncState {
    const [doc, next] = receiveSyncMessage(this.#doc, state, message);
    this.#doc = doc;
    return next;
  }
}

/** A fresh state that remembers the shared heads and nothing else. */
export function resetSyncState(state: SyncState): SyncState {
  return decodeSyncState(encodeSyncState(state));
}

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

function parse(json: string): Input {
  const keepSource: Reviver = (_key, value, { source }) =>
    typeof value === "number" ? new JsonNumber(source ?? String(value)) : value;
  // The library's types don't know the reviver's third argument yet.
  return JSON.parse(json, keepSource as Parameters<typeof JSON.parse>[1]) as Input;
}

function isMap(value: Input): value is { [key: string]: Input } {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof JsonNumber)
  );
}

function put(backend: Backend, object: string, key: string, value: Input): void {
  if (Array.isArray(value)) fillList(backend, backend.putObject(object, key, []), value);
  else if (isMap(value)) fillMap(backend, backend.putObject(object, key, {}), value);
  else putScalar(value, (scalar, type) => backend.put(object, key, scalar as string, type));
}

function fillMap(backend: Backend, object: string, map: { [key: string]: Input }): void {
  for (const [key, value] of Object.entries(map)) put(backend, object, key, value);
}

function fillList(backend: Backend, list: string, items: readonly Input[]): void {
  items.forEach((value, index) => {
    if (Array.isArray(value)) fillList(backend, backend.insertObject(list, index, []), value);
    else if (isMap(value)) fillMap(backend, backend.insertObject(list, index, {}), value);
    else {
      putScalar(value, (scalar, type) => backend.insert(list, index, scalar as string, type));
    }
  });
}

type ScalarType = "null" | "boolean" | "str" | "int" | "f64";

function putScalar(value: Input, write: (scalar: unknown, type: ScalarType) => void): void {
  if (value === null) write(null, "null");
  else if (typeof value === "boolean") write(value, "boolean");
  else if (typeof value === "string") write(value, "str");
  else if (value instanceof JsonNumber) {
    const integer = /^-?\d+$/.test(value.source) ? BigInt(value.source) : undefined;
    if (integer !== undefined && integer >= I64_MIN && integer <= I64_MAX) write(integer, "int");
    else write(Number(value.source), "f64");
  }
}

function printMap(backend: Backend, object: string): string {
  const keys = backend.keys(object).sort((a, b) => Buffer.from(a).compare(Buffer.from(b)));
  return `{${keys.map((key) => `${JSON.stringify(key)}:${print(backend, object, key)}`).join(",")}}`;
}

function print(backend: Backend, object: string, place: Place): string {
  const found = backend.getWithType(object, place);
  switch (found?.[0]) {
    case "str":
    case "boolean":
      return JSON.stringify(found[1]);
    case "int":
    case "uint":
      return String(found[1]);
    case "f64":
      return printFloat(found[1]);
    case "timestamp":
      return Number.isNaN(found[1].getTime()) ? "null" : String(found[1].getTime());
    case "map":
      return printMap(backend, found[1]);
    case "list": {
      const items = Array.from({ length: backend.length(found[1]) }, (_, index) =>
        print(backend, found[1], index),
      );
      return `[${items.join(",")}]`;
    }
    default:
      // Text, tables, bytes and counters have no JSON there.
      return "null";
  }
}

function printFloat(value: number): string {
  if (!Number.isFinite(value)) return "null";
  if (Object.is(value, -0)) return "-0.0";
  if (!Number.isInteger(value)) return String(value);
  return Math.abs(value) < 1e16 ? `${value}.0` : value.toExponential().replace("+", "");
}
