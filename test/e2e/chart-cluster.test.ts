// The chart on a real Kubernetes API server with its controllers: what it accepts, and what upgrades change.
// No node runs the pods here; kubernetes tests do that.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { chartDir, Helm, SETS } from "../../scripts/chart/helm.ts";
import { findControlPlaneTools } from "../../scripts/support/control-plane-tools.ts";
import { projectDir } from "../../scripts/support/project.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { ControlPlane, controlPlaneMissing } from "../support/cluster/control-plane.ts";
import { writeSchemas } from "../support/cluster/openapi-schemas.ts";
import { manifestsOf } from "../support/manifests.ts";

const missing = await controlPlaneMissing();
const WAIT_MS = 60_000;
const SECRET = ["--set", "formationSecret=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="] as const;
const GUIDE_CHART = `${projectDir}/deploy/helm/peat-mesh`;

/** A kind as the Prometheus operator has it, but for its long schema. */
function monitoringKind(kind: string) {
  const singular = kind.toLowerCase();
  const plural = `${singular}s`;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.monitoring.coreos.com` },
    spec: {
      group: "monitoring.coreos.com",
      scope: "Namespaced",
      names: { kind, plural, singular },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: "object",
              properties: {
                spec: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
              },
            },
          },
        },
      ],
    },
  };
}

const MONITORING_KINDS = [
  { kind: "ServiceMonitor", value: "serviceMonitor" },
  { kind: "PrometheusRule", value: "prometheusRule" },
] as const;

/** A namespace in which only what passes the restricted level becomes a pod. */
function restrictedNamespace(name: string): object {
  const level = "restricted";
  const labels = Object.fromEntries(
    ["enforce", "warn"].map((mode) => [`pod-security.kubernetes.io/${mode}`, level]),
  );
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
}

describe.skipIf(missing !== undefined)(`the chart on an API server (${missing ?? "real"})`, () => {
  let plane: ControlPlane;
  let helm: Helm;

  beforeAll(async () => {
    const tools = await findControlPlaneTools();
    if ("missing" in tools) throw new Error(tools.missing);
    plane = await ControlPlane.start();
    helm = new Helm(tools.helm, { KUBECONFIG: plane.kubeconfig });
    for (const name of ["mesh", ...SETS]) plane.apply(restrictedNamespace(name));
  }, 180_000);
  afterAll(() => plane?.[Symbol.asyncDispose]());

  /** Names of what a namespace has of the chart's, without what the cluster puts everywhere. */
  function objectsIn(namespace: string): string[] {
    const kinds = "sts,svc,sa,role,rolebinding,secret,pdb,netpol,cm,pvc,endpointslices";
    const listed = plane.kubectl("get", kinds, "-n", namespace, "-o", "name").trim();
    const own = listed
      .split("\n")
      .filter((name) => !/^$|kube-root-ca|account\/default$/.test(name));
    return own.sort();
  }

  function statefulSet(namespace: string) {
    const path = "{.status.updateRevision} {.metadata.generation} {.status.replicas}";
    const told = plane.kubectl(
      "get",
      "sts",
      "peat-mesh",
      "-n",
      namespace,
      "-o",
      `jsonpath=${path}`,
    );
    const [revision = "", , replicas = ""] = told.split(" ");
    return { revision, replicas: Number(replicas) };
  }

  /** Names and unique ids of the pods, once there are so many. */
  function pods(namespace: string, count: number): Promise<readonly string[]> {
    return waitFor(
      `${count} pods in ${namespace}`,
      WAIT_MS,
      () => {
        const path = "{range .items[*]}{.metadata.name}={.metadata.uid} {end}";
        const told = plane.kubectl(
          "get",
          "pods",
          "-n",
          namespace,
          "-l",
          "app=peat-mesh",
          "-o",
          `jsonpath=${path}`,
        );
        const found = told
          .trim()
          .split(" ")
          .filter((pod) => pod !== "")
          .sort();
        return found.length === count ? found : undefined;
      },
      200,
    );
  }

  const rendered = (value: string) =>
    helm.run(
      "install",
      "peat-mesh",
      chartDir,
      "-n",
      "mesh",
      "--dry-run=server",
      ...SECRET,
      "--set",
      `${value}.enabled=true`,
    );

  test.each([...MONITORING_KINDS])(
    "without the kind $kind none is made, and that is said",
    (row) => {
      const told = rendered(row.value);
      expect(told).not.toContain(`kind: ${row.kind}`);
      expect(told).toContain(`this cluster does not know the kind ${row.kind}`);
    },
  );

  test.each([...MONITORING_KINDS])("with the kind $kind it is made", async ({ kind, value }) => {
    plane.apply(monitoringKind(kind));
    await waitFor(
      `${kind} in the API`,
      WAIT_MS,
      () => rendered(value).includes(`kind: ${kind}`) || undefined,
      500,
    );
  });

  test.each([...SETS])("%s: the API server takes every object, without a warning", (set) => {
    const file = plane.file(`${set}.yaml`);
    writeFileSync(file, helm.render(set, "--namespace", set));
    const { exitCode, stdout, stderr } = plane.kubectlTry("apply", "--dry-run=server", "-f", file);
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
    const taken = stdout.toString().trim().split("\n");
    expect(taken).toHaveLength(manifestsOf(helm.render(set)).length);
    for (const line of taken) expect(line).toEndWith("created (server dry run)");
  });

  test("kubeconform finds all sets strictly right by schemas of the server's OpenAPI, and a wrong field wrong", () => {
    const location = writeSchemas(
      plane.kubectl("get", "--raw", "/openapi/v2"),
      plane.file("schemas"),
    );
    const check = (...files: readonly string[]) =>
      Bun.spawnSync(
        [plane.tools.kubeconform, "-strict", "-summary", "-schema-location", location, ...files],
        {
          stdout: "pipe",
          stderr: "pipe",
        },
      );
    const files = SETS.map((set) => plane.file(`${set}.yaml`));
    const good = check(...files);
    const objects = SETS.flatMap((set) => manifestsOf(helm.render(set)));
    expect(good.stdout.toString()).toContain(
      `Valid: ${objects.length}, Invalid: 0, Errors: 0, Skipped: 0`,
    );
    const wrong = plane.file("wrong.yaml");
    writeFileSync(wrong, helm.render("guide").replace("podManagementPolicy", "podManagmentPolicy"));
    expect(check(wrong).stdout.toString()).toMatch(
      /StatefulSet peat-mesh is invalid[\s\S]*podManagmentPolicy/,
    );
  });

  test("the guide's install makes its objects, and pods at the restricted level", async () => {
    helm.run(
      "install",
      "peat-mesh",
      GUIDE_CHART,
      "-n",
      "mesh",
      ...SECRET,
      "--set",
      "replicaCount=3",
    );
    expect((await pods("mesh", 3)).map((pod) => pod.split("=")[0])).toEqual([
      "peat-mesh-0",
      "peat-mesh-1",
      "peat-mesh-2",
    ]);
  });

  test("the guide's upgrade to five nodes touches none of the three", async () => {
    const before = await pods("mesh", 3);
    // The controller tells of it after it has made the pods.
    const revisionOf = () => statefulSet("mesh").revision || undefined;
    const revision = await waitFor("a revision", 60_000, revisionOf);
    helm.run(
      "upgrade",
      "peat-mesh",
      GUIDE_CHART,
      "-n",
      "mesh",
      ...SECRET,
      "--set",
      "replicaCount=5",
    );
    const after = await pods("mesh", 5);
    expect(after.slice(0, 3)).toEqual([...before]);
    const isTold = () => statefulSet("mesh").replicas === 5 || undefined;
    await waitFor("five replicas to be told", 60_000, isTold);
    expect(statefulSet("mesh").revision).toBe(revision);
  });

  test("an upgrade that names no secret keeps the installed ones, and every pod", async () => {
    const secret = () =>
      plane.kubectl("get", "secret", "peat-mesh", "-n", "mesh", "-o", "jsonpath={.data}");
    const before = [secret(), statefulSet("mesh").revision, await pods("mesh", 5)];
    helm.run("upgrade", "peat-mesh", chartDir, "-n", "mesh", "--set", "replicaCount=5");
    expect([secret(), statefulSet("mesh").revision, await pods("mesh", 5)]).toEqual(before);
  });

  test("nor does it forget a token that was given", async () => {
    const token = () => {
      const data = plane.kubectl(
        "get",
        "secret",
        "peat-mesh",
        "-n",
        "mesh",
        "-o",
        "jsonpath={.data.api-token}",
      );
      return Buffer.from(data, "base64").toString();
    };
    helm.run(
      "upgrade",
      "peat-mesh",
      chartDir,
      "-n",
      "mesh",
      "--set",
      "apiToken=a-token-of-the-tests",
    );
    expect(token()).toBe("a-token-of-the-tests");
    helm.run("upgrade", "peat-mesh", chartDir, "-n", "mesh");
    expect(token()).toBe("a-token-of-the-tests");
  });

  test("uninstalling leaves nothing behind", async () => {
    helm.run("uninstall", "peat-mesh", "-n", "mesh");
    await waitFor(
      "an empty namespace",
      WAIT_MS,
      () => objectsIn("mesh").length === 0 || undefined,
      200,
    );
  });

  test.each(["gateways", "sidecar", "closed-network"])(
    "%s: pods are made at the restricted level",
    async (set) => {
      const rendered = manifestsOf(helm.render(set));
      const wanted = rendered
        .filter(({ kind }) => kind === "StatefulSet")
        .reduce((sum, { spec }) => sum + Number(spec["replicas"]), 0);
      helm.run(
        "install",
        "peat-mesh",
        chartDir,
        "-n",
        set,
        "-f",
        `${chartDir}/ci/${set}-values.yaml`,
      );
      await pods(set, wanted);
    },
  );

  test("a gateway's Service leads to its pod alone, and discovery sees each pod once", async () => {
    const path =
      "{range .items[*]}{.metadata.name}:{.spec.selector.statefulset\\.kubernetes\\.io/pod-name}:{.spec.ports[0].nodePort} {end}";
    const told = plane.kubectl(
      "get",
      "svc",
      "-n",
      "gateways",
      "-l",
      "app.kubernetes.io/component=gateway",
      "-o",
      `jsonpath=${path}`,
    );
    expect(told.trim().split(" ")).toEqual([
      "peat-mesh-gateway-0:peat-mesh-gateway-0:31204",
      expect.stringMatching(/^peat-mesh-gateway-1:peat-mesh-gateway-1:3\d{4}$/),
    ]);
    const slices = await waitFor(
      "EndpointSlices",
      WAIT_MS,
      () => {
        const names = plane.kubectl(
          "get",
          "endpointslice",
          "-n",
          "gateways",
          "-l",
          "app=peat-mesh",
          "-o",
          "name",
        );
        return names.trim() === "" ? undefined : names.trim().split("\n");
      },
      200,
    );
    expect(slices).toEqual([expect.stringMatching(/\/peat-mesh-[a-z0-9]{5}$/)]);
  });
});
