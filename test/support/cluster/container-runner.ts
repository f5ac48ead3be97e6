// A container through all of its runs: started, probed, started again after its end, stopped.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ApiClient } from "./api-client.ts";
import { Cgroup, peakBytesOf } from "./cgroup.ts";
import { ContainerLog } from "./container-log.ts";
import { ContainerProcess, type ContainerSpec, type Image } from "./container-process.ts";
import type { Container, ContainerState, ContainerStatus, Pod, Probe } from "./objects.ts";
import { containerEnv, expand, type PodFacts } from "./pod-env.ts";
import { act, ProbeLoop } from "./probes.ts";

const RETRY_MS = 1000;
/** Pauses before the second, third … start, in seconds. */
const BACK_OFF_S = [0, 10, 20, 40, 80, 160, 300] as const;
const HOOK_LIMIT_MS = 30_000;
const DEFAULT_GRACE_S = 30;

/** What all containers of a pod share. */
export interface PodSurroundings {
  readonly api: ApiClient;
  readonly pod: Pod;
  readonly facts: PodFacts;
  readonly images: Readonly<Record<string, Image>>;
  readonly volumes: ReadonlyMap<string, string>;
  readonly networkNamespace: string;
  readonly hostsFile: string;
  /** The pod's own. */
  readonly folder: string;
  readonly onChange: () => void;
}

export class ContainerRunner {
  readonly name: string;
  readonly #around: PodSurroundings;
  readonly #container: Container;
  readonly #cgroup: Cgroup;
  /** Whether such an end is followed by another start. */
  readonly #isRestarted: (exitCode: number) => boolean;
  #state: ContainerState = { waiting: { reason: "ContainerCreating" } };
  #lastState: ContainerState = {};
  #isReady = false;
  #isStarted = false;
  #restarts: number;
  #process: ContainerProcess | undefined;
  #log: ContainerLog | undefined;
  #previousLog: ContainerLog | undefined;
  #probes: ProbeLoop[] = [];
  #isStopped = false;
  #wake: (() => void) | undefined;

  /** `earlier`: its status in the API when another kubelet ran it before this one was started. */
  constructor(around: PodSurroundings, container: Container, earlier: ContainerStatus | undefined) {
    this.name = container.name;
    this.#around = around;
    this.#container = container;
    const wasRunning = earlier?.state.running !== undefined || earlier?.state.terminated;
    this.#restarts = earlier === undefined ? 0 : earlier.restartCount + (wasRunning ? 1 : 0);
    const group = `${around.networkNamespace}-${container.name}`;
    this.#cgroup = new Cgroup(group, container.resources);
    const { restartPolicy } = around.pod.spec;
    // An init container that has done its work is done.
    const isInit = around.pod.spec.initContainers?.some(({ name }) => name === container.name);
    this.#isRestarted = (exitCode) =>
      exitCode === 0 ? restartPolicy === "Always" && isInit !== true : restartPolicy !== "Never";
  }

  get status(): ContainerStatus {
    return {
      name: this.name,
      image: this.#container.image,
      imageID: this.#container.image,
      ready: this.#isReady,
      started: this.#isStarted,
      restartCount: this.#restarts,
      state: this.#state,
      lastState: this.#lastState,
    };
  }

  get process(): ContainerProcess | undefined {
    return this.#process;
  }

  log(isPrevious: boolean): ContainerLog | undefined {
    return isPrevious ? this.#previousLog : this.#log;
  }

