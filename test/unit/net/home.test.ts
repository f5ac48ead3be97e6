// Where a peer is at home: what Kubernetes says of a name goes before what lists say of it.
import { expect, test } from "bun:test";
import { type PeerAddress, parseHostPort, parseNodeName } from "../../../src/identity/peer.ts";
import { hostsToDial, isAtHome, splitHome } from "../../../src/net/home.ts";

const identity = { kind: "name", name: parseNodeName("peat-mesh-0") } as const;

/** `source` → addresses. */
function told(places: Readonly<Record<string, readonly string[]>>): Map<string, PeerAddress> {
  return new Map(
    Object.entries(places).map(([source, addresses]) => [
      source,
      { identity, hosts: addresses.map(parseHostPort) },
    ]),
  );
}

const POD = "10.42.0.1:11204";
const LISTED = "192.0.2.1:31204";

test("the pod is dialled first, and in vain twice, everything that is known", () => {
  const places = told({ static: [LISTED], kubernetes: [POD] });
  expect(hostsToDial(places, 0)).toEqual([parseHostPort(POD)]);
  expect(hostsToDial(places, 1)).toEqual([parseHostPort(POD)]);
  expect(hostsToDial(places, 2)).toEqual([parseHostPort(LISTED), parseHostPort(POD)]);
  expect(hostsToDial(told({ static: [LISTED] }), 0)).toEqual([parseHostPort(LISTED)]);
  expect(hostsToDial(told({ static: [LISTED], kubernetes: [] }), 0)).toEqual([
    parseHostPort(LISTED),
  ]);
});

test("home is the pod's address, by whichever port, and of neither family any other", () => {
  const places = told({ static: [LISTED], kubernetes: [POD, "[fd00::1]:11204"] });
  for (const address of [POD, "10.42.0.1:1", "[fd00::1]:9"]) {
    expect(isAtHome(places, address)).toBe(true);
  }
  for (const address of [LISTED, "10.42.0.11:11204", "[fd00::11]:9", "unknown", undefined]) {
    expect(isAtHome(places, address)).toBe(false);
  }
  expect(isAtHome(told({ static: [LISTED] }), LISTED)).toBe(false);
});

test("a home is split where none of the listed addresses is the pod's", async () => {
  const split = (places: Readonly<Record<string, readonly string[]>>) => splitHome(told(places));
  expect(await split({ static: [LISTED], kubernetes: [POD] })).toEqual({
    pod: [POD],
    listed: [LISTED],
  });
  expect(await split({ static: [LISTED, "10.42.0.1:31204"], kubernetes: [POD] })).toBeUndefined();
  expect(await split({ static: [LISTED] })).toBeUndefined();
  expect(await split({ mdns: [LISTED], kubernetes: [POD] })).toBeUndefined();
  expect(await split({ static: ["no-such-host.invalid:1"], kubernetes: [POD] })).toBe("unknown");
  expect(await split({ static: ["localhost:1"], kubernetes: ["127.0.0.1:2", "[::1]:2"] })).toBe(
    undefined,
  );
});
