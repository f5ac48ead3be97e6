// What is no condition of the node's own readiness, and needs attention all the same.
import type { Check, Peer, Status } from "./answers.ts";

/** So many peers are named, the rest of them counted. */
const NAMED_MAX = 3;

export function troubles(
  { isSyncing }: Pick<Status, "isSyncing">,
  peers: readonly Pick<Peer, "name" | "isConnected">[],
): Check[] {
  if (!isSyncing) {
    const message = "sync is stopped: no peer is connected until it is started";
    return [{ name: "sync", ready: true, message }];
  }
  const away = peers.filter(({ isConnected }) => !isConnected).map(({ name }) => name);
  if (away.length === 0) return [];
  const more = away.length - NAMED_MAX;
  const named = away.slice(0, NAMED_MAX).join(", ");
  const names = more > 0 ? `${named} and ${more} more` : named;
  const message = `not connected: ${names} (${away.length} of ${peers.length})`;
  return [{ name: "peers", ready: true, message }];
}
