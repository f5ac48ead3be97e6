// The broker's paths: each asks store or node and answers with a view. Access is checked before any of them.
import type { Attachments } from "../attachments/service.ts";
import { type Clock, within } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { PROMETHEUS_TYPE } from "../base/prometheus.ts";
import { Room } from "../base/room.ts";
import { documentKey, parseCollection } from "../store/document-key.ts";
import type { Store, StoredDocument, WriteOperation } from "../store/store.ts";
import { answerJson, answerNotModified } from "./answers.ts";
import { API } from "./api-path.ts";
import { attachmentRoutes } from "./attachment-routes.ts";
import { backupRoutes } from "./backup-routes.ts";
import { isKnown, parseConditions, printEtag } from "./conditions.ts";
import { type DashboardPage, dashboardRoutes } from "./dashboard-route.ts";
import type { Diagnostics } from "./diagnostics.ts";
import { withoutOwnId } from "./document-text.ts";
import type { EventStreams } from "./event-streams.ts";
import type { EventSocket } from "./events.ts";
import { explainRoutes } from "./explain-routes.ts";
import { historyRoutes } from "./history-routes.ts";
import type { NodeControl } from "./node-control.ts";
import type { NodeView } from "./node-view.ts";
import { describeApi } from "./openapi.ts";
import { operatorRoutes } from "./operator-routes.ts";
import { readPage } from "./page.ts";
import { parseEventQuery, type Query, REASON, readParameter } from "./query.ts";
import { checkMediaType, readText, WRITE_TYPES } from "./request-body.ts";
import { decoded, type Segment } from "./request-path.ts";
import { ROUTE_DOCS } from "./route-docs.ts";
import { newRoutes, unread } from "./routing.ts";
import { setAsideRoutes } from "./set-aside.ts";
import { untilGone } from "./until-gone.ts";
import {
  topologyOf,
  viewCollections,
  viewDocument,
  viewHealth,
  viewNode,
  viewPage,
  viewPeer,
  viewPeers,
  viewReadiness,
  viewSummary,
  viewTopology,
} from "./views.ts";

export interface RouteContext {
  readonly store: Store;
  readonly node: NodeView;
  readonly control: NodeControl;
  readonly clock: Clock;
  readonly events: EventStreams;
  readonly bodyBytesMax: number;
  readonly pageBytesMax: number;
  readonly requestMs: number;
  readonly writesMax: number;
  /** Undefined where no files are sent and none received. */
  readonly files: Attachments | undefined;
  /** Undefined: there are none. */
  readonly metrics?: (() => string) | undefined;
  /** Undefined: nothing is explained. */
  readonly diagnostics?: Diagnostics | undefined;
  /** The page at `/`; without it there is none. */
  readonly dashboard?: (() => Promise<DashboardPage>) | undefined;
}

const DOCUMENT = `${API}/documents/:collection/:id` as const;

function answerDocument(document: StoredDocument, status = 200): Response {
  return answerJson(viewDocument(document), status, { etag: printEtag(document.hash) });
}

function readDocument({ store }: RouteContext, collection: string, id: string, headers: Headers) {
  const key = documentKey(collection, id);
  const document = store.get(key);
  if (document === undefined) {
    store.damage.checkAbsent(key);
    throw new Fault("document_not_found", `document not found: ${collection}/${id}`);
  }
  if (isKnown(parseConditions(headers), document.hash)) {
    return answerNotModified(printEtag(document.hash));
  }
  return answerDocument(document);
}

/** A search ends when the client goes, and has no longer than a write. */
async function answerPage(
  { store, pageBytesMax, clock, requestMs }: RouteContext,
  { collection, query, request }: { collection: string; query: Query; request: Request },
): Promise<Response> {
  const late = `the search was not done within ${requestMs / 1000} s; narrow it down`;
  return await untilGone(request, { clock, requestMs, late }, async (signal) => {
    const page = await readPage(store, {
      collection: parseCollection(collection),
      query,
      pageBytesMax,
      signal,
    });
    const headers = page.link === undefined ? {} : { link: page.link };
    return answerJson(viewPage(page), 200, headers);
  });
}

function answerReadiness({ node }: RouteContext): Response {
  const checks = node.readiness();
  const status = checks.every((check) => check.ready) ? 200 : 503;
  return answerJson(viewReadiness(node, checks), status);
}

function answerMetrics({ metrics }: RouteContext): Response {
  if (metrics === undefined) throw new Fault("route_not_found", "this node keeps no metrics");
  return new Response(metrics(), {
    headers: { "content-type": PROMETHEUS_TYPE, "x-content-type-options": "nosniff" },
  });
}

function answerPeer({ node }: RouteContext, id: string): Response {
  const peer = node.peers().find((p) => p.id === id);
  if (peer === undefined) throw new Fault("peer_not_found", `peer not found: ${id}`);
  return answerJson(viewPeer(peer));
}

interface WriteCall {
  readonly request: Request;
  readonly params: { readonly collection: Segment; readonly id: Segment };
  readonly query: Query;
}

const LATE = Symbol("late");

/** Writes of documents, of which so many may be under way, each for so long. */
class Writer {
  readonly #context: RouteContext;
  readonly #room: Room;

