// One pod of the node, from the moment it is bound until its object is gone.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type ApiClient, ApiRefusal } from "./api-client.ts";
import type { Image } from "./container-process.ts";
import { ContainerRunner, type PodSurroundings } from "./container-runner.ts";
import type { Container, ContainerStatus, Pod } from "./objects.ts";
import { type PodAddresses, PodNetwork } from "./pod-network.ts";
import { PodVolumes } from "./pod-volumes.ts";

const RETRY_MS = 500;
const DEFAULT_GRACE_S = 30;

export interface PodHost {
  readonly api: ApiClient;
  readonly images: Readonly<Record<string, Image>>;
  readonly addresses: PodAddresses;
  readonly networkPrefix: string;
  readonly hostIp: string;
  readonly hostsFile: string;
  /** Where pods have their folders; survives the kubelet. */
  readonly folder: string;
}

interface Condition {
  readonly type: string;
  readonly status: "True" | "False";
  readonly lastTransitionTime: string;
}

export class PodWorker {
  readonly #host: PodHost;
  readonly #folder: string;
  readonly #startTime: string;
  #pod: Pod;
  #network: PodNetwork | undefined;
  #initializers: ContainerRunner[] = [];
  #containers: ContainerRunner[] = [];
  #conditions: readonly Condition[] = [];
  #isInitialized = false;
  #isStopping = false;
  #isOver = false;
  #isPublishing = false;
  #hasNews = false;

