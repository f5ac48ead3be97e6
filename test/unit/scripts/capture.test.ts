// Frames that a host has sent: to whom, by what; and who of them is nobody's peer.
import { expect, test } from "bun:test";
import { readPacket } from "../../../scripts/network/capture.ts";
import { strangersIn } from "../../../scripts/network/silence.ts";

const mac = "0200000000fe0200000000ee";
const frame = (hex: string) => Uint8Array.fromHex(`${mac}${hex.replaceAll(" ", "")}`);

const IPV4_UDP = frame(
  "0800 45000020 00004000 4011 0000 0a4d0001 c0000263 2bc4 2bc4 000c0000 00000000",
);
const IPV6_UDP = frame(
  "86dd 60000000 000c 11 40 fe800000000000000000000000000001 ff0200000000000000000000000000fb 14e9 14e9 000c0000",
);
const ARP = frame("0806 0001 0800 06 04 0001 0200000000ee 0a4d0001 000000000000 0a4d00fe");
/** A report of groups, behind an extension with the router alert. */
const MLD = frame(
  "86dd 60000000 0024 00 01 fe800000000000000000000000000001 ff020000000000000000000000000016 3a00050200000100 8f00 0000",
);

test.each([
  ["UDP over IPv4", IPV4_UDP, { protocol: "udp", destination: "192.0.2.99", port: 11_204 }],
  ["UDP over IPv6", IPV6_UDP, { protocol: "udp", destination: "ff02::fb", port: 5_353 }],
  [
    "a question for a neighbour",
    ARP,
    { protocol: "arp", destination: "10.77.0.254", port: undefined },
  ],
  [
    "an extension before the protocol",
    MLD,
    { protocol: "icmpv6", destination: "ff02::16", port: undefined },
  ],
])("%s is read", (_what, bytes, packet) => {
  expect(readPacket(bytes)).toEqual(packet);
});

test("a frame of another kind is not passed over", () => {
  expect(() => readPacket(frame("88cc 0000"))).toThrow("0x88cc");
});

test("a stranger is whoever is no peer, no group of mDNS and nobody that the kernel talks to", () => {
  const packets = [IPV4_UDP, IPV4_UDP, IPV6_UDP, ARP, MLD].map(readPacket);
  const known = { addresses: ["10.77.0.254"], hasMdns: true };
  expect([...strangersIn(packets, known)]).toEqual([["udp 192.0.2.99:11204", 2]]);
  expect([...strangersIn(packets, { addresses: [], hasMdns: false })].length).toBe(3);
});
