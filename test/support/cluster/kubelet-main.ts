// bun test/support/cluster/kubelet-main.ts FILE: the kubelet of the tests as a process of its own, told all by a file.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ApiAccess, ApiClient } from "./api-client.ts";
import { killCgroups } from "./cgroup.ts";
import { ClusterHosts } from "./cluster-hosts.ts";
import type { Image } from "./container-process.ts";
import { Kubelet } from "./kubelet.ts";
import { serveKubelet } from "./kubelet-server.ts";
import type { Issued } from "./pki.ts";
import { PodAddresses } from "./pod-network.ts";

export interface KubeletSettings {
  readonly url: string;
  readonly caFile: string;
  readonly nodeName: string;
  readonly hostIp: string;
  readonly port: number;
  /** The first three numbers of the pods' addresses. */
  readonly podPrefix: string;
  readonly networkPrefix: string;
  readonly version: string;
  /** Of the node: client of the API server, server for it. */
  readonly node: Issued;
  /** Of kube-proxy, who may know of Services and their endpoints. */
  readonly proxy: Issued;
  readonly images: Readonly<Record<string, Image>>;
  readonly folder: string;
}

const settings = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as KubeletSettings;
const read = (file: string): string => readFileSync(file, "utf8");
const access = ({ certificate, key }: Issued): ApiAccess => ({
  url: settings.url,
  ca: read(settings.caFile),
  certificate: read(certificate),
  key: read(key),
});

mkdirSync(settings.folder, { recursive: true });
const hostsFile = join(settings.folder, "hosts");
new ClusterHosts(hostsFile).follow(new ApiClient(access(settings.proxy)));

const kubelet = new Kubelet({
  api: new ApiClient(access(settings.node)),
  nodeName: settings.nodeName,
  images: settings.images,
  addresses: new PodAddresses(settings.podPrefix),
  networkPrefix: settings.networkPrefix,
  hostIp: settings.hostIp,
  port: settings.port,
  podCidr: `${settings.podPrefix}.0/24`,
  version: settings.version,
  hostsFile,
  folder: join(settings.folder, "pods"),
});
serveKubelet({
  address: settings.hostIp,
  port: settings.port,
  ca: read(settings.caFile),
  certificate: read(settings.node.certificate),
  key: read(settings.node.key),
  find: (namespace, name) => kubelet.find(namespace, name),
});
// Whoever started this process is gone, in whatever way: containers must not outlive the cluster.
process.stdin.on("end", () => {
  killCgroups(`${settings.networkPrefix}-pod-`);
  process.exit();
});
process.stdin.resume();
await kubelet.run();
