// What EndpointSlices say of peers: names, ports, addresses, and what nobody should believe.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compareText } from "../../../src/base/text.ts";
import {
  readSliceEvent,
  readSliceList,
  type Slice,
  SliceTable,
} from "../../../src/discovery/kubernetes-slices.ts";
import { type PeerEvent, parseNodeName, printHostPort } from "../../../src/identity/peer.ts";
import { endpointSlice, type SliceGiven } from "../../support/kubernetes/slice.ts";

const RULES = { clusterName: undefined, defaultPort: 4242 };

function read(given: SliceGiven, rules: { clusterName: string | undefined } = RULES): Slice {
  const object = { ...endpointSlice(given) };
  const event = readSliceEvent({ type: "ADDED", object }, { ...RULES, ...rules });
  if (event?.kind !== "put") throw new Error("not read as a slice");
  return event.slice;
}

/** `name` → `host:port …` */
function places(slice: Slice): Record<string, string> {
  return Object.fromEntries(
    [...slice.places].map(([name, { hosts }]) => [name, hosts.map(printHostPort).join(" ")]),
  );
}

const one = { pod: "peat-mesh-1", addresses: ["10.42.0.9"] };

describe("a slice", () => {
  test("names its peers by their pods, and has their port by its name", () => {
    expect(places(read({ name: "a", pods: [one] }))).toEqual({ "peat-mesh-1": "10.42.0.9:11204" });
  });

  test("has the first UDP port where none is named iroh-quic, else the first of all", () => {
    const tcp = { name: "broker", port: 8081, protocol: "TCP" };
    const quic = { name: "quic", port: 700, protocol: "UDP" };
    const port = (ports: readonly unknown[]) => places(read({ name: "a", pods: [one], ports }));
    expect(port([tcp, quic])).toEqual({ "peat-mesh-1": "10.42.0.9:700" });
    expect(port([tcp])).toEqual({ "peat-mesh-1": "10.42.0.9:8081" });
    expect(port([{ name: "iroh-quic", protocol: "UDP" }, tcp])).toEqual({
      "peat-mesh-1": "10.42.0.9:8081",
    });
  });

  test("without any port means the one that this node uses itself", () => {
    const ports = [{ port: null }, { port: 0 }, { port: 65_536 }, { port: "80" }, { port: 1.5 }, 7];
    expect(places(read({ name: "a", pods: [one], ports }))).toEqual({
      "peat-mesh-1": "10.42.0.9:4242",
    });
    expect(places(read({ name: "a", pods: [one], ports: [] }))).toEqual({
      "peat-mesh-1": "10.42.0.9:4242",
    });
  });

  test("has endpoints that are not ready yet too", () => {
    const pods = [{ ...one, isReady: false }];
    expect(places(read({ name: "a", pods }))).toEqual({ "peat-mesh-1": "10.42.0.9:11204" });
  });

  test("has IPv6 addresses", () => {
    const pods = [{ pod: "peat-mesh-1", addresses: ["fd00:10::9"] }];
    expect(places(read({ name: "a", addressType: "IPv6", pods }))).toEqual({
      "peat-mesh-1": "[fd00:10::9]:11204",
    });
  });

  test("of names instead of addresses has no peers", () => {
    const pods = [{ pod: "peat-mesh-1", addresses: ["peer.example"] }];
    expect(read({ name: "a", addressType: "FQDN", pods }).places.size).toBe(0);
  });

  test("with the name of the cluster has it behind the names of pods", () => {
    const slice = read({ name: "a", pods: [one] }, { clusterName: "alpha" });
    expect(places(slice)).toEqual({ "peat-mesh-1.alpha": "10.42.0.9:11204" });
  });

  test("of machines that are no pods has their names verbatim: host name, else address", () => {
    const pods = [
      { hostname: "depot", addresses: ["10.9.0.1"] },
      { addresses: ["10.9.0.2"] },
      { hostname: "no good name!", addresses: ["10.9.0.3"] },
    ];
    const slice = read({ name: "a", pods }, { clusterName: "alpha" });
    expect(places(slice)).toEqual({ depot: "10.9.0.1:11204", "10.9.0.2": "10.9.0.2:11204" });
    expect(slice.unusable).toBe(1);
  });

  test("has a relay by annotation, if it is a URL of one", () => {
    const relay = (url: string) => {
      const slice = read({ name: "a", pods: [one], annotations: { "peat.relay_url": url } });
      return slice.places.get(parseNodeName("peat-mesh-1"))?.relayUrl;
    };
    expect(relay("https://relay.example:444/")).toBe("https://relay.example:444/");
    for (const bad of ["", "relay.example", "file:///etc/passwd", "https://", "h".repeat(3000)]) {
      expect(relay(bad)).toBeUndefined();
    }
  });

  test("has no address that can't be one machine's, and none of the other family", () => {
    const addresses = ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "10.0.0.1 ", "x"];
    const slice = read({ name: "a", pods: [{ pod: "p", addresses }] });
    expect(slice.places.size).toBe(0);
    expect(slice.unusable).toBe(1);
  });

  test("is bounded, whatever it says", () => {
    const addresses = Array.from({ length: 500 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
    const pods = Array.from({ length: 5000 }, (_, i) => ({ pod: `p${i % 3000}`, addresses }));
    const slice = read({ name: "a", pods });
    expect(slice.places.size).toBe(1000);
    for (const { hosts } of slice.places.values()) expect(hosts.length).toBeLessThanOrEqual(16);
  });
});

test("nothing that a server sends makes the reader throw, or is believed without a name", () => {
  const any = fc.jsonValue({ maxDepth: 1 });
  /** The right keys with anything in them, or anything. */
  const keys = (shape: Record<string, fc.Arbitrary<unknown>>) =>
    fc.oneof({ weight: 5, arbitrary: fc.record(shape, { requiredKeys: [] }) }, any);
  const endpoint = keys({
    addresses: fc.oneof(
      any,
      fc.array(fc.oneof(any, fc.constantFrom("10.0.0.1", "fd00::1", "::")), { maxLength: 3 }),
    ),
    hostname: any,
    targetRef: keys({ name: fc.oneof(any, fc.constant("pod")) }),
  });
  const slice = keys({
    metadata: keys({
      name: fc.oneof(any, fc.constant("a")),
      resourceVersion: any,
      annotations: keys({
        "peat.relay_url": fc.oneof(
          any,
          fc.constantFrom("https://relay.example", "https://", "file://x"),
        ),
      }),
    }),
    addressType: fc.oneof(any, fc.constantFrom("IPv4", "IPv6", "FQDN", "constructor")),
    ports: fc.oneof(any, fc.array(keys({ name: any, port: any, protocol: any }), { maxLength: 3 })),
    endpoints: fc.oneof(any, fc.array(endpoint, { maxLength: 3 })),
  });
  const list = keys({
    metadata: keys({ resourceVersion: fc.oneof(any, fc.constant("7")) }),
    items: fc.oneof(any, fc.array(slice, { maxLength: 2 })),
  });
  fc.assert(
    fc.property(fc.oneof(slice, list), fc.string(), (value, type) => {
      const list = readSliceList(value, RULES);
      if (list !== undefined) expect(list.version).not.toBe("");
      readSliceEvent(value, RULES);
      for (const each of [type, "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]) {
        const event = readSliceEvent({ type: each, object: value }, RULES);
        if (event?.kind !== "put") continue;
        expect(event.slice.name).not.toBe("");
        for (const name of event.slice.places.keys()) expect(parseNodeName(name)).toBe(name);
      }
    }),
    { numRuns: 500 },
  );
});

test("a list has its version and its slices; anything else is none", () => {
  const items = [endpointSlice({ name: "a", pods: [one] }), 7, { metadata: {} }];
  const list = readSliceList({ metadata: { resourceVersion: "12" }, items }, RULES);
  expect(list?.version).toBe("12");
  expect(list?.slices.map(({ name }) => name)).toEqual(["a"]);
  for (const bad of [null, "x", [], {}, { items: [] }, { metadata: { resourceVersion: "1" } }]) {
    expect(readSliceList(bad, RULES)).toBeUndefined();
  }
});

test("the end of a watch by the server is told with its code", () => {
  const object = { kind: "Status", code: 410, message: "too old resource version: 1 (9)" };
  expect(readSliceEvent({ type: "ERROR", object }, RULES)).toEqual({
    kind: "failed",
    status: 410,
    message: "too old resource version: 1 (9)",
  });
  expect(readSliceEvent({ type: "ERROR" }, RULES)).toMatchObject({ kind: "failed", status: 500 });
  expect(readSliceEvent({ type: "LATER" }, RULES)).toBeUndefined();
});

describe("the slices of a namespace together", () => {
  const told = (events: readonly PeerEvent[]) =>
    events.map((event) =>
      event.kind === "gone"
        ? `gone ${event.identity.kind === "name" ? event.identity.name : ""}`
        : `${event.peer.identity.kind === "name" ? event.peer.identity.name : ""} ${event.peer.hosts.map(printHostPort).join(" ")}`,
    );
  const table = () => new SliceTable(parseNodeName("peat-mesh-0"));
  const pod = (name: string, address: string) => ({ pod: name, addresses: [address] });

  test("tell a pod once, again when its address changes, and its end", () => {
    const slices = table();
    const a = (address: string) => read({ name: "a", pods: [pod("p", address)] });
    expect(told(slices.put(a("10.0.0.1")))).toEqual(["p 10.0.0.1:11204"]);
    expect(told(slices.put(a("10.0.0.1")))).toEqual([]);
    expect(told(slices.put(a("10.0.0.2")))).toEqual(["p 10.0.0.2:11204"]);
    expect(told(slices.put(read({ name: "a", pods: [] })))).toEqual(["gone p"]);
    expect(told(slices.delete("a"))).toEqual([]);
  });

  test("never tell of the own pod", () => {
    const pods = [pod("peat-mesh-0", "10.0.0.1"), pod("peat-mesh-1", "10.0.0.2")];
    const slices = table();
    expect(told(slices.replace([read({ name: "a", pods })]))).toEqual([
      "peat-mesh-1 10.0.0.2:11204",
    ]);
    expect(told(slices.delete("a"))).toEqual(["gone peat-mesh-1"]);
  });

  test("give a pod that is in several the addresses of all, until the last has lost it", () => {
    const slices = table();
    const v4 = read({ name: "v4", pods: [pod("p", "10.0.0.1")] });
    const v6 = read({ name: "v6", addressType: "IPv6", pods: [pod("p", "fd00::1")] });
    slices.put(v4);
    expect(told(slices.put(v6))).toEqual(["p 10.0.0.1:11204 [fd00::1]:11204"]);
    expect(told(slices.delete("v4"))).toEqual(["p [fd00::1]:11204"]);
    expect(told(slices.delete("v6"))).toEqual(["gone p"]);
  });

  test("make the same of a whole list as of its parts in any order", () => {
    const names = fc.constantFrom("p0", "p1", "p2", "p3", "peat-mesh-0");
    const octet = fc.integer({ min: 1, max: 9 });
    const given = fc.record({
      name: fc.constantFrom("a", "b", "c"),
      pods: fc.array(
        fc.record({ pod: names, addresses: fc.array(octet.map((i) => `10.0.0.${i}`)) }),
        { maxLength: 4 },
      ),
    });
    fc.assert(
      fc.property(fc.array(given, { maxLength: 12 }), (steps) => {
        const [stepwise, whole] = [table(), table()];
        const known = new Map<string, string>();
        const last = new Map<string, Slice>();
        for (const step of steps) {
          const slice = read(step);
          last.set(step.name, slice);
          for (const line of told(stepwise.put(slice))) {
            const [first = "", ...rest] = line.split(" ");
            if (first === "gone") known.delete(rest.join(" "));
            else known.set(first, line);
          }
        }
        const reversed = [...last.values()].toReversed();
        const lines = told(whole.replace(reversed)).sort(compareText);
        expect(lines).toEqual([...known.values()].sort(compareText));
        expect(stepwise.replace(reversed)).toEqual([]);
        // Of a slice that a list has twice the later one counts.
        expect(stepwise.replace(steps.map((step) => read(step)))).toEqual([]);
      }),
    );
  });

  test("have room for 4096 peers and 1024 slices, and say when it is used up", () => {
    const slices = table();
    for (let i = 0; i < 5; i += 1) {
      const pods = Array.from({ length: 1000 }, (_, k) => pod(`p${i}-${k}`, "10.0.0.1"));
      slices.put(read({ name: `s${i}`, pods }));
    }
    expect(slices.refused).toBe(904);
    // Who leaves makes room, also within one step.
    const pods = Array.from({ length: 1000 }, (_, k) => pod(`q${k}`, "10.0.0.1"));
    expect(slices.put(read({ name: "s0", pods })).length).toBe(2000);
    for (let i = 0; i < 1100; i += 1) slices.put(read({ name: `t${i}`, pods: [] }));
    expect(slices.refused).toBe(904 + 81);
  });

  test("remember who found no room, for when there is some", () => {
    const full = table();
    const lists = Array.from({ length: 5 }, (_, i) => {
      const pods = Array.from({ length: 1000 }, (_, k) => pod(`p${i}-${k}`, "10.0.0.1"));
      return read({ name: `s${i}`, pods });
    });
    expect(full.replace(lists).length).toBe(4096);
    const events = full.replace(lists.slice(1));
    expect(events.filter(({ kind }) => kind === "gone").length).toBe(1000);
    expect(events.filter(({ kind }) => kind === "seen").length).toBe(904);
  });
});
