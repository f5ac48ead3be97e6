// What a cluster's DNS would answer, as one hosts file that all pods of a node share and that follows the API.
// Short names are those of the namespace `default`.
import { writeFileSync } from "node:fs";
import type { ApiClient } from "./api-client.ts";
import type { EndpointSlice, KubeObject, Service } from "./objects.ts";

const DOMAIN = "svc.cluster.local";

export class ClusterHosts {
  readonly #file: string;
  readonly #services = new Map<string, Service>();
  readonly #slices = new Map<string, EndpointSlice>();

  constructor(file: string) {
    this.#file = file;
    this.#write();
  }

  follow(api: ApiClient): void {
    void this.#follow(api, "/api/v1/services", this.#services);
    void this.#follow(api, "/apis/discovery.k8s.io/v1/endpointslices", this.#slices);
  }

  async #follow<T extends KubeObject>(
    api: ApiClient,
    path: string,
    known: Map<string, T>,
  ): Promise<void> {
    for await (const event of api.watch<T>(path)) {
      if (event.kind === "listed") {
        known.clear();
        for (const item of event.items) known.set(item.metadata.uid, item);
      } else if (event.kind === "changed") {
        known.set(event.item.metadata.uid, event.item);
      } else {
        known.delete(event.item.metadata.uid);
      }
      this.#write();
    }
  }

  #write(): void {
    const lines = ["127.0.0.1 localhost"];
    const add = (address: string, name: string, namespace: string): void => {
      const short = namespace === "default" ? ` ${name} ${name}.${namespace}` : "";
      lines.push(`${address} ${name}.${namespace}.${DOMAIN} ${name}.${namespace}.svc${short}`);
    };
    for (const { metadata, spec } of this.#services.values()) {
      if (spec.clusterIP === undefined || spec.clusterIP === "None") continue;
      add(spec.clusterIP, metadata.name, metadata.namespace);
    }
    for (const { metadata, endpoints } of this.#slices.values()) {
      const service = metadata.labels?.["kubernetes.io/service-name"];
      const isHeadless = metadata.labels?.["service.kubernetes.io/headless"] !== undefined;
      if (service === undefined || !isHeadless) continue;
      for (const { addresses, hostname } of endpoints ?? []) {
        const [address] = addresses;
        if (address === undefined) continue;
        add(address, service, metadata.namespace);
        if (hostname !== undefined) add(address, `${hostname}.${service}`, metadata.namespace);
      }
    }
    writeFileSync(this.#file, `${lines.join("\n")}\n`);
  }
}
