// The chart through real helm, without a cluster: what values become, and what is said of wrong ones.
import { afterAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { chartDir, goldenOf, Helm, SETS, valuesOf } from "../../scripts/chart/helm.ts";
import { findBuiltTool } from "../../scripts/support/control-plane-tools.ts";
import { projectDir, readPackageJson } from "../../scripts/support/project.ts";
import { loadSettings } from "../../src/config/load.ts";
import { type Manifest, manifestsOf, podTemplates, variablesOf } from "../support/manifests.ts";
import { tempFolder } from "../support/temp-folder.ts";

const found = await findBuiltTool("helm");
const missing = "missing" in found ? found.missing : undefined;
const helm = new Helm("path" in found ? found.path : "helm");
const folder = tempFolder();
afterAll(() => folder[Symbol.dispose]());

const SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const WITH_SECRET = ["--set", `formationSecret=${SECRET}`] as const;
const byKind = (manifests: readonly Manifest[]) =>
  manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`).sort();

function refusal(...args: readonly string[]): string {
  const { exitCode, stderr } = helm.try("template", "peat-mesh", chartDir, ...args);
  expect(exitCode).not.toBe(0);
  return stderr;
}

/** As the deployment guide lists them. */
const GUIDE_DEFAULTS = {
  replicaCount: 3,
  image: { repository: "peat-mesh-node", tag: "latest", pullPolicy: "IfNotPresent" },
  formationSecret: "",
  discoveryMode: "kubernetes",
  brokerPort: 8081,
  irohBindPort: 11204,
  irohRelayUrls: "",
  rustLog: "info,peat_mesh=debug",
  compaction: { enabled: false, intervalSecs: 300, thresholdBytes: 65536, collections: "" },
  resources: {
    requests: { cpu: "100m", memory: "128Mi" },
    limits: { cpu: "500m", memory: "256Mi" },
  },
};

describe("the chart's files", () => {
  const read = (path: string): object => Bun.YAML.parse(readFileSync(path, "utf8")) as object; // Our own.

  test("have the guide's values with the guide's defaults", () => {
    expect(read(`${chartDir}/values.yaml`)).toMatchObject(GUIDE_DEFAULTS);
  });

  test("have the version of the program", async () => {
    const { version } = await readPackageJson();
    expect(read(`${chartDir}/Chart.yaml`)).toMatchObject({
      name: "peat-mesh",
      version,
      appVersion: version,
    });
  });
});

describe.skipIf(missing !== undefined)(`the chart (${missing ?? "with helm"})`, () => {
  test.each([...SETS])("%s: lint has nothing to say, strictly", (set) => {
    const { exitCode, stdout, stderr } = helm.try(
      "lint",
      "--strict",
      chartDir,
      "-f",
      valuesOf(set),
    );
    expect(`${stdout}${stderr}`).not.toMatch(/\[(?:WARNING|ERROR)\]/);
    expect(exitCode).toBe(0);
  });

  test.each([...SETS])(
    "%s: is rendered as the golden render (bun scripts/chart.ts --write)",
    async (set) => {
      expect(helm.render(set)).toBe(await Bun.file(goldenOf(set)).text());
    },
  );

  test.each([...SETS])("%s: every variable is a setting that the node accepts", (set) => {
    for (const { name, template } of podTemplates(manifestsOf(helm.render(set)))) {
      const environment = variablesOf(template, {
        podName: `${name}-0`,
        secrets: {
          "formation-secret": SECRET,
          secret: SECRET,
          "api-token": "a-token-for-all-of-these",
        },
        fallbackSecret: SECRET,
      });
      const host = {
        hostName: () => "host",
        readText: () => "certificate",
        isWritableDirectory: () => false,
      };
      const { problems, warnings } = loadSettings({
        program: "peat-mesh-node",
        flags: new Map(),
        environment,
        file: undefined,
        host,
      });
      expect(problems).toEqual([]);
      expect(warnings.filter(({ text }) => !text.includes("no effect in this version"))).toEqual(
        [],
      );
    }
  });

  test("by default it is the guide's six objects, and a test", () => {
    expect(byKind(manifestsOf(helm.template(...WITH_SECRET)))).toEqual([
      "Pod/peat-mesh-test-sync",
      "Role/peat-mesh",
      "RoleBinding/peat-mesh",
      "Secret/peat-mesh",
      "Service/peat-mesh",
      "ServiceAccount/peat-mesh",
      "StatefulSet/peat-mesh",
    ]);
  });

  test("the guide's path of the chart leads to it", () => {
    const guide = helm.run(
      "template",
      "peat-mesh",
      `${projectDir}/deploy/helm/peat-mesh`,
      "--namespace",
      "mesh",
      ...WITH_SECRET,
    );
    expect(guide).toBe(helm.template(...WITH_SECRET));
  });

  test("only the headless Service has the label that discovery looks for: each pod is seen once", () => {
    const services = SETS.flatMap((set) => manifestsOf(helm.render(set))).filter(
      ({ kind }) => kind === "Service",
    );
    for (const { spec, metadata } of services) {
      const isHeadless = spec["clusterIP"] === "None";
      expect(metadata.labels["app"]).toBe(isHeadless ? "peat-mesh" : undefined);
    }
  });

  test("another release has its own objects and pods, in the same mesh", () => {
    const manifests = manifestsOf(helm.run("template", "north", chartDir, ...WITH_SECRET));
    expect(byKind(manifests)).toContain("StatefulSet/north-peat-mesh");
    const [pods] = podTemplates(manifests);
    expect(pods?.template.metadata.labels).toMatchObject({
      app: "peat-mesh",
      "app.kubernetes.io/instance": "north",
    });
  });
});

describe.skipIf(missing !== undefined)("scaling", () => {
  const templates = (...args: readonly string[]) =>
    podTemplates(manifestsOf(helm.template(...WITH_SECRET, ...args))).map(
      ({ template }) => template,
    );

  test("of nodes changes no pod, nor does scaling of gateways", () => {
    const gateways = ["--set", "gateway.enabled=true", "--set", "clusterName=alpha"];
    const before = templates(...gateways);
    const after = templates(...gateways, "--set", "replicaCount=7,gateway.replicaCount=4");
    expect(before).toHaveLength(2);
    expect(after).toEqual(before);
  });

  test("another chart version changes no pod", () => {
    const copy = folder.file("next-version");
    cpSync(chartDir, copy, { recursive: true });
    const chart = Bun.YAML.parse(readFileSync(`${chartDir}/Chart.yaml`, "utf8")) as object; // Our own file.
    writeFileSync(
      `${copy}/Chart.yaml`,
      JSON.stringify({ ...chart, version: "9.9.9", appVersion: "9.9.9" }),
    );
    const next = helm.run("template", "peat-mesh", copy, ...WITH_SECRET);
    expect(podTemplates(manifestsOf(next)).map(({ template }) => template)).toEqual(templates());
  });

  test("a changed secret does change them: they take it up", () => {
    const other = templates(
      "--set",
      "formationSecretsAlso={Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=}",
    );
    expect(other).not.toEqual(templates());
  });
});

describe.skipIf(missing !== undefined)("what does not fit together", () => {
  test.each([
    ["neither secret", [], "a formation secret is needed"],
    ["neither secret at an upgrade of nothing", ["--is-upgrade"], "a formation secret is needed"],
    [
      "both secrets",
      [...WITH_SECRET, "--set", "existingSecret=s"],
      "formationSecret and existingSecret are both given",
    ],
    [
      "a secret that is no base64",
      ["--set", "formationSecret=not*base64"],
      "formationSecret is not standard base64",
    ],
    [
      "a short secret",
      ["--set", "formationSecret=c2hvcnQ="],
      "formationSecret has less than 16 bytes",
    ],
    [
      "both tokens",
      [...WITH_SECRET, "--set", "apiToken=t,existingApiTokenSecret=s"],
      "apiToken and existingApiTokenSecret are both given",
    ],
    [
      "further secrets beside one of yours",
      ["--set", "existingSecret=s,formationSecretsAlso={AAAA}"],
      "under the key formation-secret-also",
    ],
    [
      "more ports than gateways",
      [...WITH_SECRET, "--set", "gateway.enabled=true,gateway.nodePorts={31204,31205}"],
      "gateway.nodePorts names 2 ports for 1 gateways",
    ],
    [
      "a broker that only its own pod reaches",
      [...WITH_SECRET, "--set", "settings.brokerAddr=127.0.0.1"],
      "settings.brokerAddr is 127.0.0.1, where neither probes nor other pods reach the broker",
    ],
    [
      "an application without sidecar mode",
      [...WITH_SECRET, "--set", "sidecar.containers[0].name=a"],
      "sidecar.enabled is false",
    ],
  ])("%s: one sentence", (_, args, sentence) => {
    const told = refusal(...args);
    expect(told).toContain(sentence);
    expect(told).not.toContain(SECRET);
  });

  test.each([
    ["replicaCont=3", "additional properties 'replicaCont' not allowed"],
    ["image.tags=x", "at '/image': additional properties 'tags' not allowed"],
    ["settings.logForma=json", "at '/settings': additional properties 'logForma' not allowed"],
    ["settings.brokerPort=1", "at '/settings': additional properties 'brokerPort' not allowed"],
    ["replicaCount=three", "at '/replicaCount': got string, want integer"],
    ["replicaCount=-1", "at '/replicaCount': minimum: got -1, want 0"],
    ["brokerPort=0", "at '/brokerPort': minimum: got 0, want 1"],
    ["discoveryMode=kubernets", "at '/discoveryMode'"],
    ["clusterName=a/b", "at '/clusterName'"],
    ["compaction.intervalSecs=5", "at '/compaction/intervalSecs': minimum: got 5, want 10"],
    ["compaction.enabled=maybe", "at '/compaction/enabled': got string, want boolean"],
    ["resources.limit.cpu=1", "at '/resources': additional properties 'limit' not allowed"],
    ["settings.logFormat=xml", "at '/settings/logFormat': value must be one of 'text', 'json'"],
    ["gateway.staticPeers={172.20.0.3:31204}", "at '/gateway/staticPeers/0'"],
    ["podDisruptionBudget.maxUnavailable=many", "at '/podDisruptionBudget/maxUnavailable'"],
    ["image.digest=0123", "at '/image/digest'"],
  ])("%s is refused with its place", (value, sentence) => {
    expect(refusal(...WITH_SECRET, "--set", value)).toContain(sentence);
  });
});

describe.skipIf(missing !== undefined)("for who watches it", () => {
  const PRESENT = ["--api-versions", "monitoring.coreos.com/v1/PrometheusRule"];
  const made = (kind: string, ...args: readonly string[]) =>
    manifestsOf(helm.template(...WITH_SECRET, ...args)).find((manifest) => manifest.kind === kind);
  const packaged = (path: string) => readFileSync(`${projectDir}/packaging/${path}`, "utf8");

  test("Grafana's sidecar finds the dashboard of the packages, byte by byte", () => {
    expect(made("ConfigMap")).toBeUndefined();
    expect(made("ConfigMap", "--set", "grafanaDashboard.enabled=true")).toMatchObject({
      metadata: { labels: { grafana_dashboard: "1" } },
      data: { "peat-sidecar.json": packaged("grafana/peat-sidecar.json") },
    });
  });

  test("Prometheus' operator gets the rules of the packages, where it is there", () => {
    const enabled = ["--set", "prometheusRule.enabled=true"];
    expect(made("PrometheusRule", ...PRESENT)).toBeUndefined();
    expect(made("PrometheusRule", ...enabled)).toBeUndefined();
    expect(made("PrometheusRule", ...PRESENT, ...enabled)).toMatchObject({
      spec: Bun.YAML.parse(packaged("prometheus/peat-sidecar.rules.yaml")),
    });
  });
});

describe.skipIf(missing !== undefined)("as a part of another chart", () => {
  test("the node is placed beside its application", () => {
    const parent = folder.file("parent");
    mkdirSync(`${parent}/templates`, { recursive: true });
    cpSync(chartDir, `${parent}/charts/peat-mesh`, { recursive: true });
    writeFileSync(`${parent}/Chart.yaml`, "apiVersion: v2\nname: parent\nversion: 1.0.0\n");
    const readme = readFileSync(`${chartDir}/README.md`, "utf8");
    const example = /```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
    const head = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: application\n";
    writeFileSync(`${parent}/templates/deployment.yaml`, head + example);
    const values = [
      "--set",
      `peat-mesh.formationSecret=${SECRET}`,
      "--set",
      "peat-mesh.sidecar.enabled=true",
    ];
    const manifests = manifestsOf(helm.run("template", "field", parent, ...values));
    const deployment = podTemplates(manifests).find(({ name }) => name === "application");
    const { containers, volumes } = deployment?.template.spec ?? { containers: [], volumes: [] };
    expect(containers.map(({ name }) => name)).toEqual(["application", "peat-mesh"]);
    expect(volumes.map(({ name }) => name)).toEqual(["data", "tmp", "peat-rpc"]);
    const mounts = containers.map(({ volumeMounts }) =>
      volumeMounts.filter(({ name }) => name === "peat-rpc").map(({ mountPath }) => mountPath),
    );
    expect(mounts).toEqual([["/run/peat-sidecar"], ["/run/peat-sidecar"]]);
    expect(deployment?.template.metadata.labels["app"]).toBe("peat-mesh");
  });
});
