// Documents of a collection that hold what a query says, in an order, page by page.
//
// A collection is read piece by piece, others having their turn between two. Where documents lie in the clear, SQL
// lets through what the query can be true for, so that little else is read, checked or parsed; each that comes
// through is asked here. No index is used but that of keys: see docs/decisions.
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { Room } from "../base/room.ts";
import type { Damage } from "./damage.ts";
import type { Database } from "./database.ts";
import { type DocumentKey, parseDocumentKey, splitKey } from "./document-key.ts";
import {
  boundBy,
  compareSortKeys,
  type DocumentOrder,
  FirstPlaces,
  type SortKey,
  sortKeyOf,
} from "./document-order.ts";
import {
  compileQuery,
  type DocumentPredicate,
  type DocumentQuery,
  leavesOf,
} from "./document-query.ts";
import { isTooOld } from "./entry.ts";
import { type StoredDocument, toStoredDocument } from "./feed.ts";
import { parseJsonObject } from "./json.ts";
import { ANYTHING, allOf, boundCondition, queryCondition, type SqlCondition } from "./query-sql.ts";
import { type DamagedRow, isDamaged, type Row } from "./row.ts";
import type { Stretch } from "./scan.ts";

export interface SearchRequest {
  readonly collection: string;
  readonly query: DocumentQuery;
  /** Empty: by id. */
  readonly order: DocumentOrder;
  /** Only what comes behind this place. */
  readonly after: SortKey | undefined;
  readonly limit: number;
  /** Of the documents' JSON text together; one document is always given. */
  readonly bytesMax: number;
  /** Ends it with its reason. */
  readonly signal: AbortSignal;
}

export interface SearchPage {
  readonly documents: readonly StoredDocument[];
  /** Behind which the next page begins; undefined: this is the last one. */
  readonly next: SortKey | undefined;
}

interface Found {
  readonly document: StoredDocument;
  readonly key: SortKey;
}

/** What is read in one turn of the loop: some milliseconds' work. Less for queries that ask much of each document. */
const TURN = { rows: 512, bytes: 1024 ** 2 } as const;
const CLAUSES_PER_TURN = 8;
/** Searches under way, and what each of them may hold: a page, or places in an order. */
const SEARCHES_MAX = 32;
const PAGE_BYTES_MAX = 4 * 1024 ** 2;
const ORDERED_MAX = 1000;
/** After so long a page by id ends where it is. */
const PAGE_MS = 5_000;

export interface SearchParts {
  readonly database: Database;
  readonly damage: Damage;
  readonly clock: Clock;
}

export class Searches {
  readonly #parts: SearchParts;
  readonly #room = new Room(SEARCHES_MAX, "searches are under way already");
  #line: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(parts: SearchParts) {
    this.#parts = parts;
  }

  /**
   * Each document that does not change meanwhile is on one page exactly, if it passes. One that changes may be on two
   * or on none, but is never shown with a content that does not pass. Faults: overloaded, not_ready.
   */
  async find(request: SearchRequest): Promise<SearchPage> {
    return await this.#room.during(() => {
      const search = new Search(this.#parts, request, () => this.#turn(request.signal));
      return request.order.length === 0 ? search.byId() : search.byOrder();
    });
  }

  /** Ends all searches with `not_ready`. */
  close(): void {
    this.#isClosed = true;
  }

  /** One search reads in each turn of the loop, whichever has waited for longest. */
  async #turn(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    this.#line = this.#line.then(() => new Promise((resolve) => clock.soon(resolve)));
    await this.#line;
    if (this.#isClosed) throw new Fault("not_ready", "the node is stopping");
    signal.throwIfAborted();
  }
}

class Search {
  readonly #parts: SearchParts;
  readonly #request: SearchRequest;
  readonly #turn: () => Promise<void>;
  readonly #holds: DocumentPredicate;
  readonly #condition: SqlCondition;

  constructor(parts: SearchParts, request: SearchRequest, turn: () => Promise<void>) {
    this.#parts = parts;
    this.#request = request;
    this.#turn = turn;
    this.#holds = compileQuery(request.query);
    const { isInTheClear } = parts.database.scan;
    this.#condition = isInTheClear ? queryCondition(request.query) : ANYTHING;
  }

