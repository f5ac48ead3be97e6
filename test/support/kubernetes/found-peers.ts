// A Kubernetes source against a real API server, and what it has found so far.
import { waitFor } from "../../../scripts/support/waiting.ts";
import type { Clock } from "../../../src/base/clock.ts";
import { KubernetesSource } from "../../../src/discovery/kubernetes.ts";
import { KubernetesClient } from "../../../src/discovery/kubernetes-client.ts";
import type { SliceApi } from "../../../src/discovery/kubernetes-watch.ts";
import { parseNodeName, printHostPort } from "../../../src/identity/peer.ts";

const LIMIT_MS = 60_000;

export interface FoundPeersOptions {
  readonly kubeconfig: string;
  readonly namespace?: string;
  readonly selector?: string;
  readonly clusterName?: string;
  readonly clock?: Clock;
  /** Something between the source and the server. */
  readonly through?: (api: SliceApi) => SliceApi;
}

export class FoundPeers implements AsyncDisposable {
  readonly source: KubernetesSource;
  /** `name` → `host:port …`, and the relay behind it. */
  readonly peers = new Map<string, string>();
  /** How often a peer was said to be gone. */
  departures = 0;
  isWorking = false;

  constructor(options: FoundPeersOptions) {
    const { kubeconfig, namespace, selector = "app=peat-mesh", clusterName, clock } = options;
    const client = new KubernetesClient({ kubeconfig, namespace, selector });
    this.source = new KubernetesSource({
      api: options.through === undefined ? client : options.through(client),
      namespace: client.namespace,
      selector,
      ownName: parseNodeName("peat-mesh-0"),
      clusterName,
      defaultPort: 11204,
      ...(clock === undefined ? {} : { clock }),
    });
    const started = this.source.start((event) => {
      const { identity } = event.kind === "seen" ? event.peer : event;
      const name = identity.kind === "name" ? identity.name : identity.id;
      if (event.kind === "gone") {
        this.departures += 1;
        this.peers.delete(name);
        return;
      }
      const { hosts, relayUrl } = event.peer;
      this.peers.set(
        name,
        [...hosts.map(printHostPort), ...(relayUrl ? [relayUrl] : [])].join(" "),
      );
    });
    void started.then(() => {
      this.isWorking = true;
    });
  }

  /** Resolves with the ms that it took until it works. */
  working(): Promise<number> {
    return this.#timed("discovery to work", () => this.isWorking);
  }

  /** Resolves with the ms that it took until the peers are these. */
  are(expected: Readonly<Record<string, string>>, limitMs = LIMIT_MS): Promise<number> {
    const isSo = () => Bun.deepEquals(Object.fromEntries(this.peers), expected);
    return this.#timed(`the peers ${JSON.stringify(expected)}`, isSo, limitMs);
  }

  /** Resolves with the ms that it took until something is wrong that matches. */
  troubled(pattern: RegExp): Promise<number> {
    return this.#timed(`trouble like ${pattern}`, () => pattern.test(this.source.trouble ?? ""));
  }

  /** Resolves with the ms that it took until nothing is wrong. */
  untroubled(): Promise<number> {
    return this.#timed("the end of trouble", () => this.source.trouble === undefined);
  }

  async #timed(what: string, isSo: () => boolean, limitMs = LIMIT_MS): Promise<number> {
    const startedMs = performance.now();
    await waitFor(what, limitMs, () => isSo() || undefined, 2);
    return performance.now() - startedMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source.close();
  }
}
