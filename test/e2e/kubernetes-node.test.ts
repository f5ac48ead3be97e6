// The compiled executable with an API server: what it says while it may not look, how soon a pod of a new slice is
// connected, and a gateway whose other side is a name that leads elsewhere tomorrow.
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Host, Lab } from "../../scripts/network/lab.ts";
import { atExit } from "../../scripts/support/at-exit.ts";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { ControlPlane, controlPlaneMissing } from "../support/cluster/control-plane.ts";
import { grantDiscovery } from "../support/kubernetes/rights.ts";
import { endpointSlice } from "../support/kubernetes/slice.ts";
import { type Namespace, namespacesMissing } from "../support/namespace.ts";

const missing = (await controlPlaneMissing()) ?? namespacesMissing();
const PLANE_ADDRESS = "10.77.0.250";
const TEST_LIMIT_MS = 240_000;

beforeAll(async () => {
  await ensureHostExecutable();
}, 120_000);

/** Hosts on a switch, and an API server on the same one. */
async function openLab(
  ...hosts: readonly string[]
): Promise<{ lab: Lab; plane: ControlPlane } & AsyncDisposable> {
  const lab = await Lab.open({
    executable: meshNodePath,
    hosts,
    logFilter: "info,peat_mesh=debug",
  });
  try {
    lab.hub.ip("address", "add", `${PLANE_ADDRESS}/24`, "dev", "switch0");
    const place = lab.hub.command([]);
    const plane = await ControlPlane.start({ controllers: false, place, address: PLANE_ADDRESS });
    return {
      lab,
      plane,
      async [Symbol.asyncDispose]() {
        await plane[Symbol.asyncDispose]();
        await lab[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

function putSlice(plane: ControlPlane, ...hosts: readonly Host[]): void {
  const pods = hosts.map(({ name, address }) => ({ pod: name, addresses: [address] }));
  plane.apply(endpointSlice({ name: "mesh", pods }));
}

const connectedPeers = async ({ node }: Host): Promise<string[]> =>
  (await node.api.peers()).filter((peer) => peer.connected).map((peer) => peer.id);

/** Starts the node with these settings alone, and waits until it is up. */
async function start(host: Host, settings: Readonly<Record<string, string>>): Promise<void> {
  const node = await host.start({ PEAT_STATIC_PEERS: "", ...settings });
  await node.ready(60_000);
}

/** Names of hosts as one namespace has them, changed while programs run. */
class HostsFile implements Disposable {
  readonly #folder: string;
  readonly #path: string;
  readonly #forget: () => void;

  /** Must be there before the namespace's first program: `ip netns exec` puts it over /etc/hosts. */
  constructor({ name }: Namespace) {
    this.#folder = join("/etc/netns", name);
    this.#path = join(this.#folder, "hosts");
    this.#forget = atExit(() => rmSync(this.#folder, { recursive: true, force: true }));
    mkdirSync(this.#folder, { recursive: true });
    this.set({});
  }

  set(addresses: Readonly<Record<string, string>>): void {
    const lines = Object.entries(addresses).map(([host, address]) => `${address} ${host}\n`);
    // In place: the programs see this very file.
    writeFileSync(this.#path, `127.0.0.1 localhost\n${lines.join("")}`);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
    this.#forget();
  }
}

describe.skipIf(missing !== undefined)(
  `the executable in a cluster${missing === undefined ? "" : ` [skipped: ${missing}]`}`,
  () => {
    test(
      "is not ready while it may not look for peers, says why, and gets ready when it may",
      async () => {
        await using world = await openLab("peat-mesh-0");
        const { lab, plane } = world;
        plane.kubectl("create", "serviceaccount", "peat-mesh");
        const kubeconfig = plane.writeTokenKubeconfig("pod", plane.token("peat-mesh"));
        const host = lab.host("peat-mesh-0");
        const node = await host.start({
          PEAT_DISCOVERY: "kubernetes",
          PEAT_STATIC_PEERS: "",
          KUBECONFIG: kubeconfig,
        });
        const discoveryCheck = async () =>
          (await node.api.checks())?.find(
            ({ name, message }) => name === "discovery" && message?.includes("403"),
          );
        const check = await waitFor("the reason", 60_000, discoveryCheck);
        expect(check.ready).toBe(false);
        expect(check.message).toContain("peat-mesh");
        expect(check.message).toContain("list and watch endpointslices in namespace default");
        expect(await node.api.isReady()).toBe(false);
        grantDiscovery(plane, "peat-mesh");
        await waitFor("readiness", 60_000, async () => (await node.api.isReady()) || undefined);
        expect(await node.api.checks()).toEqual([]);
        for (const line of [
          "Using Kubernetes EndpointSlice discovery",
          "Starting Kubernetes discovery in namespace 'default' with selector 'app=peat-mesh'",
          "Discovery started",
        ]) {
          await waitFor(line, 60_000, () => node.lines.join("\n").includes(line) || undefined);
        }
      },
      TEST_LIMIT_MS,
    );

    test(
      "connects to a pod of a new slice within a moment, and leaves one that is gone alone",
      async () => {
        await using world = await openLab("peat-mesh-0", "peat-mesh-1", "peat-mesh-2");
        const { lab, plane } = world;
        const [zero, one, two] = ["peat-mesh-0", "peat-mesh-1", "peat-mesh-2"].map((name) =>
          lab.host(name),
        );
        if (zero === undefined || one === undefined || two === undefined)
          throw new Error("no hosts");
        putSlice(plane, zero);
        await start(zero, { PEAT_DISCOVERY: "kubernetes", KUBECONFIG: plane.kubeconfig });
        // The others only wait to be dialled: what is measured is the first one's discovery.
        for (const host of [one, two]) await start(host, { PEAT_DISCOVERY: "none" });
        const times: number[] = [];
        for (const hosts of [[one], [one, two]]) {
          putSlice(plane, zero, ...hosts);
          const startedMs = performance.now();
          await waitFor(
            `${hosts.length} peers`,
            60_000,
            async () => {
              return (await connectedPeers(zero)).length === hosts.length || undefined;
            },
            2,
          );
          times.push(performance.now() - startedMs);
        }
        console.log(
          `executable: connected ${times.map((ms) => ms.toFixed(0)).join(" and ")} ms after kubectl had its answer (aim: 1000)`,
        );
        await two.stop();
        putSlice(plane, zero, one);
        await waitFor("the end of the search", 60_000, async () => {
          const peers = await zero.node.api.peers();
          return peers.every((peer) => peer.id === one.name) || undefined;
        });
        const lost = "Lost Kubernetes peer: peat-mesh-2";
        await waitFor(lost, 60_000, () => zero.node.lines.join("\n").includes(lost) || undefined);
      },
      TEST_LIMIT_MS,
    );

    test(
      "is a gateway to a name that leads elsewhere as time goes by, for as long as it takes",
      async () => {
        await using world = await openLab("gate", "pod", "far");
        const { lab, plane } = world;
        const [gate, pod, far] = [lab.host("gate"), lab.host("pod"), lab.host("far")];
        using names = new HostsFile(gate.namespace);
        putSlice(plane, gate, pod);
        const cluster = { PEAT_DISCOVERY: "kubernetes", KUBECONFIG: plane.kubeconfig };
        await start(gate, {
          ...cluster,
          PEAT_DISCOVERY: "kubernetes,static",
          PEAT_STATIC_PEERS: "far@far.example:11204",
        });
        await start(pod, cluster);
        // The name does not resolve yet, then leads to nobody, then to the peer, which moves later.
        await gate.node.connected(1);
        names.set({ "far.example": "10.77.0.99" });
        await start(far, { PEAT_DISCOVERY: "none" });
        await pod.node.api.put("tracks", "1", { by: "pod" });
        expect(await connectedPeers(gate)).toEqual(["pod"]);
        names.set({ "far.example": far.address });
        const found = await lab.equal(1, 60_000);
        await far.stop();
        far.moveTo("10.77.0.77");
        names.set({ "far.example": far.address });
        await start(far, { PEAT_DISCOVERY: "none" });
        await far.node.api.put("tracks", "2", { by: "far" });
        const moved = await lab.equal(2, 60_000);
        console.log(
          `gateway: the other side had the document ${found.toFixed(0)} ms after its name led to it, and ${moved.toFixed(0)} ms after it had moved`,
        );
        expect(await pod.node.api.get("tracks", "2")).toMatchObject({ by: "far" });
        expect(gate.node.lines.filter((line) => / ERROR /.test(line))).toEqual([]);
      },
      TEST_LIMIT_MS,
    );
  },
);