  constructor(context: RouteContext) {
    this.#context = context;
    this.#room = new Room(context.writesMax, "writes are under way already");
  }

  async write(call: WriteCall): Promise<Response> {
    const { clock, requestMs } = this.#context;
    return await this.#room.during(async () => {
      const response = await within(clock, requestMs, this.#perform(call), LATE);
      if (response !== LATE) return response;
      throw new Fault(
        "request_timeout",
        `the request was not done within ${requestMs / 1000} s; what was received of it may still take effect`,
      );
    });
  }

  async #perform({ request, params, query }: WriteCall): Promise<Response> {
    const collection = decoded(params.collection, "collection");
    const id = decoded(params.id, "document id");
    const key = documentKey(collection, id);
    const conditions = parseConditions(request.headers);
    const operation = await this.#readOperation(request, query, id);
    const { outcome, document } = await this.#context.store.write({
      key,
      operation,
      ...conditions,
    });
    if (outcome === "deleted") return answerJson(viewDocument(document));
    return answerDocument(document, outcome === "created" ? 201 : 200);
  }

  async #readOperation(request: Request, query: Query, id: string): Promise<WriteOperation> {
    const { method, headers } = request;
    if (method === "DELETE") return { kind: "delete", reason: readParameter(query, REASON) ?? "" };
    checkMediaType(headers, method === "PATCH" ? WRITE_TYPES.PATCH : WRITE_TYPES.PUT);
    const text = await readText(request, this.#context.bodyBytesMax);
    return { kind: method === "PATCH" ? "patch" : "put", body: withoutOwnId(text, id) };
  }
}

/** Elysia's type of a socket leaves out some of what Bun's socket has. */
function eventSocket(raw: unknown): EventSocket {
  return raw as Bun.ServerWebSocket<unknown>;
}

function nodeRoutes(context: RouteContext) {
  const { node, store, clock } = context;
  return newRoutes()
    .get(`${API}/health`, () => answerJson(viewHealth(node)), ROUTE_DOCS.health)
    .get(`${API}/ready`, () => answerReadiness(context), ROUTE_DOCS.ready)
    .get(
      `${API}/node`,
      () => answerJson(viewNode(node, clock.monotonic() - node.startedAt)),
      ROUTE_DOCS.node,
    )
    .get(`${API}/peers`, () => answerJson(viewPeers(node.peers())), ROUTE_DOCS.peers)
    .get(
      `${API}/peers/:id`,
      ({ params }) => answerPeer(context, decoded(params.id, "peer's name")),
      ROUTE_DOCS.peer,
    )
    .get(
      `${API}/topology`,
      () => answerJson(viewTopology(topologyOf(node.peers()))),
      ROUTE_DOCS.topology,
    )
    .get("/metrics", () => answerMetrics(context), ROUTE_DOCS.metrics)
    .get(`${API}/summary`, () => answerJson(viewSummary(store.summary())), ROUTE_DOCS.summary);
}

function documentRoutes(context: RouteContext) {
  const { store } = context;
  const writer = new Writer(context);
  return newRoutes()
    .get(
      `${API}/collections`,
      () => answerJson(viewCollections(store.collections())),
      ROUTE_DOCS.collections,
    )
    .get(
      `${API}/documents/:collection`,
      ({ params, query, request }) =>
        answerPage(context, {
          collection: decoded(params.collection, "collection"),
          query,
          request,
        }),
      ROUTE_DOCS.list,
    )
    .get(
      DOCUMENT,
      ({ params, request }) => {
        const collection = decoded(params.collection, "collection");
        return readDocument(
          context,
          collection,
          decoded(params.id, "document id"),
          request.headers,
        );
      },
      ROUTE_DOCS.read,
    )
    .put(DOCUMENT, (call) => writer.write(call), { ...ROUTE_DOCS.put, ...unread })
    .patch(DOCUMENT, (call) => writer.write(call), { ...ROUTE_DOCS.patch, ...unread })
    .delete(DOCUMENT, (call) => writer.write(call), { ...ROUTE_DOCS.delete, ...unread });
}

/** All routes; whoever serves them checks access first and turns what they throw into answers. */
export function makeRoutes(context: RouteContext) {
  const { events, node } = context;
  const app = newRoutes()
    .use(nodeRoutes(context))
    .use(documentRoutes(context))
    .use(setAsideRoutes(context))
    .use(operatorRoutes(context))
    .use(attachmentRoutes(context))
    .use(historyRoutes(context))
    .use(explainRoutes(context))
    .use(dashboardRoutes(context.dashboard))
    .use(backupRoutes(context))
    .ws(`${API}/ws`, {
      ...ROUTE_DOCS.events,
      upgrade: ({ query }: { query: Query }) => {
        parseEventQuery(query);
        events.checkRoom();
      },
      open: (socket) => events.open(eventSocket(socket.raw), parseEventQuery(socket.data.query)),
      drain: (socket) => events.drained(eventSocket(socket.raw)),
      close: (socket) => events.closed(eventSocket(socket.raw)),
    });
  const description = () => JSON.stringify(describeApi(app, node.version));
  return app.get("/openapi.json", () => answerJson(description()), ROUTE_DOCS.openapi);
}
