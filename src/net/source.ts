// Who is counted as one where strangers are counted: an IPv4 address, or the 64 bits of an IPv6 address that name a
// network. Every host of such a network can take as many addresses of it as it likes.
import { isIPv6 } from "node:net";

const GROUPS = 8;
const NETWORK_GROUPS = 4;

/**
 * The source of `ip:port` or `[ipv6]:port`, as `192.0.2.1` or `2001:db8:0:1::/64`; an IPv4 address inside of an
 * IPv6 one counts as itself, and any other text (an endpoint id that came by a relay) as it is.
 */
export function sourceOf(remoteAddress: string): string {
  const address = remoteAddress.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  const [host = ""] = address.split("%", 1);
  if (!remoteAddress.startsWith("[") || !isIPv6(host)) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  return mapped ?? `${groupsOf(host).slice(0, NETWORK_GROUPS).join(":")}::/64`;
}

/** The eight numbers of an IPv6 address, in hexadecimal without leading zeros. */
function groupsOf(host: string): string[] {
  // A trailing IPv4 part stands for the last two groups, which are not of the network.
  const text = host.toLowerCase().replace(/\d+\.\d+\.\d+\.\d+$/, "0:0");
  const [before = "", after] = text.split("::");
  const head = before === "" ? [] : before.split(":");
  const tail = after === undefined || after === "" ? [] : after.split(":");
  const zeros = Array.from({ length: GROUPS - head.length - tail.length }, () => "0");
  return [...head, ...zeros, ...tail].map((group) => group.replace(/^0+(?=.)/, ""));
}
