// Every call with every input that it must refuse: the code, and the field that the sentence begins with.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Code } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { PeatSidecar } from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { type RpcWorld, startRpc } from "../support/start-rpc.ts";

const { InvalidArgument, ResourceExhausted, Unimplemented, OutOfRange } = Code;
const ID = "ab".repeat(32);
const HERE = { collection: "notes", docId: "a" };
const BAD_NAMES = [
  [{ docId: "a" }, InvalidArgument, "collection: "],
  [{ collection: "a:b", docId: "a" }, InvalidArgument, "collection: "],
  [{ collection: ".a", docId: "a" }, InvalidArgument, "collection: "],
  [{ collection: "a".repeat(129), docId: "a" }, InvalidArgument, "collection: "],
  [{ collection: "notes" }, InvalidArgument, "doc_id: "],
  [{ collection: "notes", docId: "." }, InvalidArgument, "doc_id: "],
  [{ collection: "notes", docId: "ü".repeat(257) }, InvalidArgument, "doc_id: "],
  [{ collection: "notes", docId: "a\u0000" }, InvalidArgument, "doc_id: "],
] as const;
const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
const not = (levels: number): object => (levels === 1 ? { all: {} } : { not: not(levels - 1) });

/** The sentence begins with that, or has it where Connect has found what is wrong. */
type Case = readonly [request: object, code: Code, sentence: string | RegExp];

