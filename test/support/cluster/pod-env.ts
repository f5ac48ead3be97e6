// The environment of a container, by the rules of Kubernetes.
import type { ApiClient } from "./api-client.ts";
import type { Container, EnvVar, Pod, Service } from "./objects.ts";

/** What a container runtime gives to every process. */
const IMAGE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface PodFacts {
  readonly podIp: string;
  readonly hostIp: string;
}

/** The value of a field of the downward API. */
export function fieldOf(pod: Pod, fieldPath: string, facts: PodFacts): string {
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath);
  if (keyed !== null) {
    const [, kind, key = ""] = keyed;
    return (kind === "labels" ? pod.metadata.labels : pod.metadata.annotations)?.[key] ?? "";
  }
  const fields: Readonly<Record<string, string | undefined>> = {
    "metadata.name": pod.metadata.name,
    "metadata.namespace": pod.metadata.namespace,
    "metadata.uid": pod.metadata.uid,
    "spec.nodeName": pod.spec.nodeName,
    "spec.serviceAccountName": pod.spec.serviceAccountName,
    "status.podIP": facts.podIp,
    "status.podIPs": facts.podIp,
    "status.hostIP": facts.hostIp,
  };
  const value = fields[fieldPath];
  if (value === undefined) throw new Error(`the test's kubelet knows no field ${fieldPath}`);
  return value;
}

/** Contents of a secret, decoded, or of a config map. Undefined if it is missing and may be. */
export async function readEntries(
  api: ApiClient,
  kind: "secrets" | "configmaps",
  namespace: string,
  ref: { readonly name: string; readonly optional?: boolean | undefined },
): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    const path = `/api/v1/namespaces/${namespace}/${kind}/${ref.name}`;
    const { data = {} } = await api.get<{ data?: Record<string, string> }>(path);
    if (kind === "configmaps") return data;
    return Object.fromEntries(
      Object.entries(data).map(([name, text]) => [name, Buffer.from(text, "base64").toString()]),
    );
  } catch (error) {
    if (ref.optional === true) return undefined;
    throw error;
  }
}

/** Variables for each Service of the namespace, as Docker's links had them; for kubernetes always. */
function serviceLinks(services: readonly Service[], pod: Pod): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { metadata, spec } of services) {
    const isMaster = metadata.namespace === "default" && metadata.name === "kubernetes";
    const isLinked =
      pod.spec.enableServiceLinks !== false && metadata.namespace === pod.metadata.namespace;
    const address = spec.clusterIP;
    if ((!isMaster && !isLinked) || address === undefined || address === "None") continue;
    const prefix = metadata.name.toUpperCase().replaceAll("-", "_");
    const [first] = spec.ports ?? [];
    if (first === undefined) continue;
    env[`${prefix}_SERVICE_HOST`] = address;
    env[`${prefix}_SERVICE_PORT`] = String(first.port);
    env[`${prefix}_PORT`] = `${(first.protocol ?? "TCP").toLowerCase()}://${address}:${first.port}`;
    for (const { name, port, protocol = "TCP" } of spec.ports ?? []) {
      const [scheme, upper] = [protocol.toLowerCase(), protocol.toUpperCase()];
      if (name !== undefined) {
        env[`${prefix}_SERVICE_PORT_${name.toUpperCase().replaceAll("-", "_")}`] = String(port);
      }
      env[`${prefix}_PORT_${port}_${upper}`] = `${scheme}://${address}:${port}`;
      env[`${prefix}_PORT_${port}_${upper}_PROTO`] = scheme;
      env[`${prefix}_PORT_${port}_${upper}_PORT`] = String(port);
      env[`${prefix}_PORT_${port}_${upper}_ADDR`] = address;
    }
  }
  return env;
}

/** `$(NAME)` becomes the value of a variable that is known by then, `$$` a dollar. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)/g, (all, name?: string) =>
    name === undefined ? "$" : (env[name] ?? all),
  );
}

export async function containerEnv(
  api: ApiClient,
  pod: Pod,
  container: Container,
  facts: PodFacts,
): Promise<Record<string, string>> {
  const namespace = pod.metadata.namespace;
  const { items } = await api.get<{ items: Service[] }>("/api/v1/services");
  const env: Record<string, string> = {
    PATH: IMAGE_PATH,
    HOSTNAME: pod.spec.hostname ?? pod.metadata.name,
    ...serviceLinks(items, pod),
  };
  for (const { prefix = "", secretRef, configMapRef } of container.envFrom ?? []) {
    const entries = {
      ...(configMapRef && (await readEntries(api, "configmaps", namespace, configMapRef))),
      ...(secretRef && (await readEntries(api, "secrets", namespace, secretRef))),
    };
    for (const [name, value] of Object.entries(entries)) env[`${prefix}${name}`] = value;
  }
  for (const variable of container.env ?? []) {
    const value = await resolveVariable(api, pod, container, variable, facts);
    if (value !== undefined) env[variable.name] = expand(value, env);
  }
  return env;
}

async function resolveVariable(
  api: ApiClient,
  pod: Pod,
  container: Container,
  { name, value, valueFrom }: EnvVar,
  facts: PodFacts,
): Promise<string | undefined> {
  if (valueFrom === undefined) return value ?? "";
  if (valueFrom.fieldRef) return fieldOf(pod, valueFrom.fieldRef.fieldPath, facts);
  if (valueFrom.resourceFieldRef) {
    const [kind, resource = ""] = valueFrom.resourceFieldRef.resource.split(".");
    return container.resources?.[kind === "limits" ? "limits" : "requests"]?.[resource] ?? "0";
  }
  const ref = valueFrom.secretKeyRef ?? valueFrom.configMapKeyRef;
  if (ref === undefined) throw new Error(`the test's kubelet knows no such source of ${name}`);
  const kind = valueFrom.secretKeyRef === undefined ? "configmaps" : "secrets";
  const found = (await readEntries(api, kind, pod.metadata.namespace, ref))?.[ref.key];
  if (found === undefined && ref.optional !== true) {
    throw new Error(`no key ${ref.key} in ${kind}/${ref.name}`);
  }
  return found;
}
