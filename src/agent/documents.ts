// The documents that the agent's answers become, as the older sidecar wrote them: which ids, which fields.

import { compareText } from "../base/text.ts";
import type { JsonObject } from "../store/json.ts";
import { printJson } from "../store/json.ts";
import type { AgentStatus, Deployment, PulledPackage } from "./answers.ts";

/** By id within their collection. `last_seen` is added when one is written. */
export type AgentDocuments = ReadonlyMap<string, JsonObject>;

const UNKNOWN = "unknown";

/** Of what the agent runs on; the node's own id is its id. */
export function toNodeDocument(agentId: string, status: AgentStatus): JsonObject {
  return {
    agent_id: agentId,
    node_type: "uds-remote-agent",
    version: status.version,
    architecture: status.architecture,
    classification: status.classification,
    k8s_version: status.k8sVersion,
    k8s_node_status: status.k8sNodeStatus,
    zarf_version: status.zarfVersion,
    run_mode: status.runMode,
  };
}

/**
 * One document for each deployed package. A package may be deployed again into another namespace: of several with
 * one name the first (the one in its own namespace, if there is one) has the plain id, the others that namespace
 * behind it.
 */
export function toDeploymentDocuments(agentId: string, packages: readonly Deployment[]) {
  const documents = packages.map((entry) => {
    const name = entry.name ?? UNKNOWN;
    return {
      id: `${agentId}:${name}`,
      furtherId: `${agentId}:${name}:${entry.namespaceOverride ?? ""}`,
      document: {
        agent_id: agentId,
        package: name,
        version: entry.version,
        status: entry.status,
        flavor: entry.flavor,
        namespace_override: entry.namespaceOverride,
        annotations: entry.annotations === null ? null : { ...entry.annotations },
      },
    };
  });
  return settle(documents);
}

/** One document for each tag that was pulled. */
export function toPackageDocuments(agentId: string, pulled: readonly PulledPackage[]) {
  const documents = pulled.map((entry) => {
    const reference = entry.reference ?? UNKNOWN;
    const arch = entry.arch ?? UNKNOWN;
    const id = `${agentId}:${reference}-${arch}`;
    return {
      id,
      furtherId: `${id}:${entry.registry ?? ""}`,
      document: {
        agent_id: agentId,
        registry: entry.registry,
        package: entry.packageName,
        reference,
        arch,
        version: entry.version,
        total_bytes: entry.totalBytes,
        pull_status: entry.pullStatus ?? 0,
      },
    };
  });
  return settle(documents);
}

interface Candidate {
  readonly id: string;
  /** Where `id` is another's. */
  readonly furtherId: string;
  readonly document: JsonObject;
}

/** The same documents for the same entries, in whatever order the agent names them: else each look would write. */
function settle(candidates: readonly Candidate[]): AgentDocuments {
  const printed = candidates.map((candidate) => ({
    ...candidate,
    text: printJson(candidate.document),
  }));
  printed.sort((a, b) => compareText(a.furtherId, b.furtherId) || compareText(a.text, b.text));
  const documents = new Map<string, JsonObject>();
  for (const { id, furtherId, document } of printed) {
    const free = documents.has(id) ? furtherId : id;
    if (!documents.has(free)) documents.set(free, document);
  }
  return documents;
}
