// Documents that the disk has damaged: found by whoever reads them, or by the scrub; set aside by the next group;
// then waited for, because a peer mostly has them.
import { type Clock, sleep } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { CrdtCache } from "./crdt-cache.ts";
import type { Database } from "./database.ts";
import type { DocumentKey } from "./document-key.ts";
import { type DamagedRow, damageOf, isDamaged, type Row } from "./row.ts";
import { readLife } from "./state.ts";

const log = getLog("peat_mesh::storage::automerge_store");

/** How long a peer has to send a lost document before it may be written to without what was in it. */
const REFILL_MS = 30_000;
/** A life above every one that documents come to, for those whose own can't be read any more. */
const LIFE_UNKNOWN = 0x1_0000;

/** The scrub reads for this long at a time, and then leaves the disk and the core to others. */
const SCRUB_STEP_MS = 4;
const SCRUB_PAUSE_MS = 100;
const SCRUB_ROWS = 16;
const SCRUB_EVERY_MS = 24 * 60 * 60_000;

interface Loss {
  /** Of Clock.monotonic(). */
  readonly untilMs: number;
  /** The next one above the life that was lost. */
  readonly nextLife: number;
}

export interface DamageOptions {
  readonly database: Database;
  readonly cache: CrdtCache;
  readonly clock: Clock;
  /** Called when there is something to be set aside. */
  readonly wake: () => void;
}

export class Damage {
  readonly #options: DamageOptions;
  readonly #found = new Map<number, DamagedRow>();
  readonly #lost = new Map<DocumentKey, Loss>();
  readonly #listeners = new Set<(key: DocumentKey) => void>();

  constructor(options: DamageOptions) {
    this.#options = options;
    for (const row of options.database.lost()) this.#lose(row);
  }

  /** Damaged rows that are to be set aside with the next commit. */
  get found(): readonly DamagedRow[] {
    return [...this.#found.values()];
  }

  /** Notes a damaged row. Nothing of it is used any more. */
  add(row: DamagedRow): void {
    if (this.#found.has(row.seq)) return;
    this.#found.set(row.seq, row);
    this.#options.cache.renewActor(row.key);
    this.#lose(row);
    this.#options.wake();
  }

  /** To be called after a commit: what it set aside, and which documents it wrote. */
  committed(rows: readonly DamagedRow[], written: readonly { readonly key: DocumentKey }[]): void {
    for (const { key } of written) this.#lost.delete(key);
    for (const { seq, key } of rows) {
      this.#found.delete(seq);
      log.error("Damaged document set aside; peers will be asked for it", { doc_key: key });
      for (const tell of this.#listeners) tell(key);
    }
  }

  /** Undefined where there is none, or a damaged one, which is set aside then. */
  rowOf(key: DocumentKey): Row | undefined {
    const row = this.#options.database.get(key);
    if (!isDamaged(row)) return row;
    this.add(row);
    return undefined;
  }

  /** Whether its content was damaged here and has not come back yet. */
  isLost(key: DocumentKey): boolean {
    return this.#lost.has(key);
  }

  /**
   * The life that a local write to an absent document begins: above the lost one, so that the write is not undone
   * by what a peer brings back later. Fault `not_ready` while a peer may still send the document.
   */
  lifeOfWrite(key: DocumentKey): number {
    this.checkAbsent(key);
    return this.#lost.get(key)?.nextLife ?? 0;
  }

  /** Fault `not_ready` for a document that was damaged here and that a peer may still send: it is not absent. */
  checkAbsent(key: DocumentKey): void {
    const leftMs = (this.#lost.get(key)?.untilMs ?? 0) - this.#options.clock.monotonic();
    if (leftMs <= 0) return;
    const name = key.replace(":", "/");
    throw new Fault(
      "not_ready",
      `document ${name} was damaged on this node's disk and is being fetched from a peer; try again, in ${Math.ceil(leftMs / 1000)} s at the latest`,
    );
  }

  /** Called when a damaged document has been set aside: a peer may have a good one. */
  onDamage(listener: (key: DocumentKey) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks at every row, slowly, once a day: what nobody reads would be found when it is needed. */
  async scrub(signal: AbortSignal): Promise<void> {
    const { clock, database } = this.#options;
    let after = 0;
    let until = database.lastSeq();
    while (!signal.aborted) {
      const isPassOver = after >= until;
      await sleep(clock, isPassOver ? SCRUB_EVERY_MS : SCRUB_PAUSE_MS, signal);
      if (signal.aborted) return;
      if (isPassOver) [after, until] = [0, database.lastSeq()];
      const stopMs = clock.monotonic() + SCRUB_STEP_MS;
      while (after < until && clock.monotonic() < stopMs) after = this.#scrubSome(after, until);
    }
  }

  #scrubSome(after: number, until: number): number {
    const rows = this.#options.database.since(after, until, SCRUB_ROWS);
    for (const row of rows) {
      const found = damageOf(row);
      if (found !== undefined) this.add(found);
    }
    return rows.at(-1)?.seq ?? until;
  }

  #lose({ key, state }: { key: DocumentKey; state: Uint8Array }): void {
    const life = Math.min(readLife(state) ?? LIFE_UNKNOWN, LIFE_UNKNOWN);
    const known = this.#lost.get(key)?.nextLife ?? 0;
    // Even lives are alive.
    const nextLife = Math.max(known, life + 2 - (life % 2));
    this.#lost.set(key, { untilMs: this.#options.clock.monotonic() + REFILL_MS, nextLife });
  }
}
