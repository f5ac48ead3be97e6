// A real Kubernetes control plane: etcd, API server, controllers, on loopback or in a network namespace.
// No node belongs to it by itself: pods stay pending until a kubelet comes (cluster.ts brings one).
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ControlPlaneTools,
  findControlPlaneTools,
} from "../../../scripts/support/control-plane-tools.ts";
import { freeTcpPort } from "../../../scripts/support/ports.ts";
import { waitFor } from "../../../scripts/support/waiting.ts";
import { type TempFolder, tempFolder } from "../temp-folder.ts";
import { Daemon } from "./daemon.ts";
import { type Issued, Pki } from "./pki.ts";

const READY_LIMIT_MS = 120_000;
/** The first address of it is the API server's Service. */
const SERVICE_RANGE = "10.96.0.0/16";
const SERVICE_ADDRESS = "10.96.0.1";

export interface ControlPlaneOptions {
  /** Name of the kubeconfig's context and cluster. */
  readonly name?: string;
  /** What each command line begins with, to run somewhere else; it must keep the process id. */
  readonly place?: readonly string[];
  /** Where the API server listens; default 127.0.0.1. */
  readonly address?: string;
  /** Whether controllers run (Endpoints, StatefulSets, garbage); default true. */
  readonly controllers?: boolean;
  /** Whether pods are given to nodes; default false. */
  readonly scheduler?: boolean;
}

/** Why there can't be one here, or undefined. */
export async function controlPlaneMissing(): Promise<string | undefined> {
  const tools = await findControlPlaneTools();
  if ("missing" in tools) return tools.missing;
  return Bun.which("openssl") === null ? "needs openssl" : undefined;
}

export class ControlPlane implements AsyncDisposable {
  readonly tools: ControlPlaneTools;
  readonly pki: Pki;
  /** `https://address:port`. */
  readonly url: string;
  readonly address: string;
  readonly port: number;
  /** Where etcd answers, on loopback of the plane's place. */
  readonly etcdUrl: string;
  /** Path of the administrator's kubeconfig; its only context has the plane's name. */
  readonly kubeconfig: string;
  readonly etcd: Daemon;
  readonly apiServer: Daemon;
  /** In the order of their start. */
  readonly #helpers: readonly Daemon[];
  readonly #folder: TempFolder;
  readonly #name: string;
  readonly #place: readonly string[];

