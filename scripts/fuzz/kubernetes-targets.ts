// What an API server answers: lists and events of EndpointSlices, from JSON text to peers.
import { toUtf8 } from "../../src/base/bytes.ts";
import {
  readSliceEvent,
  readSliceList,
  type SliceRules,
  SliceTable,
} from "../../src/discovery/kubernetes-slices.ts";
import { type PeerEvent, parseNodeName } from "../../src/identity/peer.ts";
import { endpointSlice } from "../../test/support/kubernetes/slice.ts";
import type { Corpus } from "./mutate.ts";
import { expectEqual, type FuzzTarget, Mismatch, type Outcome } from "./target.ts";

const RULES: SliceRules = { clusterName: "alpha", defaultPort: 11204 };
const OWN_NAME = parseNodeName("peat-mesh-0.alpha");
const HOSTS_MAX = 16;

const SLICES = [
  endpointSlice({
    name: "peat-mesh-x7k2p",
    annotations: { "peat.relay_url": "https://relay.example/" },
    pods: [
      { pod: "peat-mesh-0", addresses: ["10.42.0.9"] },
      { pod: "peat-mesh-1", addresses: ["10.42.0.10", "10.42.0.11"], isReady: false },
    ],
  }),
  endpointSlice({
    name: "six",
    addressType: "IPv6",
    ports: [{ port: 9, protocol: "UDP" }],
    pods: [{ hostname: "depot", addresses: ["fd00::9"] }],
  }),
].map((slice, i) => ({ ...slice, metadata: { ...slice.metadata, resourceVersion: `${i + 7}` } }));

const TOKENS = [
  "null",
  "{}",
  "[]",
  '"',
  "-1",
  "65536",
  "FQDN",
  "::",
  "255.255.255.255",
  "..",
  "\u0000",
];

function corpusOf(values: readonly unknown[]): () => Corpus {
  const seeds = values.map((value) => toUtf8(JSON.stringify(value)));
  return () => ({ seeds, tokens: TOKENS.map(toUtf8) });
}

function check(events: readonly PeerEvent[]): void {
  for (const event of events) {
    const { identity } = event.kind === "seen" ? event.peer : event;
    if (identity.kind !== "name") throw new Mismatch("a peer without a name");
    expectEqual(parseNodeName(identity.name), identity.name, "a name");
    if (identity.name === OWN_NAME) throw new Mismatch("the own pod");
    if (event.kind === "gone") continue;
    const { hosts } = event.peer;
    if (hosts.length < 1 || hosts.length > HOSTS_MAX) throw new Mismatch(`${hosts.length} hosts`);
    for (const { port } of hosts) {
      if (!(port >= 1 && port <= 65_535)) throw new Mismatch(`port ${port}`);
    }
  }
}

/** A target of what JSON.parse makes of the text; text that is no JSON is refused before it matters here. */
function jsonTarget(
  name: string,
  values: readonly unknown[],
  read: (value: unknown) => Outcome,
): FuzzTarget {
  const decoder = new TextDecoder();
  return {
    name,
    share: 40,
    corpus: corpusOf(values),
    run(input) {
      let value: unknown;
      try {
        value = JSON.parse(decoder.decode(input));
      } catch {
        return "no JSON";
      }
      return read(value);
    },
  };
}

const lists = jsonTarget(
  "list of EndpointSlices",
  [{ kind: "EndpointSliceList", metadata: { resourceVersion: "12" }, items: SLICES }],
  (value) => {
    const list = readSliceList(value, RULES);
    if (list === undefined) return "no list";
    const table = new SliceTable(OWN_NAME);
    check(table.replace(list.slices));
    expectEqual(table.replace(list.slices), [], "the same list again");
    check(table.replace([]));
    return undefined;
  },
);

const events = jsonTarget(
  "event of EndpointSlices",
  [
    ...SLICES.map((object) => ({ type: "ADDED", object })),
    { type: "DELETED", object: SLICES[0] },
    { type: "BOOKMARK", object: { metadata: { resourceVersion: "99" } } },
    { type: "ERROR", object: { code: 410, message: "too old resource version" } },
  ],
  (value) => {
    const event = readSliceEvent(value, RULES);
    if (event === undefined) return "no event";
    const table = new SliceTable(OWN_NAME);
    if (event.kind === "put") {
      check(table.put(event.slice));
      expectEqual(table.put(event.slice), [], "the same slice again");
      check(table.delete(event.slice.name));
    } else if (event.kind === "deleted") expectEqual(table.delete(event.name), [], "nothing");
    return undefined;
  },
);

export const KUBERNETES_TARGETS: readonly FuzzTarget[] = [lists, events];
