// The dashboard at `/`: a page without data, which asks for them like any other client.
import { isKnown, parseConditions } from "./conditions.ts";
import { newRoutes } from "./routing.ts";

/** Where the page is; it is given to everybody, since there is nothing of the node in it. */
export const DASHBOARD_PATH = "/";

export interface DashboardPage {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly gzipped: Uint8Array<ArrayBuffer>;
  readonly etag: string;
  /** Value of Content-Security-Policy. */
  readonly policy: string;
}

/** Of every answer, also of those without a body. */
function headersOf({ etag, policy }: DashboardPage): Record<string, string> {
  return {
    etag,
    vary: "accept-encoding",
    // Asked for each time, sent when it is another one: a new version must not wait for a cache.
    "cache-control": "no-cache",
    "content-security-policy": policy,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
  };
}

function acceptsGzip(headers: Headers): boolean {
  const accepted = headers.get("accept-encoding") ?? "";
  return accepted
    .split(",")
    .some((coding) => /^\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$)[0-9.]+\s*)?$/i.test(coding));
}

function answerPage(page: DashboardPage, request: Request): Response {
  const headers = headersOf(page);
  const hash = page.etag.replaceAll('"', "");
  if (isKnown(parseConditions(request.headers), hash)) {
    return new Response(null, { status: 304, headers });
  }
  const isGzipped = acceptsGzip(request.headers);
  return new Response(isGzipped ? page.gzipped : page.body, {
    headers: {
      ...headers,
      "content-type": "text/html; charset=utf-8",
      ...(isGzipped ? { "content-encoding": "gzip" } : {}),
    },
  });
}

/** Without a page there is no such route. */
export function dashboardRoutes(page: (() => Promise<DashboardPage>) | undefined) {
  const routes = newRoutes();
  if (page === undefined) return routes;
  return routes.get(
    DASHBOARD_PATH,
    async ({ request }) => answerPage(await page(), request),
    // A page for people is no part of the API's description.
    { detail: { hide: true } },
  );
}
