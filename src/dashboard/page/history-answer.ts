// The history of a document as the node tells it, checked field by field.
import { field, listOf, numberOf, textOf } from "./answers.ts";

export interface Edit {
  readonly path: string;
  /** JSON, possibly clipped; undefined where there was or is nothing. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

export interface Change {
  readonly hash: string;
  readonly atMs: number | undefined;
  /** Empty where nobody knows. */
  readonly writer: string;
  readonly bytes: number;
  readonly edits: readonly Edit[];
  readonly editsLeft: number;
}

export interface FieldStamp {
  readonly name: string;
  readonly atMs: number | undefined;
  readonly writer: string;
  readonly isRemoved: boolean;
}

export interface DocumentHistory {
  readonly bornMs: number | undefined;
  readonly deleted:
    | { readonly atMs: number | undefined; readonly by: string; readonly reason: string }
    | undefined;
  readonly changes: readonly Change[];
  readonly changeCount: number;
  readonly fields: readonly FieldStamp[];
}

function writerOf(value: unknown): string {
  const node = textOf(field(value, "node"));
  if (node !== undefined) return node;
  const actor = textOf(field(value, "actor")) ?? textOf(field(value, "start")) ?? "";
  return actor === "" ? "unknown" : `start ${actor.slice(0, 8)}`;
}

function parseEdit(value: unknown): Edit {
  return {
    path: textOf(field(value, "path")) ?? "",
    before: textOf(field(value, "before")),
    after: textOf(field(value, "after")),
  };
}

/** A rendering is the node's own, whoever wrote what it shows. */
function parseChange(value: unknown, isRendering: boolean): Change {
  return {
    hash: textOf(field(value, "hash")) ?? "",
    atMs: numberOf(field(value, "at_ms")),
    writer: isRendering ? "" : writerOf(value),
    bytes: numberOf(field(value, "bytes")) ?? 0,
    edits: listOf(field(value, "edits")).map(parseEdit),
    editsLeft: numberOf(field(value, "edits_left")) ?? 0,
  };
}

function parseField(value: unknown): FieldStamp {
  return {
    name: textOf(field(value, "name")) ?? "",
    atMs: numberOf(field(value, "at_ms")),
    writer: writerOf(value),
    isRemoved: field(value, "removed") === true,
  };
}

export function parseHistory(value: unknown): DocumentHistory {
  const deleted = field(value, "deleted");
  const isRendering = field(value, "source") === "rendering";
  const isDeleted = typeof deleted === "object" && deleted !== null;
  return {
    bornMs: numberOf(field(value, "born_ms")),
    deleted: isDeleted
      ? {
          atMs: numberOf(field(deleted, "at_ms")),
          by: textOf(field(deleted, "by")) ?? "",
          reason: textOf(field(deleted, "reason")) ?? "",
        }
      : undefined,
    changes: listOf(field(value, "changes")).map((one) => parseChange(one, isRendering)),
    changeCount: numberOf(field(value, "change_count")) ?? 0,
    fields: listOf(field(value, "fields")).map(parseField),
  };
}
