// How a document came to be, as far as this node knows: changes of those that keep their whole history or have a
// rendering here, who wrote each field last of the others, the deletion of deleted ones.
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { type ReadChange, readNewest } from "./change-reader.ts";
import type { Kind } from "./collection-policies.ts";
import type { Damage } from "./damage.ts";
import type { Database } from "./database.ts";
import { type DocumentKey, splitKey } from "./document-key.ts";
import { isTooOld } from "./entry.ts";
import { HistoryThread } from "./history-thread.ts";
import type { Renderings } from "./renderings.ts";
import type { Row } from "./row.ts";
import type { Stamp } from "./stamp.ts";
import { decodeState, kindOfState, type LatestState, type State, type StateHash } from "./state.ts";
import { toTombstone } from "./stubs.ts";

export interface FieldWrite {
  readonly name: string;
  /** Ms since the Unix epoch, by the writer's clock unless it had seen a later write. */
  readonly atMs: number;
  /** The process start that wrote it. */
  readonly start: string;
  readonly isRemoved: boolean;
}

export interface DocumentHistory {
  readonly kind: Kind;
  readonly life: number;
  /** Ms since the Unix epoch of the write that began this life. */
  readonly bornMs: number;
  /** Undefined where the document is gone but for a stub. */
  readonly hash: StateHash | undefined;
  /** Of its state. */
  readonly bytes: number;
  readonly deletion:
    | { readonly atMs: number; readonly by: string; readonly reason: string }
    | undefined;
  /** Of documents without history. */
  readonly fields: readonly FieldWrite[];
  readonly fieldsLeft: number;
  /** Of the document itself, or of this node's rendering of it, which tells of what came here and by no actor's name. */
  readonly source: "document" | "rendering" | undefined;
  /** The newest first. */
  readonly changes: readonly ReadChange[];
  /** Undefined where they are too many bytes to be read. */
  readonly changeCount: number | undefined;
}

export interface HistoryRequest {
  readonly key: DocumentKey;
  readonly limit: number;
  /** Ends it with its reason. */
  readonly signal: AbortSignal;
}

export interface HistoriesOptions {
  readonly database: Database;
  readonly renderings: Renderings;
  readonly clock: Clock;
  readonly damage: Damage;
}

/** Of chunks: so many are read at once, what is longer in a thread, and still longer not at all. */
const INLINE_BYTES_MAX = 4 * 1024;
export const CHUNK_BYTES_MAX = 4 * 1024 ** 2;
const FIELDS_MAX = 1000;

type Changes = Pick<DocumentHistory, "source" | "changes" | "changeCount">;

const NO_CHANGES: Changes = { source: undefined, changes: [], changeCount: 0 };

function toFieldWrite(name: string, { n, start }: Stamp, isRemoved: boolean): FieldWrite {
  return { name, atMs: Math.floor(n / 1024), start, isRemoved };
}

function fieldsOf({ fields }: LatestState): FieldWrite[] {
  return [...fields].map(([name, { stamp, json }]) =>
    toFieldWrite(name, stamp, json === undefined),
  );
}

export class Histories {
  readonly #options: HistoriesOptions;
  readonly #thread: HistoryThread;

  constructor(options: HistoriesOptions) {
    this.#options = options;
    this.#thread = new HistoryThread(options.clock);
  }

  /** Faults: document_not_found, overloaded, request_timeout, wire_invalid for a damaged history, and the signal's reason. */
  async read(request: HistoryRequest): Promise<DocumentHistory> {
    const { key } = request;
    const { database, damage, clock } = this.#options;
    const row = damage.rowOf(key);
    if (row === undefined || (isTooOld(row, clock.now()) && !isTombstone(row))) {
      const stub = row === undefined ? database.stubs.find(key) : undefined;
      if (stub === undefined) {
        const { collection, id } = splitKey(key);
        throw new Fault("document_not_found", `document not found: ${collection}/${id}`);
      }
      return { ...about(toTombstone(stub)), hash: undefined, bytes: 0, ...NO_CHANGES };
    }
    const state = decodeState(row.state);
    const changes = await this.#changesOf(state, request);
    return { ...about(state), hash: row.hash, bytes: row.state.length, ...changes };
  }

  async #changesOf(state: State, request: HistoryRequest): Promise<Changes> {
    if (state.form === "deleted") return NO_CHANGES;
    const isOwn = state.form === "history";
    const chunks = isOwn ? state.chunks : this.#options.renderings.read(request.key);
    if (chunks === undefined) return NO_CHANGES;
    const source = isOwn ? "document" : "rendering";
    if (chunks.length > CHUNK_BYTES_MAX) return { source, changes: [], changeCount: undefined };
    const wish = { chunks, limit: request.limit };
    const isShort = chunks.length <= INLINE_BYTES_MAX;
    const found = isShort ? readNewest(wish) : await this.#thread.read(wish, request.signal);
    return { source, ...found };
  }
}

function isTombstone(row: Row): boolean {
  return row.deleted && !row.hidden;
}

type About = Omit<DocumentHistory, "hash" | "bytes" | keyof Changes>;

function about(state: State): About {
  const { life, born: bornMs } = state;
  const isDeleted = state.form === "deleted";
  const fields = state.form === "latest" ? fieldsOf(state) : [];
  return {
    kind: kindOfState(state),
    life,
    bornMs,
    deletion: isDeleted ? { atMs: state.deletedAt, by: state.by, reason: state.reason } : undefined,
    fields: fields.slice(0, FIELDS_MAX),
    fieldsLeft: Math.max(0, fields.length - FIELDS_MAX),
  };
}
