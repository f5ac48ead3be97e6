// Committed changes for readers, in commit order: what happened since a token, then what happens.
import { BoundedQueue, type Taken } from "../base/queue.ts";
import type { Database } from "./database.ts";
import { type DocumentKey, splitKey } from "./document-key.ts";
import { isTooOld } from "./entry.ts";
import type { Envelopes } from "./envelope.ts";
import { Epochs } from "./epochs.ts";
import { FeedReaders, type ReaderKind } from "./feed-readers.ts";
import { isDamaged, type Row } from "./row.ts";

export interface StoredDocument {
  readonly key: DocumentKey;
  readonly collection: string;
  readonly id: string;
  /** Canonical JSON text of the object; "null" for a deleted document. */
  readonly json: string;
  /** State hash, 32 hex digits: the ETag. */
  readonly hash: string;
  readonly seq: number;
  readonly deleted: boolean;
}

export interface Change {
  readonly seq: number;
  /** Where to resume after this change; opaque. */
  readonly token: string;
  readonly document: StoredDocument;
  /** What the document was before: readers tell a creation from an update by it. Unknown in a backlog. */
  readonly before: "absent" | "alive" | "deleted" | "unknown";
}

export interface Subscription {
  /** The next change, a told gap, or undefined once closed. One caller at a time. */
  take(): Promise<Taken<Change> | undefined>;
  close(): void;
  /** Set when `since` could not be honoured: what happened in between is not known here. */
  readonly lostSince: boolean;
  /** The token of the moment of subscribing. */
  readonly position: string;
  /** The greatest number of a commit by then: what has a greater one is told. */
  readonly seq: number;
}

export interface SubscribeOptions {
  /** All collections unless given. */
  readonly collections?: readonly string[];
  /** Token to resume after; without it only what happens from now on is told. */
  readonly since?: string;
  /** Changes kept for a slow reader before it is told of a gap. */
  readonly capacity: number;
  /** And their JSON text together, about; one change is kept whatever its size. */
  readonly capacityBytes?: number;
  /** What it is counted as, where readers are shown. */
  readonly reader?: ReaderKind;
}

/** One row at a time: a row may be megabytes, and there may be many readers that read nothing. */
const BACKLOG_PAGE = 1;

export function toStoredDocument(row: Row, envelopes: Envelopes): StoredDocument {
  const { collection, id } = splitKey(row.key);
  const json = row.deleted || row.json === undefined ? "null" : envelopes.open(row.json);
  return { key: row.key, collection, id, json, hash: row.hash, seq: row.seq, deleted: row.deleted };
}

export class Feed {
  readonly #database: Database;
  readonly #epochs: Epochs;
  readonly #now: () => number;
  readonly #subscribers = new Set<{ queue: BoundedQueue<Change>; wants: Wants }>();
  readonly #readers: FeedReaders;
  #lastSeq: number;
  #isClosed = false;

  constructor(
    database: Database,
    origin: { storeId: string; start: string; lastSeq: number; now: () => number },
    readers = new FeedReaders(),
  ) {
    this.#readers = readers;
    this.#database = database;
    this.#now = origin.now;
    this.#epochs = new Epochs(database, origin);
    this.#lastSeq = origin.lastSeq;
  }

  /** To be called before each commit that uses new numbers. Faults: storage_full, storage_failed. */
  beginEpoch(): void {
    this.#epochs.begin(this.#lastSeq);
  }

  position(): string {
    return this.#epochs.token(this.#lastSeq);
  }

  publish(changes: readonly Omit<Change, "token">[]): void {
    for (const change of changes) {
      this.#lastSeq = change.seq;
      const told = { ...change, token: this.#epochs.token(change.seq) };
      for (const { queue, wants } of this.#subscribers) {
        if (wants(change.document.collection)) queue.push(told);
      }
    }
  }

  subscribe(options: SubscribeOptions): Subscription {
    const names = options.collections === undefined ? undefined : new Set(options.collections);
    const wants: Wants = (collection) => names === undefined || names.has(collection);
    const queue = new BoundedQueue<Change>(options.capacity, {
      of: ({ document }) => document.json.length,
      max: options.capacityBytes ?? Number.POSITIVE_INFINITY,
    });
    const subscriber = { queue, wants, kind: options.reader ?? "other" };
    this.#subscribers.add(subscriber);
    this.#readers.add(subscriber);
    const asked = options.since === undefined ? this.#lastSeq : this.#seqOf(options.since);
    const backlog = this.#backlog(asked ?? 0, this.#lastSeq, wants);
    return {
      lostSince: asked === undefined,
      position: this.position(),
      seq: this.#lastSeq,
      take: async () => {
        const next = backlog.next();
        return next.done === true ? queue.take() : { kind: "item", item: next.value };
      },
      close: () => {
        this.#subscribers.delete(subscriber);
        this.#readers.delete(subscriber);
        backlog.return(undefined);
        queue.close();
      },
    };
  }

  /** Every subscriber sees the end, also one that has not read all of its backlog. */
  close(): void {
    this.#isClosed = true;
    for (const { queue } of this.#subscribers) queue.close();
    this.#subscribers.clear();
  }

  /** What was committed up to the moment of subscribing; later commits of these documents are in the queue. */
  *#backlog(after: number, until: number, wants: Wants): Generator<Change, undefined> {
    let seq = after;
    while (seq < until && !this.#isClosed) {
      const rows = this.#database.since(seq, until, BACKLOG_PAGE);
      for (const row of rows) {
        // Of what is too old now a later commit tells that it is gone.
        if (isDamaged(row) || (!row.deleted && isTooOld(row, this.#now()))) continue;
        if (!wants(splitKey(row.key).collection)) continue;
        const document = toStoredDocument(row, this.#database.envelopes);
        yield { seq: row.seq, token: this.#epochs.token(row.seq), document, before: "unknown" };
      }
      seq = rows.at(-1)?.seq ?? until;
    }
    return undefined;
  }

  /** Undefined for a token of another store, or of a future that a restored backup forgot. */
  #seqOf(token: string): number | undefined {
    const seq = this.#epochs.seqOf(token);
    return seq === undefined || seq > this.#lastSeq ? undefined : seq;
  }
}

type Wants = (collection: string) => boolean;
