// The chart in trouble: a power cut, rights that were not given, and a pod that comes late to many documents.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { Cluster, clusterMissing, loneNode } from "../support/cluster/cluster.ts";
import { Installation, newSecret, type Summary } from "../support/cluster/installation.ts";
import type { Pod } from "../support/cluster/objects.ts";
import { peatImage } from "../support/cluster/peat-image.ts";
import { tempFolder } from "../support/temp-folder.ts";

const START_LIMIT_MS = 300_000;
const STEP_LIMIT_MS = 280_000;
const BROKER_PORT = 8081;
const MANY_DOCUMENTS = 10_000;

const missing = await clusterMissing();

interface Findings {
  readonly findings: readonly { group: string; severity: string; code: string; message: string }[];
}

const brokerOf = (pod: Pod | undefined): string => `http://${pod?.status?.podIP}:${BROKER_PORT}`;

describe.skipIf(missing !== undefined)(`a cluster in trouble (${missing ?? "root"})`, () => {
  const folder = tempFolder();
  const resources = new AsyncDisposableStack();
  let cluster: Cluster;
  let mesh: Installation;

  beforeAll(async () => {
    resources.use(folder);
    const image = await peatImage(folder.file("image"));
    const node = resources.use(loneNode("trouble", "172.31.0.2"));
    const images = { "peat-mesh-node:latest": image };
    const options = { name: "trouble", node, address: "172.31.0.2", images };
    cluster = resources.use(await Cluster.start(options));
    mesh = new Installation(cluster, newSecret());
  }, START_LIMIT_MS);

  afterEach(async () => {
    await mesh.uninstall();
    cluster.kubectl("delete", "pvc", "--all");
  }, STEP_LIMIT_MS);

  afterAll(() => resources.disposeAsync(), STEP_LIMIT_MS);

  const names = (): string[] => mesh.pods().map((pod) => pod.metadata.name);

  test(
    "after a power cut of everything, under load, the volumes have all that was acknowledged",
    async () => {
      cluster.plane.apply({
        apiVersion: "storage.k8s.io/v1",
        kind: "StorageClass",
        metadata: {
          name: "of-this-machine",
          annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
        },
        provisioner: "kubernetes.io/host-path",
      });
      await mesh.install({ replicaCount: 3, "persistence.enabled": true });
      await mesh.rolledOut();
      await using agent = mesh.agent(brokerOf(mesh.pods()[1]));
      await agent.do({ do: "write", collection: "kept", perSecond: 50 });
      await agent.do({ do: "fill", collection: "kept", documents: 300 });
      await Promise.all([cluster.killNode(), cluster.plane.kill()]);
      await agent.do({ do: "forsake" });
      await cluster.plane.startAgain();
      await cluster.startNode();
      await waitFor("restarted containers", 120_000, () => {
        const statuses = mesh.pods().flatMap((pod) => pod.status?.containerStatuses ?? []);
        const areBack = statuses.every((one) => one.restartCount >= 1 && one.ready);
        return (statuses.length === 3 && areBack) || undefined;
      });
      await mesh.equal(names(), 300);
      for (const pod of mesh.pods()) {
        const answer = await agent.do({ do: "check", collection: "kept", url: brokerOf(pod) });
        console.log(`power cut: ${answer.acknowledged} acknowledged on ${pod.metadata.name}`);
        expect(answer.lost).toEqual([]);
      }
    },
    STEP_LIMIT_MS,
  );

  test(
    "without the right to read EndpointSlices a pod is not ready and says why, until it is given",
    async () => {
      await mesh.install({ replicaCount: 2, "rbac.create": false });
      const checks = await waitFor("a reason", 60_000, () => {
        const answer = cluster.plane.kubectlTry(
          ...["exec", "peat-mesh-0", "--", "peat-mesh-node", "get", "/api/v1/ready"],
        );
        const text = `${answer.stdout}${answer.stderr}`;
        return text.includes("endpointslices") ? text : undefined;
      });
      expect(checks).toContain('"ready":false');
      expect(checks).toMatch(/403|forbidden/i);
      const doctor = cluster.plane.kubectlTry(
        ...["exec", "peat-mesh-0", "--", "peat-mesh-node", "doctor", "--json"],
      );
      expect(doctor.exitCode).toBe(1);
      const { findings } = JSON.parse(doctor.stdout.toString()) as Findings;
      const told = findings.filter(
        ({ group, severity }) => severity !== "ok" && group !== "machine" && group !== "storage",
      );
      expect(told.map(({ code }) => code).sort()).toEqual(["caught_up", "discovery", "no_peers"]);
      const { message } = told.find(({ code }) => code === "discovery") ?? {};
      expect(message).toContain("let this node's account list and watch endpointslices");
      const statuses = await waitFor("both statuses", 60_000, () => {
        const told = mesh.pods().flatMap((pod) => pod.status?.containerStatuses ?? []);
        return told.length === 2 ? told : undefined;
      });
      expect(statuses.map((one) => [one.ready, one.restartCount])).toEqual([
        [false, 0],
        [false, 0],
      ]);
      await mesh.upgrade({ replicaCount: 2 });
      await mesh.rolledOut();
      await mesh.equal(names());
      // It exits with 1, and kubectl with it, as long as there is a problem.
      cluster.kubectl("exec", "peat-mesh-0", "--", "peat-mesh-node", "doctor");
    },
    STEP_LIMIT_MS,
  );

  test(
    `a pod with half a processor and 256 MiB catches up with ${MANY_DOCUMENTS} documents before it is ready`,
    async () => {
      await mesh.install({ replicaCount: 2 });
      await mesh.rolledOut();
      await using agent = mesh.agent(brokerOf(mesh.pods()[0]));
      const filledMs = performance.now();
      const filled = { do: "fill", collection: "tracks", documents: MANY_DOCUMENTS } as const;
      expect((await agent.do(filled)).acknowledged).toBe(MANY_DOCUMENTS);
      const startedMs = performance.now();
      await mesh.upgrade({ replicaCount: 3 });
      await mesh.rolledOut();
      const readyMs = performance.now();
      // Or a rolling restart would go on to the next pod too early.
      const { documents } = mesh.get<Summary>("peat-mesh-2", "/api/v1/summary");
      expect(documents).toBe(MANY_DOCUMENTS);
      await mesh.equal(names(), MANY_DOCUMENTS, 120_000);
      const equalMs = performance.now();
      const s = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
      console.log(
        `${MANY_DOCUMENTS} documents: written in ${s(startedMs - filledMs)}, the new pod ready after ` +
          `${s(readyMs - startedMs)}, equal after ${s(equalMs - startedMs)}`,
      );
      for (const pod of mesh.pods()) {
        const limits = { cpu: "500m", memory: "256Mi" };
        expect(pod.spec.containers[0]?.resources?.limits).toEqual(limits);
        const [status] = pod.status?.containerStatuses ?? [];
        expect(status?.restartCount).toBe(0);
        const mib = (cluster.memoryPeakOf(pod) / 2 ** 20).toFixed(0);
        console.log(`${pod.metadata.name}: ${mib} MiB at most, files in the page cache included`);
        const { lost } = await agent.do({ do: "check", collection: "tracks", url: brokerOf(pod) });
        expect(lost).toEqual([]);
      }
    },
    STEP_LIMIT_MS,
  );
});
