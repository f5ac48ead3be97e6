// One file on its way to some nodes, as the document that all of them have:
//
//   file_distributions:<id>   what is sent, by whom, to whom, and how it ended: written by the sender
//     "node:<short id>"       how far one node is: written by that node
//
// Every root field has one writer, so no write is lost to another's. What stands in such a document came from
// somewhere else and is believed only as far as it can be checked; other layouts are passed over.
import { type Fields, fieldsOf } from "../base/fields.ts";
import type { JsonObject } from "../store/json.ts";
import { CONTENT_BYTES_MAX } from "./content-tree.ts";

export const FILE_DISTRIBUTIONS = "file_distributions";

export const PRIORITIES = ["bulk", "low", "routine", "priority", "critical"] as const;
export type Priority = (typeof PRIORITIES)[number];

const VERDICTS = ["distributing", "completed", "failed", "cancelled"] as const;
/** What the sender says of it; `distributing` until it is over. */
export type Verdict = (typeof VERDICTS)[number];

const NODE_STATUSES = ["transferring", "completed", "failed"] as const;

/** How far one node is. */
export interface NodeState {
  readonly status: (typeof NODE_STATUSES)[number];
  readonly bytes: number;
  readonly error?: string;
}

export interface Distribution {
  readonly id: string;
  readonly bundleId: string;
  /** Place of the file in its bundle, and how many that has. */
  readonly fileIndex: number;
  readonly fileCount: number;
  /** Name of the node that has the file. */
  readonly sender: string;
  /** BLAKE3, 64 hex digits. */
  readonly hash: string;
  readonly size: number;
  readonly sha256: string;
  /** The path that is wanted below the inbox; checked by whoever makes one of it. */
  readonly name: string;
  readonly contentType?: string;
  readonly priority: Priority;
  /** Where the sender has it from: what makes a repeated request the same one. */
  readonly source: { readonly root: string; readonly path: string };
  /** Short ids of the nodes that are to have it. */
  readonly targets: readonly string[];
  /** Ms since the Unix epoch. */
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly verdict: Verdict;
  readonly error?: string;
  /** By short id; none for a target that has said nothing yet. */
  readonly nodes: ReadonlyMap<string, NodeState>;
}

const TARGETS_MAX = 4096;
const TEXT_CHARS_MAX = 4096;
const NODE_FIELD = "node:";
const SHORT_ID = /^[0-9a-f]{10}$/;
const HASH = /^[0-9a-f]{64}$/;

/** Whether a text can be the id of a distribution or bundle: it becomes part of a document's key and of a path. */
export function isHandle(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(text);
}

export function isShortId(text: string): boolean {
  return SHORT_ID.test(text);
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value.length <= TEXT_CHARS_MAX ? value : undefined;
}

function integer(value: unknown, max: number): number | undefined {
  const isOne = typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max;
  return isOne ? value : undefined;
}

function oneOf<T extends string>(values: readonly T[], value: unknown): T | undefined {
  return values.find((known) => known === value);
}

function digits(value: unknown): string | undefined {
  return typeof value === "string" && HASH.test(value) ? value : undefined;
}

function readTargets(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > TARGETS_MAX) return undefined;
  const ids = value.filter((id) => typeof id === "string" && isShortId(id));
  return ids.length === value.length ? ids : undefined;
}

function readNode(value: unknown, size: number): NodeState | undefined {
  const fields = fieldsOf(value);
  const status = oneOf(NODE_STATUSES, fields["status"]);
  if (status === undefined) return undefined;
  const bytes = integer(fields["progress_bytes"], size) ?? 0;
  const error = text(fields["error"]);
  return { status, bytes, ...(error === undefined ? {} : { error }) };
}

function readNodes(fields: Fields, targets: readonly string[], size: number) {
  const nodes = new Map<string, NodeState>();
  for (const id of targets) {
    const state = readNode(fields[`${NODE_FIELD}${id}`], size);
    if (state !== undefined) nodes.set(id, state);
  }
  return nodes;
}

