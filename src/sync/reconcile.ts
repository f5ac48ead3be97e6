// Finding what differs between two stores by their sums: one step per message, no state between steps.
//
//   All of it is as of the later one of both nodes' horizons: see store/lifetimes.ts.
//
//   sums     unequal prefixes come back as their children's sums, or, where few documents are left, as leaves
//   leaves   what the peer lacks is sent; what we lack or both have unequally is compared
//   compare  the answer is our state, or the part of a history that the peer's heads don't have; heads that we
//            don't know are answered with ours, for the peer to send what we lack before anything whole is sent
import type { DocumentKey } from "../store/document-key.ts";
import { childrenOf, DEPTH, FAN_OUT, type Prefix, ROOT } from "../store/sums.ts";
import {
  type CompareEntry,
  inFrames,
  type NativeMessage,
  NO_HASH,
  type SumEntry,
} from "../wire/native.ts";
import type { Outbox } from "./outbox.ts";
import type { ComparedStore } from "./rule-differences.ts";

/** Prefixes with no more documents than this on both sides together are listed instead of split. */
const LIST_BELOW = 48;

/** Documents that one answer lists at most, but for those of its last prefix. */
const LISTED_MAX = 10_000;

type Message<T extends NativeMessage["type"]> = Extract<NativeMessage, { type: T }>;

export function rootSums(store: ComparedStore): NativeMessage {
  const { horizon } = store;
  return { type: "sums", horizon, entries: [sumEntry(store, ROOT, horizon)] };
}

function sumEntry(store: ComparedStore, prefix: Prefix, horizon: number): SumEntry {
  return { ...prefix, ...store.sum(prefix, horizon) };
}

function isPrefix({ depth, index }: Prefix): boolean {
  return depth <= DEPTH && index < FAN_OUT ** depth;
}

/** Answers to a peer's sums. An equal root is answered with `agreed`. */
export function answerSums(
  store: ComparedStore,
  outbox: Outbox,
  message: Message<"sums">,
): { replies: NativeMessage[]; isAgreed: boolean; isPartial: boolean } {
  const replies: NativeMessage[] = [];
  let listed = 0;
  const split: SumEntry[] = [];
  let isAgreed = false;
  const horizon = Math.max(message.horizon, store.horizon);
  for (const theirs of message.entries.filter(isPrefix)) {
    const ours = store.sum(theirs, horizon);
    const isEqual = ours.count === theirs.count && ours.sum === theirs.sum;
    if (isEqual && theirs.depth === 0) {
      isAgreed = true;
      replies.push({ type: "agreed", horizon, ...ours });
    }
    if (isEqual) continue;
    if (theirs.count === 0) outbox.pushBulkBelow(theirs);
    else if (isListed(theirs, ours.count)) {
      // What is beyond the limit is found by the next comparison, when this one has settled its part.
      if (listed < LISTED_MAX) replies.push(leavesOf(store, theirs, horizon));
      listed += ours.count + 1;
    } else split.push(...childrenOf(theirs).map((child) => sumEntry(store, child, horizon)));
  }
  for (const entries of inFrames(split, () => 23)) replies.push({ type: "sums", horizon, entries });
  return { replies, isAgreed, isPartial: listed >= LISTED_MAX };
}

function isListed(theirs: SumEntry, ourCount: number): boolean {
  return theirs.depth === DEPTH || ourCount === 0 || ourCount + theirs.count <= LIST_BELOW;
}

function leavesOf(store: ComparedStore, { depth, index }: Prefix, horizon: number): NativeMessage {
  const entries = store.leaves({ depth, index }, horizon);
  return { type: "leaves", horizon, depth, index, entries };
}

