// The one way in which two states become one: commutative, associative, idempotent. Order of merging,
// relaying, compacting and restarting can't matter, because nothing else ever combines states.
//
//   greater life wins whole; then history over latest; then
//   history: union of changes
//   latest:  greater floor; per field the greater (stamp, value); fields below the floor dropped
//   deleted: the greater tombstone
import { assert } from "../base/assert.ts";
import { compareText } from "../base/text.ts";
import { uniteHistories } from "./history.ts";
import { compareStamps } from "./stamp.ts";
import {
  type DeletedState,
  type Field,
  type HistoryState,
  kindOfState,
  type LatestState,
  type State,
} from "./state.ts";

const FORM_RANK = { history: 1, latest: 0 } as const;

/** How two histories are united; replaceable, so that the store may use a document that is loaded already. */
export type UniteHistories = (a: HistoryState, b: HistoryState) => HistoryState;

/** The least state that includes both. Returns `a` itself when `b` adds nothing to a latest or deleted one. */
export function join(a: State, b: State, unite: UniteHistories = uniteHistories): State {
  if (a.life !== b.life) return a.life > b.life ? a : b;
  const rank = FORM_RANK[kindOfState(a)] - FORM_RANK[kindOfState(b)];
  if (rank !== 0) return rank > 0 ? a : b;
  if (a.form === "deleted" || b.form === "deleted") {
    assert(
      a.form === "deleted" && b.form === "deleted",
      "equal lives are both alive or both deleted",
    );
    return joinDeleted(a, b);
  }
  if (a.form === "history" && b.form === "history") return unite(a, b);
  assert(a.form === "latest" && b.form === "latest", "equal kinds have equal forms");
  return joinLatest(a, b);
}

function joinLatest(a: LatestState, b: LatestState): LatestState {
  const floor = compareStamps(a.floor, b.floor) >= 0 ? a.floor : b.floor;
  const fields = new Map<string, Field>();
  for (const source of [a.fields, b.fields]) {
    for (const [name, field] of source) {
      if (compareStamps(field.stamp, floor) < 0) continue;
      const other = fields.get(name);
      if (other === undefined || compareFields(field, other) > 0) fields.set(name, field);
    }
  }
  return { form: "latest", life: a.life, born: Math.max(a.born, b.born), floor, fields };
}

// Two values under one stamp can come only from a fault or a forger; the order of their texts still makes
// every node choose the same one.
function compareFields(a: Field, b: Field): number {
  const order = compareStamps(a.stamp, b.stamp);
  return order !== 0 ? order : compareText(a.json ?? "", b.json ?? "");
}

function joinDeleted(a: DeletedState, b: DeletedState): DeletedState {
  const order =
    a.deletedAt - b.deletedAt || compareText(a.by, b.by) || compareText(a.reason, b.reason);
  const winner = order >= 0 ? a : b;
  const born = Math.max(a.born, b.born);
  return born === winner.born ? winner : { ...winner, born };
}
