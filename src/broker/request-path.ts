// The path of a request, as the client wrote it.
import { Fault } from "../base/faults.ts";

/** Of a path, percent-decoded; null where the escapes are no UTF-8. */
export type Segment = string | null;

/** Fault `invalid_argument` for one that is no text; `name` is what it stands for. */
export function decoded(segment: Segment, name: string): string {
  if (segment !== null) return segment;
  throw new Fault("invalid_argument", `the ${name} in the path is not percent-encoded UTF-8`);
}

/** Elysia looks for the path behind the first 11 characters of a URL: too late when the host has less than four. */
export function lengthenHost(request: Request): void {
  const { url } = request;
  const hostStart = url.indexOf("//") + 2;
  const pathStart = url.indexOf("/", hostStart);
  if (pathStart >= 11) return;
  // Not a new request: only the one that came in can become a WebSocket.
  const longer = `${url.slice(0, hostStart)}localhost${url.slice(pathStart)}`;
  Object.defineProperty(request, "url", { value: longer });
}

export function pathOf({ url }: Request): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", start);
  return end < 0 ? url.slice(start) : url.slice(start, end);
}
