// The deployment guide, step by step: the chart, real helm and kubectl, a real control plane, and pods that are
// processes of the executable with the limits of the chart's defaults (0.5 CPU, 256 MiB).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { projectDir } from "../../scripts/support/project.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { Cluster, clusterMissing, loneNode } from "../support/cluster/cluster.ts";
import { Installation, newSecret } from "../support/cluster/installation.ts";
import { peatImage } from "../support/cluster/peat-image.ts";
import { tempFolder } from "../support/temp-folder.ts";

const START_LIMIT_MS = 300_000;
const STEP_LIMIT_MS = 240_000;
const WRITES_PER_SECOND = 50;
const API_SERVER_AWAY_MS = 60_000;
const ROUND_MS = 1000;
const BROKER_PORT = 8081;

const missing = await clusterMissing();

/** Every object of every kind, but for what the cluster writes about itself all the time. */
async function allObjects(cluster: Cluster): Promise<string[]> {
  const kinds = await cluster.run(["kubectl", "api-resources", "--verbs=list", "-o=name"]);
  const wanted = kinds.split("\n").filter((kind) => kind !== "" && !kind.startsWith("events"));
  const names = await cluster.run(["kubectl", "get", wanted.join(","), "-A", "-o=name"]);
  return names.split("\n").sort();
}