function readFields(fields: Fields): Omit<Distribution, "id"> | undefined {
  const metadata = fieldsOf(fields["blob_metadata"]);
  const from = fieldsOf(fields["source"]);
  const read = {
    bundleId: text(fields["bundle_id"]),
    fileIndex: integer(fields["file_index"], 0xffff_ffff),
    fileCount: integer(fields["file_count"], 0xffff_ffff),
    sender: text(fields["sender"]),
    hash: digits(fields["blob_hash"]),
    size: integer(fields["blob_size"], CONTENT_BYTES_MAX),
    sha256: digits(fields["sha256"]),
    name: text(metadata["name"]),
    priority: oneOf(PRIORITIES, fields["priority"]),
    targets: readTargets(fields["target_nodes"]),
    startedAt: integer(fields["started_at"], Number.MAX_SAFE_INTEGER),
    verdict: oneOf(VERDICTS, fields["status"]),
  };
  const root = text(from["root"]);
  const path = text(from["path"]);
  if (!isWhole(read) || root === undefined || path === undefined) return undefined;
  const contentType = text(metadata["content_type"]);
  const endedAt = integer(fields["completed_at"], Number.MAX_SAFE_INTEGER);
  const error = text(fields["error"]);
  return {
    ...read,
    source: { root, path },
    nodes: readNodes(fields, read.targets, read.size),
    ...(contentType === undefined ? {} : { contentType }),
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(error === undefined ? {} : { error }),
  };
}

type Whole<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function isWhole<T extends object>(read: T): read is T & Whole<T> {
  return Object.values(read).every((value) => value !== undefined);
}

/** Undefined for a document of another layout. `json` is the text of an object. */
export function readDistribution(id: string, json: string): Distribution | undefined {
  const fields = fieldsOf(JSON.parse(json));
  if (fields["distribution_id"] !== id || !isHandle(id)) return undefined;
  const read = readFields(fields);
  return read === undefined ? undefined : { id, ...read };
}

/** The document with which it begins. */
export function printDistribution(told: Omit<Distribution, "nodes">): JsonObject {
  const { contentType } = told;
  return {
    distribution_id: told.id,
    bundle_id: told.bundleId,
    file_index: told.fileIndex,
    file_count: told.fileCount,
    sender: told.sender,
    blob_hash: told.hash,
    blob_size: told.size,
    blob_metadata: {
      name: told.name,
      ...(contentType === undefined ? {} : { content_type: contentType }),
    },
    sha256: told.sha256,
    source: { root: told.source.root, path: told.source.path },
    priority: told.priority,
    target_nodes: [...told.targets],
    started_at: told.startedAt,
    ...printEnd(told),
  };
}

/** The fields that say how it ended. */
export function printEnd(end: Pick<Distribution, "verdict" | "endedAt" | "error">): JsonObject {
  const { verdict, endedAt, error } = end;
  return {
    status: verdict,
    ...(endedAt === undefined ? {} : { completed_at: endedAt }),
    ...(error === undefined ? {} : { error }),
  };
}

/** A patch of the document with what one node says of itself. */
export function printNode(id: string, { status, bytes, error }: NodeState): JsonObject {
  return { [`${NODE_FIELD}${id}`]: { status, progress_bytes: bytes, error: error ?? null } };
}

export function isOver(node: NodeState | undefined): boolean {
  return node !== undefined && node.status !== "transferring";
}

/** How it ended, once every node is through with it. */
export function verdictOf({ targets, nodes }: Distribution): "completed" | "failed" | undefined {
  if (!targets.every((id) => isOver(nodes.get(id)))) return undefined;
  return targets.some((id) => nodes.get(id)?.status === "failed") ? "failed" : "completed";
}

/** As clients are told it. */
export type Progress = "pending" | "in_progress" | "completed" | "failed" | "cancelled";

export function progressOf(distribution: Distribution): Progress {
  if (distribution.verdict !== "distributing") return distribution.verdict;
  return verdictOf(distribution) ?? (distribution.nodes.size === 0 ? "pending" : "in_progress");
}

/** Bytes that its nodes have, all together. */
export function bytesTransferred({ nodes }: Distribution): number {
  return [...nodes.values()].reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Which of two files goes first: the more urgent, then the older. */
export function byUrgency(a: Distribution, b: Distribution): number {
  const urgency = PRIORITIES.indexOf(b.priority) - PRIORITIES.indexOf(a.priority);
  return urgency || a.startedAt - b.startedAt || a.fileIndex - b.fileIndex;
}
