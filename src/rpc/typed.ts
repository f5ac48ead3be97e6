// Nodes, cells, tracks and commands: messages on the wire, JSON documents in the store, as the older sidecar keeps
// them: fields under their proto names, enums as numbers, what is optional and not set as null.
import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { BugError } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import {
  emptyObject,
  type JsonObject,
  type JsonValue,
  numberOf,
  parseJsonObject,
  printJson,
  toFloat,
} from "../store/json.ts";
import type { Store, StoredDocument } from "../store/store.ts";
import { documentsOf } from "./documents.ts";
import { fieldFault, keyIn, withField } from "./fields.ts";
import {
  CellSchema,
  CommandSchema,
  NodeSchema,
  type PeatSidecar,
  TrackSchema,
} from "./gen/peat/sidecar/v1/sidecar_pb.ts";

type TypedCalls = Pick<
  ServiceImpl<typeof PeatSidecar>,
  | "putNode"
  | "getNodes"
  | "putCell"
  | "getCells"
  | "putTrack"
  | "getTracks"
  | "putCommand"
  | "getCommands"
>;

interface TypedParts {
  readonly store: Store;
  readonly clock: Clock;
}

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;
const UINT32_MAX = 2 ** 32 - 1;

/** A message's own field; undefined where it is optional and not set. */
function fieldOf(message: Message, { localName }: DescField): unknown {
  return (message as unknown as Readonly<Record<string, unknown>>)[localName];
}

function toJson(value: unknown, { scalar }: DescField, place: string): JsonValue {
  if (Array.isArray(value)) return value.map(String);
  if (typeof value === "string" || typeof value === "bigint") return value;
  if (typeof value !== "number") return null;
  if (scalar !== ScalarType.DOUBLE) return value;
  if (Number.isFinite(value)) return toFloat(value);
  throw fieldFault(place, "must be a finite number");
}

/** The document of a message. Fault `invalid_argument` for a number that JSON does not have. */
function toDocument({ fields }: DescMessage, message: Message, place: string): JsonObject {
  const document = emptyObject();
  for (const field of fields) {
    document[field.name] = toJson(fieldOf(message, field), field, `${place}.${field.name}`);
  }
  return document;
}

function toInteger(value: JsonValue | undefined, min: number, max: number): number | undefined {
  return typeof value === "number" && value >= min && value <= max && Number.isInteger(value)
    ? value
    : undefined;
}

/** What others wrote may be anything: what is not of the field's type is as if it were not there. */
function fromJson(value: JsonValue | undefined, field: DescField): unknown {
  if (field.fieldKind === "list") {
    return Array.isArray(value) ? value.filter((item) => typeof item === "string") : undefined;
  }
  if (field.fieldKind === "enum") return toInteger(value, INT32_MIN, INT32_MAX);
  switch (field.scalar) {
    case ScalarType.STRING:
      return typeof value === "string" ? value : undefined;
    case ScalarType.DOUBLE:
      return numberOf(value);
    case ScalarType.UINT32:
      return toInteger(value, 0, UINT32_MAX);
    case ScalarType.INT64:
      if (typeof value === "bigint") return value;
      return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : undefined;
    default:
      throw new BugError(`bug: ${field.name} has a type that no typed document has`);
  }
}

function fromDocument<D extends DescMessage>(
  schema: D,
  { id, json }: StoredDocument,
): MessageShape<D> {
  const document = parseJsonObject(json);
  const message = create(schema);
  const target = message as unknown as Record<string, unknown>;
  for (const field of schema.fields) {
    const value = fromJson(document[field.name], field);
    if (value !== undefined) target[field.localName] = value;
  }
  target["id"] = id;
  return message;
}

class TypedCollection<D extends DescMessage> {
  readonly #parts: TypedParts;
  readonly #schema: D;
  readonly #collection: string;

  constructor(parts: TypedParts, schema: D, collection: string) {
    this.#parts = parts;
    this.#schema = schema;
    this.#collection = collection;
  }

  /** Fault `invalid_argument` for a missing message or id. */
  async put(field: string, message: (MessageShape<D> & { readonly id: string }) | undefined) {
    if (message === undefined) throw fieldFault(field, `${field} is required`);
    const key = keyIn(this.#collection, `${field}.id`, message.id);
    const body = printJson(toDocument(this.#schema, message, field));
    const operation = { kind: "put", body } as const;
    await withField(field, () => this.#parts.store.write({ key, operation }));
    return {};
  }

  async all(): Promise<MessageShape<D>[]> {
    const messages: MessageShape<D>[] = [];
    for await (const document of documentsOf(this.#parts, this.#collection)) {
      messages.push(fromDocument(this.#schema, document));
    }
    return messages;
  }
}

export function typedCalls(parts: TypedParts): TypedCalls {
  const nodes = new TypedCollection(parts, NodeSchema, "nodes");
  const cells = new TypedCollection(parts, CellSchema, "cells");
  const tracks = new TypedCollection(parts, TrackSchema, "tracks");
  const commands = new TypedCollection(parts, CommandSchema, "commands");
  return {
    putNode: ({ node }) => nodes.put("node", node),
    getNodes: async () => ({ nodes: await nodes.all() }),
    putCell: ({ cell }) => cells.put("cell", cell),
    getCells: async () => ({ cells: await cells.all() }),
    putTrack: ({ track }) => tracks.put("track", track),
    getTracks: async () => ({ tracks: await tracks.all() }),
    putCommand: ({ command }) => commands.put("command", command),
    getCommands: async () => ({ commands: await commands.all() }),
  };
}
