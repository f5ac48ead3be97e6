// A kubelet for tests: a Node object with a heartbeat, and a worker for each pod that is bound to it.
// What is real: processes, namespaces, limits, mounts, probes, logs, exec, deletion with grace. What is not played:
// images (files of this machine stand for them), sidecar init containers, renewal of tokens, terminals, port-forward.
import { cpus, totalmem } from "node:os";
import { type ApiClient, ApiRefusal } from "./api-client.ts";
import type { Pod } from "./objects.ts";
import { type PodHost, PodWorker } from "./pod-worker.ts";

const HEARTBEAT_MS = 5000;
const LEASE_SECONDS = 40;
const RETRY_MS = 500;

export interface KubeletOptions extends PodHost {
  readonly nodeName: string;
  readonly port: number;
  readonly podCidr: string;
  readonly version: string;
}

const now = (): string => new Date().toISOString();

export class Kubelet {
  readonly #options: KubeletOptions;
  readonly #api: ApiClient;
  readonly #workers = new Map<string, PodWorker>();

  constructor(options: KubeletOptions) {
    this.#options = options;
    this.#api = options.api;
  }

  /** The living pod of a name. */
  find(namespace: string, name: string): PodWorker | undefined {
    return [...this.#workers.values()].find(
      ({ pod }) => pod.metadata.namespace === namespace && pod.metadata.name === name,
    );
  }

  /** Never ends. */
  async run(): Promise<void> {
    await this.#untilDone("register", () => this.#register());
    await this.#untilDone("status", () => this.#patchStatus());
    void this.#beat();
    const path = `/api/v1/pods?fieldSelector=spec.nodeName%3D${this.#options.nodeName}`;
    for await (const event of this.#api.watch<Pod>(path)) {
      if (event.kind === "changed") {
        this.#see(event.item);
      } else if (event.kind === "gone") {
        this.#forget(event.item.metadata.uid);
      } else {
        for (const pod of event.items) this.#see(pod);
        const uids = new Set(event.items.map((pod) => pod.metadata.uid));
        for (const uid of this.#workers.keys()) if (!uids.has(uid)) this.#forget(uid);
      }
    }
  }

  #see(pod: Pod): void {
    const { uid } = pod.metadata;
    const known = this.#workers.get(uid);
    if (known === undefined) this.#workers.set(uid, new PodWorker(this.#options, pod));
    this.#workers.get(uid)?.update(pod);
  }

  /** Its object is gone: whatever still runs has no right to. */
  #forget(uid: string): void {
    const worker = this.#workers.get(uid);
    this.#workers.delete(uid);
    void worker?.stop(0);
  }

  async #untilDone(what: string, work: () => Promise<void>): Promise<void> {
    while (true) {
      try {
        await work();
        return;
      } catch (error) {
        console.log(`${what}: ${String(error)}`);
        await Bun.sleep(RETRY_MS);
      }
    }
  }

  async #register(): Promise<void> {
    const { nodeName, podCidr } = this.#options;
    const node = {
      apiVersion: "v1",
      kind: "Node",
      metadata: {
        name: nodeName,
        labels: {
          "kubernetes.io/hostname": nodeName,
          "kubernetes.io/os": "linux",
          "kubernetes.io/arch": process.arch === "arm64" ? "arm64" : "amd64",
        },
      },
      spec: { podCIDR: podCidr, podCIDRs: [podCidr] },
    };
    try {
      await this.#api.request("POST", "/api/v1/nodes", node);
    } catch (error) {
      if (!(error instanceof ApiRefusal && error.status === 409)) throw error;
    }
  }

  async #patchStatus(): Promise<void> {
    const { nodeName, hostIp, port, version } = this.#options;
    const resources = {
      cpu: String(cpus().length),
      memory: `${Math.floor(totalmem() / 1024)}Ki`,
      "ephemeral-storage": "10Gi",
      pods: "110",
    };
    const condition = (type: string, status: string) => ({
      type,
      status,
      reason: "Played",
      message: "by the kubelet of the tests",
      lastHeartbeatTime: now(),
      lastTransitionTime: now(),
    });
    await this.#api.patch(`/api/v1/nodes/${nodeName}/status`, {
      status: {
        addresses: [
          { type: "InternalIP", address: hostIp },
          { type: "Hostname", address: nodeName },
        ],
        capacity: resources,
        allocatable: resources,
        daemonEndpoints: { kubeletEndpoint: { Port: port } },
        conditions: [
          condition("MemoryPressure", "False"),
          condition("DiskPressure", "False"),
          condition("PIDPressure", "False"),
          condition("Ready", "True"),
        ],
        nodeInfo: {
          architecture: process.arch === "arm64" ? "arm64" : "amd64",
          operatingSystem: "linux",
          kubeletVersion: version,
          kubeProxyVersion: "",
          bootID: "",
          machineID: "",
          systemUUID: "",
          kernelVersion: "",
          osImage: "Debian",
          containerRuntimeVersion: "test://1",
        },
        // The API server then hands WebSockets through, instead of speaking SPDY.
        declaredFeatures: ["ExtendWebSocketsToKubelet"],
      },
    });
  }

  /** Renews the lease by which the node counts as alive, and tells that it is, whatever others made of a silence. */
  async #beat(): Promise<void> {
    while (true) {
      await this.#untilDone("lease", () => this.#renew());
      await this.#untilDone("status", () => this.#patchStatus());
      await Bun.sleep(HEARTBEAT_MS);
    }
  }

  async #renew(): Promise<void> {
    const { nodeName } = this.#options;
    const path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    const spec = {
      holderIdentity: nodeName,
      leaseDurationSeconds: LEASE_SECONDS,
      renewTime: now().replace("Z", "000Z"),
    };
    try {
      await this.#api.patch(`${path}/${nodeName}`, { spec });
    } catch (error) {
      if (!(error instanceof ApiRefusal && error.status === 404)) throw error;
      const metadata = { name: nodeName, namespace: "kube-node-lease" };
      const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec };
      await this.#api.request("POST", path, lease);
    }
  }
}
