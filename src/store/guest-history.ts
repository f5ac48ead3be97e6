// Documents without history, as a guest keeps them: an Automerge document that we write on top of, one change per
// stamp, and that we read back by the stamps of its changes. What is read depends on the bytes alone: an echo of an
// old snapshot, another gateway's writes or our own come back with the stamps that they always had, and lose to
// whatever is newer.
import { Fault } from "../base/faults.ts";
import { compareText } from "../base/text.ts";
import type { GuestDocument } from "./guest-document.ts";
import { type ChangeMark, ChangeMarks, printStampMessage } from "./guest-stamps.ts";
import { type JsonValue, parseJson, printJson } from "./json.ts";
import { compareStamps, type Stamp, ZERO_STAMP } from "./stamp.ts";
import type { Field, LatestState } from "./state.ts";

/** Nesting of a guest's values; this only protects the stack. */
const DEPTH_MAX = 1000;
const NAME_CHARS_MAX = 4096;
const FIELDS_MAX = 32_768;
const CHANGES_MAX = 500_000;
/** Steps to the objects that were edited, all together. */
const PATH_STEPS_MAX = 1_000_000;

/** One change for a guest: root fields with one stamp, as canonical JSON, or removed. */
export interface GuestWrite {
  readonly stamp: Stamp;
  /** The stamp is that of the last replacement of the whole document. */
  readonly isFloor: boolean;
  readonly fields: ReadonlyMap<string, string | undefined>;
}

/** What of one field the changes of a guest's document say. */
interface Touch {
  /** Greatest stamp of a change that removed it. */
  removed: Stamp | undefined;
  /** Greatest stamp of a change inside the object that the field is. */
  edited: Stamp | undefined;
}

/**
 * What the changes after `since` (heads that the document has) say, as a state to be joined. `present` is our own
 * state. Undefined for a document without changes. Fault `wire_invalid` for what no state can hold.
 */
export function readGuestHistory(
  document: GuestDocument,
  { since, present }: { since: readonly string[]; present: LatestState | undefined },
): LatestState | undefined {
  const metas = document.metas();
  if (metas.length === 0) return undefined;
  if (metas.length > CHANGES_MAX) {
    throw new Fault("wire_invalid", `document of ${metas.length} changes exceeds ${CHANGES_MAX}`);
  }
  const marks = new ChangeMarks(metas);
  const fields = new Map<string, Field>();
  for (const [name, touch] of touchedFields(document, { since, present, marks })) {
    const field = newestOf(document, { name, touch, marks });
    const isGone = field === undefined || compareStamps(field.stamp, marks.floor) < 0;
    if (!isGone) fields.set(name, field);
  }
  if (fields.size > FIELDS_MAX) {
    throw new Fault("wire_invalid", `document of ${fields.size} root fields exceeds ${FIELDS_MAX}`);
  }
  return { form: "latest", life: marks.life, born: 0, floor: marks.floor, fields };
}

type Change = ReturnType<GuestDocument["decodedSince"]>[number];

/** Whether a state that was read would change ours. */
export function isNews(read: LatestState, present: LatestState | undefined): boolean {
  if (present === undefined || read.life > present.life) return true;
  if (read.life < present.life) return false;
  if (compareStamps(read.floor, present.floor) > 0) return true;
  return [...read.fields].some(([name, field]) => {
    if (compareStamps(field.stamp, present.floor) < 0) return false;
    const ours = present.fields.get(name);
    return ours === undefined || compareFields(field, ours) > 0;
  });
}

interface Reading {
  readonly since: readonly string[];
  readonly present: LatestState | undefined;
  readonly marks: ChangeMarks;
}

