// What is in the file but not in the documents: listed, restored as a document, given up.
import { type Clock, within } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import type { Store } from "../store/store.ts";
import { answerJson } from "./answers.ts";
import { API } from "./api-path.ts";
import { printEtag } from "./conditions.ts";
import { AFTER_NUMBER, ASIDE_LIMIT, type Query, readParameter, WHY } from "./query.ts";
import { ROUTE_DOCS } from "./route-docs.ts";
import { newRoutes, unread } from "./routing.ts";
import { viewAsideEntry, viewAsidePage, viewDocument } from "./views.ts";

export interface SetAsideContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly requestMs: number;
}

const DEFAULT_LIMIT = 100;
const LATE = Symbol("late");

function readPage({ contents }: Store, query: Query): string {
  const why = readParameter(query, WHY) ?? "deleted";
  const limit = readParameter(query, ASIDE_LIMIT) ?? DEFAULT_LIMIT;
  const after = readParameter(query, AFTER_NUMBER) ?? 0;
  const entries = contents.list({ why, limit: limit + 1, after });
  const page = entries.slice(0, limit);
  const next = entries.length > limit ? page.at(-1)?.id : undefined;
  return viewAsidePage({ count: contents.count(why), entries: page, next });
}

function readId(text: string | null): number {
  if (text !== null && /^[0-9]{1,15}$/.test(text)) return Number(text);
  throw new Fault("invalid_argument", "the number of an entry consists of digits");
}

async function restore(
  { store, clock, requestMs }: SetAsideContext,
  id: number,
): Promise<Response> {
  const result = await within(clock, requestMs, store.contents.restore(id), LATE);
  if (result === LATE) {
    const sentence = `the content was not restored within ${requestMs / 1000} s; it may still be`;
    throw new Fault("request_timeout", sentence);
  }
  const { document } = result;
  return answerJson(viewDocument(document), 201, { etag: printEtag(document.hash) });
}

export function setAsideRoutes(context: SetAsideContext) {
  const { store } = context;
  return newRoutes()
    .get(`${API}/set-aside`, ({ query }) => answerJson(readPage(store, query)), ROUTE_DOCS.setAside)
    .post(`${API}/set-aside/:id/restore`, ({ params }) => restore(context, readId(params.id)), {
      ...ROUTE_DOCS.restore,
      ...unread,
    })
    .delete(
      `${API}/set-aside/:id`,
      ({ params }) => answerJson(viewAsideEntry(store.contents.discard(readId(params.id)))),
      { ...ROUTE_DOCS.discard, ...unread },
    );
}
