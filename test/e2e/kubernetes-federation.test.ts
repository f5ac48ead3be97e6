// Two clusters, as far apart as two machines on one cable: each with its own control plane, both with the same pod
// addresses and one formation secret, joined by gateways behind NodePorts.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { projectDir } from "../../scripts/support/project.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { Cluster, clusterMissing } from "../support/cluster/cluster.ts";
import { Installation, newSecret, type Values } from "../support/cluster/installation.ts";
import { peatImage } from "../support/cluster/peat-image.ts";
import { connect, Namespace } from "../support/namespace.ts";
import { tempFolder } from "../support/temp-folder.ts";

const START_LIMIT_MS = 300_000;
const STEP_LIMIT_MS = 240_000;
const GATEWAY = "peat-mesh-gateway-0";
const GATEWAY_PORT = 31_204;
const BROKER_PORT = 8081;
const ALPHA = "172.31.0.2";
const BRAVO = "172.31.0.3";

const missing = await clusterMissing();

interface Ready {
  readonly ready: boolean;
  readonly checks: readonly { readonly name: string; readonly message?: string }[];
}

describe.skipIf(missing !== undefined)(`two clusters (${missing ?? "root"})`, () => {
  const folder = tempFolder();
  const resources = new AsyncDisposableStack();
  let alpha: Installation;
  let bravo: Installation;

  beforeAll(async () => {
    resources.use(folder);
    const images = { "peat-mesh-node:latest": await peatImage(folder.file("image")) };
    const [a, b] = [resources.use(new Namespace("alpha")), resources.use(new Namespace("bravo"))];
    connect(
      { namespace: a, device: "eth0", address: `${ALPHA}/24` },
      { namespace: b, device: "eth0", address: `${BRAVO}/24` },
    );
    const secret = newSecret();
    const start = async (name: string, node: Namespace, address: string) => {
      const cluster = await Cluster.start({ name, node, address, images });
      return new Installation(resources.use(cluster), secret);
    };
    alpha = await start("alpha", a, ALPHA);
    bravo = await start("bravo", b, BRAVO);
  }, START_LIMIT_MS);

  afterEach(async () => {
    await alpha.uninstall();
    await bravo.uninstall();
  }, STEP_LIMIT_MS);

  afterAll(() => resources.disposeAsync(), STEP_LIMIT_MS);

  const names = (mesh: Installation): string[] => mesh.pods().map((pod) => pod.metadata.name);

  async function install(mesh: Installation, other: string, more: Values): Promise<void> {
    await mesh.install({
      replicaCount: 2,
      "gateway.enabled": true,
      "gateway.nodePorts[0]": GATEWAY_PORT,
      "gateway.staticPeers[0]": other,
      ...more,
    });
    for (const set of ["peat-mesh", "peat-mesh-gateway"]) await mesh.rolledOut(set);
  }

  test(
    "with cluster names, documents cross both ways, also while a gateway is replaced, and all pods are equal",
    async () => {
      const from = (name: string, address: string): string =>
        `${GATEWAY}.${name}@${address}:${GATEWAY_PORT}`;
      await install(alpha, from("bravo", BRAVO), { clusterName: "alpha" });
      await install(bravo, from("alpha", ALPHA), { clusterName: "bravo" });
      const script = join(projectDir, "scripts/verify-cross-cluster");
      const contexts = ["--context", "alpha", "--context", "bravo"];
      const told = await alpha.cluster.run([script, ...contexts], { others: [bravo.cluster] });
      expect(told.trim().split("\n").at(-1)).toBe("PASS: Documents cross clusters both ways");
      const roots = new Set<string>();
      await waitFor("all pods of both clusters to be equal", 60_000, async () => {
        roots.clear();
        for (const mesh of [alpha, bravo]) {
          roots.add((await mesh.equal(names(mesh))).root_hash);
        }
        return roots.size === 1 || undefined;
      });
      expect(names(alpha)).toHaveLength(3);
    },
    STEP_LIMIT_MS,
  );

  test(
    "without cluster names both gateways have one name: that is told, and each cluster keeps all it has",
    async () => {
      const from = (address: string): string => `${GATEWAY}@${address}:${GATEWAY_PORT}`;
      await install(alpha, from(BRAVO), {});
      await install(bravo, from(ALPHA), {});
      for (const mesh of [alpha, bravo]) {
        const line = await waitFor("the collision to be told", 60_000, () =>
          mesh.cluster
            .kubectl("logs", GATEWAY)
            .split("\n")
            .find((one) => one.includes("ERROR") && one.includes("PEAT_CLUSTER_NAME")),
        );
        console.log(line);
        const answer = mesh.get<Ready>(GATEWAY, "/api/v1/ready");
        expect(answer.ready).toBe(true);
        expect(answer.checks.map((check) => check.name)).toContain("duplicate_name");
        const pods = mesh.pods();
        const [first] = pods;
        await using agent = mesh.agent(`http://${first?.status?.podIP}:${BROKER_PORT}`);
        await agent.do({ do: "fill", collection: mesh.cluster.name, documents: 200 });
        await mesh.equal(names(mesh), 200);
        for (const pod of pods) {
          const url = `http://${pod.status?.podIP}:${BROKER_PORT}`;
          const { lost } = await agent.do({ do: "check", collection: mesh.cluster.name, url });
          expect(lost).toEqual([]);
        }
      }
    },
    STEP_LIMIT_MS,
  );
});
