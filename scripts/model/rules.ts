// What a node does with a document, as the model run sees it: the product's pure functions under one interface,
// so that broken variants can take their place.
import { concatBytes } from "../../src/base/bytes.ts";
import { CollectionPolicies, NO_CHOICES } from "../../src/store/collection-policies.ts";
import { HistoryDocument, headsOf } from "../../src/store/history.ts";
import { join } from "../../src/store/join.ts";
import {
  deleteState,
  lifeOfWrite,
  type WriteOperation,
  writeHistory,
  writeLatest,
} from "../../src/store/local-write.ts";
import { type Stamper, ZERO_STAMP } from "../../src/store/stamp.ts";
import {
  decodeState,
  encodeState,
  type Field,
  type HistoryState,
  hashBytes,
  hashHistory,
  type LatestState,
  printLatest,
  type State,
} from "../../src/store/state.ts";

const POLICIES = new CollectionPolicies(NO_CHOICES);

export type Content = Exclude<WriteOperation, { kind: "delete" }>;

/** `S` is what a node keeps of a document; only these functions look into it. */
export interface Rules<S> {
  readonly name: string;
  /** Undefined when nothing changes. */
  write(
    before: S | undefined,
    collection: string,
    content: Content,
    stamper: Stamper,
  ): S | undefined;
  /** Called for documents that are alive only. */
  remove(before: S, by: string, stamper: Stamper): S;
  join(a: S, b: S): S;
  /** Through bytes and back. */
  reencode(state: S): S;
  /** What compaction leaves; undefined: nothing at all. */
  compact(state: S): S | undefined;
  /** What a node that has `known` is sent. */
  toSend(state: S, known: S | undefined): S;
  hash(state: S): string;
  /** JSON text; undefined when deleted. */
  json(state: S): string | undefined;
}

export type StateRules = Rules<State>;

function usingHistory<T>(
  chunks: Uint8Array | undefined,
  start: Stamper["start"],
  use: (document: HistoryDocument) => T,
): T {
  const document =
    chunks === undefined ? HistoryDocument.empty(start) : HistoryDocument.load(chunks, start);
  if (document === undefined) throw new Error("a history of the model is incomplete");
  try {
    return use(document);
  } finally {
    document.free();
  }
}

const NO_ACTOR = "f".repeat(32) as Stamper["start"];

function writeToHistory(
  before: State | undefined,
  content: Content,
  life: { life: number; born: number },
  stamper: Stamper,
): HistoryState | undefined {
  const chunks = before?.form === "history" ? before.chunks : undefined;
  return usingHistory(chunks, stamper.start, (document) => {
    const present = chunks === undefined ? undefined : document.printJson();
    const written = writeHistory(document, content, {
      present,
      nowMs: stamper.nowMs(),
      refreshes: false,
    });
    if (written === undefined) return undefined;
    const grown = chunks === undefined ? written.change : concatBytes([chunks, written.change]);
    return { form: "history", life: life.life, born: life.born, chunks: grown };
  });
}

/** The same parts put together in another order. */
function rebuild(state: LatestState): LatestState {
  const names = [...state.fields.keys()].reverse();
  const fields = new Map<string, Field>();
  for (const name of names) {
    const field = state.fields.get(name);
    if (field !== undefined) fields.set(name, { stamp: { ...field.stamp }, json: field.json });
  }
  return { ...state, floor: { ...state.floor }, fields };
}

export const productRules: StateRules = {
  name: "product",
  write(before, collection, content, stamper) {
    const life = lifeOfWrite(before, {
      kind: POLICIES.kindOf(collection),
      nowMs: stamper.nowMs(),
      firstLife: 0,
    });
    const plain = { refreshes: false, beginning: ZERO_STAMP };
    if (life.kind === "latest") return writeLatest(before, content, { life, stamper, ...plain });
    return writeToHistory(before, content, life, stamper);
  },
  remove(before, by, stamper) {
    return deleteState(before, { key: "", by, reason: "", stamper });
  },
  join: (a, b) => join(a, b),
  reencode: (state) => decodeState(encodeState(state)),
  compact(state) {
    if (state.form === "latest") return rebuild(state);
    if (state.form === "deleted") return state;
    const chunks = usingHistory(state.chunks, NO_ACTOR, (document) => document.save());
    return { ...state, chunks };
  },
  toSend(state, known) {
    if (state.form !== "history" || known?.form !== "history" || known.life !== state.life) {
      return state;
    }
    const heads = headsOf(known);
    const chunks = usingHistory(state.chunks, NO_ACTOR, (d) => d.changesSince(heads));
    return chunks.length === 0 ? known : { ...state, chunks: concatBytes([known.chunks, chunks]) };
  },
  hash(state) {
    return state.form === "history"
      ? hashHistory(state, headsOf(state))
      : hashBytes(encodeState(state));
  },
  json(state) {
    switch (state.form) {
      case "deleted":
        return undefined;
      case "latest":
        return printLatest(state);
      case "history":
        return usingHistory(state.chunks, NO_ACTOR, (document) => document.printJson());
    }
  },
};
