// The chart's less usual values on real pods, and scripts/k3d-functional-test from its first to its last line:
// real helm, kubectl, control plane.
// Only k3d and docker are stand-ins: they record their calls; creating a cluster names the one that is there, and
// deleting it removes what was installed.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chartDir } from "../../scripts/chart/helm.ts";
import { projectDir } from "../../scripts/support/project.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { Cluster, clusterMissing, loneNode } from "../support/cluster/cluster.ts";
import { newSecret } from "../support/cluster/installation.ts";
import { peatImage } from "../support/cluster/peat-image.ts";
import { tempFolder } from "../support/temp-folder.ts";

const START_LIMIT_MS = 300_000;
const TEST_LIMIT_MS = 600_000;

const missing = await clusterMissing();

describe.skipIf(missing !== undefined)(`the chart and its scripts (${missing ?? "root"})`, () => {
  const folder = tempFolder();
  const resources = new AsyncDisposableStack();
  let cluster: Cluster;

  beforeAll(async () => {
    resources.use(folder);
    const image = await peatImage(folder.file("image"));
    const node = resources.use(loneNode("k3d", "172.31.1.2"));
    const images = { "peat-mesh-node:latest": image };
    cluster = resources.use(
      await Cluster.start({ name: "k3d", node, address: "172.31.1.2", images }),
    );
  }, START_LIMIT_MS);

  afterAll(() => resources.disposeAsync(), START_LIMIT_MS);

  const helm = (...args: readonly string[]) =>
    cluster.run(["helm", ...args], { limitMs: TEST_LIMIT_MS });

  async function uninstall(): Promise<void> {
    await helm("uninstall", "peat-mesh");
    await cluster.run([
      "kubectl",
      "wait",
      "--for=delete",
      "pod",
      "-l=app=peat-mesh",
      "--timeout=120s",
    ]);
  }

  test(
    "with secrets of somebody else, TLS, closed reading and RPC, pods are ready and helm test passes",
    async () => {
      const pem = folder.file("tls.pem");
      await cluster.run([
        ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ...["-nodes", "-days", "2", "-subj", "/CN=mesh", "-keyout", `${pem}.key`, "-out", pem],
      ]);
      const create = (...args: readonly string[]) => cluster.kubectl("create", "secret", ...args);
      create("generic", "formation", `--from-literal=secret=${newSecret()}`);
      create("generic", "broker-token", "--from-literal=token=a-token-of-the-tests");
      create("tls", "broker-tls", `--cert=${pem}`, `--key=${pem}.key`);
      const values = {
        existingSecret: "formation",
        existingSecretKey: "secret",
        existingApiTokenSecret: "broker-token",
        existingApiTokenSecretKey: "token",
        tls: { existingSecret: "broker-tls" },
        clusterName: "edge",
        replicaCount: 2,
        image: { pullPolicy: "Never" },
        sidecar: { enabled: true },
        settings: { brokerReads: "token", logFormat: "json" },
      };
      writeFileSync(folder.file("values.json"), JSON.stringify(values));
      await helm("install", "peat-mesh", chartDir, "--values", folder.file("values.json"));
      await cluster.run(["kubectl", "rollout", "status", "statefulset/peat-mesh"], {
        limitMs: TEST_LIMIT_MS,
      });
      expect(cluster.kubectl("get", "secrets", "-o=name")).not.toContain("secret/peat-mesh\n");
      const asked = cluster.kubectl("exec", "peat-mesh-0", "--", "peat-mesh-node", "health");
      expect(JSON.parse(asked)).toEqual({ status: "healthy", node_id: "peat-mesh-0.edge" });
      expect(cluster.kubectl("logs", "peat-mesh-0")).toMatch(/"RPC listening".*peat-sidecar\.sock/);
      expect(await helm("test", "peat-mesh")).toContain("Phase:          Succeeded");
      await uninstall();
    },
    TEST_LIMIT_MS,
  );

  test(
    "without a token for other pods helm test fails, and its log has the reason",
    async () => {
      const values = ["existingSecret=formation", "existingSecretKey=secret", "replicaCount=1"];
      const sets = [...values, "image.pullPolicy=Never"].flatMap((value) => ["--set", value]);
      await helm("install", "peat-mesh", chartDir, ...sets);
      await cluster.run(["kubectl", "rollout", "status", "statefulset/peat-mesh"], {
        limitMs: TEST_LIMIT_MS,
      });
      await expect(helm("test", "peat-mesh")).rejects.toThrow("failed");
      const told = await waitFor("the test's log", TEST_LIMIT_MS, () => {
        const log = cluster.plane.kubectlTry("logs", "peat-mesh-test-sync").stdout.toString();
        return log.includes("could not write") ? log : undefined;
      });
      expect(told).toContain("Authorization: Bearer");
      await uninstall();
      cluster.kubectl("delete", "pod", "peat-mesh-test-sync");
    },
    TEST_LIMIT_MS,
  );

  function standIn(name: string, ...lines: readonly string[]): void {
    const record = `printf '%s\\n' "${name} $*" >> ${folder.file("calls")}`;
    const path = join(folder.file("bin"), name);
    writeFileSync(path, ["#!/bin/sh", record, ...lines].join("\n"));
    chmodSync(path, 0o755);
  }

  test(
    "the functional test installs, verifies every pod, passes, and deletes its cluster",
    async () => {
      mkdirSync(folder.file("bin"));
      standIn("docker");
      standIn(
        "k3d",
        'case "$1 $2" in',
        '"cluster create") kubectl config set-context "k3d-$3" --cluster=k3d --user=admin@k3d ;;',
        '"cluster delete") helm uninstall peat-mesh && kubectl wait --for=delete pod -l app=peat-mesh --timeout=120s ;;',
        "esac",
      );
      const script = `PATH=${folder.file("bin")}:$PATH exec ${projectDir}/scripts/k3d-functional-test`;
      const printed = await cluster.run(["sh", "-c", script], { limitMs: TEST_LIMIT_MS });
      expect(printed.split("\n").filter((line) => /^(?:OK|PASS): /.test(line))).toEqual([
        "OK: All pods healthy",
        "OK: All pods discovered peers via Iroh",
        "OK: Automerge sync stack active on all pods",
        "OK: A document written on peat-mesh-0 is read on peat-mesh-2",
        "OK: Deterministic identity stable across restart",
        "OK: No error lines",
        "PASS: All functional checks passed",
      ]);
      const calls = readFileSync(folder.file("calls"), "utf8").trimEnd().split("\n");
      const name = /peat-test-\d+/.exec(calls[0] ?? "")?.[0];
      expect(calls).toEqual([
        `k3d cluster create ${name} --no-lb`,
        "docker build -t peat-mesh-node:latest -f deploy/Dockerfile .",
        `k3d image import peat-mesh-node:latest -c ${name}`,
        `k3d cluster delete ${name}`,
      ]);
    },
    TEST_LIMIT_MS,
  );
});
