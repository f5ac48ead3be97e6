// The control plane that other tests build on: real programs, real refusals, and data that outlive a power cut.
import { expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { ControlPlane, controlPlaneMissing } from "../support/cluster/control-plane.ts";

const TEST_TIMEOUT_MS = 240_000;

const missing = await controlPlaneMissing();
const named = (rule: string): string => (missing === undefined ? rule : `${rule} (${missing})`);

test.skipIf(missing !== undefined)(
  named("a control plane that lost its power has what it was given, and its tokens stay good"),
  async () => {
    await using plane = await ControlPlane.start();
    plane.kubectl("create", "serviceaccount", "reader");
    const token = plane.token("reader");
    const kubeconfig = plane.writeTokenKubeconfig("reader", token);
    await plane.kill();
    await plane.startAgain();
    expect(plane.kubectl("get", "serviceaccounts", "-o=name")).toContain("serviceaccount/reader");
    const reader = [plane.tools.kubectl, `--kubeconfig=${kubeconfig}`];
    const refused = Bun.spawnSync([...reader, "get", "endpointslices"], { stderr: "pipe" });
    expect(refused.stderr.toString()).toContain(
      '"system:serviceaccount:default:reader" cannot list',
    );
    plane.kubectl("create", "role", "read", "--verb=list", "--resource=endpointslices");
    plane.kubectl(
      "create",
      "rolebinding",
      "read",
      "--role=read",
      "--serviceaccount=default:reader",
    );
    await waitFor("the right to list", 30_000, () => {
      const { exitCode } = Bun.spawnSync([...reader, "get", "endpointslices"], {
        stderr: "ignore",
      });
      return exitCode === 0 ? true : undefined;
    });
  },
  TEST_TIMEOUT_MS,
);

test.skipIf(missing !== undefined)(
  named("controllers turn a Service and its pods' addresses into slices"),
  async () => {
    await using plane = await ControlPlane.start();
    plane.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "mesh", labels: { app: "mesh" } },
      spec: { clusterIP: "None", selector: { app: "mesh" }, ports: [{ port: 8081 }] },
    });
    const slices = await waitFor("a slice", 60_000, () => {
      const names = plane.kubectl("get", "endpointslices", "-l=app=mesh", "-o=name").trim();
      return names === "" ? undefined : names;
    });
    expect(slices).toStartWith("endpointslice.discovery.k8s.io/mesh-");
  },
  TEST_TIMEOUT_MS,
);
