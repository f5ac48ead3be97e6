// One page of a collection: so many documents, and no more bytes than a node can spare for one answer.
import { Fault } from "../base/faults.ts";
import type { DocumentOrder } from "../store/document-order.ts";
import type { DocumentQuery } from "../store/document-query.ts";
import type { Store, StoredDocument } from "../store/store.ts";
import { API } from "./api-path.ts";
import { parseCursor, printCursor } from "./cursor.ts";
import { AFTER, FILTER, LIMIT, LIST_LIMIT, ORDER, type Query, readParameter } from "./query.ts";
import type { Page } from "./views.ts";

/** Documents that are loaded at a time. */
const STEP_DOCUMENTS = 64;

interface PageRequest {
  readonly collection: string;
  readonly query: Query;
  readonly pageBytesMax: number;
  /** Ends a search for documents with its reason. */
  readonly signal: AbortSignal;
}

export interface LinkedPage extends Page {
  /** Value of the Link header (RFC 8288) of a page that is not the last one. */
  readonly link: string | undefined;
}

type Taken = Pick<Page, "documents" | "next">;

interface Wish {
  readonly collection: string;
  readonly limit: number;
  readonly after: string | undefined;
  readonly bytesMax: number;
}

interface Search extends Wish {
  readonly filter: DocumentQuery;
  readonly order: DocumentOrder;
}

/** At least one document, however large, if there is any. */
function takeDocuments(store: Store, { collection, limit, after, bytesMax }: Wish): Taken {
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
      if (isFull) return { documents, next: documents.at(-1)?.id };
      documents.push(document);
    }
    last = step.at(-1)?.id;
    if (last === undefined) return { documents, next: undefined };
  }
}

async function searchDocuments(
  store: Store,
  { after, filter, order, ...wish }: Search,
  { query, signal }: PageRequest,
): Promise<Taken> {
  const isOrdered = order.length > 0;
  const orderText = String(query[ORDER.name]);
  const from = isOrdered
    ? (text: string) => parseCursor(orderText, text, order.length)
    : (id: string) => ({ values: [], id });
  const { documents, next } = await store.searches.find({
    ...wish,
    query: filter,
    order,
    after: after === undefined ? undefined : from(after),
    signal,
  });
  if (next === undefined) return { documents, next };
  return { documents, next: isOrdered ? printCursor(orderText, next) : next.id };
}

/** The query of the next page: this one's, behind its last place. */
function printLink(collection: string, { query }: PageRequest, limit: number, next: string) {
  const kept = [FILTER.name, ORDER.name].flatMap((name) => {
    const value = query[name];
    return typeof value === "string" ? [`&${name}=${encodeURIComponent(value)}`] : [];
  });
  const path = `${API}/documents/${collection}?limit=${limit}`;
  return `<${path}${kept.join("")}&after=${encodeURIComponent(next)}>; rel="next"`;
}

/**
 * Faults: invalid_argument for the query, collection_not_found when the collection has no documents; of a search also
 * overloaded, and what ends it.
 */
export async function readPage(store: Store, request: PageRequest): Promise<LinkedPage> {
  const { collection, query, pageBytesMax: bytesMax } = request;
  const limit = readParameter(query, LIMIT) ?? LIST_LIMIT.fallback;
  const wish = { collection, limit, after: readParameter(query, AFTER), bytesMax };
  const filter = readParameter(query, FILTER);
  const order = readParameter(query, ORDER);
  const count = store.count(collection);
  if (count === 0) {
    throw new Fault("collection_not_found", `collection not available: ${collection}`);
  }
  const isSearch = filter !== undefined || order !== undefined;
  const search = { ...wish, filter: filter ?? ({ kind: "all" } as const), order: order ?? [] };
  const { documents, next } = isSearch
    ? await searchDocuments(store, search, request)
    : takeDocuments(store, wish);
  const link = next === undefined ? undefined : printLink(collection, request, limit, next);
  return { collection, count, documents, next, link };
}
