// Responses: JSON texts with the headers that all of them have, and faults as JSON.
import { FAULTS, type Fault } from "../base/faults.ts";

const CORS_VARY = "origin, access-control-request-method, access-control-request-headers";

type ExtraHeaders = Readonly<Record<string, string>>;

/** `text` is JSON already. */
export function answerJson(text: string, status = 200, headers?: ExtraHeaders): Response {
  return new Response(text, {
    status,
    headers: {
      "content-type": "application/json",
      "x-content-type-options": "nosniff",
      vary: CORS_VARY,
      ...headers,
    },
  });
}

/** The reader has this state already. */
export function answerNotModified(etag: string): Response {
  return new Response(null, { status: 304, headers: { etag, vary: CORS_VARY } });
}

/** Statuses after which the rest of a request is not waited for. */
const LAST_OF_CONNECTION = new Set<number>([408, 413]);

/** What a client is told of a fault: its sentence, never its cause. */
export function answerFault(fault: Fault, headers?: ExtraHeaders): Response {
  const status = FAULTS[fault.code].http;
  const body = JSON.stringify({ error: fault.message, status });
  return answerJson(body, status, {
    ...(status === 401 ? { "www-authenticate": 'Bearer realm="peat"' } : {}),
    ...(status === 503 ? { "retry-after": "1" } : {}),
    ...(LAST_OF_CONNECTION.has(status) ? { connection: "close" } : {}),
    ...headers,
  });
}

const ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/** What a browser asks before it lets a page of another origin write. */
export function answerPreflight(): Response {
  return new Response(null, {
    status: 200,
    headers: {
      "access-control-allow-methods": ALLOWED_METHODS,
      "access-control-allow-headers": "authorization, content-type, if-match, if-none-match",
      "access-control-max-age": "600",
      vary: CORS_VARY,
    },
  });
}

/** Lets the pages of `origin` read the response. */
export function allowOrigin(response: Response, origin: string): void {
  response.headers.set("access-control-allow-origin", origin);
  response.headers.set("access-control-expose-headers", "etag, link, allow");
}