const CASES: Readonly<Partial<Record<string, readonly Case[]>>> = {
  ConnectPeer: [
    [{}, InvalidArgument, "endpoint_id: "],
    [{ endpointId: "node-2", addresses: ["10.0.0.2:1"] }, InvalidArgument, "endpoint_id: "],
    [{ endpointId: `${ID}0`, addresses: ["10.0.0.2:1"] }, InvalidArgument, "endpoint_id: "],
    [{ endpointId: ID }, InvalidArgument, "addresses: "],
    [{ endpointId: ID, addresses: ["10.0.0.2:1", "10.0.0.2"] }, InvalidArgument, "addresses[1]: "],
    [{ endpointId: ID, addresses: ["host:99999"] }, InvalidArgument, "addresses[0]: "],
    [{ endpointId: ID, addresses: [""] }, InvalidArgument, "addresses[0]: "],
    [{ endpointId: ID, addresses: Array(17).fill("h:1") }, InvalidArgument, "addresses: has 17"],
    [{ endpointId: ID, relayUrl: "relay" }, InvalidArgument, "relay_url: "],
    [{ endpointId: ID, relayUrl: "ftp://relay" }, InvalidArgument, "relay_url: "],
    [{ endpointId: ID, addresses: ["a b:5"] }, InvalidArgument, "addresses[0]: "],
    [{ endpointId: ID, addresses: ["host:0"] }, InvalidArgument, "addresses[0]: "],
  ],
  DisconnectPeer: [
    [{}, InvalidArgument, "endpoint_id: "],
    [{ endpointId: "g".repeat(64) }, InvalidArgument, "endpoint_id: "],
  ],
  PutDocument: [
    ...BAD_NAMES.map(([names, ...rest]) => [{ ...names, jsonData: "{}" }, ...rest] as const),
    [HERE, InvalidArgument, "json_data: "],
    [{ ...HERE, jsonData: "{" }, InvalidArgument, "json_data: "],
    [{ ...HERE, jsonData: "[]" }, InvalidArgument, "json_data: "],
    [{ ...HERE, jsonData: "null" }, InvalidArgument, "json_data: "],
    [{ ...HERE, jsonData: '"text"' }, InvalidArgument, "json_data: "],
    [{ ...HERE, jsonData: '{"a":1e999}' }, InvalidArgument, "json_data: "],
    [{ ...HERE, jsonData: '{"__proto__":1}' }, InvalidArgument, "json_data: "],
    [{ ...HERE, jsonData: '{"a":"\\ud800"}' }, InvalidArgument, "json_data: "],
    [{ ...HERE, jsonData: deep(65) }, InvalidArgument, "json_data: "],
    [
      { ...HERE, jsonData: JSON.stringify({ a: "x".repeat(1024 ** 2) }) },
      ResourceExhausted,
      "json_data: ",
    ],
    [{ ...HERE, jsonData: " " }, InvalidArgument, "json_data: "],
    [{ ...HERE, docId: "\ud800", jsonData: "{}" }, InvalidArgument, /PutDocumentRequest\.doc_id /],
  ],
  GetDocument: BAD_NAMES,
  DeleteDocument: BAD_NAMES,
  ListDocuments: BAD_NAMES.slice(0, 4),
  PutNode: [
    [{}, InvalidArgument, "node: node is required"],
    [{ node: {} }, InvalidArgument, "node.id: "],
    [{ node: { id: ".." } }, InvalidArgument, "node.id: "],
    [{ node: { id: "a", altitudeM: "Infinity" } }, InvalidArgument, "node.altitude_m: "],
    [{ node: { id: "x".repeat(513) } }, InvalidArgument, "node.id: "],
    [{ node: { id: "a", name: "x".repeat(1024 ** 2) } }, ResourceExhausted, "node: "],
    [
      { node: { id: "a", status: "NODE_STATUS_NONE" } },
      InvalidArgument,
      /enum .*NodeStatus .*"NODE_STATUS_NONE"/,
    ],
    [{ node: { id: "a", capabilities: [1] } }, InvalidArgument, /Node\.capabilities /],
    [{ node: { id: "a", callSign: "x" } }, InvalidArgument, /Node .*"callSign"/],
  ],
  PutCell: [
    [{}, InvalidArgument, "cell: cell is required"],
    [{ cell: { name: "a" } }, InvalidArgument, "cell.id: "],
    [{ cell: { id: "a", centerLatitude: "NaN" } }, InvalidArgument, "cell.center_latitude: "],
    [{ cell: { id: "a", nodeCount: -1 } }, InvalidArgument, /Cell\.node_count /],
    [{ cell: { id: "a", nodeCount: 2 ** 32 } }, InvalidArgument, /Cell\.node_count /],
    [{ cell: { id: "a", status: "GONE" } }, InvalidArgument, /enum .*CellStatus .*"GONE"/],
  ],
  PutTrack: [
    [{}, InvalidArgument, "track: track is required"],
    [{ track: { id: "\u007f" } }, InvalidArgument, "track.id: "],
    [{ track: { id: "a", headingDeg: "-Infinity" } }, InvalidArgument, "track.heading_deg: "],
    [{ track: { id: "a", category: "AIR" } }, InvalidArgument, /enum .*TrackCategory .*"AIR"/],
  ],
  PutCommand: [
    [{}, InvalidArgument, "command: command is required"],
    [{ command: { targetId: "a" } }, InvalidArgument, "command.id: "],
    [{ command: { id: "a", status: "DONE" } }, InvalidArgument, /enum .*CommandStatus .*"DONE"/],
    [{ command: { id: "a", createdAt: `${2n ** 63n}` } }, InvalidArgument, /Command\.created_at /],
    [{ command: { id: "a", expiresAt: "soon" } }, InvalidArgument, /Command\.expires_at /],
  ],
  SendAttachments: [[{}, Unimplemented, "SendAttachments requires"]],
  GetAttachmentDistribution: [[{}, Unimplemented, "GetAttachmentDistribution requires"]],
  CancelAttachmentDistribution: [[{}, Unimplemented, "CancelAttachmentDistribution requires"]],
  SubscribeAttachmentBundle: [[{}, Unimplemented, "SubscribeAttachmentBundle requires"]],
  SetCollectionConfig: [
    [{}, InvalidArgument, "config: config is required"],
    [{ config: {} }, InvalidArgument, "config.collection: "],
    [{ config: { collection: "a b" } }, InvalidArgument, "config.collection: "],
    [
      { config: { collection: "a", deletionPolicy: 5 } },
      InvalidArgument,
      "config.deletion_policy: ",
    ],
    [
      { config: { collection: "a", deletionPolicy: -1 } },
      InvalidArgument,
      "config.deletion_policy: ",
    ],
    // Left out, it would be SOFT_DELETE.
    [
      { config: { collection: "a", deletionPolicy: "IMMUTABLE" } },
      InvalidArgument,
      /enum .*DeletionPolicy .*"IMMUTABLE"/,
    ],
    [
      { config: { collection: "a", deletion_polcy: "DELETION_POLICY_IMMUTABLE" } },
      InvalidArgument,
      /CollectionConfig .*"deletion_polcy"/,
    ],
    [
      { config: { collection: "a", tombstoneTtlSecs: "-1" } },
      InvalidArgument,
      /CollectionConfig\.tombstone_ttl_secs /,
    ],
    [
      { config: { collection: "a", softDeleteTtlSecs: "10000000000" } },
      InvalidArgument,
      "config.soft_delete_ttl_secs: ",
    ],
    [
      { config: { collection: "a", tombstoneTtlSecs: "18446744073709551615" } },
      InvalidArgument,
      "config.tombstone_ttl_secs: ",
    ],
  ],
  GetCollectionConfig: BAD_NAMES.slice(0, 4),
  Subscribe: [
    [{ collections: ["notes", "a b"] }, InvalidArgument, "collections[1]: "],
    [{ collections: Array(257).fill("a") }, InvalidArgument, "collections: "],
    [{ query: {} }, InvalidArgument, "query: "],
    [{ query: { eq: { value: "1" } } }, InvalidArgument, "query.eq.field: "],
    [{ query: { lt: { field: "a", value: "x" } } }, InvalidArgument, "query.lt.value: "],
    [{ query: { or: { clauses: [{}] } } }, InvalidArgument, "query.or.clauses[0]: "],
    [{ query: not(17) }, InvalidArgument, "query.not"],
    [{ collections: [""] }, InvalidArgument, "collections[0]: "],
    [{ query: { not: {} } }, InvalidArgument, "query.not: "],
    [{ query: { gt: { field: "", value: "1" } } }, InvalidArgument, "query.gt.field: "],
    [{ query: { eq: { field: "a", value: "" } } }, InvalidArgument, "query.eq.value: "],
    [
      { query: { and: { clauses: [{ all: {} }, { eq: { field: "a", value: "{" } }] } } },
      InvalidArgument,
      "query.and.clauses[1].eq.value: ",
    ],
    [
      { query: { or: { clauses: Array(1024).fill({ all: {} }) } } },
      InvalidArgument,
      "query.or.clauses[1023]: ",
    ],
    [{ resume: { since: "x".repeat(100_000) } }, OutOfRange, "resume.since: "],
    [{ resume: { since: "elsewhere" } }, OutOfRange, "resume.since: "],
  ],
};