  /** Resolves when it has ended for good: stopped, or by its restart policy. */
  async run(): Promise<void> {
    let failures = 0;
    while (!this.#isStopped) {
      const exitCode = await this.#runOnce();
      if (this.#isStopped || exitCode === undefined || !this.#isRestarted(exitCode)) break;
      const pauseS = BACK_OFF_S[Math.min(failures, BACK_OFF_S.length - 1)] ?? 0;
      failures += 1;
      if (pauseS > 0) {
        this.#lastState = this.#state;
        this.#set({ waiting: { reason: "CrashLoopBackOff" } });
        await this.#pause(pauseS * 1000);
        if (this.#isStopped) break;
      }
      this.#restarts += 1;
    }
    this.#cgroup[Symbol.dispose]();
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Undefined if it was stopped before it could be started. */
  async #runOnce(): Promise<number | undefined> {
    const process = await this.#start();
    if (process === undefined) return undefined;
    if (this.#state.terminated) this.#lastState = this.#state;
    this.#process = process;
    this.#set({ running: { startedAt: process.startedAt } });
    this.#startProbes(process);
    const { exitCode, isOutOfMemory } = await process.end;
    this.#stopProbes();
    this.#process = undefined;
    const peak = `${Math.round(peakBytesOf(this.#cgroup.name) / 2 ** 20)} MiB`;
    console.log(`${this.name} ended with status ${exitCode}, memory at most ${peak}`);
    const reason = isOutOfMemory ? "OOMKilled" : exitCode === 0 ? "Completed" : "Error";
    const finishedAt = new Date().toISOString();
    [this.#isReady, this.#isStarted] = [false, false];
    this.#set({ terminated: { exitCode, reason, startedAt: process.startedAt, finishedAt } });
    return exitCode;
  }

  /** Tries until what the container refers to is there. */
  async #start(): Promise<ContainerProcess | undefined> {
    while (!this.#isStopped) {
      try {
        const spec = await this.#spec();
        this.#previousLog = this.#log;
        this.#log = new ContainerLog(join(spec.folder, "log"));
        return await ContainerProcess.start(spec, this.#cgroup, this.#log);
      } catch (error) {
        this.#set({ waiting: { reason: "CreateContainerConfigError", message: String(error) } });
        await this.#pause(RETRY_MS);
      }
    }
    return undefined;
  }

  async #spec(): Promise<ContainerSpec> {
    const { api, pod, facts, images, volumes } = this.#around;
    const container = this.#container;
    const image = images[container.image];
    if (image === undefined) throw new Error(`no image ${container.image} on this node`);
    const env = { ...image.env, ...(await containerEnv(api, pod, container, facts)) };
    const ids = { ...pod.spec.securityContext, ...container.securityContext };
    const user = ids.runAsUser ?? image.user;
    if (ids.runAsNonRoot === true && user === 0) throw new Error("runAsNonRoot, and the user is 0");
    const { fsGroup, supplementalGroups = [] } = pod.spec.securityContext ?? {};
    const mounts = (container.volumeMounts ?? []).map((mount) => {
      const source = volumes.get(mount.name);
      if (source === undefined) throw new Error(`no volume ${mount.name}`);
      return {
        source: mount.subPath === undefined ? source : join(source, mount.subPath),
        target: mount.mountPath,
        isReadOnly: mount.readOnly === true,
      };
    });
    const folder = join(this.#around.folder, `${this.name}-${this.#restarts}`);
    mkdirSync(folder, { recursive: true });
    const words = [...(container.command ?? image.entrypoint), ...(container.args ?? [])];
    return {
      image,
      command: words.map((word) => expand(word, env)),
      env,
      hostname: pod.spec.hostname ?? pod.metadata.name,
      user,
      group: ids.runAsGroup ?? 0,
      groups: [...supplementalGroups, ...(fsGroup === undefined ? [] : [fsGroup])],
      isRootReadOnly: container.securityContext?.readOnlyRootFilesystem === true,
      mounts,
      networkNamespace: this.#around.networkNamespace,
      hostsFile: this.#around.hostsFile,
      folder,
    };
  }

  #startProbes(process: ContainerProcess): void {
    const { startupProbe } = this.#container;
    if (startupProbe === undefined) {
      this.#begin(process);
      return;
    }
    this.#probe(process, startupProbe, "startup", (isGood) => {
      if (isGood) this.#begin(process);
      else void this.#fail(process, startupProbe, "startup");
    });
  }

  /** From now on it counts as started: it may be ready, and its life is watched. */
  #begin(process: ContainerProcess): void {
    this.#stopProbes();
    this.#isStarted = true;
    const { readinessProbe, livenessProbe } = this.#container;
    this.#isReady = readinessProbe === undefined;
    this.#around.onChange();
    if (readinessProbe !== undefined) {
      this.#probe(process, readinessProbe, "readiness", (isGood) => {
        this.#isReady = isGood;
        this.#around.onChange();
      });
    }
    if (livenessProbe !== undefined) {
      this.#probe(process, livenessProbe, "liveness", (isGood) => {
        if (!isGood) void this.#fail(process, livenessProbe, "liveness");
      });
    }
  }

  #probe(
    process: ContainerProcess,
    probe: Probe,
    kind: string,
    onVerdict: (isGood: boolean) => void,
  ): void {
    const target = { container: this.#container, address: this.#around.facts.podIp, process };
    const pod = this.#around.pod.metadata.name;
    const loop = new ProbeLoop(target, probe, (isGood, reason) => {
      console.log(`${pod}/${this.name} ${kind}: ${reason ?? "good"}`);
      onVerdict(isGood);
    });
    this.#probes.push(loop);
  }

  #stopProbes(): void {
    for (const probe of this.#probes) probe.stop();
    this.#probes = [];
  }

  async #fail(process: ContainerProcess, probe: Probe, kind: string): Promise<void> {
    console.log(`${this.name}: ${kind} probe failed, the container is started again`);
    const { terminationGracePeriodSeconds: usual = DEFAULT_GRACE_S } = this.#around.pod.spec;
    await this.#end(process, (probe.terminationGracePeriodSeconds ?? usual) * 1000);
  }

  /** The hook, SIGTERM, and after what is left of the grace period SIGKILL. */
  async #end(process: ContainerProcess, graceMs: number): Promise<void> {
    const timer = setTimeout(() => process.kill("SIGKILL"), Math.max(graceMs, 0));
    const preStop = this.#container.lifecycle?.preStop;
    if (preStop !== undefined) {
      const target = { container: this.#container, address: this.#around.facts.podIp, process };
      const reason = await act(target, preStop, Math.min(graceMs, HOOK_LIMIT_MS));
      if (reason !== undefined) console.log(`${this.name} preStop: ${reason}`);
    }
    process.kill("SIGTERM");
    await process.end;
    clearTimeout(timer);
  }

  /** Ends it for good; resolves when its process is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopped = true;
    this.#wake?.();
    this.#stopProbes();
    if (this.#process !== undefined) await this.#end(this.#process, graceMs);
  }

  #set(state: ContainerState): void {
    this.#state = state;
    this.#around.onChange();
  }
}
