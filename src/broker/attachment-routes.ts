// Files on their way between nodes: what is known of them, and orders to send some or to stop that. Names and sentences
// are those of the RPCs; sizes and hashes, which these want to be told, are found here where nobody tells them.
import {
  bytesTransferred,
  type Distribution,
  FILE_DISTRIBUTIONS,
  type NodeState,
  PRIORITIES,
  type Priority,
  progressOf,
  readDistribution,
} from "../attachments/distribution.ts";
import { findDistribution } from "../attachments/distributions.ts";
import {
  checkRequest,
  type FileRequest,
  type Scope,
  type SendRequest,
} from "../attachments/send-request.ts";
import type { Attachments, FileFacts } from "../attachments/service.ts";
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { Room } from "../base/room.ts";
import type { DocumentQuery } from "../store/document-query.ts";
import type { Store } from "../store/store.ts";
import { answerJson } from "./answers.ts";
import { API } from "./api-path.ts";
import { ATTACHMENT_DOCS } from "./attachment-docs.ts";
import { parseOrder } from "./filter.ts";
import type { NodeView } from "./node-view.ts";
import { type Order, readFields, readOrder } from "./order-body.ts";
import { ATTACHMENT_LIMIT, BUNDLE, type Query, readParameter } from "./query.ts";
import { newRoutes, unread } from "./routing.ts";
import { untilGone } from "./until-gone.ts";

export interface AttachmentContext {
  readonly store: Store;
  readonly node: NodeView;
  readonly clock: Clock;
  readonly requestMs: number;
  /** Undefined where nothing is sent and nothing received. */
  readonly files: Attachments | undefined;
}

const BODY_BYTES_MAX = 256 * 1024;
const DEFAULT_LIMIT = 100;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Requests whose files are read at a time. */
const SENDS_MAX = 4;
const SHORT_ID_CHARS = 10;

type Names = ReadonlyMap<string, string>;

/** Of peers that this node knows, by their short ids. */
function namesOf({ node }: AttachmentContext): Names {
  const named = node.peers().flatMap(({ id, endpointId }): [string, string][] => {
    return endpointId === null ? [] : [[endpointId.slice(0, SHORT_ID_CHARS), id]];
  });
  return new Map(named);
}

const NODE_STATUSES = {
  transferring: "in_progress",
  completed: "completed",
  failed: "failed",
} as const satisfies Record<NodeState["status"], string>;

function nodeShape(id: string, state: NodeState | undefined, names: Names) {
  return {
    id,
    name: names.get(id) ?? null,
    status: state === undefined ? "pending" : NODE_STATUSES[state.status],
    bytes: state?.bytes ?? 0,
    error: state?.error ?? null,
  };
}

function shape(told: Distribution, names: Names) {
  return {
    id: told.id,
    bundle_id: told.bundleId,
    file_index: told.fileIndex,
    file_count: told.fileCount,
    sender: told.sender,
    name: told.name,
    root_name: told.source.root,
    relative_path: told.source.path,
    size_bytes: told.size,
    sha256: told.sha256,
    blob_token: told.hash,
    priority: told.priority,
    started_at_ms: told.startedAt,
    ended_at_ms: told.endedAt ?? null,
    status: progressOf(told),
    bytes_transferred: bytesTransferred(told),
    error: told.error ?? null,
    nodes: told.targets.map((id) => nodeShape(id, told.nodes.get(id), names)),
  };
}

function view(distributions: readonly Distribution[], context: AttachmentContext): string {
  const names = namesOf(context);
  return JSON.stringify({ distributions: distributions.map((told) => shape(told, names)) });
}

/** The newest ones, whoever has sent them: they are documents that every node has. */
async function answerList(
  context: AttachmentContext,
  { query, request }: { query: Query; request: Request },
): Promise<Response> {
  const bundle = readParameter(query, BUNDLE);
  const wanted: DocumentQuery =
    bundle === undefined ? { kind: "all" } : { kind: "eq", path: ["bundle_id"], value: bundle };
  const { store, clock, requestMs } = context;
  const deadline = { clock, requestMs, late: "the distributions were not found in time" };
  const page = await untilGone(request, deadline, (signal) =>
    store.searches.find({
      collection: FILE_DISTRIBUTIONS,
      query: wanted,
      order: parseOrder("-started_at,file_index"),
      after: undefined,
      limit: readParameter(query, ATTACHMENT_LIMIT) ?? DEFAULT_LIMIT,
      bytesMax: ANSWER_BYTES_MAX,
      signal,
    }),
  );
  const told = page.documents.flatMap(({ id, json }) => readDistribution(id, json) ?? []);
  return answerJson(view(told, context));
}

function answerOne(context: AttachmentContext, id: string | null): Response {
  const told = findDistribution(context.store, id ?? "");
  return answerJson(JSON.stringify(shape(told, namesOf(context))));
}

/** Fault `not_offered`. */
function sendingOf({ files }: AttachmentContext) {
  const sender = files?.sender;
  if (files !== undefined && sender !== undefined) return { files, sender };
  throw new Fault("not_offered", "this node sends no files; set PEAT_ATTACHMENT_ROOT on it");
}

/** A text, or nothing. Fault `invalid_argument` for other values; `field` is where it stands. */
function optionalText(fields: Order, name: string, field = name): string | undefined {
  const value = fields.get(name);
  if (value === undefined || typeof value === "string") return value;
  throw new Fault("invalid_argument", `${field}: must be a text`);
}

function requiredText(fields: Order, name: string, field: string): string {
  const text = optionalText(fields, name, field);
  if (text !== undefined) return text;
  throw new Fault("invalid_argument", `${field}: is missing`);
}

