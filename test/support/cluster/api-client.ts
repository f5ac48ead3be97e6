// The API server as the kubelet of the tests sees it: plain HTTPS with a client certificate.
import type { KubeObject } from "./objects.ts";

const REQUEST_LIMIT_MS = 15_000;
const RETRY_MS = 500;

export interface ApiAccess {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Bun takes `timeout: false` for a request that may be silent for long; its types don't know. */
type FetchOptions = RequestInit & { readonly timeout?: false };

/** The API server's refusal. */
export class ApiRefusal extends Error {
  readonly status: number;

  constructor(method: string, path: string, status: number, body: string) {
    super(`${method} ${path}: ${status} ${body.slice(0, 500)}`);
    this.status = status;
  }
}

export type WatchEvent<T> =
  /** All that exists at once: whatever is not among them is gone. */
  | { readonly kind: "listed"; readonly items: readonly T[] }
  | { readonly kind: "changed"; readonly item: T }
  | { readonly kind: "gone"; readonly item: T };

export class ApiClient {
  readonly #access: ApiAccess;

  constructor(access: ApiAccess) {
    this.#access = access;
  }

  #fetch(method: string, path: string, init: FetchOptions): Promise<Response> {
    const { url, ca, certificate, key } = this.#access;
    const tls = { ca, cert: certificate, key };
    return fetch(`${url}${path}`, { ...init, method, tls });
  }

  async request<T>(
    method: string,
    path: string,
    body?: unknown,
    type = "application/json",
  ): Promise<T> {
    const response = await this.#fetch(method, path, {
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: { "content-type": type },
      signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
    });
    const text = await response.text();
    if (!response.ok) throw new ApiRefusal(method, path, response.status, text);
    return JSON.parse(text) as T;
  }

  get<T>(path: string): Promise<T> {
    return this.request("GET", path);
  }

  /** By the rules of RFC 7386. */
  patch<T>(path: string, body: unknown): Promise<T> {
    return this.request("PATCH", path, body, "application/merge-patch+json");
  }

  /** What lies at `path` now and from now on; ends never, whatever happens to the API server. */
  async *watch<T extends KubeObject>(path: string): AsyncGenerator<WatchEvent<T>> {
    while (true) {
      try {
        const list = await this.get<{ metadata: { resourceVersion: string }; items: T[] }>(path);
        yield { kind: "listed", items: list.items };
        yield* this.#changes<T>(path, list.metadata.resourceVersion);
      } catch (error) {
        console.log(`watch of ${path}: ${String(error)}`);
      }
      await Bun.sleep(RETRY_MS);
    }
  }

  async *#changes<T>(path: string, version: string): AsyncGenerator<WatchEvent<T>> {
    const joint = path.includes("?") ? "&" : "?";
    const query = `${joint}watch=true&resourceVersion=${version}&timeoutSeconds=300`;
    const response = await this.#fetch("GET", `${path}${query}`, { timeout: false });
    if (!response.ok || response.body === null) {
      throw new ApiRefusal("GET", path, response.status, await response.text());
    }
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const { type, object } = JSON.parse(line) as { type: string; object: T };
        // Too old a version, for one: the caller lists again.
        if (type === "ERROR") throw new Error(line);
        yield { kind: type === "DELETED" ? "gone" : "changed", item: object };
      }
    }
  }
}