  private constructor(
    tools: ControlPlaneTools,
    folder: TempFolder,
    options: ControlPlaneOptions,
    ports: { readonly api: number; readonly etcd: number; readonly etcdPeer: number },
  ) {
    this.tools = tools;
    this.#folder = folder;
    this.#name = options.name ?? "test";
    this.#place = options.place ?? [];
    this.address = options.address ?? "127.0.0.1";
    this.port = ports.api;
    this.url = `https://${this.address}:${this.port}`;
    this.etcdUrl = `http://127.0.0.1:${ports.etcd}`;
    this.pki = new Pki(folder.path);
    const admin = this.pki.issue("admin", { user: "admin", group: "system:masters" });
    this.kubeconfig = this.writeKubeconfig("admin", admin);
    this.etcd = this.daemon("etcd", tools.etcd, etcdFlags(folder.file("etcd"), ports));
    this.apiServer = this.daemon("kube-apiserver", tools["kube-apiserver"], this.#apiFlags(ports));
    this.#helpers = [
      ...(options.controllers === false ? [] : [this.#controllers()]),
      ...(options.scheduler === true ? [this.#scheduler()] : []),
    ];
  }

  /** Resolves when it answers, and when service accounts are made where controllers run. */
  static async start(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
    const tools = await findControlPlaneTools();
    if ("missing" in tools) throw new Error(tools.missing);
    const ports = {
      api: await freeTcpPort(),
      etcd: await freeTcpPort(),
      etcdPeer: await freeTcpPort(),
    };
    const folder = tempFolder({ isInMemory: true });
    const plane = new ControlPlane(tools, folder, options, ports);
    try {
      await plane.startAgain();
    } catch (error) {
      await plane[Symbol.asyncDispose]();
      throw error;
    }
    return plane;
  }

  /** A program beside the plane's, in its place, with its output among the plane's files. */
  daemon(name: string, program: string, flags: readonly string[]): Daemon {
    const command = [...this.#place, program, ...flags];
    return new Daemon(name, { command, logFile: this.file(`${name}.log`) });
  }

  /** Path of a file among the plane's own. */
  file(name: string): string {
    return this.#folder.file(name);
  }

  /** A kubeconfig for whom `issued` names. */
  writeKubeconfig(name: string, issued: Issued): string {
    const user = { "client-certificate": issued.certificate, "client-key": issued.key };
    return this.#writeKubeconfig(name, user);
  }

  /** A kubeconfig for whom a token names; without the right to anything that its subject lacks. */
  writeTokenKubeconfig(name: string, token: string): string {
    return this.#writeKubeconfig(name, { token });
  }

  #writeKubeconfig(name: string, user: Readonly<Record<string, string>>): string {
    const path = this.file(`${name}.kubeconfig`);
    const cluster = { server: this.url, "certificate-authority": this.pki.ca.certificate };
    // Of its own, so that files of several planes can be used as one.
    const userName = `${name}@${this.#name}`;
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": this.#name,
      clusters: [{ name: this.#name, cluster }],
      users: [{ name: userName, user }],
      contexts: [{ name: this.#name, context: { cluster: this.#name, user: userName } }],
    };
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  #apiFlags(ports: { readonly etcd: number }): string[] {
    const served = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
    const server = this.pki.issue("kube-apiserver", {
      user: "kube-apiserver",
      servedAs: [
        ...served.map((name) => `DNS:${name}`),
        ...[SERVICE_ADDRESS, "127.0.0.1", this.address].map((address) => `IP:${address}`),
      ],
    });
    const toKubelets = this.pki.issue("to-kubelets", { user: "kubelets", group: "system:masters" });
    const tokenKey = this.pki.tokenKey();
    // The API server's own address may not be published as an endpoint when it is one of loopback.
    const published = this.address.startsWith("127.") ? "none" : "lease";
    return [
      `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
      `--bind-address=${this.address}`,
      `--advertise-address=${this.address}`,
      `--endpoint-reconciler-type=${published}`,
      `--secure-port=${this.port}`,
      `--client-ca-file=${this.pki.ca.certificate}`,
      `--tls-cert-file=${server.certificate}`,
      `--tls-private-key-file=${server.key}`,
      `--kubelet-certificate-authority=${this.pki.ca.certificate}`,
      `--kubelet-client-certificate=${toKubelets.certificate}`,
      `--kubelet-client-key=${toKubelets.key}`,
      "--kubelet-preferred-address-types=InternalIP",
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      `--service-account-key-file=${tokenKey}`,
      `--service-account-signing-key-file=${tokenKey}`,
      `--service-cluster-ip-range=${SERVICE_RANGE}`,
      "--profiling=false",
    ];
  }

  #controllers(): Daemon {
    const user = "system:kube-controller-manager";
    const kubeconfig = this.writeKubeconfig(user, this.pki.issue("controllers", { user }));
    return this.daemon("kube-controller-manager", this.tools["kube-controller-manager"], [
      `--kubeconfig=${kubeconfig}`,
      `--service-account-private-key-file=${this.file("tokens.key")}`,
      `--root-ca-file=${this.pki.ca.certificate}`,
      "--use-service-account-credentials",
      "--enable-hostpath-provisioner",
      "--leader-elect=false",
      "--secure-port=0",
    ]);
  }

  #scheduler(): Daemon {
    const user = "system:kube-scheduler";
    const kubeconfig = this.writeKubeconfig(user, this.pki.issue("scheduler", { user }));
    return this.daemon("kube-scheduler", this.tools["kube-scheduler"], [
      `--kubeconfig=${kubeconfig}`,
      "--leader-elect=false",
      "--secure-port=0",
    ]);
  }

  /** Starts everything on the data that is there; resolves when it answers. */
  async startAgain(): Promise<void> {
    this.etcd.start();
    await this.startServers();
  }

  /** Starts all but etcd, after they were killed alone. */
  async startServers(): Promise<void> {
    await this.startApiServer();
    for (const helper of this.#helpers) helper.start();
    if (this.#helpers.some((helper) => helper.name === "kube-controller-manager")) {
      await this.#until("the default service account", "get", "serviceaccount", "default");
    }
  }

  /** Starts the API server alone, after it was killed alone. */
  async startApiServer(): Promise<void> {
    this.apiServer.start();
    await this.#until("the API server", "get", "--raw", "/readyz");
  }

  async #until(what: string, ...kubectlArgs: readonly string[]): Promise<void> {
    const isSo = (): true | undefined => {
      for (const daemon of [this.etcd, this.apiServer, ...this.#helpers]) daemon.check();
      return this.kubectlTry(...kubectlArgs).exitCode === 0 ? true : undefined;
    };
    await waitFor(what, READY_LIMIT_MS, isSo, 200);
  }

  /** Kills everything at once, as a power cut would; the data stay. */
  async kill(): Promise<void> {
    await Promise.all([this.killServers(), this.etcd.kill()]);
  }

  /** Kills all but etcd: in small distributions, such as k3s, the rest is one process. */
  async killServers(): Promise<void> {
    await Promise.all([...this.#helpers, this.apiServer].map((daemon) => daemon.kill()));
  }

  /** The command line of kubectl as the administrator, in the plane's place. */
  kubectlCommand(...args: readonly string[]): string[] {
    return [...this.#place, this.tools.kubectl, `--kubeconfig=${this.kubeconfig}`, ...args];
  }

  kubectlTry(...args: readonly string[]): Bun.SyncSubprocess<"pipe", "pipe"> {
    return Bun.spawnSync(this.kubectlCommand(...args), { stdout: "pipe", stderr: "pipe" });
  }

  /** What kubectl prints; what it complains of becomes the test's failure. */
  kubectl(...args: readonly string[]): string {
    const { exitCode, stdout, stderr } = this.kubectlTry(...args);
    if (exitCode === 0) return stdout.toString();
    throw new Error(`kubectl ${args.join(" ")}: ${stderr.toString().trim()}`);
  }

  /** Makes the objects of a manifest, YAML or JSON, or changes them to it. */
  apply(manifest: string | object): string {
    const text = typeof manifest === "string" ? manifest : JSON.stringify(manifest);
    const file = this.file(`apply-${Bun.hash(text).toString(16)}.yaml`);
    writeFileSync(file, text);
    return this.kubectl("apply", "-f", file);
  }

  /** A token of a service account, which must exist. Valid for an hour unless told otherwise (10 minutes at least). */
  token(serviceAccount: string, namespace = "default", seconds = 3600): string {
    const scope = ["-n", namespace, `--duration=${seconds}s`];
    return this.kubectl("create", "token", serviceAccount, ...scope).trim();
  }

  /** A folder as pods have it mounted: token, CA and namespace of a service account. */
  writeServiceAccountFolder(name: string, token: string, namespace = "default"): string {
    const folder = this.file(name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "token"), token);
    writeFileSync(join(folder, "namespace"), namespace);
    Bun.spawnSync(["cp", this.pki.ca.certificate, join(folder, "ca.crt")]);
    return folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#folder[Symbol.dispose]();
  }
}

function etcdFlags(
  data: string,
  ports: { readonly etcd: number; readonly etcdPeer: number },
): string[] {
  const client = `http://127.0.0.1:${ports.etcd}`;
  const peer = `http://127.0.0.1:${ports.etcdPeer}`;
  return [
    `--data-dir=${data}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
  ];
}
