// How far this node's memory of deletions reaches, and until when it has heard of others' deletions. A stub is kept
// for a limited time; a node that was away for longer may hold documents that everybody else has deleted and
// forgotten. What tells such a node from others are two moments:
//
//   metAt        until then this node and a peer held the same: it knows every deletion before
//   forgottenAt  of the deletions up to then this node, or one that it agreed with, has forgotten some
//
// A peer whose metAt lies before our forgottenAt may offer what was deleted meanwhile. What it has and we neither
// have nor remember is then suspect if its life began before that peer's metAt; what it began later nobody else can
// have deleted. A formation that was switched off as a whole loses nothing by this: its nodes agreed until the end,
// so that none of them has what the others lack, and what they wrote afterwards is not suspect.
import { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { Database } from "./database.ts";

const log = getLog("peat_mesh::storage::automerge_store");

/** metAt is written this often while a peer holds the same. */
const MET_EVERY_MS = 10 * 60_000;
/** Clocks of members may differ by this much. */
const SKEW_MS = 10 * 60_000;

export interface MemoryMarks {
  /** Ms since the Unix epoch; 0: never met anybody. */
  readonly metAt: number;
  /** Ms since the Unix epoch; 0: nothing was ever forgotten. */
  readonly forgottenAt: number;
}

/**
 * Until when (ms) the lives of a peer's documents are suspect to a node that has forgotten deletions up to
 * `forgottenAt`; undefined: not at all.
 */
export function suspectUntil(
  peer: { readonly metAt: number },
  own: { readonly forgottenAt: number },
): number | undefined {
  if (own.forgottenAt === 0 || peer.metAt >= own.forgottenAt + SKEW_MS) return undefined;
  return peer.metAt + MET_EVERY_MS + SKEW_MS;
}

export class DeletionMemory {
  readonly #database: Database;
  readonly #memoryMs: number;
  #metAt: number;
  #forgottenAt: number;

  /** `memoryMs`: how long stubs are kept. */
  constructor(database: Database, memoryMs: number) {
    this.#database = database;
    this.#memoryMs = memoryMs;
    this.#metAt = readMs(database, "met_at");
    this.#forgottenAt = readMs(database, "forgotten_at");
  }

  get marks(): MemoryMarks {
    return { metAt: this.#metAt, forgottenAt: this.#forgottenAt };
  }

  /** A peer that has `peer.forgottenAt` and this node hold the same now. Written at most every few minutes. */
  met(now: number, peer: { readonly forgottenAt: number }): void {
    // Nobody forgets so soon: a clock that is ahead must not make others' documents suspect.
    const told = Math.min(peer.forgottenAt, now - this.#memoryMs);
    const isNew = told >= this.#forgottenAt + MET_EVERY_MS;
    const isRecent = now >= this.#metAt && now < this.#metAt + MET_EVERY_MS;
    if (isRecent && !isNew) return;
    try {
      this.#database.write([], [], now, () => {
        this.#database.setMeta("met_at", String(now));
        if (isNew) this.#database.setMeta("forgotten_at", String(told));
      });
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== "storage_full") throw error;
      log.debug("No room to remember the agreement with a peer", { cause: error.message });
      return;
    }
    this.#metAt = now;
    if (isNew) this.#forgottenAt = told;
  }

  /** To be called in the transaction that forgets a deletion of that moment. */
  forget(deletedAt: number): void {
    if (deletedAt <= this.#forgottenAt) return;
    this.#database.setMeta("forgotten_at", String(deletedAt));
    this.#forgottenAt = deletedAt;
  }
}

function readMs(database: Database, name: string): number {
  const ms = Number(database.meta(name) ?? 0);
  return Number.isSafeInteger(ms) && ms > 0 ? ms : 0;
}