function readList(value: unknown, field: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Fault("invalid_argument", `${field}: must be a list`);
}

/** Whoever names nobody means all. */
function readScope(value: unknown): Scope {
  if (value === undefined) return { kind: "all" };
  const scope = readFields(value, ["all_nodes", "node_list"], "scope");
  if (scope.size !== 1) {
    throw new Fault("invalid_argument", "scope: must have one of all_nodes, node_list");
  }
  if (scope.has("all_nodes")) return { kind: "all" };
  const list = readFields(scope.get("node_list"), ["node_ids"], "scope.node_list");
  const field = "scope.node_list.node_ids";
  const nodeIds = readList(list.get("node_ids"), field).map((id, at) => {
    if (typeof id === "string") return id;
    throw new Fault("invalid_argument", `${field}[${at}]: must be a text`);
  });
  return { kind: "list", nodeIds };
}

function readPriority(text: string | undefined): Priority | undefined {
  if (text === undefined) return undefined;
  const priority = PRIORITIES.find((known) => known === text);
  if (priority !== undefined) return priority;
  throw new Fault("invalid_argument", `priority: must be one of ${PRIORITIES.join(", ")}`);
}

const FILE_FIELDS = [
  "root_name",
  "relative_path",
  "display_name",
  "content_type",
  "size_bytes",
  "sha256",
];

function readFacts(fields: Order, field: string): FileFacts | undefined {
  const size = fields.get("size_bytes");
  const sha256 = optionalText(fields, "sha256", `${field}.sha256`);
  if (size === undefined && sha256 === undefined) return undefined;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw new Fault("invalid_argument", `${field}.size_bytes: must be a number of bytes`);
  }
  if (sha256 === undefined || !/^[0-9a-f]{64}$/i.test(sha256)) {
    throw new Fault("invalid_argument", `${field}.sha256: must be 64 hex digits`);
  }
  return { sizeBytes: BigInt(size), sha256: Uint8Array.fromHex(sha256) };
}

interface Reading {
  readonly files: Attachments;
  readonly signal: AbortSignal;
}

async function readFile(
  value: unknown,
  field: string,
  { files, signal }: Reading,
): Promise<FileRequest> {
  const fields = readFields(value, FILE_FIELDS, field);
  const root = requiredText(fields, "root_name", `${field}.root_name`);
  const path = requiredText(fields, "relative_path", `${field}.relative_path`);
  const facts = readFacts(fields, field) ?? (await files.describe({ root, path, field }, signal));
  return {
    rootName: root,
    relativePath: path,
    displayName: optionalText(fields, "display_name", `${field}.display_name`),
    contentType: optionalText(fields, "content_type", `${field}.content_type`),
    ...facts,
  };
}

/** Orders to send, of which so many may have their files read. */
class Orders {
  readonly #context: AttachmentContext;
  readonly #room = new Room(SENDS_MAX, "requests have files read already");

  constructor(context: AttachmentContext) {
    this.#context = context;
  }

  async send(request: Request): Promise<Response> {
    const { files, sender } = sendingOf(this.#context);
    return await this.#room.during(() =>
      untilGone(request, undefined, async (signal) => {
        const order = await this.#read(request, { files, signal });
        const { distributions } = await sender.send(order, signal);
        return answerJson(view(distributions, this.#context), 201);
      }),
    );
  }

  async #read(given: Request, reading: Reading): Promise<SendRequest> {
    const { limits } = reading.files;
    const names = ["files", "scope", "priority", "bundle_id"];
    const order = await readOrder(given, names, { ...this.#context, bytesMax: BODY_BYTES_MAX });
    const scope = readScope(order.get("scope"));
    const priority = readPriority(optionalText(order, "priority"));
    const bundleId = optionalText(order, "bundle_id");
    const wanted = readList(order.get("files"), "files");
    if (wanted.length > limits.filesMax) {
      const sentence = `files: names ${wanted.length}; at most ${limits.filesMax}`;
      throw new Fault("payload_too_large", sentence);
    }
    const files: FileRequest[] = [];
    const request = { files, scope, priority, bundleId };
    for (const [index, value] of wanted.entries()) {
      files.push(await readFile(value, `files[${index}]`, reading));
      // Not one file more is read than may be sent.
      checkRequest(request, limits);
    }
    return request;
  }
}

async function cancel(context: AttachmentContext, id: string | null): Promise<Response> {
  const { sender } = sendingOf(context);
  return answerJson(JSON.stringify({ cancelled: await sender.cancel(id ?? "") }));
}

function answerRoots({ files }: AttachmentContext): Response {
  const roots = [...(files?.roots ?? [])].map(([name, path]) => ({ name, path }));
  return answerJson(JSON.stringify({ roots }));
}

export function attachmentRoutes(context: AttachmentContext) {
  const orders = new Orders(context);
  return newRoutes()
    .get(`${API}/attachments`, (call) => answerList(context, call), ATTACHMENT_DOCS.list)
    .get(`${API}/attachment-roots`, () => answerRoots(context), ATTACHMENT_DOCS.roots)
    .get(
      `${API}/attachments/:id`,
      ({ params }) => answerOne(context, params.id),
      ATTACHMENT_DOCS.one,
    )
    .post(
      `${API}/attachments`,
      ({ request, server }) => {
        // Files are read and copied before the answer: minutes of silence, with large ones on a slow disk.
        server?.timeout(request, 0);
        return orders.send(request);
      },
      { ...ATTACHMENT_DOCS.send, ...unread },
    )
    .delete(`${API}/attachments/:id`, ({ params }) => cancel(context, params.id), {
      ...ATTACHMENT_DOCS.cancel,
      ...unread,
    });
}