  constructor(host: PodHost, pod: Pod) {
    this.#host = host;
    this.#pod = pod;
    this.#folder = join(host.folder, pod.metadata.uid);
    this.#startTime = pod.status?.startTime ?? new Date().toISOString();
    mkdirSync(this.#folder, { recursive: true });
    void this.#run();
  }

  get uid(): string {
    return this.#pod.metadata.uid;
  }

  /** The container of a name, or the only one. */
  container(name: string | undefined): ContainerRunner | undefined {
    const all = [...this.#initializers, ...this.#containers];
    return name === undefined ? this.#containers[0] : all.find((one) => one.name === name);
  }

  get pod(): Pod {
    return this.#pod;
  }

  get address(): string | undefined {
    return this.#network?.address;
  }

  /** The newest object: it may ask for the pod's end. */
  update(pod: Pod): void {
    this.#pod = pod;
    // A controller that took the node for lost says so in its pods; the kubelet knows better.
    const told = pod.status?.conditions?.find(({ type }) => type === "Ready")?.status;
    const known = this.#conditions.find(({ type }) => type === "Ready")?.status;
    if (told !== known) this.#publish();
    if (pod.metadata.deletionTimestamp === undefined) return;
    void this.stop(pod.metadata.deletionGracePeriodSeconds ?? DEFAULT_GRACE_S);
  }

  async #run(): Promise<void> {
    const { spec, status } = this.#pod;
    // It ended for good under an earlier kubelet.
    if (status?.phase === "Succeeded" || status?.phase === "Failed") return;
    try {
      this.#network = new PodNetwork(this.#host.networkPrefix, this.#host.addresses);
      this.#publish();
      const around = await this.#surroundings(this.#network);
      if (around === undefined) return;
      const before = (name: string, list: readonly ContainerStatus[] | undefined) =>
        list?.find((one) => one.name === name);
      const make = (container: Container, list: readonly ContainerStatus[] | undefined) =>
        new ContainerRunner(around, container, before(container.name, list));
      if (!(await this.#initialize(make))) return;
      this.#containers = spec.containers.map((one) => make(one, status?.containerStatuses));
      if (this.#isStopping) return;
      await Promise.all(this.#containers.map((one) => one.run()));
      this.#publish();
    } catch (error) {
      console.log(`pod ${this.#pod.metadata.name}: ${String(error)}`);
    }
  }

  /** Init containers one after the other; false if the pod ends before. */
  async #initialize(
    make: (container: Container, list: readonly ContainerStatus[] | undefined) => ContainerRunner,
  ): Promise<boolean> {
    for (const container of this.#pod.spec.initContainers ?? []) {
      if (container.restartPolicy === "Always") {
        throw new Error(`${container.name}: the test's kubelet plays no sidecar init containers`);
      }
      const runner = make(container, this.#pod.status?.initContainerStatuses);
      this.#initializers.push(runner);
      await runner.run();
      this.#publish();
      if (this.#isStopping || runner.status.state.terminated?.exitCode !== 0) return false;
    }
    this.#isInitialized = true;
    return !this.#isStopping;
  }

  /** Tries until secrets, claims and tokens are there; undefined if the pod ends before. */
  async #surroundings(network: PodNetwork): Promise<PodSurroundings | undefined> {
    const { api, hostIp, images, hostsFile } = this.#host;
    const facts = { podIp: network.address, hostIp };
    while (!this.#isStopping) {
      try {
        const folder = join(this.#folder, "volumes");
        const volumes = await new PodVolumes(api, this.#pod, folder, facts).prepare();
        return {
          api,
          pod: this.#pod,
          facts,
          images,
          volumes,
          networkNamespace: network.namespace,
          hostsFile,
          folder: this.#folder,
          onChange: () => this.#publish(),
        };
      } catch (error) {
        console.log(`pod ${this.#pod.metadata.name} waits: ${String(error)}`);
        await Bun.sleep(RETRY_MS);
      }
    }
    return undefined;
  }

  /** Ends the containers within the grace period, then the pod's object. */
  async stop(graceSeconds: number): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const all = [...this.#initializers, ...this.#containers];
    await Promise.all(all.map((one) => one.stop(graceSeconds * 1000)));
    this.#publish();
    await this.#deleteObject();
    this.#isOver = true;
    this.#network?.[Symbol.dispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #deleteObject(): Promise<void> {
    const { namespace, name, uid } = this.#pod.metadata;
    const preconditions = { uid };
    const options = { kind: "DeleteOptions", apiVersion: "v1", gracePeriodSeconds: 0 };
    while (true) {
      try {
        const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
        await this.#host.api.request("DELETE", path, { ...options, preconditions });
        return;
      } catch (error) {
        // Gone already, or another pod of this name: either way it is not ours any more.
        if (error instanceof ApiRefusal && [404, 409].includes(error.status)) return;
        await Bun.sleep(RETRY_MS);
      }
    }
  }

  #condition(type: string, isSo: boolean): Condition {
    const status = isSo ? "True" : "False";
    const before = this.#conditions.find((one) => one.type === type);
    if (before?.status === status) return before;
    return { type, status, lastTransitionTime: new Date().toISOString() };
  }

  #status(): object {
    const { spec } = this.#pod;
    const initContainerStatuses = this.#initializers.map((one) => one.status);
    const containerStatuses = this.#containers.map((one) => one.status);
    const isComplete = containerStatuses.length === spec.containers.length;
    const areReady = isComplete && containerStatuses.every((one) => one.ready);
    this.#conditions = [
      this.#condition("PodScheduled", true),
      this.#condition("PodReadyToStartContainers", this.#network !== undefined),
      this.#condition("Initialized", this.#isInitialized),
      this.#condition("ContainersReady", areReady),
      this.#condition("Ready", areReady),
    ];
    const podIP = this.#network?.address;
    return {
      phase: this.#phase([...initContainerStatuses, ...containerStatuses], isComplete),
      conditions: this.#conditions,
      hostIP: this.#host.hostIp,
      hostIPs: [{ ip: this.#host.hostIp }],
      ...(podIP === undefined ? {} : { podIP, podIPs: [{ ip: podIP }] }),
      startTime: this.#startTime,
      initContainerStatuses,
      containerStatuses,
    };
  }

  #phase(statuses: readonly ContainerStatus[], isComplete: boolean): string {
    const isFinal = (one: ContainerStatus): boolean =>
      one.state.terminated !== undefined &&
      (this.#isStopping ||
        this.#pod.spec.restartPolicy === "Never" ||
        (this.#pod.spec.restartPolicy === "OnFailure" && one.state.terminated.exitCode === 0));
    const failed = statuses.some((one) => isFinal(one) && one.state.terminated?.exitCode !== 0);
    if (statuses.every(isFinal) && (isComplete || failed)) return failed ? "Failed" : "Succeeded";
    const hasRun = statuses.some((one) => one.state.waiting?.reason !== "ContainerCreating");
    return isComplete && hasRun ? "Running" : "Pending";
  }

  /** Tells the API server, now and until it listens; only the newest status counts. */
  #publish(): void {
    this.#hasNews = true;
    if (this.#isPublishing || this.#isOver) return;
    this.#isPublishing = true;
    void this.#publishAll().finally(() => {
      this.#isPublishing = false;
    });
  }

  async #publishAll(): Promise<void> {
    const { namespace, name, uid } = this.#pod.metadata;
    while (this.#hasNews && !this.#isOver) {
      this.#hasNews = false;
      try {
        const path = `/api/v1/namespaces/${namespace}/pods/${name}/status`;
        await this.#host.api.patch(path, { metadata: { uid }, status: this.#status() });
      } catch (error) {
        if (error instanceof ApiRefusal && [404, 409].includes(error.status)) return;
        console.log(`status of ${name}: ${String(error)}`);
        this.#hasNews = true;
        await Bun.sleep(RETRY_MS);
      }
    }
  }
}
