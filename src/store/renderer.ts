// Renders what has been committed, a little later and a little at a time: a write pays for a place in a queue, and
// a core gives at most a twentieth of its time, a two-hundredth while many documents are committed. What the queue
// can't hold, or a restart forgot, is read again from the documents: writes of one document that were committed
// meanwhile are then one.
import { SQLiteError } from "bun:sqlite";
import type { CancelTimer, Clock } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { CollectionPolicies } from "./collection-policies.ts";
import type { Database } from "./database.ts";
import { type DocumentKey, splitKey } from "./document-key.ts";
import { beginRendering, decodeTip, encodeTip, growRendering, type Tip } from "./rendering.ts";
import type { RenderingPart, RenderingUpdate } from "./rendering-table.ts";
import { isDamaged, type Row } from "./row.ts";
import type { StartId } from "./stamp.ts";
import { decodeState, isHistoryState, type LatestState } from "./state.ts";
import { toStorageFault } from "./storage-fault.ts";

const log = getLog("peat_mesh::storage::automerge_store");

export interface RendererOptions {
  readonly database: Database;
  readonly policies: CollectionPolicies;
  readonly clock: Clock;
  readonly start: StartId;
  /** Called for a failure that no disk can cause. */
  readonly onBug: (error: unknown) => void;
}

/** One document of a commit. */
export interface CommittedRow {
  readonly before: Row | undefined;
  readonly row: Row;
}

type Version = Pick<Row, "seq" | "key" | "state" | "writtenAt">;

const WAITING_BYTES_MAX = 8 * 1024 * 1024;
/** What a version in the queue costs besides its state. */
const VERSION_BYTES = 200;
const VERSIONS_PER_STEP = 64;
const STEP_MS = 4;
const FIRST_STEP_AFTER_MS = 50;
const PAUSE_MS_MIN = 20;
/** A step that the machine held up is no reason to stand still. */
const PAUSE_MS_MAX = 1_000;
/** The pause after a step, in lengths of that step. */
const PAUSE_SHARE = 19;
const PAUSE_SHARE_BUSY = 199;
/** Documents per second from which on commits need the core themselves. */
const BUSY_PER_SEC = 300;
/** After a failed commit, as of a full disk. */
const RETRY_MS = 30_000;
/** How much of a stop is spent on what waits; the rest is found again at the next start. */
const LAST_STEPS_MS = 100;
const LAST_STEPS = 100;
/** A rendering that reaches this begins anew, whether documents are compacted or not: nothing grows without end. */
const RENDERING_BYTES_MAX = 24 * 1024 * 1024;

export class Renderer {
  readonly #options: RendererOptions;
  #waiting: Version[] = [];
  #waitingBytes = 0;
  /** Every version up to this one is rendered. */
  #renderedSeq: number;
  #committedSeq: number;
  /** Whether versions after `#renderedSeq` are to be read from the documents: the queue is not kept then. */
  #isBehind: boolean;
  #isFailing = false;
  /** Documents committed since the last step, of any kind, and when that was. */
  #arrived = 0;
  #steppedMs: number;
  #cancel: CancelTimer | undefined;

