// Volumes of a pod as folders of this machine, filled with what the API server says is in them.
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { ApiClient } from "./api-client.ts";
import type { Pod, ProjectedSource, Volume } from "./objects.ts";
import { fieldOf, type PodFacts, readEntries } from "./pod-env.ts";

const DEFAULT_MODE = 0o644;
const TOKEN_SECONDS = 3607;

/** Texts of files by their paths in a volume. */
type Filling = Readonly<Record<string, string>>;

export class PodVolumes {
  readonly #api: ApiClient;
  readonly #pod: Pod;
  readonly #folder: string;
  readonly #facts: PodFacts;

  /** `folder` is the pod's own. */
  constructor(api: ApiClient, pod: Pod, folder: string, facts: PodFacts) {
    this.#api = api;
    this.#pod = pod;
    this.#folder = folder;
    this.#facts = facts;
  }

  /** Paths of the folders by the volumes' names. */
  async prepare(): Promise<ReadonlyMap<string, string>> {
    const paths = new Map<string, string>();
    for (const volume of this.#pod.spec.volumes ?? []) {
      paths.set(volume.name, await this.#prepareOne(volume));
    }
    return paths;
  }

  async #prepareOne(volume: Volume): Promise<string> {
    const own = join(this.#folder, volume.name);
    if (volume.hostPath) return this.#hostFolder(volume.hostPath.path);
    if (volume.persistentVolumeClaim) {
      return this.#claimed(volume.persistentVolumeClaim.claimName);
    }
    if (volume.emptyDir) {
      mkdirSync(own, { recursive: true });
      chmodSync(own, 0o777);
      this.#giveFolderToGroup(own, 0o2777);
      return own;
    }
    const { filling, mode } = await this.#contents(volume);
    mkdirSync(own, { recursive: true });
    for (const [path, text] of Object.entries(filling)) {
      const file = resolve(own, path);
      if (!file.startsWith(`${own}/`)) throw new Error(`${path} leaves its volume`);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
      chmodSync(file, mode);
      chownSync(file, 0, this.#group ?? 0);
    }
    return own;
  }

  #hostFolder(path: string): string {
    mkdirSync(path, { recursive: true });
    return path;
  }

  async #claimed(claimName: string): Promise<string> {
    const namespace = this.#pod.metadata.namespace;
    const claim = await this.#api.get<{ spec: { volumeName?: string } }>(
      `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${claimName}`,
    );
    if (claim.spec.volumeName === undefined) throw new Error(`${claimName} is not bound yet`);
    const volume = await this.#api.get<{ spec: { hostPath?: { path: string } } }>(
      `/api/v1/persistentvolumes/${claim.spec.volumeName}`,
    );
    const path = volume.spec.hostPath?.path;
    if (path === undefined) throw new Error(`${claim.spec.volumeName} lies on no path of the host`);
    this.#hostFolder(path);
    this.#giveFolderToGroup(path, 0o2775);
    return path;
  }

  get #group(): number | undefined {
    return this.#pod.spec.securityContext?.fsGroup;
  }

  /** As fsGroup asks: what is made inside stays the group's. */
  #giveFolderToGroup(path: string, mode: number): void {
    if (this.#group === undefined) return;
    chownSync(path, -1, this.#group);
    chmodSync(path, mode);
  }

  async #contents(volume: Volume): Promise<{ filling: Filling; mode: number }> {
    if (volume.secret) {
      const { secretName, items, optional, defaultMode = DEFAULT_MODE } = volume.secret;
      const ref = { name: secretName, items, optional };
      return { filling: await this.#entries("secrets", ref), mode: defaultMode };
    }
    if (volume.configMap) {
      const filling = await this.#entries("configmaps", volume.configMap);
      return { filling, mode: volume.configMap.defaultMode ?? DEFAULT_MODE };
    }
    if (volume.projected) {
      const parts = await Promise.all(volume.projected.sources.map((one) => this.#projected(one)));
      const filling = Object.assign({}, ...parts) as Filling;
      return { filling, mode: volume.projected.defaultMode ?? DEFAULT_MODE };
    }
    throw new Error(`the test's kubelet has no such volume: ${JSON.stringify(volume)}`);
  }

  async #entries(
    kind: "secrets" | "configmaps",
    ref: {
      readonly name: string;
      readonly items?: readonly { readonly key: string; readonly path: string }[] | undefined;
      readonly optional?: boolean | undefined;
    },
  ): Promise<Filling> {
    const all = (await readEntries(this.#api, kind, this.#pod.metadata.namespace, ref)) ?? {};
    if (ref.items === undefined) return all;
    return Object.fromEntries(
      ref.items.map(({ key, path }) => {
        const text = all[key];
        if (text === undefined) throw new Error(`no key ${key} in ${kind}/${ref.name}`);
        return [path, text];
      }),
    );
  }

  async #projected(source: ProjectedSource): Promise<Filling> {
    if (source.serviceAccountToken) {
      const { path, audience, expirationSeconds = TOKEN_SECONDS } = source.serviceAccountToken;
      return { [path]: await this.#token(audience, expirationSeconds) };
    }
    if (source.configMap) return this.#entries("configmaps", source.configMap);
    if (source.secret) return this.#entries("secrets", source.secret);
    const items = source.downwardAPI?.items ?? [];
    return Object.fromEntries(
      items.map(({ path, fieldRef }) => [
        path,
        fieldOf(this.#pod, fieldRef?.fieldPath ?? "", this.#facts),
      ]),
    );
  }

  /** A token of the pod's service account that is good while this very pod lives. */
  async #token(audience: string | undefined, seconds: number): Promise<string> {
    const { name, namespace, uid } = this.#pod.metadata;
    const account = this.#pod.spec.serviceAccountName ?? "default";
    const { status } = await this.#api.request<{ status: { token: string } }>(
      "POST",
      `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: {
          audiences: audience === undefined ? [] : [audience],
          expirationSeconds: seconds,
          boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
        },
      },
    );
    return status.token;
  }
}
