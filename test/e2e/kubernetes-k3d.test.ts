// scripts/k3d-functional-test from its first to its last line: real helm, kubectl, control plane and pods.
// Only k3d and docker are stand-ins: they record their calls; creating a cluster names the one that is there, and
// deleting it removes what was installed.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectDir } from "../../scripts/support/project.ts";
import { Cluster, clusterMissing, loneNode } from "../support/cluster/cluster.ts";
import { peatImage } from "../support/cluster/peat-image.ts";
import { tempFolder } from "../support/temp-folder.ts";

const START_LIMIT_MS = 300_000;
const TEST_LIMIT_MS = 600_000;

const missing = await clusterMissing();

describe.skipIf(missing !== undefined)(`the k3d scripts (${missing ?? "root"})`, () => {
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
        '"cluster delete") helm uninstall peat-mesh && kubectl wait --for=delete pod -l app=peat-mesh ;;',
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