  constructor(options: RendererOptions) {
    this.#options = options;
    this.#steppedMs = options.clock.monotonic();
    this.#committedSeq = options.database.lastSeq();
    // A restored file may have less than it had rendered.
    this.#renderedSeq = Math.min(options.database.renderings.renderedSeq(), this.#committedSeq);
    this.#isBehind = this.#renderedSeq < this.#committedSeq;
    if (this.#isBehind) this.#schedule(FIRST_STEP_AFTER_MS);
  }

  /** To be called after every commit, in commit order. */
  committed(rows: readonly CommittedRow[]): void {
    this.#arrived += rows.length;
    for (const { before, row } of rows) {
      this.#committedSeq = row.seq;
      const isHistory = isHistoryState(row.state) && isHistoryState(before?.state ?? row.state);
      if (isHistory || this.#isBehind) continue;
      this.#waiting.push(row);
      this.#waitingBytes += row.state.length + VERSION_BYTES;
    }
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.#fallBehind();
    if (this.#hasWork) this.#schedule(FIRST_STEP_AFTER_MS);
  }

  /** Commits that are not rendered yet; while they are read from the documents, at most so many. */
  get waiting(): number {
    return this.#isBehind ? this.#committedSeq - this.#renderedSeq : this.#waiting.length;
  }

  get #hasWork(): boolean {
    return this.#isBehind || this.#waiting.length > 0;
  }

  #fallBehind(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#isBehind = true;
  }

  /** Renders what waits, as far as there is time for it before the file is closed. */
  close(): void {
    this.#cancel?.();
    const { clock } = this.#options;
    const untilMs = clock.monotonic() + LAST_STEPS_MS;
    for (let step = 0; step < LAST_STEPS && clock.monotonic() < untilMs; step += 1) {
      if (!this.#hasWork || this.#isFailing) break;
      this.#step();
    }
    if (this.#hasWork || this.#isFailing) return;
    this.#try(() => this.#write(new Batch(this.#options), this.#committedSeq));
  }

  #schedule(afterMs: number): void {
    this.#cancel ??= this.#options.clock.after(afterMs, () => {
      this.#cancel = undefined;
      const startedMs = this.#options.clock.monotonic();
      this.#step();
      const pauseMs = this.#pauseAfter(startedMs);
      if (this.#hasWork) this.#schedule(this.#isFailing ? RETRY_MS : pauseMs);
    });
  }

  #pauseAfter(startedMs: number): number {
    const nowMs = this.#options.clock.monotonic();
    const isBusy = this.#arrived * 1000 > BUSY_PER_SEC * (startedMs - this.#steppedMs);
    this.#arrived = 0;
    this.#steppedMs = nowMs;
    const pauseMs = (isBusy ? PAUSE_SHARE_BUSY : PAUSE_SHARE) * (nowMs - startedMs);
    return Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, pauseMs));
  }

  #step(): void {
    const isGood = this.#try(() => (this.#isBehind ? this.#stepBehind() : this.#stepQueue()));
    if (!isGood) this.#fallBehind();
  }

  #stepQueue(): void {
    const { clock } = this.#options;
    const untilMs = clock.monotonic() + STEP_MS;
    const batch = new Batch(this.#options);
    let taken = 0;
    for (const version of this.#waiting) {
      if (taken === VERSIONS_PER_STEP || (taken > 0 && clock.monotonic() >= untilMs)) break;
      taken += 1;
      batch.add(version);
    }
    const rendered = this.#waiting.slice(0, taken);
    const isAll = taken === this.#waiting.length;
    this.#write(batch, isAll ? this.#committedSeq : (rendered.at(-1)?.seq ?? this.#renderedSeq));
    this.#waiting.splice(0, taken);
    for (const { state } of rendered) this.#waitingBytes -= state.length + VERSION_BYTES;
  }

  #stepBehind(): void {
    const { clock, database } = this.#options;
    const untilMs = clock.monotonic() + STEP_MS;
    const commits = database.renderings.committedSince(this.#renderedSeq, VERSIONS_PER_STEP);
    const batch = new Batch(this.#options);
    let seq = this.#renderedSeq;
    for (const commit of commits) {
      if (seq > this.#renderedSeq && clock.monotonic() >= untilMs) break;
      if (commit.isHistory) batch.drop(commit.key);
      else {
        const row = database.get(commit.key);
        if (row !== undefined && !isDamaged(row)) batch.add(row);
      }
      ({ seq } = commit);
    }
    const isAll = commits.length < VERSIONS_PER_STEP && seq === (commits.at(-1)?.seq ?? seq);
    this.#write(batch, isAll ? this.#committedSeq : seq);
    if (isAll) this.#isBehind = false;
  }

  #write(batch: Batch, seq: number): void {
    const { updates, dropped } = batch.finish();
    const isNews = updates.length > 0 || dropped.length > 0 || seq !== this.#renderedSeq;
    if (isNews) this.#options.database.renderings.write({ updates, dropped, renderedSeq: seq });
    this.#renderedSeq = seq;
  }

  /** What follows from the documents never ends the process: a fault is told once, and tried again. */
  #try(run: () => void): boolean {
    try {
      run();
      if (this.#isFailing) log.info("Renderings are written again");
      this.#isFailing = false;
      return true;
    } catch (error) {
      if (!(error instanceof Fault || error instanceof SQLiteError)) this.#options.onBug(error);
      const { code } = toStorageFault(error, this.#options.database.path);
      if (!this.#isFailing) {
        const tell = code === "storage_full" ? log.warn : log.error;
        tell("Renderings can't be written and fall behind", { cause: messageOf(error) });
      }
      this.#isFailing = true;
      return false;
    }
  }
}

/** When a version was committed, and itself where it is kept. */
type PartOf = Omit<RenderingPart, "chunks">;

interface Draft {
  readonly isStored: boolean;
  tip: Tip | undefined;
  bytes: number;
  parts: number;
  added: RenderingPart[];
}

/** Versions of several documents, rendered in memory and then written at once. */
class Batch {
  readonly #options: RendererOptions;
  readonly #drafts = new Map<DocumentKey, Draft>();

  constructor(options: RendererOptions) {
    this.#options = options;
  }

  drop(key: DocumentKey): void {
    const draft = this.#draft(key);
    Object.assign(draft, { tip: undefined, bytes: 0, parts: 0, added: [] });
  }

  add({ key, state: encoded, writtenAt }: Version): void {
    const state = decodeState(encoded);
    if (state.form !== "latest") {
      this.drop(key);
      return;
    }
    const draft = this.#draft(key);
    // Gone without a commit, as its lifetime was over.
    if (draft.tip === undefined && !this.#options.database.renderings.hasDocument(key)) return;
    const { mode } = this.#options.policies.of(splitKey(key).collection);
    const part = { at: writtenAt, state: mode.kind === "WindowedHistory" ? encoded : undefined };
    if (draft.tip === undefined || draft.tip.life < state.life) begin(draft, key, state, part);
    else if (draft.tip.life === state.life) this.#grow(draft, draft.tip, key, state, part);
  }

  #grow(draft: Draft, before: Tip, key: DocumentKey, state: LatestState, part: PartOf): void {
    const { start } = this.#options;
    const context = { key, start, timeSecs: Math.floor(part.at / 1000) };
    const { tip, changes } = growRendering(before, state, context);
    draft.tip = tip;
    if (changes.length === 0) return;
    const chunks = Buffer.concat(changes);
    if (draft.bytes + chunks.length > RENDERING_BYTES_MAX) {
      log.warn("Rendering has reached its limit and begins anew; compaction keeps it smaller", {
        doc_key: key,
        bytes: draft.bytes,
      });
      begin(draft, key, state, part);
      return;
    }
    draft.bytes += chunks.length;
    draft.parts += 1;
    draft.added.push({ ...part, chunks });
  }

  #draft(key: DocumentKey): Draft {
    const known = this.#drafts.get(key);
    if (known !== undefined) return known;
    const stored = this.#options.database.renderings.find(key);
    const tip = stored === undefined ? undefined : readTip(key, stored.tip);
    const { bytes, parts } = tip === undefined || stored === undefined ? NOTHING : stored;
    const draft: Draft = { isStored: stored !== undefined, tip, bytes, parts, added: [] };
    this.#drafts.set(key, draft);
    return draft;
  }

  finish(): { updates: RenderingUpdate[]; dropped: DocumentKey[] } {
    const updates: RenderingUpdate[] = [];
    const dropped: DocumentKey[] = [];
    for (const [key, { isStored, tip, bytes, parts, added }] of this.#drafts) {
      if (tip === undefined && isStored) dropped.push(key);
      if (tip === undefined) continue;
      updates.push({ rendering: { key, tip: encodeTip(tip), bytes, parts }, added });
    }
    return { updates, dropped };
  }
}

const NOTHING = { bytes: 0, parts: 0 } as const;

function begin(draft: Draft, key: DocumentKey, state: LatestState, part: PartOf): void {
  const { tip, changes } = beginRendering(key, state);
  const chunks = Buffer.concat(changes);
  draft.tip = tip;
  draft.bytes = chunks.length;
  draft.parts = 1;
  draft.added = [{ ...part, chunks }];
}

/** Undefined for one that the disk has damaged: it begins anew. */
function readTip(key: DocumentKey, bytes: Uint8Array): Tip | undefined {
  try {
    return decodeTip(bytes);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    log.warn("Damaged rendering begins anew", { doc_key: key, cause: messageOf(error) });
    return undefined;
  }
}
