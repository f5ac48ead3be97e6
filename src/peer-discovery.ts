// Where peers are looked for: every source that the settings name, opened at the start; the static list may become
// another one while the node runs.
import type { Clock } from "./base/clock.ts";
import { Fault } from "./base/faults.ts";
import { getLog } from "./base/log.ts";
import type { Scope } from "./base/scope.ts";
import { Patience, type PatienceOptions } from "./discovery/patience.ts";
import type { PeerSource } from "./discovery/peer-source.ts";
import { StaticList } from "./discovery/static-list.ts";
import type { Formation } from "./identity/formation.ts";
import type { NodeName, PeerAddress, PeerEvent } from "./identity/peer.ts";

const log = getLog("peat_mesh_node");

type SourceKind = "static" | "mdns" | "kubernetes";

/** The settings that sources are opened with. */
export interface DiscoverySettings {
  readonly discovery: readonly SourceKind[];
  readonly staticPeers: readonly PeerAddress[];
  readonly nodeName: NodeName;
  readonly clusterName: string | undefined;
  readonly irohBindAddr: string;
  readonly discoveryLabelSelector: string;
  readonly discoveryNamespace: string | undefined;
  readonly kubeconfig: string | undefined;
}

export interface DiscoveryParts {
  readonly scope: Scope;
  /** What each source has for its end. */
  readonly closeMs: number;
  readonly formation: Pick<Formation, "ownTag" | "tags">;
  readonly network: { readonly boundAddresses: readonly string[] };
  readonly clock: Clock;
  readonly coordinator: {
    handle(source: string, event: PeerEvent): void;
    readonly onPeer: PatienceOptions["onPeer"];
  };
  readonly status: {
    watchDiscovery(sources: readonly PeerSource[]): void;
    discoveryStarted(isSearching: boolean): void;
  };
}

export class Discovery {
  readonly #parts: DiscoveryParts;
  readonly #sources: PeerSource[] = [];
  readonly #patience: Patience;
  #staticList: StaticList | undefined;

  constructor(parts: DiscoveryParts) {
    const { clock, coordinator, scope, closeMs } = parts;
    this.#parts = parts;
    this.#patience = new Patience({
      clock,
      tell: (source, event) => coordinator.handle(source, event),
      onPeer: (listener) => coordinator.onPeer(listener),
    });
    scope.defer("patience of discovery", () => this.#patience.close(), closeMs);
  }

  /** Opens all sources and waits for none: where one can't work yet, the others and the broker do. */
  async start(settings: DiscoverySettings): Promise<void> {
    const { scope, status } = this.#parts;
    for (const kind of settings.discovery) this.#add(await this.#open(kind, settings));
    status.watchDiscovery(this.#sources);
    const starts = this.#sources.map((source) => this.#run(source));
    const started = Promise.all(starts).then(() => {
      if (scope.signal.aborted) return;
      log.info("Discovery started");
      status.discoveryStarted(settings.discovery.some((kind) => kind !== "static"));
    });
    started.catch((error: unknown) => scope.fail(error));
  }

  /** Peers that are listed no more are no longer dialled; a connection that they have is kept. */
  async setStaticPeers({ discovery, staticPeers }: DiscoverySettings): Promise<void> {
    if (this.#parts.scope.signal.aborted) return;
    const peers = discovery.includes("static") ? staticPeers : [];
    if (this.#staticList !== undefined) {
      this.#staticList.replace(peers);
      return;
    }
    if (peers.length === 0) return;
    const source = this.#openStatic(peers);
    this.#add(source);
    await this.#run(source);
  }

  #add(source: PeerSource): void {
    const { scope, closeMs } = this.#parts;
    scope.defer(`${source.name} discovery`, () => source.close(), closeMs);
    this.#sources.push(source);
  }

  #run(source: PeerSource): Promise<void> {
    return source.start((event) => this.#patience.handle(source.name, event));
  }

  #openStatic(peers: readonly PeerAddress[]): StaticList {
    log.info("Using static discovery");
    this.#staticList = new StaticList(peers);
    return this.#staticList;
  }

  async #open(kind: SourceKind, settings: DiscoverySettings): Promise<PeerSource> {
    const { formation } = this.#parts;
    switch (kind) {
      case "static":
        return this.#openStatic(settings.staticPeers);
      case "mdns": {
        log.info("Using mDNS discovery");
        // Loaded only where it is used: its packets library takes megabytes.
        const { MdnsSource } = await import("./discovery/mdns.ts");
        return new MdnsSource({
          name: settings.nodeName,
          port: this.#boundPort(),
          formationTag: formation.ownTag,
          formationTags: formation.tags,
          bindHost: settings.irohBindAddr,
        });
      }
      case "kubernetes":
        log.info("Using Kubernetes EndpointSlice discovery");
        return await openKubernetes(settings, this.#boundPort());
    }
  }

  #boundPort(): number {
    const port = Number(/:(\d+)$/.exec(this.#parts.network.boundAddresses[0] ?? "")?.[1]);
    if (Number.isInteger(port)) return port;
    throw new Fault("address_unavailable", "the UDP socket has no port");
  }
}

async function openKubernetes(settings: DiscoverySettings, ownPort: number): Promise<PeerSource> {
  // Loaded only where it is used: the library takes some 9 MB of memory.
  const { KubernetesClient } = await import("./discovery/kubernetes-client.ts");
  const { KubernetesSource } = await import("./discovery/kubernetes.ts");
  const { discoveryLabelSelector: selector, discoveryNamespace: namespace, kubeconfig } = settings;
  const api = new KubernetesClient({ kubeconfig, namespace, selector });
  return new KubernetesSource({
    api,
    namespace: api.namespace,
    selector,
    ownName: settings.nodeName,
    clusterName: settings.clusterName,
    defaultPort: ownPort,
  });
}
