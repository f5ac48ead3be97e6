// Rules broken on purpose, to show that the judge of the simulated worlds finds out. Each breaks what one promise
// rests on, at the border of the store, where the nodes themselves can't notice.
import type { Random } from "../../scripts/model/random.ts";
import { compareStamps } from "../../src/store/stamp.ts";
import { decodeState, encodeState, type State } from "../../src/store/state.ts";
import type { IncomingState, MergeOutcome, Store } from "../../src/store/store.ts";

type Merge = (incoming: IncomingState, origin: string) => Promise<MergeOutcome>;

export interface Sabotage {
  readonly name: string;
  /** What a node does with a state that a peer sends, in place of joining it. */
  merge(store: Store, random: Random): Merge;
}

/** A merge that first changes what came; unchanged states go through as they are. */
function altered(
  name: string,
  alter: (state: State, random: Random) => State | undefined,
): Sabotage {
  return {
    name,
    merge: (store, random) => async (incoming, origin) => {
      const state = alter(decodeState(incoming.bytes), random);
      if (state === undefined) return { kind: "equal" };
      return await store.merge({ ...incoming, bytes: encodeState(state) }, origin);
    },
  };
}

export const SABOTAGES: readonly Sabotage[] = [
  altered("one in five states is acknowledged and thrown away", (state, random) =>
    random.chance(20) ? undefined : state,
  ),
  altered("tombstones are not taken in", (state) => (state.form === "deleted" ? undefined : state)),
  altered("what arrives last wins, whatever it had seen", (state) => {
    if (state.form !== "latest") return state;
    const fields = [...state.fields].map(([name, field]) => {
      return [name, { ...field, stamp: { ...field.stamp, n: field.stamp.n + 2 ** 30 } }] as const;
    });
    return { ...state, fields: new Map(fields) };
  }),
  altered("a removed field is forgotten by whom it is told to", (state) => {
    if (state.form !== "latest") return state;
    const kept = [...state.fields].filter(([, field]) => field.json !== undefined);
    return { ...state, fields: new Map(kept) };
  }),
  altered("the floor of a replacement is not told", (state) => {
    if (state.form !== "latest") return state;
    let floor = state.floor;
    for (const { stamp } of state.fields.values()) {
      if (compareStamps(stamp, floor) < 0) floor = stamp;
    }
    return { ...state, floor: { ...floor, n: Math.max(0, floor.n - 2 ** 40) } };
  }),
];
