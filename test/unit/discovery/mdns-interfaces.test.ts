import { expect, test } from "bun:test";
import type { NetworkInterfaceInfo } from "node:os";
import { usableInterfaces } from "../../../src/discovery/mdns-interfaces.ts";

function v4(cidr: string, mac = "02:00:00:00:00:01"): NetworkInterfaceInfo {
  const [address = ""] = cidr.split("/");
  const internal = address.startsWith("127.");
  return { address, cidr, mac, internal, netmask: "", family: "IPv4" };
}

function v6(cidr: string): NetworkInterfaceInfo {
  const [address = ""] = cidr.split("/");
  const mac = "02:00:00:00:00:01";
  return {
    address,
    cidr,
    mac,
    internal: address === "::1",
    netmask: "",
    family: "IPv6",
    scopeid: 0,
  };
}

const lo = [v4("127.0.0.1/8"), v6("::1/128")];
const eth0 = [v4("10.0.0.1/24"), v4("10.1.0.1/16"), v6("fd00::1/64"), v6("fe80::1/64")];
const wlan0 = [v4("192.168.7.5/24")];

function announced(table: Record<string, NetworkInterfaceInfo[]>, bindHost: string) {
  return usableInterfaces(table, bindHost).map(({ name, announced: addresses }) => [
    name,
    addresses.map(({ address }) => address),
  ]);
}

test("every interface with an IPv4 address is used, each announcing its own addresses", () => {
  expect(announced({ lo, eth0, wlan0, tun: [v6("fd01::1/64")] }, "0.0.0.0")).toEqual([
    ["eth0", ["10.0.0.1", "10.1.0.1"]],
    ["wlan0", ["192.168.7.5"]],
  ]);
});

test("IPv6 addresses are announced if the endpoint listens on them, link-local ones never", () => {
  expect(announced({ eth0 }, "::")).toEqual([["eth0", ["10.0.0.1", "10.1.0.1", "fd00::1"]]]);
});

test("an endpoint that is bound to one address announces no other", () => {
  expect(announced({ lo, eth0, wlan0 }, "192.168.7.5")).toEqual([
    ["eth0", []],
    ["wlan0", ["192.168.7.5"]],
  ]);
});

test("loopback serves when it is all there is, or what the endpoint is bound to", () => {
  expect(announced({ lo }, "0.0.0.0")).toEqual([["lo", ["127.0.0.1"]]]);
  expect(announced({ lo, eth0 }, "127.0.0.1")).toEqual([["lo", ["127.0.0.1"]]]);
  expect(announced({ lo: [v6("::1/128")] }, "0.0.0.0")).toEqual([]);
  expect(announced({}, "0.0.0.0")).toEqual([]);
});

test("no more than 32 interfaces are used", () => {
  const many = Object.fromEntries(
    Array.from({ length: 100 }, (_, i) => [`veth${i}`, [v4(`10.0.${i}.1/24`)]]),
  );
  expect(usableInterfaces(many, "0.0.0.0")).toHaveLength(32);
});

test("an interface that is replaced under its old name and address has another fingerprint", () => {
  const [before] = usableInterfaces({ eth0: [v4("10.0.0.1/24")] }, "0.0.0.0");
  const [same] = usableInterfaces({ eth0: [v4("10.0.0.1/24")] }, "0.0.0.0");
  const [replaced] = usableInterfaces(
    { eth0: [v4("10.0.0.1/24", "02:00:00:00:00:02")] },
    "0.0.0.0",
  );
  const [renumbered] = usableInterfaces({ eth0: [v4("10.0.0.2/24")] }, "0.0.0.0");
  expect(same?.fingerprint).toBe(before?.fingerprint ?? "");
  expect(replaced?.fingerprint).not.toBe(before?.fingerprint);
  expect(renumbered?.fingerprint).not.toBe(before?.fingerprint);
});

test("only sources on the interface's own networks are on its link", () => {
  const [link] = usableInterfaces({ eth0 }, "0.0.0.0");
  expect(link?.isOnLink("10.0.0.77")).toBe(true);
  expect(link?.isOnLink("10.1.200.3")).toBe(true);
  for (const source of ["10.0.1.1", "192.168.7.5", "127.0.0.1", "8.8.8.8", "fd00::2", "", "x"]) {
    expect(link?.isOnLink(source), source).toBe(false);
  }
});

test("a tunnel of one address can't tell and hears everybody", () => {
  const [link] = usableInterfaces({ wg0: [v4("10.9.0.1/32")] }, "0.0.0.0");
  expect(link?.isOnLink("10.7.7.7")).toBe(true);
});
