// The broker as its clients see it: writes, pages, the store's summary, the event stream.

/** What a node says of its whole store; equal root hashes are equal documents. */
export interface Summary {
  readonly documents: number;
  readonly root_hash: string;
}

export interface Peer {
  readonly id: string;
  readonly connected: boolean;
  readonly path?: string | null;
  readonly secret_tag?: string | null;
  readonly address?: string | null;
  readonly sent_bytes?: number;
  readonly received_bytes?: number;
}

export interface ReadinessCheck {
  readonly name: string;
  readonly ready: boolean;
  readonly message: string | null;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Document = { [key: string]: Json };

interface Page {
  readonly documents: readonly Document[];
  /** Id to go on after; null or absent on the last page. */
  readonly next?: string | null;
}

const PAGE_DOCUMENTS = 1000;

export class BrokerApi {
  readonly url: string;
  readonly #unix: string | undefined;

  /** `unix`: path of a socket behind which the broker is, where no address of it can be reached. */
  constructor(url: string, unix?: string) {
    this.url = url;
    this.#unix = unix;
  }

  #fetch(url: string, options: RequestInit = {}): Promise<Response> {
    return fetch(url, this.#unix === undefined ? options : { ...options, unix: this.#unix });
  }

  /** Undefined for 404. */
  async #find<T>(path: string): Promise<T | undefined> {
    const response = await this.#fetch(`${this.url}/api/v1${path}`);
    if (response.ok) return response.json() as Promise<T>;
    const text = await response.text();
    if (response.status === 404) return undefined;
    throw new Error(`GET ${path}: ${response.status} ${text.slice(0, 300)}`);
  }

  async #json<T>(path: string): Promise<T> {
    const answer = await this.#find<T>(path);
    if (answer === undefined) throw new Error(`GET ${path}: 404`);
    return answer;
  }

  documentUrl(collection: string, id: string): string {
    return `${this.url}/api/v1/documents/${collection}/${encodeURIComponent(id)}`;
  }

  /** Resolves when the node has acknowledged the write. */
  put(collection: string, id: string, document: Document): Promise<void> {
    return this.#write("PUT", [collection, id], {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(document),
    });
  }

  /** The same, of some of its fields. */
  patch(collection: string, id: string, fields: Document): Promise<void> {
    return this.#write("PATCH", [collection, id], {
      headers: { "content-type": "application/merge-patch+json" },
      body: JSON.stringify(fields),
    });
  }

  async #write(
    method: string,
    [collection, id]: readonly [string, string],
    options: RequestInit,
  ): Promise<void> {
    const response = await this.#fetch(this.documentUrl(collection, id), { method, ...options });
    const text = await response.text();
    if (response.ok) return;
    throw new Error(`${method} ${collection}/${id}: ${response.status} ${text.slice(0, 300)}`);
  }

  /** Undefined when there is no such document. */
  async get(collection: string, id: string): Promise<Document | undefined> {
    const path = `/documents/${collection}/${encodeURIComponent(id)}`;
    return (await this.#find<{ document: Document }>(path))?.document;
  }

  summary(): Promise<Summary> {
    return this.#json("/summary");
  }

  /** As Prometheus reads them. */
  async metrics(): Promise<string> {
    const response = await this.#fetch(`${this.url}/metrics`);
    if (!response.ok) throw new Error(`GET /metrics: ${response.status}`);
    return await response.text();
  }

  async peers(): Promise<readonly Peer[]> {
    return (await this.#json<{ peers: Peer[] }>("/peers")).peers;
  }

  /** Whether the node answers and calls itself ready; false while nobody listens. */
  async isReady(): Promise<boolean> {
    try {
      const response = await this.#fetch(`${this.url}/api/v1/ready`);
      await response.text();
      return response.ok;
    } catch {
      return false; // Not listening yet; the caller's deadline decides how long that is fine.
    }
  }

  /** What readiness waits for or tells of; undefined while nobody listens. */
  async checks(): Promise<readonly ReadinessCheck[] | undefined> {
    try {
      const response = await this.#fetch(`${this.url}/api/v1/ready`);
      return ((await response.json()) as { checks: ReadinessCheck[] }).checks;
    } catch {
      return undefined;
    }
  }

  /** Every document of a collection, page by page, each with its `_id`. */
  async *list(collection: string): AsyncGenerator<Document> {
    let after = "";
    while (true) {
      const query = new URLSearchParams({ limit: String(PAGE_DOCUMENTS) });
      if (after !== "") query.set("after", after);
      const page = await this.#find<Page>(`/documents/${collection}?${query}`);
      // A collection without documents is not found.
      if (page === undefined) return;
      yield* page.documents;
      // A page may be short of its limit because it is full of bytes: only `next` tells the end.
      if (page.next === null || page.next === undefined) return;
      after = page.next;
    }
  }
}

/** Resolves with the moment (performance.now()) at which the expected value came. */
type Waiter = { readonly nonce: string; readonly resolve: (atMs: number) => void };

/** One WebSocket to a node's event stream that tells when a value arrives there. */
export class Watcher {
  readonly #socket: WebSocket;
  readonly #waiters = new Map<string, Waiter>();
  /** Events of documents so far. */
  events = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#receive(String(data)));
  }

  static async open(url: string, collection: string): Promise<Watcher> {
    const query = new URLSearchParams({ collections: collection, include: "document" });
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}/api/v1/ws?${query}`);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error(`no WebSocket at ${url}`)), {
        once: true,
      });
    });
    return new Watcher(socket);
  }

  #receive(text: string): void {
    const atMs = performance.now();
    const event = JSON.parse(text) as { doc_id?: string; document?: Document | null };
    if (event.doc_id === undefined) return;
    this.events += 1;
    const waiter = this.#waiters.get(event.doc_id);
    if (waiter === undefined || event.document?.["nonce"] !== waiter.nonce) return;
    this.#waiters.delete(event.doc_id);
    waiter.resolve(atMs);
  }

  /** When the document's field `nonce` has this value; one waiter per document. Never rejects. */
  valueOf(id: string, nonce: string): Promise<number> {
    return new Promise((resolve) => this.#waiters.set(id, { nonce, resolve }));
  }

  close(): void {
    this.#socket.close();
  }
}
