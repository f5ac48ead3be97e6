// What an explicit write does to a document's state: pure, except that a history's own document is edited in place.
import { Fault } from "../base/faults.ts";
import type { Kind } from "./collection-policies.ts";
import type { HistoryDocument } from "./history.ts";
import {
  checkName,
  emptyObject,
  isObject,
  type JsonObject,
  type JsonValue,
  mergePatch,
  parseJson,
  parseJsonObject,
  printJson,
} from "./json.ts";
import type { Stamp, Stamper } from "./stamp.ts";
import {
  clipReason,
  type DeletedState,
  type Field,
  highestN,
  type LatestState,
  type State,
} from "./state.ts";

/** JSON texts as they were received. */
export type WriteOperation =
  | { readonly kind: "put"; readonly body: string }
  | { readonly kind: "patch"; readonly body: string }
  | { readonly kind: "delete"; readonly reason: string };

export type ContentOperation = Exclude<WriteOperation, { kind: "delete" }>;

export interface Life {
  readonly life: number;
  readonly born: number;
  readonly kind: Kind;
}

/** The life that a write of content belongs to: the present one, or a new one after a delete. */
export function lifeOfWrite(
  before: State | undefined,
  { kind, nowMs, firstLife }: { kind: Kind; nowMs: number; firstLife: number },
): Life {
  if (before === undefined) return { life: firstLife, born: nowMs, kind };
  if (before.form === "deleted") {
    return { life: Math.max(before.life + 1, firstLife), born: nowMs, kind };
  }
  return { life: before.life, born: before.born, kind: before.form };
}

/** Fault `document_not_found` for a delete of what is not there. */
export function deleteState(
  before: State | undefined,
  context: { key: string; by: string; reason: string; stamper: Stamper },
): DeletedState {
  if (before === undefined || before.form === "deleted") {
    throw new Fault("document_not_found", `document not found: ${context.key.replace(":", "/")}`);
  }
  const deletedAt = context.stamper.nowMs();
  return {
    form: "deleted",
    kind: before.form,
    life: before.life + 1,
    born: deletedAt,
    deletedAt,
    by: context.by,
    reason: clipReason(context.reason),
  };
}

/** The same write to a document of which nothing is to stay: a PATCH of nothing, as a PUT. */
export function asNew(operation: ContentOperation): ContentOperation {
  if (operation.kind === "put") return operation;
  const body = mergePatch(undefined, parseJsonObject(operation.body));
  return { kind: "put", body: printJson(body) };
}

/** Root fields that `operation` sets, or removes (undefined), on a document that is `before` now. */
function changedFields(
  operation: ContentOperation,
  { before, refreshes }: { before: LatestState | undefined; refreshes: boolean },
): Map<string, string | undefined> {
  const changes = new Map<string, string | undefined>();
  if (operation.kind === "put") {
    const body = parseJsonObject(operation.body);
    for (const [name, value] of Object.entries(body)) changes.set(name, printField(value));
    return changes;
  }
  for (const [name, change] of Object.entries(parseJsonObject(operation.body))) {
    const present = before?.fields.get(name)?.json;
    if (change === null) {
      if (present !== undefined) changes.set(name, undefined);
      continue;
    }
    const target = present === undefined ? undefined : parseJson(present);
    const json = printField(mergePatch(target, change));
    if (refreshes || json !== present) changes.set(name, json);
  }
  return changes;
}

const FIELD_DEPTH_MAX = 63;
const FIELD_NAME_CHARS_MAX = 4096;
const FIELDS_MAX = 32_768;
/** Values of a document with history: each costs every node some ten microseconds. */
const VALUES_MAX = 50_000;

function printField(value: JsonValue): string {
  return printJson(value, FIELD_DEPTH_MAX);
}

/**
 * PUT sets the floor and stamps all fields: a replacement is never mixed with what it replaced.
 * PATCH stamps only what it changes, removals too (what it names, where a write `refreshes` the document); undefined
 * when that is nothing. `beginning` is the floor of a document that a PATCH begins.
 */
export function writeLatest(
  before: State | undefined,
  operation: ContentOperation,
  options: { life: Life; stamper: Stamper; refreshes: boolean; beginning: Stamp },
): LatestState | undefined {
  const { life, stamper, refreshes, beginning } = options;
  const present = before?.form === "latest" ? before : undefined;
  const changes = changedFields(operation, { before: present, refreshes });
  for (const name of changes.keys()) checkFieldName(name);
  if (operation.kind === "patch" && present !== undefined && changes.size === 0) return undefined;
  const stamp = stamper.next(highestN(present));
  const isPatch = operation.kind === "patch";
  const fields = new Map<string, Field>(isPatch ? present?.fields : undefined);
  for (const [name, json] of changes) fields.set(name, { stamp, json });
  checkFieldCount(fields.size, operation.kind === "put");
  // A PATCH that begins a life does not replace: it must not erase the fields of another that begins it elsewhere.
  const floor: Stamp = isPatch ? (present?.floor ?? beginning) : stamp;
  return { form: "latest", life: life.life, born: life.born, floor, fields };
}

/** Removed fields count until a PUT: each is remembered, or it would come back. */
function checkFieldCount(count: number, isPut: boolean): void {
  if (count <= FIELDS_MAX) return;
  if (isPut) {
    const sentence = `document of ${count} root fields exceeds the limit of ${FIELDS_MAX}; nest them`;
    throw new Fault("payload_too_large", sentence);
  }
  const sentence = `document has had ${count} root fields, removed ones included, and the limit is ${FIELDS_MAX}; replace it by a PUT`;
  throw new Fault("conflict", sentence);
}

/** The whole body is walked: every value of a history is an operation of its own. */
function countValues(value: JsonValue): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countValues(item), 1);
  if (!isObject(value)) return 1;
  return Object.values(value).reduce<number>((sum, item) => sum + countValues(item), 1);
}

function checkFieldName(name: string): void {
  checkName(name);
  if (name.length > FIELD_NAME_CHARS_MAX || !name.isWellFormed()) {
    throw new Fault(
      "invalid_argument",
      `field name ${JSON.stringify(name.slice(0, 40))} must be well-formed and at most ${FIELD_NAME_CHARS_MAX} characters`,
    );
  }
}

/**
 * Edits `document`; undefined when nothing differs, unless a write `refreshes` it. `change` is the bytes of the
 * Automerge change.
 */
export function writeHistory(
  document: HistoryDocument,
  operation: ContentOperation,
  options: { present: string | undefined; nowMs: number; refreshes: boolean },
): { readonly change: Uint8Array; readonly json: string } | undefined {
  const { present, nowMs, refreshes } = options;
  const before: JsonObject = present === undefined ? emptyObject() : parseJsonObject(present);
  const body = parseJsonObject(operation.body);
  const after = operation.kind === "put" ? body : (mergePatch(before, body) as JsonObject);
  // Printed first, for its checks of depth and text: nothing is changed when it throws.
  const json = printJson(after);
  for (const name of Object.keys(after)) checkFieldName(name);
  const values = countValues(after);
  if (values > VALUES_MAX) {
    const sentence = `document of ${values} values exceeds the limit of ${VALUES_MAX}; split it`;
    throw new Fault("payload_too_large", sentence);
  }
  const change = document.write(before, after, nowMs, refreshes);
  return change === undefined ? undefined : { change, json };
}