function touchedFields(
  document: GuestDocument,
  { since, present, marks }: Reading,
): Map<string, Touch> {
  const touches = new Map<string, Touch>();
  const touch = (name: string): Touch => {
    const known = touches.get(name);
    if (known !== undefined) return known;
    const fresh: Touch = { removed: undefined, edited: undefined };
    touches.set(name, fresh);
    return fresh;
  };
  const edits = new Map<string, Stamp>();
  for (const change of document.decodedSince(since)) {
    const mark = marks.ofChange(change.hash);
    // What was written in an earlier life of the document ended with it.
    if (mark === undefined || mark.life !== marks.life) continue;
    for (const { obj, key, action } of change.ops) {
      if (obj !== "_root") {
        // We replace fields as a whole; only a guest edits inside of them.
        if (!mark.isOurs && !isOwn(change, obj))
          edits.set(obj, greater(edits.get(obj), mark.stamp));
      } else if (!isName(key)) continue;
      else if (action !== "del") touch(key);
      else if (isTold(mark, present?.fields.get(key))) {
        const it = touch(key);
        it.removed = greater(it.removed, mark.stamp);
      }
    }
  }
  for (const [name, stamp] of editedRoots(document, edits)) {
    const it = touch(name);
    it.edited = greater(it.edited, stamp);
  }
  return touches;
}

/** Whether the change has made the object itself: then it has set the field that the object lies in. */
function isOwn({ actor, startOp, ops }: Change, object: string): boolean {
  const at = object.indexOf("@");
  const counter = Number(object.slice(0, at));
  return object.slice(at + 1) === actor && counter >= startOp && counter < startOp + ops.length;
}

/** The root fields that edited objects lie in. */
function editedRoots(
  document: GuestDocument,
  edits: ReadonlyMap<string, Stamp>,
): Map<string, Stamp> {
  const roots = new Map<string, Stamp>();
  let steps = 0;
  for (const [object, stamp] of edits) {
    const path = document.pathOf(object);
    const [name] = path;
    steps += path.length;
    if (steps > PATH_STEPS_MAX) throw new Fault("wire_invalid", "too much is nested too deeply");
    if (typeof name !== "string" || !isName(name)) continue;
    roots.set(name, greater(roots.get(name), stamp));
  }
  return roots;
}

/** A removal that a node wrote is news only where the field still is: where it never was, nobody has to know. */
function isTold(mark: ChangeMark, field: Field | undefined): boolean {
  if (!mark.isOurs) return true;
  return field?.json !== undefined && compareStamps(field.stamp, mark.stamp) < 0;
}

/** The value with the greatest stamp, or the removal if that is greater. */
function newestOf(
  document: GuestDocument,
  { name, touch, marks }: { name: string; touch: Touch; marks: ChangeMarks },
): Field | undefined {
  const shown = shownFields(document, name, marks).filter(({ life }) => life === marks.life);
  let newest: Field | undefined;
  for (const [index, field] of shown.entries()) {
    const isShowing = index === shown.length - 1;
    const stamp = isShowing ? greater(touch.edited, field.stamp) : field.stamp;
    if (newest === undefined || compareFields({ ...field, stamp }, newest) > 0) {
      newest = { stamp, json: field.json };
    }
  }
  const { removed } = touch;
  if (removed === undefined) return newest;
  // One change that removes a field and sets it again has set it.
  if (newest !== undefined && compareStamps(newest.stamp, removed) >= 0) return newest;
  return { stamp: removed, json: undefined };
}

/** Every value that the field has by concurrent writes, with its stamp; the last is the one that shows. */
function shownFields(
  document: GuestDocument,
  name: string,
  marks: ChangeMarks,
): (Field & { readonly life: number })[] {
  return document.conflicts(name).map(({ value, writtenBy }) => {
    const mark = marks.ofOperation(writtenBy);
    return {
      stamp: mark?.stamp ?? ZERO_STAMP,
      life: mark?.life ?? 0,
      json: printForeign(value),
    };
  });
}

function printForeign(value: JsonValue): string {
  try {
    return printJson(value, DEPTH_MAX);
  } catch (cause) {
    throw new Fault("wire_invalid", "a field of the document has no JSON", {}, cause);
  }
}

