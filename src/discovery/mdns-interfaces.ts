// Which network interfaces mDNS uses, and what is announced on each: pure, from what the system lists.
import { BlockList, isIP } from "node:net";
import type { NetworkInterfaceInfo } from "node:os";
import { compareText } from "../base/text.ts";
import type { ServiceAddress } from "./mdns-service.ts";

/** A machine that hosts containers can have hundreds; each costs a socket. */
const INTERFACES_MAX = 32;
const ADDRESSES_MAX = 8;

export interface MdnsInterface {
  readonly name: string;
  /** IPv4 address by which the interface is named to the system. */
  readonly address: string;
  /** What peers on this link shall dial; may be empty. */
  readonly announced: readonly ServiceAddress[];
  /** Changes when the interface is another one, also under the old name and address. */
  readonly fingerprint: string;
  /** Whether a packet from this source came over this link: nothing else is listened to. */
  isOnLink(source: string): boolean;
}

export type InterfaceTable = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/**
 * Every interface with an IPv4 address. Loopback only if there is no other, or if the endpoint is
 * bound to it. `bindHost` is the endpoint's address: what it does not listen on is not announced.
 */
export function usableInterfaces(table: InterfaceTable, bindHost: string): MdnsInterface[] {
  const all = Object.entries(table).flatMap(([name, infos]) => {
    const first = infos?.find((info) => info.family === "IPv4");
    return infos === undefined || first === undefined ? [] : [{ name, infos, first }];
  });
  const external = all.filter(({ first }) => !first.internal);
  const loopbackOnly = external.length === 0 || isLoopback(bindHost);
  const chosen = loopbackOnly ? all.filter(({ first }) => first.internal) : external;
  return chosen.slice(0, INTERFACES_MAX).map(({ name, infos, first }) => ({
    name,
    address: first.address,
    announced: announcedAddresses(infos, bindHost),
    fingerprint: fingerprintOf(infos),
    isOnLink: linkTest(infos),
  }));
}

function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}

function announcedAddresses(
  infos: readonly NetworkInterfaceInfo[],
  bindHost: string,
): ServiceAddress[] {
  return infos
    .filter((info) => isReachable(info, bindHost))
    .slice(0, ADDRESSES_MAX)
    .map(({ family, address }) => ({ family, address }));
}

function isReachable(info: NetworkInterfaceInfo, bindHost: string): boolean {
  // A link-local IPv6 address means nothing without the reader's own interface.
  if (info.family === "IPv6" && /^fe[89ab]/i.test(info.address)) return false;
  if (bindHost === "0.0.0.0") return info.family === "IPv4";
  return bindHost === "::" || info.address === bindHost;
}

function fingerprintOf(infos: readonly NetworkInterfaceInfo[]): string {
  return infos
    .map((info) => `${info.mac} ${info.cidr ?? info.address} ${info.scopeid ?? ""}`)
    .sort(compareText)
    .join(", ");
}

/** A network of one address (a tunnel's end) can't tell; such an interface hears everybody. */
function linkTest(infos: readonly NetworkInterfaceInfo[]): (source: string) => boolean {
  const networks = new BlockList();
  for (const { family, cidr } of infos) {
    const [address, bits] = cidr?.split("/") ?? [];
    if (family !== "IPv4" || address === undefined) continue;
    if (Number(bits) >= 32) return () => true;
    networks.addSubnet(address, Number(bits), "ipv4");
  }
  return (source) => isIP(source) === 4 && networks.check(source, "ipv4");
}
