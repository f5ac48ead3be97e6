// What counts as another network, and what is only a container's.
import { expect, test } from "bun:test";
import type { NetworkInterfaceInfo } from "node:os";
import { watchLocalAddresses } from "../../../src/net/local-addresses.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function info(address: string, options: { internal?: boolean } = {}): NetworkInterfaceInfo {
  const family = address.includes(":")
    ? ({ family: "IPv6", netmask: "ffff:ffff:ffff:ffff::", scopeid: 0 } as const)
    : ({ family: "IPv4", netmask: "255.255.255.0" } as const);
  const { internal = false } = options;
  return { ...family, address, internal, mac: "02:00:00:00:00:01", cidr: `${address}/24` };
}

async function changesOf(...tables: Record<string, NetworkInterfaceInfo[]>[]): Promise<number> {
  const clock = new VirtualClock();
  const end = new AbortController();
  let looks = 0;
  let changes = 0;
  const list = () => {
    const table = tables[Math.min(looks, tables.length - 1)] ?? {};
    looks += 1;
    return table;
  };
  const changed = () => {
    changes += 1;
  };
  const done = watchLocalAddresses({ clock, list, changed }, end.signal);
  await clock.advance(2_000 * (tables.length + 3));
  end.abort();
  await done;
  return changes;
}

const HOME = { eth0: [info("192.0.2.1")], lo: [info("127.0.0.1", { internal: true })] };

test("another address is told once, within two seconds", async () => {
  expect(await changesOf(HOME, { ...HOME, eth0: [info("192.0.2.9")] })).toBe(1);
});

test("so is a cable that is pulled, and put back", async () => {
  expect(await changesOf(HOME, {}, HOME)).toBe(2);
});

test("the order of addresses says nothing", async () => {
  const [one, two] = [info("192.0.2.1"), info("192.0.2.2")];
  expect(await changesOf({ eth0: [one, two] }, { eth0: [two, one] })).toBe(0);
});

test("loopback and interfaces with but a link-local address say nothing", async () => {
  const veth = [info("fe80::1")];
  const lo = [info("127.0.0.2", { internal: true })];
  expect(await changesOf(HOME, { ...HOME, veth }, { ...HOME, lo }, HOME)).toBe(0);
});
