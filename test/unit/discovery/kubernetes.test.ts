// The source as the node sees it: when it works, what is wrong with it, and what it tells.
import { afterEach, describe, expect, test } from "bun:test";
import { openLog, parseLogFilter } from "../../../src/base/log.ts";
import { KubernetesSource } from "../../../src/discovery/kubernetes.ts";
import { RequestFailure } from "../../../src/discovery/kubernetes-watch.ts";
import { type PeerEvent, parseNodeName } from "../../../src/identity/peer.ts";
import { ScriptedSlices } from "../../support/kubernetes/scripted-slices.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

function open(prepare: (api: ScriptedSlices) => void = () => undefined) {
  const lines: string[] = [];
  openLog({
    filter: parseLogFilter("debug"),
    format: "text",
    colour: false,
    write: (line) => lines.push(line.replace(/^\S+\s+/, "").trim()),
  });
  const [api, clock, events] = [new ScriptedSlices(), new VirtualClock(), [] as PeerEvent[]];
  prepare(api);
  const source = new KubernetesSource({
    api,
    namespace: "mesh",
    selector: "app=peat-mesh",
    ownName: parseNodeName("peat-mesh-0.alpha"),
    clusterName: "alpha",
    defaultPort: 11204,
    clock,
    random: () => 0.5,
  });
  let isWorking = false;
  const started = source
    .start((event) => events.push(event))
    .then(() => {
      isWorking = true;
    });
  const told = (pattern: RegExp) => lines.filter((line) => pattern.test(line));
  return { api, clock, events, source, started, isWorking: () => isWorking, told };
}

afterEach(() => {
  openLog({ filter: parseLogFilter("off"), format: "text", colour: false, write: () => undefined });
});

const forbidden = new RequestFailure(
  "the API server answers 403: endpointslices is forbidden",
  403,
);
const pods = [
  { pod: "peat-mesh-0", addresses: ["10.0.0.1"] },
  { pod: "peat-mesh-1", addresses: ["10.0.0.2"] },
];

describe("a source that works", () => {
  test("says where it looks, finds the other pods under their cluster's name, and tells of them", async () => {
    const { api, clock, source, events, started, told } = open((server) =>
      server.put({ name: "a", pods }),
    );
    await started;
    expect(source.trouble).toBeUndefined();
    expect(events).toEqual([
      {
        kind: "seen",
        peer: {
          identity: { kind: "name", name: parseNodeName("peat-mesh-1.alpha") },
          hosts: [{ host: "10.0.0.2", port: 11204 }],
        },
      },
    ]);
    api.put({ name: "a", pods: [{ pod: "peat-mesh-1", addresses: ["10.0.0.3"] }] });
    await clock.advance(1);
    api.delete("a");
    await clock.advance(1);
    expect(told(/discovery::kubernetes/)).toEqual([
      "INFO peat_mesh::discovery::kubernetes: Starting Kubernetes discovery in namespace 'mesh' with selector 'app=peat-mesh'",
      "DEBUG peat_mesh::discovery::kubernetes: Discovered new Kubernetes peer: peat-mesh-1.alpha",
      "DEBUG peat_mesh::discovery::kubernetes: Updated Kubernetes peer: peat-mesh-1.alpha",
      "DEBUG peat_mesh::discovery::kubernetes: Lost Kubernetes peer: peat-mesh-1.alpha",
    ]);
    await source.close();
  });

  test("works too where no slice is there yet, and says so once", async () => {
    const { clock, source, started, told } = open();
    await started;
    await clock.advance(120_000);
    expect(source.trouble).toBeUndefined();
    expect(told(/No EndpointSlice/).length).toBe(1);
    await source.close();
  });

  test("tells once of endpoints that no peer can be made of", async () => {
    const strange = [{ pod: "no name!", addresses: ["10.0.0.1"] }];
    const { clock, source, told } = open((api) => api.put({ name: "a", pods: strange }));
    await clock.advance(120_000);
    expect(told(/WARN .*are ignored slice=a endpoints=1/).length).toBe(1);
    await source.close();
  });
});

describe("a source that can't list", () => {
  test("has not started, says why, and starts when it can", async () => {
    const { api, clock, source, isWorking, told } = open((server) => {
      server.listTrouble = forbidden;
    });
    await clock.advance(60_000);
    expect(isWorking()).toBe(false);
    expect(source.trouble).toBe(
      "the API server answers 403: endpointslices is forbidden; let this node's account list and watch endpointslices in namespace mesh",
    );
    expect(told(/Failed to list EndpointSlices/).map((line) => line.split(" ", 1)[0])).toEqual([
      "WARN",
      "ERROR",
    ]);
    api.listTrouble = undefined;
    await clock.advance(40_000);
    expect(isWorking()).toBe(true);
    expect(source.trouble).toBeUndefined();
    expect(told(/can be listed again/).length).toBe(1);
    await source.close();
  });

  test("for want of a server that answers never calls for a person: it may come back", async () => {
    const { clock, source, told } = open((api) => {
      api.listTrouble = new RequestFailure("https://10.0.0.1: connect ECONNREFUSED");
    });
    await clock.advance(600_000);
    expect(told(/ERROR/)).toEqual([]);
    expect(told(/WARN .*Failed to list EndpointSlices/).length).toBe(1);
    expect(source.trouble).toBe("https://10.0.0.1: connect ECONNREFUSED");
    await source.close();
  });

  test("ends its start when it is closed", async () => {
    const { source, started } = open((api) => {
      api.listTrouble = "no answer";
    });
    await source.close();
    await started;
  });
});

test("a watch that fails is told after the third time, once, and its end too", async () => {
  const { api, clock, source, started, told } = open((server) => {
    server.watchTrouble = forbidden;
  });
  await started;
  await clock.advance(300_000);
  expect(told(/WARN .*Failed to watch EndpointSlices/).length).toBe(1);
  expect(source.trouble).toBeUndefined();
  api.watchTrouble = undefined;
  await clock.advance(60_000);
  api.bookmark();
  await clock.advance(1);
  expect(told(/INFO .*are watched again/).length).toBe(1);
  await source.close();
});

test("nothing is told after close", async () => {
  const { api, clock, source, events, started } = open((server) => server.put({ name: "a", pods }));
  await started;
  const before = events.length;
  await source.close();
  api.delete("a");
  await clock.advance(60_000);
  expect(events.length).toBe(before);
});