  async byId(): Promise<SearchPage> {
    const { collection, after, limit } = this.#request;
    const { clock } = this.#parts;
    const until = clock.monotonic() + PAGE_MS;
    const documents: StoredDocument[] = [];
    let bytes = 0;
    for await (const stretch of this.#stretches(`${collection}:${after?.id ?? ""}`)) {
      for (const { document } of this.#foundIn(stretch, this.#condition)) {
        bytes += document.json.length;
        const last = documents.at(-1);
        if (last !== undefined && (documents.length === limit || bytes > this.#bytesMax)) {
          return { documents, next: { values: [], id: last.id } };
        }
        documents.push(document);
      }
      // Sooner a short page than a client that has given up waiting.
      if (clock.monotonic() > until) {
        return { documents, next: { values: [], id: splitKey(stretch.until).id } };
      }
    }
    return { documents, next: undefined };
  }

  async byOrder(): Promise<SearchPage> {
    const { collection, order, after } = this.#request;
    const limit = Math.min(this.#request.limit, ORDERED_MAX);
    const first = new FirstPlaces(limit + 1, order);
    for await (const stretch of this.#stretches(`${collection}:`)) {
      const condition = this.#orderedCondition(first.bound);
      for (const { key } of this.#foundIn(stretch, condition)) {
        if (after === undefined || compareSortKeys(key, after, order) > 0) first.add(key);
      }
    }
    return this.#read(first.keys(), limit);
  }

  /** Documents by what they are now: one that has changed since it was found has its new place among them. */
  async #read(keys: readonly SortKey[], limit: number): Promise<SearchPage> {
    const { collection, order } = this.#request;
    const found: Found[] = [];
    let bytes = 0;
    let turnCost = 0;
    let next: SortKey | undefined;
    for (const [index, key] of keys.slice(0, limit).entries()) {
      if (turnCost > TURN.bytes) {
        await this.#turn();
        turnCost = 0;
      }
      const now = this.#get(parseDocumentKey(`${collection}:${key.id}`));
      const length = now?.document.json.length ?? 0;
      bytes += length;
      turnCost += length + TURN.bytes / TURN.rows;
      if (found.length > 0 && bytes > this.#bytesMax) break;
      if (now !== undefined) found.push(now);
      next = index + 1 < keys.length ? key : undefined;
    }
    found.sort((a, b) => compareSortKeys(a.key, b.key, order));
    return { documents: found.map(({ document }) => document), next };
  }

  get #bytesMax(): number {
    return Math.min(this.#request.bytesMax, PAGE_BYTES_MAX);
  }

  /** Pieces of the collection from a key on, each in a turn of its own. */
  async *#stretches(from: string): AsyncIterable<Stretch> {
    const { scan } = this.#parts.database;
    const { collection, query } = this.#request;
    const share = 1 + leavesOf(query) / CLAUSES_PER_TURN;
    const max = { rows: Math.ceil(TURN.rows / share), bytes: Math.ceil(TURN.bytes / share) };
    let after = from;
    while (true) {
      await this.#turn();
      const stretch = scan.stretch({ collection, after }, max);
      if (stretch === undefined) return;
      yield stretch;
      after = stretch.until;
    }
  }

  #orderedCondition(bound: SortKey | undefined): SqlCondition {
    const { order, after } = this.#request;
    if (!this.#parts.database.scan.isInTheClear) return this.#condition;
    const upTo = bound === undefined ? undefined : boundBy(order, bound, "upTo");
    const from = after === undefined ? undefined : boundBy(order, after, "from");
    const bounds = [upTo, from].filter((side) => side !== undefined);
    return allOf([this.#condition, ...bounds.map(boundCondition)]);
  }

  *#foundIn(stretch: Stretch, condition: SqlCondition): Generator<Found> {
    const { database, clock } = this.#parts;
    for (const row of database.scan.rows(stretch, { now: clock.now(), condition })) {
      const found = this.#check(row);
      if (found !== undefined) yield found;
    }
  }

  #get(key: DocumentKey): Found | undefined {
    const { database, clock } = this.#parts;
    const row = database.get(key);
    if (row === undefined) return undefined;
    const isServed = isDamaged(row) || (!row.deleted && !isTooOld(row, clock.now()));
    return isServed ? this.#check(row) : undefined;
  }

  #check(row: Row | DamagedRow): Found | undefined {
    if (isDamaged(row)) {
      this.#parts.damage.add(row);
      return undefined;
    }
    const document = toStoredDocument(row, this.#parts.database.envelopes);
    const object = parseJsonObject(document.json);
    if (!this.#holds(object)) return undefined;
    return { document, key: sortKeyOf(object, document.id, this.#request.order) };
  }
}
