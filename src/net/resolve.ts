// Where a peer's hosts are now: names are asked for at every dial.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { type HostPort, printHostPort } from "../identity/peer.ts";

/** Every host as `ip:port`; names that don't resolve are left out. */
export async function resolveAll(hosts: readonly HostPort[]): Promise<string[]> {
  const lists = await Promise.all(hosts.map(resolveHost));
  return [...new Set(lists.flat())];
}

async function resolveHost({ host, port }: HostPort): Promise<string[]> {
  if (isIP(host) !== 0) return [printHostPort({ host, port })];
  try {
    const found = await lookup(host, { all: true });
    return found.map(({ address }) => printHostPort({ host: address, port }));
  } catch {
    // Names come and go with their networks; the next dial asks again.
    return [];
  }
}
