// Gateways: peers of the own cluster from Kubernetes and peers of another one from a list, at the same time. Where
// the clusters' names collide that is told, and no pod is kept apart from the others of its cluster.
import { afterEach, describe, expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { systemClock } from "../../src/base/clock.ts";
import { KubernetesSource } from "../../src/discovery/kubernetes.ts";
import { StaticList } from "../../src/discovery/static-list.ts";
import { parseHostPort, parsePeerAddress } from "../../src/identity/peer.ts";
import { NodeStatus } from "../../src/node-status.ts";
import { ScriptedSlices } from "../support/kubernetes/scripted-slices.ts";
import { allEqual, LogLines, randomSecret, TestNode } from "../support/start-node.ts";

const LIMIT_MS = 120_000;

/** Pods with one API server, each on a loopback address of its own; sources end with the test. */
class Cluster {
  readonly api = new ScriptedSlices();
  readonly #secret: ReturnType<typeof randomSecret>;
  readonly #name: string | undefined;
  readonly #net: number;
  readonly #opened: AsyncDisposable[] = [];

  constructor(secret: ReturnType<typeof randomSecret>, net: number, name?: string) {
    this.#secret = secret;
    this.#net = net;
    this.#name = name;
  }

  /** A pod that has started; it is in no slice yet. */
  async start(pod: string): Promise<TestNode> {
    const host = `127.${this.#net}.0.${Number(/\d+$/.exec(pod)?.[0]) + 1}`;
    const node = await TestNode.start({
      name: this.#name === undefined ? pod : `${pod}.${this.#name}`,
      secrets: [this.#secret],
      bindAddress: `${host}:0`,
    });
    this.#opened.push(node);
    return node;
  }

  /** Puts a pod into the cluster's slices: where it is, and by which port. */
  announce(pod: string, node: TestNode): void {
    const { host, port } = parseHostPort(node.address);
    const ports = [{ name: "iroh-quic", port, protocol: "UDP" }];
    this.api.put({ name: `slice-${pod}`, ports, pods: [{ pod, addresses: [host] }] });
  }

  withdraw(pod: string): void {
    this.api.delete(`slice-${pod}`);
  }

  /** Lets a pod look for the others of the cluster, and for listed peers. */
  async discover(node: TestNode, ...listed: readonly string[]): Promise<void> {
    const kubernetes = new KubernetesSource({
      api: this.api,
      namespace: "default",
      selector: "app=peat-mesh",
      ownName: node.name,
      clusterName: this.#name,
      defaultPort: 11204,
    });
    for (const source of [kubernetes, new StaticList(listed.map(parsePeerAddress))]) {
      this.#opened.push({ [Symbol.asyncDispose]: () => source.close() });
      await source.start((event) => node.coordinator.handle(source.name, event));
    }
  }

  async close(): Promise<void> {
    for (const each of this.#opened.toReversed()) await each[Symbol.asyncDispose]();
  }
}

let clusters: Cluster[] = [];
afterEach(async () => {
  await Promise.all(clusters.map((cluster) => cluster.close()));
  clusters = [];
});

function twoClusters(names: readonly [string, string] | readonly []): [Cluster, Cluster] {
  const secret = randomSecret();
  const pair: [Cluster, Cluster] = [
    new Cluster(secret, 10, names[0]),
    new Cluster(secret, 20, names[1]),
  ];
  clusters = [...pair];
  return pair;
}

/** Checks of readiness, as `/api/v1/ready` tells them. */
function readiness({ name, store, coordinator }: TestNode) {
  const status = new NodeStatus({
    nodeName: name,
    version: "0.1.0",
    clock: systemClock,
    store,
    coordinator,
  });
  status.listenersOpened();
  status.discoveryStarted(true);
  return status.readiness().filter((check) => check.name !== "caught_up");
}

describe("two clusters with names of their own", () => {
  test(
    "have equal documents by their gateways, also after a gateway was replaced",
    async () => {
      const [alpha, bravo] = twoClusters(["alpha", "bravo"]);
      const [a0, a1] = [await alpha.start("peat-mesh-0"), await alpha.start("peat-mesh-1")];
      const [b0, b1] = [await bravo.start("peat-mesh-0"), await bravo.start("peat-mesh-1")];
      for (const [cluster, zero, one] of [
        [alpha, a0, a1],
        [bravo, b0, b1],
      ] as const) {
        cluster.announce("peat-mesh-0", zero);
        cluster.announce("peat-mesh-1", one);
      }
      using log = new LogLines();
      await alpha.discover(a0, `peat-mesh-0.bravo@${b0.address}`);
      await alpha.discover(a1);
      await bravo.discover(b0);
      await bravo.discover(b1);
      await a1.put("tracks:a", { from: "a1" });
      await b1.put("tracks:b", { from: "b1" });
      await allEqual([a0, a1, b0, b1], 2);

      // The gateway's pod is replaced: another process, without documents, and here at another address.
      await b0.stop();
      bravo.withdraw("peat-mesh-0");
      const again = await bravo.start("peat-mesh-0");
      bravo.announce("peat-mesh-0", again);
      await bravo.discover(again, `peat-mesh-0.alpha@${a0.address}`);
      await a1.put("tracks:a", { from: "a1", again: true });
      await b1.put("tracks:c", { from: "b1" });
      await allEqual([a0, a1, again, b1], 3);
      expect(log.with("ERROR")).toEqual([]);
      expect(readiness(a0)).toEqual([]);
    },
    LIMIT_MS,
  );
});

describe("two clusters that were set up alike, without names", () => {
  test(
    "are told of each pod whose name is listed too, and each cluster keeps to itself",
    async () => {
      const [alpha, bravo] = twoClusters([]);
      const [a0, a1] = [await alpha.start("peat-mesh-0"), await alpha.start("peat-mesh-1")];
      const b1 = await bravo.start("peat-mesh-1");
      alpha.announce("peat-mesh-0", a0);
      alpha.announce("peat-mesh-1", a1);
      using log = new LogLines();
      await alpha.discover(a0, `peat-mesh-1@${b1.address}`);
      await alpha.discover(a1);
      const line = await log.shows("ERROR", "A static peer has the name of a pod");
      expect(line).toContain(`peer=peat-mesh-1 addresses=["${b1.address}"]`);
      expect(line).toContain(`pod_addresses=["${a1.address}"]`);
      expect(line).toContain("PEAT_CLUSTER_NAME");
      await a0.put("tracks:0", { by: "a0" });
      await a1.put("tracks:1", { by: "a1" });
      await b1.put("tracks:2", { by: "b1" });
      await allEqual([a0, a1]);
      for (const [id, by] of [
        ["0", "a0"],
        ["1", "a1"],
      ] as const) {
        for (const node of [a0, a1]) await node.shows(`tracks:${id}`, `{"by":"${by}"}`);
      }
      expect(log.with("ERROR").length).toBe(1);
      expect(readiness(a0)).toMatchObject([{ name: "duplicate_name", ready: true }]);
      expect(readiness(a0)[0]?.message).toContain(b1.address);
    },
    LIMIT_MS,
  );

  test(
    "never keep a pod out of its cluster: the other of its name has to leave",
    async () => {
      const [alpha, bravo] = twoClusters([]);
      const [a0, b1] = [await alpha.start("peat-mesh-0"), await bravo.start("peat-mesh-1")];
      alpha.announce("peat-mesh-0", a0);
      using log = new LogLines();
      await alpha.discover(a0, `peat-mesh-1@${b1.address}`);
      await a0.connected(b1);
      await b1.put("tracks:b", { by: "b1" });
      await a0.shows("tracks:b", '{"by":"b1"}');
      // Only now the cluster's own pod of that name comes up.
      const a1 = await alpha.start("peat-mesh-1");
      await a1.put("tracks:a", { by: "a1" });
      alpha.announce("peat-mesh-1", a1);
      await alpha.discover(a1);
      await allEqual([a0, a1], 2);
      const line = await log.shows("ERROR", "peer=peat-mesh-1");
      expect(line).toContain("PEAT_CLUSTER_NAME");
      await log.shows("peer=peat-mesh-0 reason=duplicate name");
      await a0.put("tracks:0", { by: "a0" });
      await a1.shows("tracks:0", '{"by":"a0"}');
      expect(a0.sessionWith(a1)?.member.hello.start).toBe(a1.store.start);
      expect(log.with("ERROR").length).toBe(1);
      expect(readiness(a0)).toMatchObject([{ name: "duplicate_name", ready: true }]);
    },
    LIMIT_MS,
  );

  test(
    "are told of a gateway that is listed under this node's own name",
    async () => {
      const [alpha] = twoClusters([]);
      const [a0, a1] = [await alpha.start("peat-mesh-0"), await alpha.start("peat-mesh-1")];
      alpha.announce("peat-mesh-0", a0);
      alpha.announce("peat-mesh-1", a1);
      using log = new LogLines();
      await alpha.discover(a0, "peat-mesh-0@127.20.0.1:11204");
      await a0.connected(a1);
      expect(log.with("ERROR", "this node's own identity", "127.20.0.1:11204").length).toBe(1);
      expect(readiness(a0)).toMatchObject([{ name: "duplicate_name", ready: true }]);
    },
    LIMIT_MS,
  );
});

test(
  "a pod that is listed too, where it is, is no collision",
  async () => {
    const [alpha] = twoClusters([]);
    const [a0, a1] = [await alpha.start("peat-mesh-0"), await alpha.start("peat-mesh-1")];
    alpha.announce("peat-mesh-1", a1);
    using log = new LogLines();
    await alpha.discover(a0, `peat-mesh-1@${a1.address}`);
    await a0.connected(a1);
    await waitFor("both sources", 20_000, () => {
      const [peer] = a0.coordinator.sought();
      return (peer?.sources.length === 2 && peer.hosts.length === 2) || undefined;
    });
    expect(log.with("ERROR")).toEqual([]);
    expect(readiness(a0)).toEqual([]);
  },
  LIMIT_MS,
);

test(
  "a pod that is gone is dialled no more",
  async () => {
    const [alpha] = twoClusters([]);
    const [a0, a1] = [await alpha.start("peat-mesh-0"), await alpha.start("peat-mesh-1")];
    alpha.announce("peat-mesh-1", a1);
    await alpha.discover(a0);
    await a0.connected(a1);
    alpha.withdraw("peat-mesh-1");
    await a1.stop();
    await waitFor("the end of the search", 20_000, () =>
      a0.coordinator.sought().length === 0 ? true : undefined,
    );
  },
  LIMIT_MS,
);
