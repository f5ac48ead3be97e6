// The broker as its clients see it: writes, pages, the store's summary, the event stream.

/** What a node says of its whole store; equal root hashes are equal documents. */
export interface Summary {
  readonly documents: number;
  readonly root_hash: string;
}

export interface Peer {
  readonly id: string;
  readonly connected: boolean;
  readonly sent_bytes?: number;
  readonly received_bytes?: number;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Document = { [key: string]: Json };

const PAGE_DOCUMENTS = 1000;

export class BrokerApi {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async #json<T>(path: string): Promise<T> {
    const response = await fetch(`${this.url}/api/v1${path}`);
    if (!response.ok) {
      throw new Error(`GET ${path}: ${response.status} ${(await response.text()).slice(0, 300)}`);
    }
    return response.json() as Promise<T>;
  }

  documentUrl(collection: string, id: string): string {
    return `${this.url}/api/v1/documents/${collection}/${encodeURIComponent(id)}`;
  }

  /** Resolves when the node has acknowledged the write. */
  async put(collection: string, id: string, document: Document): Promise<void> {
    const response = await fetch(this.documentUrl(collection, id), {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(document),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`PUT ${collection}/${id}: ${response.status} ${text.slice(0, 300)}`);
    }
  }

  /** Undefined when there is no such document. */
  async get(collection: string, id: string): Promise<Document | undefined> {
    const response = await fetch(this.documentUrl(collection, id));
    if (response.status === 404) {
      await response.text();
      return undefined;
    }
    const body = (await response.json()) as { document: Document };
    return body.document;
  }

  summary(): Promise<Summary> {
    return this.#json("/summary");
  }

  async peers(): Promise<readonly Peer[]> {
    return (await this.#json<{ peers: Peer[] }>("/peers")).peers;
  }

  /** Whether the node answers and calls itself ready; false while nobody listens. */
  async isReady(): Promise<boolean> {
    try {
      const response = await fetch(`${this.url}/api/v1/ready`);
      await response.text();
      return response.ok;
    } catch {
      return false; // Not listening yet; the caller's deadline decides how long that is fine.
    }
  }

  /** Every document of a collection, page by page, each with its `_id`. */
  async *list(collection: string): AsyncGenerator<Document> {
    let after = "";
    while (true) {
      const query = new URLSearchParams({ limit: String(PAGE_DOCUMENTS) });
      if (after !== "") query.set("after", after);
      const page = await this.#json<{ documents: Document[] }>(`/documents/${collection}?${query}`);
      yield* page.documents;
      if (page.documents.length < PAGE_DOCUMENTS) return;
      after = String(page.documents.at(-1)?.["_id"]);
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
