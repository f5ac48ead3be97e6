// The change feed of one client: the documents as they are, then every change, each version once and in the order
// of commits.
//
//   subscribed at P ─► documents with numbers up to P, by collection ─► changes after P ─► …
//                                                                        │ too slow: what waits is dropped
//                                                                        ▼
//                                                       told of the gap ─► newest versions after the last one told
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { DocumentPredicate } from "../store/document-query.ts";
import { parsedDocument } from "../store/parsed.ts";
import type { Change, Store, StoredDocument, Subscription } from "../store/store.ts";
import { documentsOf } from "./documents.ts";
import { collectionIn, fieldFault } from "./fields.ts";
import {
  ChangeType,
  type DocumentChangeSchema,
  StreamMark,
  type SubscribeRequest,
} from "./gen/peat/sidecar/v1/sidecar_pb.ts";
import { COLLECTIONS_MAX, FEED_BYTES_MAX, FEED_CHANGES_MAX } from "./limits.ts";
import type { Pace } from "./pace.ts";
import { readQuery } from "./subscription-query.ts";

const log = getLog("peat_mesh::rpc");

type Message = MessageInitShape<typeof DocumentChangeSchema>;

export interface SubscribeParts {
  readonly store: Store;
  readonly clock: Clock;
  /** Of all subscribers together. */
  readonly pace: Pace;
}

/** A request, checked. */
interface Wish {
  /** Undefined: all. */
  readonly collections: readonly string[] | undefined;
  readonly predicate: DocumentPredicate | undefined;
  readonly since: string | undefined;
  readonly withSnapshot: boolean;
  readonly withPositions: boolean;
}

function readWish({ collections, query, resume }: SubscribeRequest): Wish {
  if (collections.length > COLLECTIONS_MAX) {
    throw fieldFault("collections", `names ${collections.length}; at most ${COLLECTIONS_MAX}`);
  }
  const names = collections.map((name, index) => collectionIn(`collections[${index}]`, name));
  const since = resume?.since === "" ? undefined : resume?.since;
  return {
    collections: names.length === 0 ? undefined : [...new Set(names)],
    predicate: query === undefined ? undefined : readQuery(query),
    since,
    withSnapshot: since === undefined && resume?.liveOnly !== true,
    withPositions: resume !== undefined,
  };
}

function upsertOf({ collection, id, json }: StoredDocument) {
  return { collection, docId: id, changeType: ChangeType.UPSERT, jsonData: json };
}

class ChangeStream {
  readonly #parts: SubscribeParts;
  readonly #wish: Wish;
  #subscription: Subscription;
  /** Of the last change that was told, or of the beginning. */
  #token: string;
  #hasLagged = false;
  #isClosed = false;

  /** Fault `position_unknown` for a token that is not this store's. */
  constructor(parts: SubscribeParts, wish: Wish) {
    this.#parts = parts;
    this.#wish = wish;
    this.#subscription = this.#subscribe(wish.since);
    this.#token = wish.since ?? this.#subscription.position;
  }

  /** Ends the messages; also while one is awaited. */
  close(): void {
    this.#isClosed = true;
    this.#subscription.close();
  }

  async *messages(): AsyncIterable<Message> {
    const { withSnapshot, withPositions, since } = this.#wish;
    if (withSnapshot) yield* this.#snapshot();
    if (withPositions && since === undefined) {
      yield { position: { token: this.#token, mark: StreamMark.SNAPSHOT_END } };
    }
    yield* this.#changes();
  }

  async *#snapshot(): AsyncIterable<Message> {
    const { store } = this.#parts;
    // What changes from now on is in the subscription; a document's newest version is told by one of the two.
    const { seq } = this.#subscription;
    const names = this.#wish.collections ?? store.collections().map(({ name }) => name);
    for (const name of names) {
      for await (const document of documentsOf(this.#parts, name)) {
        if (this.#isClosed) return;
        if (document.seq <= seq && this.#isWanted(document)) yield upsertOf(document);
      }
    }
  }

  async *#changes(): AsyncIterable<Message> {
    const { pace } = this.#parts;
    while (true) {
      const taken = await this.#subscription.take();
      const turn = pace.next();
      if (turn !== undefined) await turn;
      if (taken === undefined || this.#isClosed) return;
      const message =
        taken.kind === "item" ? this.#messageOf(taken.item) : this.#skip(taken.missed);
      if (message !== undefined) yield message;
    }
  }

  #messageOf({ document, token }: Change): Message | undefined {
    this.#token = token;
    const position = this.#wish.withPositions ? { position: { token } } : {};
    const { collection, id } = document;
    if (document.deleted) {
      return { collection, docId: id, changeType: ChangeType.DELETE, ...position };
    }
    return this.#isWanted(document) ? { ...upsertOf(document), ...position } : undefined;
  }

  /** What waited for too long is dropped; the store has the newest version of everything. */
  #skip(missed: number): Message | undefined {
    // Once for each client aloud: one that is always behind must not fill the log.
    if (this.#hasLagged) log.debug("RPC subscriber is behind", { missed });
    else log.info("RPC subscriber is behind; it is sent newest versions only", { missed });
    this.#hasLagged = true;
    this.#subscription.close();
    this.#subscription = this.#subscribe(this.#token);
    if (!this.#wish.withPositions) return undefined;
    const mark = StreamMark.GAP;
    return { position: { token: this.#token, mark, missed: BigInt(missed) } };
  }

  #subscribe(since: string | undefined): Subscription {
    const { collections } = this.#wish;
    const subscription = this.#parts.store.subscribe({
      ...(collections === undefined ? {} : { collections }),
      ...(since === undefined ? {} : { since }),
      reader: "rpc",
      capacity: FEED_CHANGES_MAX,
      capacityBytes: FEED_BYTES_MAX,
    });
    if (!subscription.lostSince) return subscription;
    subscription.close();
    throw new Fault(
      "position_unknown",
      "resume.since: this node does not know the position, so what changed after it can't be told; subscribe without it",
    );
  }

  #isWanted(document: StoredDocument): boolean {
    return this.#wish.predicate?.(parsedDocument(document)) ?? true;
  }
}

/**
 * Ends quietly when `signal` aborts: the client has gone. Faults: invalid_argument, position_unknown; not_ready when
 * `stopping` aborts.
 */
export async function* subscribe(
  request: SubscribeRequest,
  parts: SubscribeParts,
  { signal, stopping }: { signal: AbortSignal; stopping: AbortSignal },
): AsyncIterable<Message> {
  const stream = new ChangeStream(parts, readWish(request));
  const over = AbortSignal.any([signal, stopping]);
  const close = () => stream.close();
  over.addEventListener("abort", close, { once: true });
  if (over.aborted) close();
  try {
    yield* stream.messages();
    if (!signal.aborted) throw new Fault("not_ready", "the node is stopping");
  } finally {
    over.removeEventListener("abort", close);
    close();
  }
}
