// What the published description says of each route; /openapi.json puts it together with the routes themselves.
import {
  answers,
  count,
  describe,
  flag,
  header,
  json,
  listOf,
  object,
  orNull,
  queries,
  refer,
  type Schema,
  segment,
  text,
} from "./describe.ts";
import {
  AFTER,
  AFTER_NUMBER,
  ASIDE_LIMIT,
  COLLECTIONS,
  EVENT_FILTER,
  FILTER,
  INCLUDE,
  LIMIT,
  ORDER,
  REASON,
  SINCE,
  WHY,
} from "./query.ts";

const AnyDocument: Schema = {
  type: "object",
  properties: { _id: text },
  required: ["_id"],
  additionalProperties: true,
};

/** Schemas that routes refer to by name. */
export const SCHEMAS = {
  Document: AnyDocument,
  SetAside: object({
    at_ms: count,
    bytes: orNull("integer"),
    collection: text,
    doc_id: text,
    id: count,
    restorable: flag,
    why: { enum: ["deleted", "orphan", "damaged"] },
  }),
  Fault: object({ error: text, status: { type: "integer" } }),
  Peer: object({
    address: orNull("string"),
    connected: flag,
    connected_at_ms: orNull("integer"),
    dialect: orNull("string"),
    endpoint_id: orNull("string"),
    id: text,
    in_sync: flag,
    lag_ms: orNull("integer"),
    last_failure: orNull("string"),
    last_seen_ms: orNull("integer"),
    neighbours: { oneOf: [listOf(text), { type: "null" }] },
    path: orNull("string"),
    queued: count,
    received_bytes: count,
    rtt_ms: orNull("integer"),
    secret_tag: orNull("string"),
    sent_bytes: count,
    state: text,
    version: orNull("string"),
  }),
  Event: {
    oneOf: [
      object({ type: { const: "PeerConnected" }, peer_id: text }),
      object({ type: { const: "PeerDisconnected" }, peer_id: text, reason: text }),
      object({ type: { const: "TopologyChanged" }, new_role: text, peer_count: count }),
      object(
        {
          type: { const: "SyncEvent" },
          collection: text,
          doc_id: text,
          action: { enum: ["created", "updated", "deleted"] },
          token: text,
          etag: text,
          document: { oneOf: [refer("Document"), { type: "null" }] },
        },
        ["document"],
      ),
      object({ type: { const: "Position" }, token: text }),
      object({ type: { const: "Gap" }, missed: orNull("integer") }),
    ],
  },
} as const;

const COLLECTION = segment(
  "collection",
  "1 to 128 of [A-Za-z0-9._-], the first a letter or digit.",
);
const ID = segment("id", "1 to 512 bytes without control characters, percent-encoded.");
const ENTRY = segment("id", "The number of an entry.");
const IF_MATCH = header("If-Match", "Only if the document has one of these ETags; * if it exists.");
const IF_NONE_MATCH = header("If-None-Match", "Only if it has none of these; * if it is missing.");
const ONE_DOCUMENT = object({ collection: text, document: refer("Document"), id: text });
const WRITTEN = json("Committed. The ETag header has the new state.", ONE_DOCUMENT);
const WRITE_REFUSALS = [400, 404, 408, 409, 412, 413, 415, 503, 507];

function writeOf(summary: string, types: readonly string[]) {
  const content = Object.fromEntries(types.map((type) => [type, { schema: { type: "object" } }]));
  return describe({
    summary,
    parameters: [COLLECTION, ID, IF_MATCH, IF_NONE_MATCH],
    requestBody: { required: true, content },
    responses: answers({ 200: WRITTEN, 201: WRITTEN }, WRITE_REFUSALS),
  });
}

