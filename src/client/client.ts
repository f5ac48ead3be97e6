// A client of the broker for TypeScript and JavaScript: browsers, Node, Bun, Deno. It imports nothing, so that this one
// file can be copied into a project; `bun run build` also writes it as dist/client.js.

export type Json = null | boolean | number | string | readonly Json[] | Fields;
/** A JSON object. Integers beyond 2^53 lose digits in JavaScript. */
export type Fields = { readonly [name: string]: Json };

export interface Stored<T extends Fields = Fields> {
  readonly collection: string;
  readonly id: string;
  readonly fields: T;
  /** Names this state; for `ifMatch`. */
  readonly etag: string;
}

export type PeatEvent<T extends Fields = Fields> =
  /** Comes first, once: what is read from now on, with what is told from now on, is everything. */
  | { readonly kind: "begin"; readonly position: string }
  | {
      readonly kind: "changed";
      readonly collection: string;
      readonly id: string;
      /** Undefined: deleted. */
      readonly fields: T | undefined;
      readonly etag: string;
      /** Where to go on after this change, also in another process: `since`. */
      readonly position: string;
    }
  /** What changed since `since` is not known here any more: read the documents again. */
  | { readonly kind: "lost"; readonly position: string };

const CODES = new Map([
  [400, "invalid_argument"],
  [401, "unauthenticated"],
  [403, "forbidden"],
  [404, "not_found"],
  [409, "conflict"],
  [412, "precondition_failed"],
  [413, "too_large"],
  [503, "unavailable"],
  [507, "storage_full"],
]);

/** The node refused, or could not be asked: `code` for programs, the message for people. */
export class PeatError extends Error {
  override readonly name = "PeatError";
  /** As the table above has it; `unreachable` without an answer, else `failed`. */
  readonly code: string;
  /** Of HTTP; 0 without an answer. */
  readonly status: number;

  constructor(status: number, message: string, cause?: unknown) {
    super(message, { cause });
    this.status = status;
    this.code = status === 0 ? "unreachable" : (CODES.get(status) ?? "failed");
  }
}

export interface ClientOptions {
  /** Of the broker: http://127.0.0.1:8081 unless given. */
  readonly url?: string;
  /** PEAT_API_TOKEN of the node, or the content of its file `token`. */
  readonly token?: string;
  /** Where there is none by itself: Node before 22 has the package `ws`. */
  readonly webSocket?: new (
    url: string,
    protocols: string[],
  ) => WebSocket;
}

export interface WriteOptions {
  /** Only if the document has this state (`*`: if it exists); else PeatError `precondition_failed`. */
  readonly ifMatch?: string;
  /** `*`: only if it does not exist. */
  readonly ifNoneMatch?: string;
}

export interface ListOptions {
  /** docs/queries.md: `{ field: "speed", gt: 3 }`. */
  readonly filter?: Fields;
  /** `-speed,name` */
  readonly order?: string;
  /** Documents asked for at a time. */
  readonly pageSize?: number;
}

export interface SubscribeOptions {
  /** All unless given. */
  readonly collections?: readonly string[];
  readonly filter?: Fields;
  /** Position of an earlier event: what changed after it comes first. */
  readonly since?: string;
  /** Ends the subscription. */
  readonly signal?: AbortSignal;
}

/** Events that wait for a slow reader; beyond it the connection is given up, and resumed where the reader is. */
const QUEUE_MAX = 1000;
const RETRY_MS = 100;
const RETRY_MS_MAX = 10_000;
/** Refusals that no second try changes. */
const FINAL = new Set([400, 401, 403]);

type Query = Readonly<Record<string, string | undefined>>;

interface Ask {
  readonly query?: Query;
  readonly body?: Fields;
  readonly options?: WriteOptions | undefined;
}

