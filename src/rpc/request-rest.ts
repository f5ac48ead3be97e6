// What a client still sends when its answer is there already. Over HTTP/1.1 it mostly reads nothing before it has sent
// all, and a connection that is closed under it takes the answer along.
import type { IncomingMessage } from "node:http";
import { type Clock, within } from "../base/clock.ts";
import { DISCARD_MS } from "./limits.ts";

/** Throws the rest of a request's body away; resolves when that was all, or the time for it is over. */
export async function discardRest(request: IncomingMessage, clock: Clock): Promise<void> {
  if (request.complete || request.destroyed) return;
  const ended = new Promise<void>((resolve) => {
    request.once("end", resolve);
    request.once("close", resolve);
  });
  request.resume();
  await within(clock, DISCARD_MS, ended, undefined);
}
