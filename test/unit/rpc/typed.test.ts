import { describe, expect, test } from "bun:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createHandlerContext, type HandlerContext } from "@connectrpc/connect";
import fc from "fast-check";
import { systemClock } from "../../../src/base/clock.ts";
import {
  CommandSchema,
  NodeSchema,
  NodeStatus,
  PeatSidecar,
  PutCellRequestSchema,
  PutCommandRequestSchema,
  PutNodeRequestSchema,
  PutTrackRequestSchema,
  TrackSchema,
} from "../../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { typedCalls } from "../../../src/rpc/typed.ts";
import { openMemoryStore, put, read } from "../../support/memory-store.ts";

const context: HandlerContext = createHandlerContext({
  service: PeatSidecar,
  method: PeatSidecar.method.putNode,
  protocolName: "connect",
  requestMethod: "POST",
  url: "http://localhost/",
});

function world() {
  const store = openMemoryStore();
  const calls = typedCalls({ store, clock: systemClock });
  return {
    store,
    putNode: async (node?: MessageInitShape<typeof NodeSchema>) =>
      calls.putNode(create(PutNodeRequestSchema, node === undefined ? {} : { node }), context),
    putTrack: async (track: MessageInitShape<typeof TrackSchema>) =>
      calls.putTrack(create(PutTrackRequestSchema, { track }), context),
    putCommand: async (command: MessageInitShape<typeof CommandSchema>) =>
      calls.putCommand(create(PutCommandRequestSchema, { command }), context),
    putCell: async (id: string, nodeCount: number) =>
      calls.putCell(create(PutCellRequestSchema, { cell: { id, nodeCount } }), context),
    nodes: async () => (await calls.getNodes(create(GetNodes), context)).nodes ?? [],
    tracks: async () => (await calls.getTracks(create(GetTracks), context)).tracks ?? [],
    commands: async () => (await calls.getCommands(create(GetCommands), context)).commands ?? [],
    cells: async () => (await calls.getCells(create(GetCells), context)).cells ?? [],
  };
}

const GetNodes = PeatSidecar.method.getNodes.input;
const GetTracks = PeatSidecar.method.getTracks.input;
const GetCommands = PeatSidecar.method.getCommands.input;
const GetCells = PeatSidecar.method.getCells.input;

describe("a typed document", () => {
  test("is stored under its id, with proto names, enum numbers, floats as floats, and null for what is not set", async () => {
    const { store, putNode } = world();
    await putNode({
      id: "n:1",
      nodeType: "uav",
      status: NodeStatus.BUSY,
      latitude: 5,
      longitude: -0.25,
      capabilities: ["eo", "ir"],
      callsign: "",
    });
    expect(read(store, "nodes:n:1")).toBe(
      '{"altitude_m":0.0,"callsign":"","capabilities":["eo","ir"],"id":"n:1","latitude":5.0,"longitude":-0.25,"name":"","node_type":"uav","readiness":0.0,"status":2,"unit_id":null}',
    );
  });

  test("comes back as it was put, whatever is in it", async () => {
    const { tracks, putTrack } = world();
    const number = fc.double({ noNaN: true, noDefaultInfinity: true });
    const optional = fc.option(number, { nil: undefined });
    const anyTrack = fc.record(
      {
        id: fc.constant("t"),
        sourceNode: fc.string({ unit: "grapheme" }),
        cellId: fc.string(),
        latitude: number,
        altitudeM: optional,
        speedMps: optional,
        category: fc.integer({ min: 0, max: 5 }),
      },
      { requiredKeys: ["id"] },
    );
    await fc.assert(
      fc.asyncProperty(anyTrack, async (init) => {
        const given = Object.fromEntries(Object.entries(init).filter(([, v]) => v !== undefined));
        const track = create(TrackSchema, given);
        await putTrack(track);
        expect(await tracks()).toEqual([track]);
      }),
      { numRuns: 100 },
    );
  });

  test("keeps 64-bit integers to the last digit", async () => {
    const { store, commands, putCommand } = world();
    const command = create(CommandSchema, {
      id: "c",
      createdAt: 2n ** 63n - 1n,
      expiresAt: -(2n ** 63n),
      payloadJson: '{"not":"looked at',
    });
    await putCommand(command);
    expect(await commands()).toEqual([command]);
    expect(read(store, "commands:c")).toContain('"created_at":9223372036854775807');
  });

  test("that others wrote is read as far as it makes sense, its id from its key", async () => {
    const { store, nodes, cells } = world();
    await put(store, "nodes:agent", {
      id: "another",
      node_type: "uds-remote-agent",
      status: "ready",
      latitude: "north",
      longitude: 3,
      capabilities: ["a", 1, null, "b"],
      unit_id: 7,
      callsign: "hawk",
      version: "1.2",
    });
    expect(await nodes()).toEqual([
      create(NodeSchema, {
        id: "agent",
        nodeType: "uds-remote-agent",
        longitude: 3,
        capabilities: ["a", "b"],
        callsign: "hawk",
      }),
    ]);
    for (const [id, count] of [
      ["a", -1],
      ["b", 1.5],
      ["c", 2 ** 32],
      ["d", 2 ** 32 - 1],
    ] as const) {
      await put(store, `cells:${id}`, { node_count: count });
    }
    expect((await cells()).map(({ nodeCount }) => nodeCount)).toEqual([0, 0, 0, 2 ** 32 - 1]);
  });

  test("is refused without an id, and with a number that JSON does not have, naming the field", async () => {
    const { putNode, putTrack } = world();
    await expect(putNode()).rejects.toThrow("node: node is required");
    await expect(putNode({ name: "x" })).rejects.toThrow("node.id: ");
    await expect(putNode({ id: "x\n" })).rejects.toThrow("node.id: ");
    await expect(putTrack({ id: "t", latitude: Number.NaN })).rejects.toThrow("track.latitude: ");
    await expect(putTrack({ id: "t", cepM: Number.POSITIVE_INFINITY })).rejects.toThrow(
      "track.cep_m: ",
    );
  });
});
