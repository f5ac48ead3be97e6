// Broken variants of the rules. A run that does not find them would not find a broken product either.
import { join } from "../../src/store/join.ts";
import { mergePatch, parseJson, parseJsonObject, printJson } from "../../src/store/json.ts";
import { compareStamps, type Stamp, ZERO_STAMP } from "../../src/store/stamp.ts";
import { type Field, highestN, type LatestState, type State } from "../../src/store/state.ts";
import { productRules, type Rules, type StateRules } from "./rules.ts";

interface Whole {
  readonly at: Stamp;
  /** Undefined: deleted. */
  readonly json: string | undefined;
}

/** Compaction without a mergeable state: each node keeps one version, and the newer one wins whole. */
export const newerWinsWhole: Rules<Whole> = {
  name: "the newer version of a document wins whole",
  write(before, _collection, content, stamper) {
    const body = parseJsonObject(content.body);
    const present = before?.json === undefined ? undefined : parseJson(before.json);
    const after = content.kind === "put" ? body : mergePatch(present ?? {}, body);
    return { at: stamper.next(before?.at.n ?? 0), json: printJson(after) };
  },
  remove: (before, _by, stamper) => ({ at: stamper.next(before.at.n), json: undefined }),
  join: (a, b) => (compareStamps(a.at, b.at) >= 0 ? a : b),
  reencode: (state) => ({ ...state }),
  compact: (state) => state,
  toSend: (state) => state,
  hash: (state) => `${state.at.n} ${state.at.start} ${state.json}`,
  json: (state) => state.json,
};

function isLatest(state: State): state is LatestState {
  return state.form === "latest";
}

function withoutFloor(a: LatestState, b: LatestState): LatestState {
  const joined = join(a, b);
  if (!isLatest(joined)) return a;
  const fields = new Map(joined.fields);
  for (const source of [a.fields, b.fields]) {
    for (const [name, field] of source) if (!fields.has(name)) fields.set(name, field);
  }
  return { ...joined, fields };
}

const joinIgnoresFloor: StateRules = {
  ...productRules,
  name: "join ignores the floor",
  join(a, b) {
    if (isLatest(a) && isLatest(b) && a.life === b.life) return withoutFloor(a, b);
    return join(a, b);
  },
};

function isNewerEdit(edit: State, tombstone: State): boolean {
  return (
    tombstone.form === "deleted" &&
    isLatest(edit) &&
    tombstone.life === edit.life + 1 &&
    highestN(edit) > tombstone.deletedAt * 1024
  );
}

const deleteLosesToNewerEdit: StateRules = {
  ...productRules,
  name: "a delete loses to a newer concurrent edit",
  join(a, b) {
    if (isNewerEdit(a, b)) return a;
    return isNewerEdit(b, a) ? b : join(a, b);
  },
};

/** Gives what was just written a stamp of the writer's own clock, whatever it had seen. */
const stampsIgnoreWhatWasSeen: StateRules = {
  ...productRules,
  name: "stamps follow the clock alone",
  write(before, collection, content, stamper) {
    const after = productRules.write(before, collection, content, stamper);
    if (after === undefined || !isLatest(after)) return after;
    const written = highestN(after);
    const own = { n: stamper.nowMs() * 1024, start: stamper.start };
    const fix = (stamp: Stamp) => (stamp.n === written ? own : stamp);
    const floor = fix(after.floor);
    const fields = new Map<string, Field>();
    for (const [name, { stamp, json }] of after.fields)
      fields.set(name, { stamp: fix(stamp), json });
    return { ...after, floor, fields };
  },
};

const compactionForgetsDeletes: StateRules = {
  ...productRules,
  name: "compaction drops tombstones",
  compact: (state) => (state.form === "deleted" ? undefined : productRules.compact(state)),
};

const patchStampsEverything: StateRules = {
  ...productRules,
  name: "PATCH stamps the whole document",
  write(before, collection, content, stamper) {
    const after = productRules.write(before, collection, content, stamper);
    if (after === undefined || !isLatest(after) || content.kind === "put") return after;
    const stamp = { n: highestN(after), start: stamper.start };
    const fields = new Map<string, Field>();
    for (const [name, { json }] of after.fields) fields.set(name, { stamp, json });
    return { ...after, fields };
  },
};

const putHasNoFloor: StateRules = {
  ...productRules,
  name: "PUT sets no floor",
  write(before, collection, content, stamper) {
    const after = productRules.write(before, collection, content, stamper);
    if (after === undefined || !isLatest(after)) return after;
    const present = before?.form === "latest" ? before.fields : new Map<string, Field>();
    const removed = new Map<string, Field>();
    const stamp = { n: highestN(after), start: stamper.start };
    for (const name of present.keys()) removed.set(name, { stamp, json: undefined });
    return { ...after, floor: ZERO_STAMP, fields: new Map([...removed, ...after.fields]) };
  },
};

const revivalKeepsLife: StateRules = {
  ...productRules,
  name: "a write on a deleted document stays in its first life",
  write(before, collection, content, stamper) {
    const after = productRules.write(before, collection, content, stamper);
    return before?.form === "deleted" && after !== undefined ? { ...after, life: 0 } : after;
  },
};

/** Each must be found out. */
export const stateMutants: readonly StateRules[] = [
  joinIgnoresFloor,
  deleteLosesToNewerEdit,
  stampsIgnoreWhatWasSeen,
  compactionForgetsDeletes,
  patchStampsEverything,
  putHasNoFloor,
  revivalKeepsLife,
];
