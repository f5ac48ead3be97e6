// Where a peer is at home. Two clusters that were set up alike have the same names for their pods; what Kubernetes
// says of a name is then the pod of this cluster, and what others say may be somebody else.
import { type HostPort, type PeerAddress, printHostPort } from "../identity/peer.ts";
import { resolveAll } from "./resolve.ts";

/** What sources say of one name, by source. */
export type ToldPlaces = ReadonlyMap<string, PeerAddress>;

const HOME_SOURCE = "kubernetes";
const STATIC_SOURCE = "static";
/** So many attempts go to the pod alone; then the other addresses are as good as none. */
const HOME_ATTEMPTS = 2;

/** What the next attempt tries, after so many in vain. */
export function hostsToDial(told: ToldPlaces, failures: number): readonly HostPort[] {
  const home = told.get(HOME_SOURCE)?.hosts ?? [];
  return home.length > 0 && failures < HOME_ATTEMPTS ? home : allHosts(told);
}

export function allHosts(told: ToldPlaces): HostPort[] {
  return [...told.values()].flatMap(({ hosts }) => hosts);
}

/** Whether `address`, an `ip:port`, is where Kubernetes has the pod; ports are changed on many ways. */
export function isAtHome(told: ToldPlaces, address: string | undefined): boolean {
  const home = told.get(HOME_SOURCE)?.hosts ?? [];
  return home.some(({ host }) => printHostPort({ host, port: 0 }) === withoutPort(address ?? ""));
}

function withoutPort(address: string): string {
  return address.replace(/:\d+$/, ":0");
}

/** Both sides of a name that is listed by hand and is a pod's of this cluster, too. */
export interface SplitHome {
  readonly pod: readonly string[];
  readonly listed: readonly string[];
}

/** Undefined where both may be the same node, and while the listed names don't resolve ("unknown"). */
export async function splitHome(told: ToldPlaces): Promise<SplitHome | "unknown" | undefined> {
  const home = told.get(HOME_SOURCE)?.hosts ?? [];
  const hosts = told.get(STATIC_SOURCE)?.hosts ?? [];
  if (home.length === 0 || hosts.length === 0) return undefined;
  const listed = await resolveAll(hosts);
  if (listed.length === 0) return "unknown";
  if (listed.some((address) => isAtHome(told, address))) return undefined;
  return { pod: home.map(printHostPort), listed };
}