export const ROUTE_DOCS = {
  health: describe({
    summary: "Whether the process answers. Never needs a token.",
    responses: { 200: json("It does.", object({ status: text, node_id: text })) },
  }),
  ready: describe({
    summary: "Whether the node can do its work, check by check. Never needs a token.",
    responses: Object.fromEntries(
      [200, 503].map((status) => [
        status,
        json(
          status === 200 ? "Every check holds." : "A check does not hold.",
          object({
            ready: flag,
            node_id: text,
            checks: listOf(object({ name: text, ready: flag, message: orNull("string") })),
          }),
        ),
      ]),
    ),
  }),
  node: describe({
    summary: "Name, age and version of this node.",
    responses: answers({
      200: json("This node.", object({ node_id: text, uptime_secs: count, version: text })),
    }),
  }),
  peers: describe({
    summary: "Peers, connected or sought.",
    responses: answers({
      200: json("All of them.", object({ count, peers: listOf(refer("Peer")) })),
    }),
  }),
  peer: describe({
    summary: "One peer.",
    parameters: [segment("id", "The peer's node name.")],
    responses: answers({ 200: json("The peer.", refer("Peer")) }, [404]),
  }),
  topology: describe({
    summary: "How many peers are connected, and the role that follows from it.",
    responses: answers({
      200: json("The topology.", object({ hierarchy_level: count, peer_count: count, role: text })),
    }),
  }),
  summary: describe({
    summary: "The whole store in one hash: two nodes with equal root hashes hold equal documents.",
    responses: answers({
      200: json(
        "The summary.",
        object({ documents: count, root_hash: text, store_id: text, tombstones: count }),
      ),
    }),
  }),
  collections: describe({
    summary: "Collections that have documents.",
    responses: answers({
      200: json(
        "All of them.",
        object({ collections: listOf(object({ count, name: text })), count }),
      ),
    }),
  }),
  list: describe({
    summary: "Documents of a collection, all or some, by id or in another order, page by page.",
    description:
      "`count` is the number of all documents of the collection, not of the page, nor of those that a filter leaves. `next`, and a Link header, are there when more follow. A document that does not change while the pages are read is on one of them exactly; one that changes may be on two or on none.",
    parameters: [COLLECTION, ...queries(LIMIT, AFTER, FILTER, ORDER)],
    responses: answers(
      {
        200: json(
          "A page.",
          object({ collection: text, count, documents: listOf(refer("Document")), next: text }, [
            "next",
          ]),
        ),
      },
      [400, 404, 408, 503],
    ),
  }),
  read: describe({
    summary: "One document.",
    parameters: [COLLECTION, ID, IF_MATCH, IF_NONE_MATCH],
    responses: answers(
      {
        200: json("The document. The ETag header has its state.", ONE_DOCUMENT),
        304: { description: "If-None-Match names the state that it has." },
      },
      [400, 404, 412, 503],
    ),
  }),
  put: writeOf("Replace a document, or create it (201).", ["application/json"]),
  patch: writeOf("Merge into a document (RFC 7386: null removes), or create it (201).", [
    "application/merge-patch+json",
    "application/json",
  ]),
  delete: describe({
    summary: "Delete a document.",
    parameters: [COLLECTION, ID, IF_MATCH, ...queries(REASON)],
    responses: answers(
      {
        200: json(
          "Deleted; `document` is null.",
          object({ collection: text, document: { type: "null" }, id: text }),
        ),
      },
      [400, 404, 408, 409, 412, 503, 507],
    ),
  }),
  setAside: describe({
    summary: "Contents that are kept beside the documents, in the order in which they came there.",
    description:
      "`count` is the number of all entries of that reason. `next` is there when more follow. Only sizes are told; restore one to read it.",
    parameters: queries(WHY, ASIDE_LIMIT, AFTER_NUMBER),
    responses: answers(
      {
        200: json(
          "A page.",
          object({ count, entries: listOf(refer("SetAside")), next: count }, ["next"]),
        ),
      },
      [400],
    ),
  }),
  restore: describe({
    summary: "Write a content back as a document: the new life of a deleted one, or an orphan.",
    parameters: [ENTRY],
    responses: answers({ 201: WRITTEN }, [400, 404, 408, 409, 413, 503, 507]),
  }),
  discard: describe({
    summary: "Give a content up for good.",
    parameters: [ENTRY],
    responses: answers({ 200: json("It is gone.", refer("SetAside")) }, [400, 404, 507]),
  }),
  events: describe({
    summary: "WebSocket: one event as JSON in each text message.",
    description:
      "Plain, it tells what happens from now on. `since` tells first what changed after a token; `since` and `include` make a Position the first event. A client that is too slow is told of its Gap (`missed` is null when nobody knows how much: read the documents again), and closed with 1013 when it takes nothing at all. In what `since` tells, a document's changes are one event, `updated` or `deleted`.",
    parameters: queries(COLLECTIONS, SINCE, EVENT_FILTER, INCLUDE),
    responses: answers(
      {
        101: json("Each text message is one event.", refer("Event")),
      },
      [400, 503],
    ),
  }),
  metrics: describe({
    summary: "What Prometheus reads of this node.",
    responses: answers({
      200: {
        description: "Text format 0.0.4.",
        content: { "text/plain": { schema: text } },
      },
    }),
  }),
  openapi: describe({
    summary: "This description (OpenAPI 3.1).",
    responses: answers({ 200: json("The description.", { type: "object" }) }),
  }),
} as const;
