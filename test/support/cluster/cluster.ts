// A whole cluster of one node: control plane, kube-proxy and the kubelet of the tests, in a network namespace of its own.
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { atExit } from "../../../scripts/support/at-exit.ts";
import { KUBERNETES_VERSION } from "../../../scripts/support/control-plane-tools.ts";
import { waitFor } from "../../../scripts/support/waiting.ts";
import { Namespace, namespacesMissing } from "../namespace.ts";
import { cgroupsMissing, killCgroups, peakBytesOf, removeCgroups } from "./cgroup.ts";
import type { Image } from "./container-process.ts";
import { ControlPlane, controlPlaneMissing } from "./control-plane.ts";
import { Daemon } from "./daemon.ts";
import type { KubeletSettings } from "./kubelet-main.ts";
import type { Pod } from "./objects.ts";

const NODE_LIMIT_MS = 60_000;
const COMMAND_LIMIT_MS = 240_000;
const KUBELET_PORT = 10_250;
const METRICS_PORT = 10_249;
const HEALTH_PORT = 10_256;
const POD_PREFIX = "10.42.0";

/** Pods that speak to the world outside do it by the node's address, as network plug-ins have it. */
const EGRESS_RULES = [
  "add table ip pods",
  "add chain ip pods out { type nat hook postrouting priority 100 ; }",
  `add rule ip pods out ip saddr ${POD_PREFIX}.0/24 ip daddr != ${POD_PREFIX}.0/24 masquerade`,
];

export interface ClusterOptions {
  /** Also the name of its kubeconfig's context. */
  readonly name: string;
  /** Where it lives, with its interface and address; it is not disposed of. */
  readonly node: Namespace;
  /** The node's address. */
  readonly address: string;
  readonly images: Readonly<Record<string, Image>>;
}

/** Why there can't be one here, or undefined. */
export async function clusterMissing(): Promise<string | undefined> {
  const plane = await controlPlaneMissing();
  if (plane !== undefined) return plane;
  for (const program of ["nft", "nsenter", "unshare", "setpriv"]) {
    if (Bun.which(program) === null) return `needs the program ${program}`;
  }
  return namespacesMissing() ?? cgroupsMissing() ?? nftablesMissing();
}

function nftablesMissing(): string | undefined {
  using node = new Namespace("probe");
  try {
    for (const rule of EGRESS_RULES) node.read(["nft", ...rule.split(" ")]);
    return undefined;
  } catch (error) {
    return `needs nftables with translation of addresses: ${String(error)}`;
  }
}

/** A namespace to be a node on its own: an address that leads nowhere else. */
export function loneNode(label: string, address: string): Namespace {
  const node = new Namespace(label);
  node.ip("link", "add", "eth0", "type", "veth", "peer", "name", "nowhere");
  node.ip("address", "add", `${address}/24`, "dev", "eth0");
  node.ip("link", "set", "nowhere", "up");
  node.ip("link", "set", "eth0", "up");
  node.ip("route", "add", "default", "dev", "eth0");
  return node;
}

export class Cluster implements AsyncDisposable {
  readonly name: string;
  readonly plane: ControlPlane;
  readonly node: Namespace;
  readonly address: string;
  readonly kubelet: Daemon;
  readonly proxy: Daemon;
  /** How the names of its pods' namespaces and control groups begin. */
  readonly #pods: string;
  readonly #forget: () => void;

