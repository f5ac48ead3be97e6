// One page of a collection: so many documents, and no more bytes than a node can spare for one answer.
import { Fault } from "../base/faults.ts";
import type { Store, StoredDocument } from "../store/store.ts";
import { API } from "./api-path.ts";
import { AFTER, LIMIT, LIST_LIMIT, type Query, readParameter } from "./query.ts";
import type { Page } from "./views.ts";

/** Documents that are loaded at a time. */
const STEP_DOCUMENTS = 64;

interface PageRequest {
  readonly collection: string;
  readonly query: Query;
  readonly pageBytesMax: number;
}

export interface LinkedPage extends Page {
  /** Value of the Link header (RFC 8288) of a page that is not the last one. */
  readonly link: string | undefined;
}

interface Taken {
  readonly documents: StoredDocument[];
  readonly hasMore: boolean;
}

/** At least one document, however large, if there is any. */
function takeDocuments(
  store: Store,
  {
    collection,
    limit,
    after,
    bytesMax,
  }: { collection: string; limit: number; after?: string; bytesMax: number },
): Taken {
  const documents: StoredDocument[] = [];
  let bytes = 0;
  let last = after;
  while (true) {
    const step = store.list(collection, {
      limit: Math.min(STEP_DOCUMENTS, limit - documents.length + 1),
      ...(last === undefined ? {} : { after: last }),
    });
    for (const document of step) {
      bytes += document.json.length;
      const isFull = documents.length === limit || (documents.length > 0 && bytes > bytesMax);
      if (isFull) return { documents, hasMore: true };
      documents.push(document);
    }
    last = step.at(-1)?.id;
    if (last === undefined) return { documents, hasMore: false };
  }
}

/** Faults: invalid_argument for the query, collection_not_found when the collection has no documents. */
export function readPage(
  store: Store,
  { collection, query, pageBytesMax }: PageRequest,
): LinkedPage {
  const limit = readParameter(query, LIMIT) ?? LIST_LIMIT.fallback;
  const after = readParameter(query, AFTER);
  const count = store.count(collection);
  if (count === 0) {
    throw new Fault("collection_not_found", `collection not available: ${collection}`);
  }
  const { documents, hasMore } = takeDocuments(store, {
    collection,
    limit,
    bytesMax: pageBytesMax,
    ...(after === undefined ? {} : { after }),
  });
  const next = hasMore ? documents.at(-1)?.id : undefined;
  const link =
    next === undefined
      ? undefined
      : `<${API}/documents/${collection}?limit=${limit}&after=${encodeURIComponent(next)}>; rel="next"`;
  return { collection, count, documents, next, link };
}