interface Answer {
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export class PeatClient {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #webSocket: ClientOptions["webSocket"];

  constructor({ url = "http://127.0.0.1:8081", token, webSocket }: ClientOptions = {}) {
    this.#url = url.replace(/\/+$/, "");
    this.#token = token;
    this.#webSocket = webSocket;
  }

  /** Undefined when there is no such document. */
  async get<T extends Fields>(collection: string, id: string): Promise<Stored<T> | undefined> {
    const answer = await this.#ask("GET", pathOf(collection, id)).catch(noneIfMissing);
    return answer && toStored<T>(answer);
  }

  /** Replaces the document, or creates it; resolves when that is on disk. */
  async put<T extends Fields>(collection: string, id: string, fields: T, options?: WriteOptions) {
    return toStored<T>(await this.#ask("PUT", pathOf(collection, id), { body: fields, options }));
  }

  /** Merges into the document (RFC 7386: null removes a field), or creates it. */
  async patch<T extends Fields>(
    collection: string,
    id: string,
    fields: Fields,
    options?: WriteOptions,
  ): Promise<Stored<T>> {
    return toStored<T>(await this.#ask("PATCH", pathOf(collection, id), { body: fields, options }));
  }

  /** PeatError `not_found` when there is none. */
  async delete(
    collection: string,
    id: string,
    { reason, ...options }: WriteOptions & { readonly reason?: string } = {},
  ): Promise<void> {
    await this.#ask("DELETE", pathOf(collection, id), { query: { reason }, options });
  }

  /** All documents, or those of a filter, page by page as they are read; none where there is no such collection. */
  async *list<T extends Fields>(
    collection: string,
    { filter, order, pageSize }: ListOptions = {},
  ): AsyncGenerator<T & { readonly _id: string }, void> {
    let after: string | undefined;
    do {
      const query = { filter: print(filter), order, limit: print(pageSize), after };
      const answer = await this.#ask("GET", pathOf(collection), { query }).catch(noneIfMissing);
      if (answer === undefined) return;
      const { documents, next } = answer.body;
      if (Array.isArray(documents)) yield* documents;
      after = typeof next === "string" ? next : undefined;
    } while (after !== undefined);
  }

  /**
   * Changes as they are committed, each after the one before. It connects again by itself for as long as it takes, and
   * goes on where it was: no change is left out, though of several changes of one document perhaps only the last comes.
   * PeatError for what no second try mends.
   */
  async *subscribe<T extends Fields>(
    options: SubscribeOptions = {},
  ): AsyncGenerator<PeatEvent<T>, void> {
    const { signal } = options;
    const isOver = () => signal?.aborted === true;
    let since = options.since;
    let hasBegun = false;
    for (let failures = 0; !isOver(); failures += 1) {
      const events = new EventQueue(this.#connect(options, since));
      // Where the node is, not where the reader is: what lies between is told next.
      let present = since;
      signal?.addEventListener("abort", events.end);
      try {
        for await (const event of events.read()) {
          if (isOver()) return;
          failures = 0;
          // So many were dropped for want of speed: all of them are told again after the last position.
          if (event["type"] === "Gap" && event["missed"] !== null) break;
          if (event["type"] === "Gap") {
            since = present;
            yield { kind: "lost", position: since ?? "" };
          }
          if (event["type"] === "SyncEvent") {
            yield toEvent<T>(event);
            since = String(event["token"]);
          }
          if (event["type"] !== "Position") continue;
          present = String(event["token"]);
          since ??= present;
          if (!hasBegun) yield { kind: "begin", position: since };
          hasBegun = true;
        }
      } finally {
        events.end();
        signal?.removeEventListener("abort", events.end);
      }
      if (isOver()) return;
      if (!events.hasOpened) await this.#explain(options);
      await pause(Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** failures), signal);
    }
  }

  #connect({ collections, filter }: SubscribeOptions, since: string | undefined): WebSocket {
    const query = { collections: collections?.join(","), filter: print(filter), since };
    const url = this.#urlOf("/api/v1/ws", { ...query, include: "document,position" });
    // Browsers send no headers with a WebSocket: the token goes as one of its protocols.
    const bearer = this.#token === undefined ? [] : [`peat.bearer.${base64url(this.#token)}`];
    const Socket = this.#webSocket ?? WebSocket;
    return new Socket(url.replace(/^http/, "ws"), ["peat.events", ...bearer]);
  }

  /** A WebSocket does not say why it was refused; an ordinary request does. */
  async #explain({ collections = ["any"], filter }: SubscribeOptions): Promise<void> {
    const query = { limit: "1", filter: print(filter) };
    const asked = this.#ask("GET", pathOf(collections[0] ?? ""), { query });
    const refusal: unknown = await asked.catch((error: unknown) => error);
    if (refusal instanceof PeatError && FINAL.has(refusal.status)) throw refusal;
  }

  #urlOf(path: string, query: Query = {}): string {
    const search = new URLSearchParams();
    for (const [name, text] of Object.entries(query))
      if (text !== undefined) search.set(name, text);
    return `${this.#url}${path}${search.size === 0 ? "" : `?${search}`}`;
  }

