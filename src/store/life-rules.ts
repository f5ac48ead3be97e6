// What a collection's policy makes of a write: whether it may be, how long its result lives, and what is taken from a
// peer. The policies bind callers of this node; of what members send only that is not taken which is too old.
import { Fault } from "../base/faults.ts";
import type { CollectionPolicies, CollectionPolicy } from "./collection-policies.ts";
import type { Database } from "./database.ts";
import { splitKey } from "./document-key.ts";
import { type Entry, isShown } from "./entry.ts";
import { HistoryDocument } from "./history.ts";
import { dueAt, horizonAt, newestIn } from "./lifetimes.ts";
import { NO_START, type Stamp, type Stamper, ZERO_STAMP } from "./stamp.ts";
import type { State } from "./state.ts";

export interface LifeRulesOptions {
  readonly database: Database;
  readonly policies: CollectionPolicies;
  readonly stamper: Stamper;
}

export class LifeRules {
  readonly #options: LifeRulesOptions;

  constructor(options: LifeRulesOptions) {
    this.#options = options;
  }

  #policyOf(key: string): CollectionPolicy {
    return this.#options.policies.of(splitKey(key).collection);
  }

  /** Fault `conflict` for a second write, or a delete, of a document that may be written once. */
  checkMutable({ key, state, isHidden }: Entry): void {
    if (state === undefined || isHidden || this.#policyOf(key).deletion.kind !== "immutable") {
      return;
    }
    const { collection } = splitKey(key);
    const sentence = `collection ${collection} is immutable (PEAT_DELETION_POLICIES, SetCollectionConfig): a document is written once, and neither changed nor deleted`;
    throw new Fault("conflict", sentence);
  }

  /** Whether a write that changes nothing makes the document younger all the same. */
  refreshes(key: string): boolean {
    return this.#policyOf(key).ttlSecs !== undefined;
  }

  /** The floor of a document that a PATCH begins: below it is only what is too old to be served anyway. */
  beginning(key: string): Stamp {
    const { ttlSecs } = this.#policyOf(key);
    if (ttlSecs === undefined) return ZERO_STAMP;
    const n = Math.max(0, this.#options.stamper.nowMs() - ttlSecs * 1000) * 1024;
    return { n, start: NO_START };
  }

  /** Sets an entry's times for its new state. */
  date(entry: Entry, state: State, changedAt?: number): void {
    const isDeleted = state.form === "deleted";
    entry.newestAt = newestIn(state, changedAt);
    entry.due = dueAt(this.#options.policies, {
      key: entry.key,
      isDeleted,
      newestAt: entry.newestAt,
    });
    entry.isHidden = !isDeleted && this.#isPast(entry.due);
  }

  #isPast(due: number | undefined): boolean {
    return due !== undefined && due <= this.#options.stamper.nowMs();
  }

  /** Some collections keep what is deleted, for as long as the tombstone. */
  keepContent(entry: Entry): void {
    const { kind } = this.#policyOf(entry.key).deletion;
    if (kind !== "soft_delete" && kind !== "immutable") return;
    if (isShown(entry) && entry.json !== undefined) {
      entry.aside = { why: "deleted", json: entry.json };
    }
  }

  /** Whether it is a life that the formation may have ended and forgotten while the sender was away. */
  isOrphan(entry: Entry, theirs: State, suspectUntil: number | undefined): boolean {
    if (suspectUntil === undefined || entry.state !== undefined) return false;
    if (theirs.form === "deleted" || theirs.born > suspectUntil) return false;
    // What this node's own disk lost says nothing of the formation.
    return !this.#options.database.aside.has("damaged", entry.key);
  }

  /**
   * Whether a state has had its time so long ago that no sums count it any more. Of a history, once it is loaded
   * and `changedAt` is known.
   */
  isBygone(key: string, state: State, changedAt?: number): boolean {
    const due = this.#dueOf(key, state, changedAt);
    return due !== undefined && due <= horizonAt(this.#options.stamper.nowMs());
  }

  #dueOf(key: string, state: State, changedAt: number | undefined): number | undefined {
    if (state.form === "history" && changedAt === undefined) return undefined;
    const newestAt = newestIn(state, changedAt);
    return dueAt(this.#options.policies, { key, isDeleted: state.form === "deleted", newestAt });
  }

  /**
   * Whether our hidden state is to be forgotten for what a peer has: its fields would come back with the newer
   * ones. Nothing is lost by it: a peer that still serves what we forget sends it again.
   */
  isForgotten({ key, state, isHidden }: Entry, theirs: State): boolean {
    if (!isHidden || state === undefined || theirs.life !== state.life) return false;
    if (theirs.form !== state.form || this.#isPast(this.#dueOf(key, theirs, undefined)))
      return false;
    if (theirs.form !== "history") return true;
    // Changes that continue ours need ours.
    const alone = HistoryDocument.load(theirs.chunks, NO_START);
    if (alone === undefined) return false;
    const due = this.#dueOf(key, theirs, alone.changedAt());
    alone.free();
    return !this.#isPast(due);
  }
}