/** What has to be written on top of `document` so that it shows `state`, in the order of stamps. */
export function guestWrites(document: GuestDocument, state: LatestState): GuestWrite[] {
  const marks = new ChangeMarks(document.metas());
  const byStamp = new Map<string, GuestWrite & { fields: Map<string, string | undefined> }>();
  const groupOf = (stamp: Stamp) => {
    const id = `${stamp.n} ${stamp.start}`;
    const isFloor = compareStamps(stamp, state.floor) === 0 && stamp.n > 0;
    const group = byStamp.get(id) ?? { stamp, isFloor, fields: new Map() };
    byStamp.set(id, group);
    return group;
  };
  const write = (stamp: Stamp, name: string, json: string | undefined) => {
    groupOf(stamp).fields.set(name, json);
  };
  for (const [name, field] of state.fields) {
    if (!isShown(document, { name, field, marks, life: state.life })) {
      write(field.stamp, name, field.json);
    }
  }
  for (const name of document.names()) {
    if (state.fields.has(name) || !isName(name)) continue;
    // Replaced as a whole, or of an earlier life. The stamp beats nothing that the floor does not beat.
    write(state.floor, name, undefined);
  }
  // A node that lost its copy has to learn from the guest's that what is older is gone.
  const isFloorTold = marks.life === state.life && compareStamps(marks.floor, state.floor) >= 0;
  if (!isFloorTold && state.floor.n > 0) groupOf(state.floor);
  const groups = [...byStamp.values()];
  const newest = newestStamp(state);
  const reach = groups.reduce((most, { stamp }) => Math.max(most, stamp.n), marks.reach);
  // Removed before the guest ever saw it, or empty: nothing to write, but what the guest writes next is later.
  if (newest.n > reach || (groups.length === 0 && document.heads().length === 0)) {
    groups.push({ stamp: newest, isFloor: false, fields: new Map() });
  }
  for (const { fields } of groups) sortByName(fields);
  return groups.sort((a, b) => compareStamps(a.stamp, b.stamp));
}

function newestStamp({ floor, fields }: LatestState): Stamp {
  let newest = floor;
  for (const { stamp } of fields.values()) newest = greater(newest, stamp);
  return newest;
}

function sortByName(fields: Map<string, string | undefined>): void {
  const sorted = [...fields].sort(([a], [b]) => compareText(a, b));
  fields.clear();
  for (const [name, json] of sorted) fields.set(name, json);
}

function isShown(
  document: GuestDocument,
  { name, field, marks, life }: { name: string; field: Field; marks: ChangeMarks; life: number },
): boolean {
  const shown = shownFields(document, name, marks);
  if (field.json === undefined) return shown.length === 0;
  const showing = shown.at(-1);
  if (showing === undefined || showing.json !== field.json) return false;
  // The stamp must be right too: what the guest writes next has to be later than what it has seen.
  const newest = shown.reduce((a, b) => (compareFields(a, b) >= 0 ? a : b), showing);
  return newest.life === life && compareFields(newest, field) === 0;
}

/** Writes on top; `life` is the state's. */
export function writeGuestHistory(
  document: GuestDocument,
  writes: readonly GuestWrite[],
  life: number,
): void {
  for (const { stamp, isFloor, fields } of writes) {
    const values = new Map<string, JsonValue | undefined>();
    for (const [name, json] of fields) {
      values.set(name, json === undefined ? undefined : parseJson(json));
    }
    const timeSecs = Math.floor(stamp.n / 1024 / 1000);
    const message = printStampMessage({ stamp, life, isFloor });
    document.write(values, { message, timeSecs });
  }
}

/** Names that a state can hold; others stay the guest's own. */
function isName(name: string): boolean {
  return name !== "__proto__" && name.length <= NAME_CHARS_MAX && name.isWellFormed();
}

function greater(a: Stamp | undefined, b: Stamp): Stamp {
  return a !== undefined && compareStamps(a, b) >= 0 ? a : b;
}

function compareFields(a: Field, b: Field): number {
  return compareStamps(a.stamp, b.stamp) || compareText(a.json ?? "", b.json ?? "");
}