/** Compares a peer's leaves with ours; what it lacks goes to the outbox. */
export function answerLeaves(
  store: ComparedStore,
  outbox: Outbox,
  message: Message<"leaves">,
  mayClaim: Claim,
): NativeMessage[] {
  if (!isPrefix(message)) return [];
  if (message.entries.length === 0) {
    outbox.pushBulkBelow(message);
    return [];
  }
  const theirs = new Map(message.entries.map(({ key, hash }) => [key, hash]));
  const lacking: DocumentKey[] = [];
  const unequal: CompareEntry[] = [];
  for (const { key, hash } of store.leaves(message, message.horizon)) {
    const their = theirs.get(key);
    theirs.delete(key);
    if (their === undefined) lacking.push(key);
    else if (their !== hash && mayClaim(key, true)) unequal.push(compareEntry(store, key, hash));
  }
  outbox.pushBulk(lacking);
  for (const [text, hash] of theirs) {
    const key = text as DocumentKey;
    // What has had its time here, and is otherwise the same, needs no answer.
    if (store.hashOf(key) === hash) continue;
    if (mayClaim(key, false)) unequal.push({ key, hash: NO_HASH, heads: [] });
  }
  return compareMessages(unequal);
}

/** "This is what I have": with the heads of a history, so that only what is missing comes back. */
function compareEntry(store: ComparedStore, key: DocumentKey, hash: string): CompareEntry {
  return { key, hash, heads: store.headsOf(key) ?? [] };
}

export function compareMessages(entries: readonly CompareEntry[]): NativeMessage[] {
  return inFrames(entries, ({ key, heads }) => key.length + 20 + 32 * heads.length).map((list) => ({
    type: "compare",
    entries: list,
  }));
}

/** Whether a document may be settled with this peer; one that we have not at all may be on its way from another. */
export type Claim = (key: DocumentKey, isKnown: boolean) => boolean;

/** Answers to "this is what I have": our state where it differs, our heads where theirs are needed to choose. */
export function answerCompare(
  store: ComparedStore,
  outbox: Outbox,
  message: Message<"compare">,
  mayClaim: Claim,
): NativeMessage[] {
  const back: CompareEntry[] = [];
  for (const { key: text, hash, heads } of message.entries) {
    const key = text as DocumentKey;
    const ours = store.hashOf(key);
    if (ours === hash) outbox.has(key, hash);
    else if (hash === NO_HASH) {
      if (ours === undefined) continue;
      outbox.pushState(key, knownHeads(store, key, heads));
    } else if (!mayClaim(key, ours !== undefined)) continue;
    else if (ours === undefined) back.push({ key, hash: NO_HASH, heads: [] });
    else back.push(...answerOne(store, outbox, { key, ours, heads }));
  }
  return compareMessages(back);
}

function answerOne(
  store: ComparedStore,
  outbox: Outbox,
  { key, ours, heads }: { key: DocumentKey; ours: string; heads: readonly string[] },
): CompareEntry[] {
  const own = store.headsOf(key);
  if (own === undefined) {
    outbox.pushState(key);
    // A tombstone against a history: which of them wins shows only to who has both, so each is sent whole.
    return heads.length === 0 ? [] : [{ key, hash: NO_HASH, heads: [] }];
  }
  // Without heads the peer only said that it differs: it gets ours, and answers with what we lack.
  if (heads.length === 0) return [{ key, hash: ours, heads: own }];
  if (store.hasHeads(key, heads)) {
    outbox.pushState(key, heads);
    // With the same changes only what is beside them can differ, and either side may have the greater of it.
    return heads.length === own.length && own.every((head) => heads.includes(head))
      ? [{ key, hash: NO_HASH, heads: own }]
      : [];
  }
  // What we lack comes first: until then nothing tells which of our changes the peer has. A zero hash is
  // answered with changes only, so this can't go to and fro.
  return [{ key, hash: NO_HASH, heads: own }];
}

function knownHeads(store: ComparedStore, key: DocumentKey, heads: readonly string[]): string[] {
  return heads.filter((head) => store.hasHeads(key, [head]));
}

/** What to do when a state has been joined and ours has more, or the changes could not be applied. */
export function answerMerge(
  store: ComparedStore,
  outbox: Outbox,
  merged: { key: DocumentKey; kind: "ahead" | "incomplete" },
): NativeMessage[] {
  const { key } = merged;
  const ours = store.hashOf(key);
  const isHistory = ours !== undefined && store.headsOf(key) !== undefined;
  if (merged.kind === "ahead" && !isHistory) {
    outbox.pushState(key);
    return [];
  }
  if (ours === undefined) return compareMessages([{ key, hash: NO_HASH, heads: [] }]);
  return compareMessages([compareEntry(store, key, ours)]);
}
