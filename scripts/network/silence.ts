// Where packets of a node go: everything that a host sends is recorded, with a default route to nowhere, and each
// destination must be a configured peer, a discovered one, or the group by which peers are discovered.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readCapture, type SentPacket } from "./capture.ts";
import { type Host, Lab } from "./lab.ts";
import type { Figure, Scenario, ScenarioOptions } from "./scenario.ts";
import { IROH_PORT } from "./seat.ts";

const GATEWAY = "10.77.0.254";
const GATEWAY_MAC = "02:00:00:00:00:fe";
const MDNS_PORT = 5353;
/** Somebody's, and not of this network: reserved for documentation. */
const FOREIGN = "192.0.2.99";

/** What the kernel says by itself as soon as an interface is up: neighbours, groups, routers. */
function isKernel({ protocol, destination }: SentPacket): boolean {
  return protocol === "icmpv6" && /^(ff02:|fe80:)/.test(destination);
}

function isMdns({ protocol, destination, port }: SentPacket): boolean {
  if (protocol === "udp")
    return /^(224\.0\.0\.251|ff02::fb)$/.test(destination) && port === MDNS_PORT;
  return protocol === "igmp" && /^224\.0\.0\.(22|251)$/.test(destination);
}

/** Destinations of a recording that are none of the peers' addresses; with their number of packets. */
export function strangersIn(
  packets: readonly SentPacket[],
  known: { addresses: readonly string[]; hasMdns: boolean },
): Map<string, number> {
  const strangers = new Map<string, number>();
  for (const packet of packets) {
    const isKnown = known.addresses.includes(packet.destination);
    if (isKnown || isKernel(packet) || (known.hasMdns && isMdns(packet))) continue;
    const { protocol, destination, port } = packet;
    const text = `${protocol} ${destination}${port === undefined ? "" : `:${port}`}`;
    strangers.set(text, (strangers.get(text) ?? 0) + 1);
  }
  return strangers;
}

function addressesOf(host: Host): string[] {
  const listed = host.namespace.read(["ip", "-o", "address", "show", "dev", "eth0"]);
  return [...listed.matchAll(/inet6? ([0-9a-f.:]+)\//g)].map((match) => match[1] ?? "");
}

interface SilenceRun {
  readonly packets: readonly SentPacket[];
  readonly strangers: ReadonlyMap<string, number>;
}

/** One node with a configured peer and one that only discovery can find; `more` static peers are not expected. */
async function listen(options: {
  executable: string;
  seconds: number;
  more?: readonly string[];
}): Promise<SilenceRun> {
  const hosts = ["told", "found", "silent"];
  await using lab = await Lab.open({ executable: options.executable, hosts, recorded: ["silent"] });
  const [told, found, silent] = hosts.map((name) => lab.host(name));
  if (told === undefined || found === undefined || silent === undefined)
    throw new Error("no hosts");
  silent.namespace.ip("neigh", "replace", GATEWAY, "lladdr", GATEWAY_MAC, "dev", "eth0");
  silent.namespace.ip("route", "add", "default", "via", GATEWAY);
  if (existsSync("/proc/net/if_inet6")) {
    silent.namespace.ip("-6", "neigh", "replace", "fe80::fe", "lladdr", GATEWAY_MAC, "dev", "eth0");
    silent.namespace.ip("-6", "route", "add", "default", "via", "fe80::fe", "dev", "eth0");
  }
  await told.start({ PEAT_STATIC_PEERS: "", PEAT_DISCOVERY: "none" });
  await found.start({ PEAT_STATIC_PEERS: "", PEAT_DISCOVERY: "mdns" });
  const peers = [`${told.name}@${told.address}:${IROH_PORT}`, ...(options.more ?? [])];
  await silent.start({ PEAT_DISCOVERY: "static,mdns", PEAT_STATIC_PEERS: peers.join(",") });
  await silent.node.ready();
  await silent.node.connected(2);
  const endMs = performance.now() + options.seconds * 1_000;
  for (let n = 0; performance.now() < endMs; n += 1) {
    await silent.node.api.put("tracks", "1", { n });
    await Bun.sleep(1_000);
  }
  const own = addressesOf(silent);
  await silent.stop();
  const packets = readCapture(join(lab.folder, "silent.frames"));
  const addresses = [...own, ...addressesOf(told), ...addressesOf(found)];
  return { packets, strangers: strangersIn(packets, { addresses, hasMdns: true }) };
}

async function run({ executable, isFull, told }: ScenarioOptions): Promise<Figure[]> {
  const quiet = await listen({ executable, seconds: isFull ? 600 : 60 });
  for (const [text, count] of quiet.strangers) told(`${count} packets to ${text}`);
  // The same with a peer whom nobody expects: were it not seen, the rest would prove nothing.
  const more = [`stranger@${FOREIGN}:${IROH_PORT}`];
  const loud = await listen({ executable, seconds: 10, more });
  const isSeen = loud.strangers.has(`udp ${FOREIGN}:${IROH_PORT}`);
  const mdns = quiet.packets.filter(isMdns).length;
  return [
    { what: "packets recorded", value: quiet.packets.length, unit: "" },
    { what: "of them mDNS", value: mdns, unit: "" },
    { what: "destinations that are no peer", value: quiet.strangers.size, unit: "", most: 0 },
    {
      what: "kinds of stranger overlooked when one is dialled",
      value: isSeen ? 0 : 1,
      unit: "",
      most: 0,
    },
    {
      what: "recordings without mDNS or packets",
      value: quiet.packets.length > 0 && mdns > 0 ? 0 : 1,
      unit: "",
      most: 0,
    },
  ];
}

export const SILENCE: Scenario = { name: "silence but to peers", run };