describe.skipIf(missing !== undefined)(`the deployment guide (${missing ?? "root"})`, () => {
  const folder = tempFolder();
  const resources = new AsyncDisposableStack();
  let cluster: Cluster;
  let mesh: Installation;
  let before: string[];

  beforeAll(async () => {
    resources.use(folder);
    const image = await peatImage(folder.file("image"));
    const node = resources.use(loneNode("guide", "172.31.0.2"));
    const images = { "peat-mesh-node:latest": image };
    cluster = resources.use(
      await Cluster.start({ name: "guide", node, address: "172.31.0.2", images }),
    );
    mesh = new Installation(cluster, newSecret());
    before = await allObjects(cluster);
  }, START_LIMIT_MS);

  afterAll(() => resources.disposeAsync(), STEP_LIMIT_MS);

  const names = (): string[] => mesh.pods().map((pod) => pod.metadata.name);
  const uids = (): Map<string, string> =>
    new Map(mesh.pods().map((pod) => [pod.metadata.name, pod.metadata.uid]));

  test(
    "in a restricted namespace, the verification that operators run passes on three fresh pods",
    async () => {
      const level = "pod-security.kubernetes.io/enforce=restricted";
      cluster.kubectl("label", "namespace", "default", level);
      await mesh.install({ replicaCount: 3, "brokerService.enabled": true });
      await mesh.rolledOut();
      const script = join(projectDir, "scripts/verify-functional");
      const told = await cluster.run([script, "--context", cluster.name, "--replicas", "3"]);
      expect(told.trim().split("\n").at(-1)).toBe("PASS: All functional checks passed");
    },
    STEP_LIMIT_MS,
  );

  test(
    "helm test proves that what one pod is given arrives at another",
    async () => {
      expect(await cluster.run(["helm", "test", "peat-mesh"])).toContain(
        "Phase:          Succeeded",
      );
    },
    STEP_LIMIT_MS,
  );

  test("the EndpointSlice has three addresses and both ports", () => {
    const slices = cluster.kubectl("get", "endpointslice", "-l=app=peat-mesh", "-o=json");
    const { items } = JSON.parse(slices) as {
      items: {
        endpoints: { addresses: string[] }[];
        ports: { name: string; port: number; protocol: string }[];
      }[];
    };
    expect(items).toHaveLength(1);
    const addresses = mesh.pods().map((pod) => pod.status?.podIP ?? "");
    const listed = items[0]?.endpoints.flatMap((one) => one.addresses);
    expect(new Set(listed)).toEqual(new Set(addresses));
    const ports = items[0]?.ports.map(({ name, port, protocol }) => `${name} ${port}/${protocol}`);
    expect(ports?.sort()).toEqual(["broker 8081/TCP", "iroh-quic 11204/UDP"]);
  });

  test(
    "scaling to five and to two by helm restarts no pod, and new pods have the documents",
    async () => {
      const first = uids();
      const documents = mesh.get<{ documents: number }>("peat-mesh-0", "/api/v1/summary").documents;
      await mesh.upgrade({ replicaCount: 5, "brokerService.enabled": true });
      await mesh.rolledOut();
      await waitFor("five pods", 60_000, () => names().length === 5 || undefined);
      await mesh.equal(names(), documents);
      for (const [name, uid] of first) expect(uids().get(name)).toBe(uid);
      await mesh.upgrade({ replicaCount: 2, "brokerService.enabled": true });
      await waitFor("two pods", 60_000, () => names().length === 2 || undefined);
      await mesh.equal(names(), documents);
      expect(uids().get("peat-mesh-0")).toBe(first.get("peat-mesh-0") ?? "");
      const restarts = mesh.pods().flatMap((pod) => pod.status?.containerStatuses ?? []);
      expect(restarts.map((one) => one.restartCount)).toEqual([0, 0]);
    },
    STEP_LIMIT_MS,
  );

  test(
    `a rolling restart under ${WRITES_PER_SECOND} writes/s loses no acknowledged write`,
    async () => {
      await mesh.upgrade({ replicaCount: 3, "brokerService.enabled": true });
      await mesh.rolledOut();
      const first = uids();
      const url = `http://${serviceAddress(cluster)}:${BROKER_PORT}`;
      await using agent = mesh.agent(url);
      await agent.do({ do: "write", collection: "writes", perSecond: WRITES_PER_SECOND });
      await cluster.run(["kubectl", "rollout", "restart", "statefulset/peat-mesh"]);
      await mesh.rolledOut();
      const { acknowledged, retries } = await agent.do({ do: "rest" });
      console.log(`rolling restart: ${acknowledged} writes acknowledged, ${retries} tried again`);
      expect([...uids().values()].some((uid) => [...first.values()].includes(uid))).toBe(false);
      expect(acknowledged).toBeGreaterThan(WRITES_PER_SECOND);
      await mesh.equal(names(), acknowledged);
      for (const pod of mesh.pods()) {
        const broker = `http://${pod.status?.podIP}:${BROKER_PORT}`;
        const { lost } = await agent.do({ do: "check", collection: "writes", url: broker });
        expect(lost).toEqual([]);
      }
    },
    STEP_LIMIT_MS,
  );

  test(
    "while the API server is away for a minute sync goes on, and pods that come after it are found",
    async () => {
      const pods = mesh.pods();
      const brokers = pods.map((pod) => `http://${pod.status?.podIP}:${BROKER_PORT}`);
      const [writer = "", ...others] = brokers;
      await using agent = mesh.agent(writer);
      let written = 0;
      await cluster.plane.killServers();
      const endMs = performance.now() + API_SERVER_AWAY_MS;
      while (performance.now() < endMs) {
        const before = written;
        const answer = await agent.do({ do: "fill", collection: "alone", documents: 20 });
        written = answer.acknowledged;
        expect(written).toBe(before + 20);
        for (const url of others) {
          await waitFor(`the documents on ${url}`, 30_000, async () => {
            const { lost } = await agent.do({ do: "check", collection: "alone", url });
            return lost.length === 0 || undefined;
          });
        }
        await Bun.sleep(ROUND_MS);
      }
      console.log(`without the API server: ${written} documents written here and found elsewhere`);
      await cluster.plane.startServers();
      const backMs = performance.now();
      await mesh.upgrade({ replicaCount: 4, "brokerService.enabled": true });
      await mesh.rolledOut();
      await waitFor("the fourth pod", 60_000, () => names().length === 4 || undefined);
      await mesh.equal(names(), written);
      const took = ((performance.now() - backMs) / 1000).toFixed(0);
      console.log(`a new pod equal ${took} s after the API server was back`);
      for (const name of names()) {
        const lines = cluster.kubectl("logs", name).split("\n");
        expect(lines.filter((line) => /error/i.test(line))).toEqual([]);
      }
      // Whom the API server's absence made nobody restart.
      for (const pod of pods) expect(uids().get(pod.metadata.name)).toBe(pod.metadata.uid);
    },
    STEP_LIMIT_MS,
  );

  test(
    "helm uninstall leaves no object behind",
    async () => {
      await mesh.uninstall();
      await waitFor("nothing to be left", 60_000, async () => {
        const left = (await allObjects(cluster)).filter((name) => !before.includes(name));
        return left.length === 0 || undefined;
      });
    },
    STEP_LIMIT_MS,
  );
});

function serviceAddress(cluster: Cluster): string {
  return cluster.kubectl("get", "service", "peat-mesh-broker", "-o=jsonpath={.spec.clusterIP}");
}
