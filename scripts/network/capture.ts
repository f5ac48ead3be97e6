// What a host has sent, read from the beginnings of its Ethernet frames: to whom, by what.
//
//   record = u16 length || so many bytes of a frame, from its beginning
import { readFileSync } from "node:fs";

/** Enough for the headers of Ethernet, IPv6, one extension and UDP. */
export const RECORDED_BYTES = 80;

const ETHERTYPES = { 2048: "ipv4", 2054: "arp", 34525: "ipv6" } as const;
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: "icmp",
  2: "igmp",
  6: "tcp",
  17: "udp",
  58: "icmpv6",
};
const HOP_BY_HOP = 0;

export interface SentPacket {
  /** `udp`, `tcp`, `icmp`, `igmp`, `icmpv6`, `arp`, or a number of its own. */
  readonly protocol: string;
  /** Of an ARP question, whose address is asked for. */
  readonly destination: string;
  readonly port: number | undefined;
}

function ipv4Text(bytes: Uint8Array): string {
  return bytes.join(".");
}

function ipv6Text(bytes: Uint8Array): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) {
    groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  }
  // As everybody writes it: the longest run of zeros is two colons.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

function portOf(protocol: string, transport: Uint8Array): number | undefined {
  if (protocol !== "udp" && protocol !== "tcp") return undefined;
  return ((transport[2] ?? 0) << 8) | (transport[3] ?? 0);
}

/** Throws for what is no Ethernet frame of a known kind: nothing passes unread. */
export function readPacket(frame: Uint8Array): SentPacket {
  const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
  const kind = (ETHERTYPES as Readonly<Record<number, string>>)[type];
  const packet = frame.subarray(14);
  if (kind === "arp") {
    return { protocol: "arp", destination: ipv4Text(packet.subarray(24, 28)), port: undefined };
  }
  if (kind === "ipv4") {
    const number = packet[9] ?? 0;
    const protocol = PROTOCOLS[number] ?? String(number);
    const transport = packet.subarray(((packet[0] ?? 0) & 15) * 4);
    return {
      protocol,
      destination: ipv4Text(packet.subarray(16, 20)),
      port: portOf(protocol, transport),
    };
  }
  if (kind !== "ipv6") throw new Error(`a frame of type 0x${type.toString(16)}`);
  const isExtended = packet[6] === HOP_BY_HOP;
  const number = (isExtended ? packet[40] : packet[6]) ?? 0;
  const protocol = PROTOCOLS[number] ?? String(number);
  const transport = packet.subarray(isExtended ? 40 + 8 * (1 + (packet[41] ?? 0)) : 40);
  return {
    protocol,
    destination: ipv6Text(packet.subarray(24, 40)),
    port: portOf(protocol, transport),
  };
}

/** All frames of a recording. */
export function readCapture(path: string): SentPacket[] {
  const bytes = new Uint8Array(readFileSync(path));
  const packets: SentPacket[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    if (at + 2 + length > bytes.length) break;
    packets.push(readPacket(bytes.subarray(at + 2, at + 2 + length)));
    at += 2 + length;
  }
  return packets;
}
