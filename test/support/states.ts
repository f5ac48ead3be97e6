// Random document states in a universe so small that everything collides: lives, kinds, floors, stamps, values,
// tombstones, and branches of real Automerge histories.
import type { Random } from "../../scripts/model/random.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { HistoryDocument, headsOf } from "../../src/store/history.ts";
import type { JsonObject } from "../../src/store/json.ts";
import { compareStamps, type Stamp, type StartId } from "../../src/store/stamp.ts";
import {
  type DeletedState,
  encodeState,
  type Field,
  type HistoryState,
  hashBytes,
  hashHistory,
  type LatestState,
  printLatest,
  type State,
  type StateHash,
} from "../../src/store/state.ts";

export function startId(digit: string): StartId {
  return digit.repeat(32) as StartId;
}

const STARTS = ["0", "1", "a", "f"].map(startId);
const NAMES = ["a", "b", "lat", "ü"];
const TEXTS = ["1", "2", "1.0", '"x"', '{"k":[1,null]}', "9007199254740993"];

function randomStamp(random: Random): Stamp {
  return { n: random.below(4), start: random.pick(STARTS) };
}

function randomLatest(random: Random, common: { life: number; born: number }): LatestState {
  const floor = randomStamp(random);
  const fields = new Map<string, Field>();
  for (const name of NAMES) {
    const stamp = randomStamp(random);
    // No valid state holds a field below its floor.
    if (random.chance(30) || compareStamps(stamp, floor) < 0) continue;
    fields.set(name, { stamp, json: random.chance(25) ? undefined : random.pick(TEXTS) });
  }
  return { form: "latest", ...common, floor, fields };
}

function randomDeleted(random: Random, common: { life: number; born: number }): DeletedState {
  return {
    form: "deleted",
    ...common,
    kind: random.chance(50) ? "history" : "latest",
    deletedAt: random.below(3),
    by: random.pick(["node-a", "node-b"]),
    reason: random.pick(["", "old"]),
  };
}

/** Histories that several actors grew, forked and merged; every one is complete. */
export class HistoryPool {
  readonly #chunks: Uint8Array[] = [];

  constructor(random: Random, size: number) {
    const contents: JsonObject[] = [{}];
    while (this.#chunks.length < size) {
      const isNew = this.#chunks.length < 2 || random.chance(20);
      const parents = isNew
        ? []
        : [random.pick(this.#chunks), ...(random.chance(50) ? [random.pick(this.#chunks)] : [])];
      this.#chunks.push(this.#grow(random, parents, contents));
    }
  }

  #grow(random: Random, parents: readonly Uint8Array[], contents: JsonObject[]): Uint8Array {
    // An actor of its own for each branch: no actor may write twice from one point.
    const actor = random.fill(new Uint8Array(16)).toHex() as StartId;
    const document = HistoryDocument.empty(actor);
    for (const parent of parents) document.apply(parent);
    const before = document.toJson();
    const after: JsonObject = {
      ...before,
      [random.pick(NAMES)]: random.below(4),
      n: contents.length,
    };
    contents.push(after);
    const change = document.write(before, after, contents.length);
    const chunks = random.chance(50)
      ? document.save()
      : concatBytes([...parents, change ?? new Uint8Array()]);
    document.free();
    return chunks;
  }

  pick(random: Random): Uint8Array {
    // Overlapping saved documents after each other are a history like any other.
    const parts = Array.from({ length: 1 + random.below(2) }, () => random.pick(this.#chunks));
    return concatBytes(parts);
  }
}

/** `historyPercent`: how many of the states that are alive are Automerge histories. */
export function randomState(random: Random, pool: HistoryPool, historyPercent: number): State {
  const life = random.below(3);
  const born = random.below(3);
  if (life % 2 === 1) return randomDeleted(random, { life, born });
  if (!random.chance(historyPercent)) return randomLatest(random, { life, born });
  return { form: "history", life, born, chunks: pool.pick(random) };
}

function stateHash(state: State): StateHash {
  return state.form === "history"
    ? hashHistory(state, headsOf(state))
    : hashBytes(encodeState(state));
}

/** What readers and peers can tell of a state. */
export function observe(state: State): string {
  return `${stateHash(state)} ${jsonOf(state)}`;
}

function jsonOf(state: State): string {
  if (state.form === "deleted") return "null";
  return state.form === "latest" ? printLatest(state) : jsonOfHistory(state);
}

function jsonOfHistory(state: HistoryState): string {
  const document = HistoryDocument.load(state.chunks, startId("9"));
  if (document === undefined) return "incomplete";
  const json = document.printJson();
  document.free();
  return json;
}
