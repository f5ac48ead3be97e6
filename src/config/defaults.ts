// Defaults that depend on the surroundings: the node's name, the runtime directory, who may read.
import { isLoopback } from "./addresses.ts";
import type { Found, World } from "./setting.ts";

/** `HOSTNAME` (in a pod: the pod's name), with the cluster's name behind it where one is set. */
export function findNodeName(world: World): Found {
  const cluster = world.text("clusterName");
  const named = (base: string, name: string): Found =>
    cluster === undefined
      ? { text: base, name }
      : { text: `${base}.${cluster}`, name: `${name} + PEAT_CLUSTER_NAME` };
  const hostname = world.environment["HOSTNAME"]?.trim() ?? "";
  if (hostname !== "") return named(hostname, "HOSTNAME");
  if (world.program === "peat-sidecar") return named(world.host.hostName(), "host name");
  const doubt =
    "neither PEAT_NODE_ID nor HOSTNAME is set, and every such node has this name; set PEAT_NODE_ID";
  return { ...named("peat-mesh-0", "default"), doubt };
}

/** Of the packaged service. */
export const RUNTIME_DIRECTORY = "/run/peat-sidecar";

/** systemd's `RUNTIME_DIRECTORY`, else the packaged one where it can be written, else the data directory. */
export function findRuntimeDir(world: World): Found {
  const given = world.environment["RUNTIME_DIRECTORY"]?.split(":")[0]?.trim() ?? "";
  if (given !== "") return { text: given, name: "RUNTIME_DIRECTORY" };
  if (world.host.isWritableDirectory(RUNTIME_DIRECTORY)) {
    return { text: RUNTIME_DIRECTORY, name: "default" };
  }
  return { text: world.text("dataDir") ?? ".", name: "data directory" };
}

/** The guide's scripts read a mesh node's broker without a token; elsewhere only loopback may. */
export function findBrokerReads(world: World): Found {
  const address = world.text("brokerAddr") ?? "";
  const isOpen = world.program === "peat-mesh-node" || isLoopback(address);
  return { text: isOpen ? "open" : "token", name: "default" };
}