  async #ask(method: string, path: string, { query, body, options }: Ask = {}): Promise<Answer> {
    const headers = new Headers();
    if (this.#token !== undefined) headers.set("authorization", `Bearer ${this.#token}`);
    if (body !== undefined) headers.set("content-type", "application/json");
    if (options?.ifMatch !== undefined) headers.set("if-match", options.ifMatch);
    if (options?.ifNoneMatch !== undefined) headers.set("if-none-match", options.ifNoneMatch);
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await fetch(this.#urlOf(path, query), init).catch((error: unknown) => {
      throw new PeatError(0, `no answer from ${this.#url}`, error);
    });
    const told: unknown = await response.json().catch(() => undefined);
    if (response.ok && isFields(told)) return { headers: response.headers, body: told };
    const sentence = isFields(told) ? told["error"] : undefined;
    const isSentence = typeof sentence === "string";
    const message = isSentence ? sentence : `${this.#url} answered ${response.status}`;
    throw new PeatError(response.status, message);
  }
}

/** What a WebSocket has said and nobody has read yet. */
class EventQueue {
  hasOpened = false;
  readonly #socket: WebSocket;
  readonly #waiting: Record<string, unknown>[] = [];
  #isOver = false;
  #wake: () => void = () => undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.hasOpened = true;
    });
    socket.addEventListener("message", ({ data }) => this.#take(parse(String(data))));
    for (const end of ["close", "error"]) socket.addEventListener(end, () => this.end());
  }

  async *read(): AsyncGenerator<Record<string, unknown>, void> {
    while (true) {
      const next = this.#waiting.shift();
      if (next !== undefined) yield next;
      else if (this.#isOver) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  readonly end = (): void => {
    this.#isOver = true;
    this.#socket.close();
    this.#wake();
  };

  #take(event: unknown): void {
    if (this.#isOver || !isFields(event)) return;
    this.#waiting.push(event);
    if (this.#waiting.length >= QUEUE_MAX) this.end();
    this.#wake();
  }
}

function noneIfMissing(error: unknown): undefined {
  if (!(error instanceof PeatError && error.status === 404)) throw error;
}

function pathOf(...segments: readonly string[]): string {
  return ["/api/v1/documents", ...segments.map(encodeURIComponent)].join("/");
}

function print(value: Fields | number | undefined): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

/** Undefined: it is no JSON, and so nothing that a node says. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function withoutId<T extends Fields>(document: unknown): T {
  const { _id, ...fields } = isFields(document) ? document : {};
  return fields as T;
}

function toStored<T extends Fields>({ body, headers }: Answer): Stored<T> {
  const { collection, id, document } = body;
  const etag = headers.get("etag") ?? "";
  return { collection: String(collection), id: String(id), fields: withoutId<T>(document), etag };
}

function toEvent<T extends Fields>(event: Record<string, unknown>): PeatEvent<T> {
  const { collection, doc_id, document, etag, token } = event;
  return {
    kind: "changed",
    collection: String(collection),
    id: String(doc_id),
    fields: isFields(document) ? withoutId<T>(document) : undefined,
    etag: String(etag),
    position: String(token),
  };
}

function base64url(text: string): string {
  const base64 = btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Shorter when the signal aborts. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}
