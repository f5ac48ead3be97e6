// What this node has of a document, also where callers are told that there is none: alive, deleted and by whom,
// remembered as deleted, set aside, damaged, too old.

import type { Damage } from "./damage.ts";
import type { Database } from "./database.ts";
import type { DocumentKey } from "./document-key.ts";
import { isSetAside, isTooOld } from "./entry.ts";
import type { Row } from "./row.ts";
import { compareStamps, type Stamp, ZERO_STAMP } from "./stamp.ts";
import { decodeState, type StateHash } from "./state.ts";
import type { StateReader } from "./state-reader.ts";

export type Standing =
  | { readonly kind: "absent" }
  /** It was set aside, and what was left of it in the documents has been let go since. */
  | { readonly kind: "aside" }
  /** The disk changed it; a peer mostly has it. */
  | { readonly kind: "damaged" }
  /** It was deleted so long ago that only this is remembered. */
  | { readonly kind: "forgotten"; readonly life: number; readonly deletedAt: number }
  | Present;

export interface Present {
  /** aside: deleted and forgotten elsewhere while this node was away. expired: too old to be served. */
  readonly kind: "alive" | "deleted" | "aside" | "expired";
  readonly life: number;
  readonly hash: StateHash;
  /** Of its state. */
  readonly bytes: number;
  /** Ms since the Unix epoch of the commit on this node. */
  readonly changedAt: number;
  /** Ms of the newest write in it, by the writer's clock. */
  readonly writtenAt: number;
  /** Undefined unless it is deleted. */
  readonly deletion: Deletion | undefined;
}

export interface Deletion {
  /** Ms, by the deleter's clock. */
  readonly at: number;
  readonly by: string;
  readonly reason: string;
}

/** How a document that is not deleted holds what was written, and by which starts of nodes last. */
export interface Versions {
  readonly kind: "history" | "latest";
  /** Heads of a history; fields with stamps of a latest document. */
  readonly count: number;
  /** 32 hex digits each. */
  readonly starts: readonly string[];
}

export interface StandingsOptions {
  readonly database: Database;
  readonly damage: Pick<Damage, "rowOf" | "isLost">;
  readonly states: StateReader;
  readonly now: () => number;
}

export class Standings {
  /** The last commit of documents was refused for want of room. */
  isDiskFull = false;
  readonly #options: StandingsOptions;

  constructor(options: StandingsOptions) {
    this.#options = options;
  }

  of(key: DocumentKey): Standing {
    const { database, damage, now } = this.#options;
    const row = damage.rowOf(key);
    if (row !== undefined) return this.#present(row, now());
    if (damage.isLost(key)) return { kind: "damaged" };
    const stub = database.stubs.find(key);
    if (stub !== undefined) return { kind: "forgotten", ...stub };
    return database.aside.has("orphan", key) ? { kind: "aside" } : { kind: "absent" };
  }

  #present(row: Row, now: number): Present {
    const state = decodeState(row.state);
    const isDeleted = state.form === "deleted";
    return {
      kind: isDeleted ? "deleted" : isSetAside(row) ? "aside" : aliveOr(row, now),
      life: state.life,
      hash: row.hash,
      bytes: row.state.length,
      changedAt: row.writtenAt,
      writtenAt: row.newestAt,
      deletion: isDeleted ? { at: state.deletedAt, by: state.by, reason: state.reason } : undefined,
    };
  }

  /** Undefined for what is not there, or deleted. Loads a whole history: not for what others may ask again and again. */
  versionsOf(key: DocumentKey): Versions | undefined {
    const row = this.#options.damage.rowOf(key);
    const state = row === undefined ? undefined : decodeState(row.state);
    if (row === undefined || state === undefined || state.form === "deleted") return undefined;
    if (state.form === "latest") {
      const stamps = [...state.fields.values()].map(({ stamp }) => stamp);
      const newest = stamps.reduce(later, state.floor);
      const starts = newest.n === ZERO_STAMP.n ? [] : [newest.start];
      return { kind: "latest", count: stamps.length, starts };
    }
    const history = this.#options.states.history(row.key, row);
    if (history === undefined) return undefined;
    return { kind: "history", count: history.heads().length, starts: history.lastActors() };
  }
}

function aliveOr(row: Row, now: number): "alive" | "expired" {
  return isTooOld(row, now) ? "expired" : "alive";
}

function later(a: Stamp, b: Stamp): Stamp {
  return compareStamps(a, b) >= 0 ? a : b;
}
