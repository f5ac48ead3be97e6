// How a document came to be: its changes, who wrote its fields, when it was deleted and why.
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import type { ReadChange } from "../store/change-reader.ts";
import type { DocumentHistory, FieldWrite } from "../store/document-histories.ts";
import { documentKey } from "../store/document-key.ts";
import type { Store } from "../store/store.ts";
import { answerJson } from "./answers.ts";
import { API } from "./api-path.ts";
import { printEtag } from "./conditions.ts";
import {
  answers,
  count,
  describe,
  flag,
  json,
  listOf,
  object,
  orNull,
  queries,
  type Schema,
  segment,
  text,
} from "./describe.ts";
import type { NodeView } from "./node-view.ts";
import { HISTORY_LIMIT, type Query, readParameter } from "./query.ts";
import { newRoutes } from "./routing.ts";
import { untilGone } from "./until-gone.ts";

export interface HistoryContext {
  readonly store: Store;
  readonly node: NodeView;
  readonly clock: Clock;
  readonly requestMs: number;
}

/** Names of nodes by their process starts, as far as they are known: this node and the peers that are connected. */
type Names = ReadonlyMap<string, string>;

const DEFAULT_LIMIT = 20;

function fieldShape({ name, atMs, start, isRemoved }: FieldWrite, names: Names) {
  return { at_ms: atMs, name, node: names.get(start) ?? null, removed: isRemoved, start };
}

function changeShape(change: ReadChange, names: Names) {
  const { hash, actor, atMs, bytes, edits, editsLeft } = change;
  return {
    actor,
    at_ms: atMs,
    bytes,
    edits: edits.map(({ path, before, after }) => ({
      after: after ?? null,
      before: before ?? null,
      path,
    })),
    edits_left: editsLeft,
    hash,
    node: names.get(actor) ?? null,
  };
}

function viewHistory(
  about: { readonly collection: string; readonly id: string },
  history: DocumentHistory,
  names: Names,
): string {
  const { deletion, hash, changeCount, source } = history;
  return JSON.stringify({
    born_ms: history.bornMs,
    bytes: history.bytes,
    change_count: changeCount ?? null,
    changes: history.changes.map((change) => changeShape(change, names)),
    collection: about.collection,
    deleted:
      deletion === undefined
        ? null
        : { at_ms: deletion.atMs, by: deletion.by, reason: deletion.reason },
    doc_id: about.id,
    etag: hash === undefined ? null : printEtag(hash),
    fields: history.fields.map((one) => fieldShape(one, names)),
    fields_left: history.fieldsLeft,
    kind: history.kind,
    life: history.life,
    source: source ?? null,
  });
}

const NULLABLE_TEXT = orNull("string");

const DELETION: Schema = {
  oneOf: [object({ at_ms: count, by: text, reason: text }), { type: "null" }],
};

const HISTORY_DOCS = describe({
  summary: "How a document came to be.",
  description:
    "Of a collection that keeps its whole history, the document's changes, the newest first, each with what it set and removed. Of other collections who wrote each field last, and the changes that this node has rendered since it last compacted them. Of a deleted document, when, by whom and why. Names of nodes are known of this node and of the peers that are connected; others are told by their process starts; a rendering's changes have actors that are nobody's. Values are JSON, with `…` where they were cut.",
  parameters: [
    segment("collection", "Collection of the document."),
    segment("id", "Id of the document."),
    ...queries(HISTORY_LIMIT),
  ],
  responses: answers(
    {
      200: json(
        "As far as this node knows.",
        object({
          born_ms: count,
          bytes: count,
          change_count: orNull("integer"),
          changes: listOf(
            object({
              actor: text,
              at_ms: count,
              bytes: count,
              edits: listOf(object({ after: NULLABLE_TEXT, before: NULLABLE_TEXT, path: text })),
              edits_left: count,
              hash: text,
              node: NULLABLE_TEXT,
            }),
          ),
          collection: text,
          deleted: DELETION,
          doc_id: text,
          etag: NULLABLE_TEXT,
          fields: listOf(
            object({ at_ms: count, name: text, node: NULLABLE_TEXT, removed: flag, start: text }),
          ),
          fields_left: count,
          kind: { enum: ["history", "latest"] },
          life: count,
          source: { enum: ["document", "rendering", null] },
        }),
      ),
    },
    [400, 404, 408, 503],
  ),
});

interface HistoryCall {
  readonly params: { readonly collection: string | null; readonly id: string | null };
  readonly query: Query;
  readonly request: Request;
}

async function answerHistory(context: HistoryContext, call: HistoryCall): Promise<Response> {
  const { store, node, clock, requestMs } = context;
  const { collection, id } = call.params;
  if (collection === null || id === null) {
    throw new Fault("invalid_argument", "the path is not percent-encoded UTF-8");
  }
  const key = documentKey(collection, id);
  const limit = readParameter(call.query, HISTORY_LIMIT) ?? DEFAULT_LIMIT;
  const deadline = { clock, requestMs, late: "the history was not read in time" };
  return await untilGone(call.request, deadline, async (signal) => {
    const history = await store.histories.read({ key, limit, signal });
    return answerJson(viewHistory({ collection, id }, history, node.starts()));
  });
}

export function historyRoutes(context: HistoryContext) {
  return newRoutes().get(
    `${API}/documents/:collection/:id/history`,
    (call) => answerHistory(context, call),
    HISTORY_DOCS,
  );
}