  private constructor({ name, node, address, images }: ClusterOptions, plane: ControlPlane) {
    this.name = name;
    this.node = node;
    this.address = address;
    this.plane = plane;
    this.#pods = `${node.name}-pod-`;
    this.#forget = atExit(() => killCgroups(this.#pods));
    const user = "system:kube-proxy";
    const proxyIdentity = plane.pki.issue("kube-proxy", { user });
    this.proxy = plane.daemon("kube-proxy", plane.tools["kube-proxy"], [
      `--kubeconfig=${plane.writeKubeconfig("kube-proxy", proxyIdentity)}`,
      "--proxy-mode=nftables",
      `--hostname-override=${name}`,
      `--cluster-cidr=${POD_PREFIX}.0/24`,
      // Limits of the machine's connection table are not this namespace's to set.
      "--conntrack-max-per-core=0",
      `--metrics-bind-address=127.0.0.1:${METRICS_PORT}`,
      `--healthz-bind-address=127.0.0.1:${HEALTH_PORT}`,
    ]);
    const settings: KubeletSettings = {
      url: plane.url,
      caFile: plane.pki.ca.certificate,
      nodeName: name,
      hostIp: address,
      port: KUBELET_PORT,
      podPrefix: POD_PREFIX,
      networkPrefix: node.name,
      version: `v${KUBERNETES_VERSION}`,
      node: plane.pki.issue("kubelet", {
        user: `system:node:${name}`,
        group: "system:nodes",
        servedAs: [`IP:${address}`],
      }),
      proxy: proxyIdentity,
      images,
      folder: plane.file("kubelet"),
    };
    const file = plane.file("kubelet.json");
    writeFileSync(file, JSON.stringify(settings));
    // Not `ip netns exec`: that hides the control groups, which the kubelet needs.
    const inside = ["nsenter", `--net=/run/netns/${node.name}`];
    const main = join(import.meta.dir, "kubelet-main.ts");
    this.kubelet = new Daemon("kubelet", {
      command: [...inside, process.execPath, main, file],
      logFile: plane.file("kubelet.log"),
      endsWithInput: true,
    });
  }

  /** Resolves when the node is ready. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const { name, node, address } = options;
    node.read(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    for (const rule of EGRESS_RULES) node.read(["nft", ...rule.split(" ")]);
    const place = node.command([]);
    const plane = await ControlPlane.start({ name, place, address, scheduler: true });
    const cluster = new Cluster(options, plane);
    try {
      await cluster.startNode();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  async startNode(): Promise<void> {
    this.proxy.start();
    this.kubelet.start();
    await waitFor(
      `node ${this.name}`,
      NODE_LIMIT_MS,
      () => {
        this.proxy.check();
        this.kubelet.check();
        const jsonpath =
          '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status} {.spec.taints}';
        const { stdout } = this.plane.kubectlTry("get", "node", this.name, jsonpath);
        return stdout.toString().trim() === "True" ? true : undefined;
      },
      200,
    );
  }

  /** Ends the node and all of its containers at once, as a power cut would; volumes stay. */
  async killNode(): Promise<void> {
    await Promise.all([this.kubelet.kill(), this.proxy.kill()]);
    killCgroups(this.#pods);
  }

  /** The most memory, in bytes, that the first container of a living pod has had at one time. */
  memoryPeakOf(pod: Pod): number {
    const host = pod.status?.podIP?.split(".").at(-1);
    return peakBytesOf(`${this.#pods}${host}-${pod.spec.containers[0]?.name}`);
  }

  kubectl(...args: readonly string[]): string {
    return this.plane.kubectl(...args);
  }

  /**
   * What a command prints that is run on the node and finds kubectl, helm, and this cluster as its current context.
   * Clusters that the node can reach may be given as further contexts.
   */
  async run(
    command: readonly string[],
    {
      others = [],
      limitMs = COMMAND_LIMIT_MS,
    }: { readonly others?: readonly Cluster[]; readonly limitMs?: number } = {},
  ): Promise<string> {
    const { kubectl, helm } = this.plane.tools;
    const child = Bun.spawn(this.node.command([...command]), {
      env: {
        ...Bun.env,
        PATH: [dirname(kubectl), dirname(helm), Bun.env["PATH"]].join(":"),
        KUBECONFIG: [this, ...others].map(({ plane }) => plane.kubeconfig).join(":"),
        HELM_CACHE_HOME: this.plane.file("helm"),
        HELM_CONFIG_HOME: this.plane.file("helm"),
        HELM_DATA_HOME: this.plane.file("helm"),
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: limitMs,
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (exitCode === 0) return stdout;
    throw new Error(`${command.join(" ")}: status ${exitCode}\n${stdout}\n${stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killNode();
    await this.plane[Symbol.asyncDispose]();
    this.#forget();
    await removeCgroups(this.#pods);
    for (const name of readdirSync("/run/netns")) {
      if (!name.startsWith(this.#pods)) continue;
      Bun.spawnSync(["ip", "netns", "del", name], { stderr: "ignore" });
      rmSync(`/run/netns/${name}`, { force: true });
    }
  }
}