/** Calls without anything that could be wrong. */
const HARMLESS = new Set([
  "GetStatus",
  "ListPeers",
  "GetNodes",
  "GetCells",
  "GetTracks",
  "GetCommands",
  "StartSync",
  "StopSync",
  "GetSyncStats",
  "ListCollectionConfigs",
]);

let world: RpcWorld;
beforeAll(async () => {
  world = await startRpc();
});
afterAll(() => world[Symbol.asyncDispose]());

/** As a client without any library asks, over HTTP and JSON. */
async function ask(name: string, request: object): Promise<{ code: string; message: string }> {
  const isStream = /^Subscribe/.test(name);
  const text = new TextEncoder().encode(JSON.stringify(request));
  const head = new Uint8Array(5);
  new DataView(head.buffer).setUint32(1, text.length);
  const response = await fetch(`${world.url()}/${PeatSidecar.typeName}/${name}`, {
    method: "POST",
    headers: { "content-type": isStream ? "application/connect+json" : "application/json" },
    body: isStream ? new Blob([head, text]) : text,
  });
  if (!isStream) return (await response.json()) as { code: string; message: string };
  const bytes = await response.bytes();
  expect(bytes[0]).toBe(2);
  return JSON.parse(new TextDecoder().decode(bytes.subarray(5))).error;
}

for (const method of PeatSidecar.methods) {
  const cases = CASES[method.name];
  if (cases === undefined) {
    test(`${method.name} has nothing in its request that could be wrong`, () => {
      expect(HARMLESS).toContain(method.name);
      expect(method.input.fields).toEqual([]);
    });
    continue;
  }
  describe(method.name, () => {
    test.each(cases.map((c) => [JSON.stringify(c[0]).slice(0, 100), ...c] as const))(
      "refuses %s",
      async (_, request, code, sentence) => {
        const error = await ask(method.name, request);
        expect(codeFromString(error.code)).toBe(code);
        if (typeof sentence === "string") expect(error.message).toStartWith(sentence);
        else expect(error.message).toMatch(sentence);
      },
    );
  });
}

test("a field of the wrong type, and text that is no JSON, are refused by what they are", async () => {
  for (const body of ['{"collection":5}', "{", '{"docId":{}}']) {
    const response = await fetch(`${world.url()}/${PeatSidecar.typeName}/GetDocument`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: "invalid_argument" });
  }
});
