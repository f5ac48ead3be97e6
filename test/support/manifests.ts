// What helm renders, read by tests: objects, the pods that they make, and the variables that those pods get.

interface Metadata {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec: Readonly<Record<string, unknown>>;
}

interface KeyOf {
  readonly key: string;
  readonly optional?: boolean;
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef?: KeyOf; readonly fieldRef?: object };
}

interface Container {
  readonly name: string;
  readonly env: readonly Variable[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

export interface PodTemplate {
  readonly metadata: Metadata;
  readonly spec: {
    readonly containers: readonly Container[];
    readonly volumes: readonly { readonly name: string }[];
  };
}

/** The objects of a stream of YAML documents. Helm is trusted to render mappings. */
export function manifestsOf(yaml: string): readonly Manifest[] {
  return yaml
    .split(/^---\n/m)
    .map((text) => Bun.YAML.parse(text) as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** The templates of pods in StatefulSets and Deployments, with the name of the object. */
export function podTemplates(manifests: readonly Manifest[]) {
  return manifests.flatMap(({ kind, metadata, spec }) => {
    if (kind !== "StatefulSet" && kind !== "Deployment") return [];
    return [{ name: metadata.name, template: spec["template"] as PodTemplate }];
  });
}

interface Sources {
  readonly podName: string;
  /** Of all Secrets, by key; a key that is optional and not here is left out. */
  readonly secrets: Readonly<Record<string, string>>;
  /** For keys that are required and not among them. */
  readonly fallbackSecret: string;
}

/** The environment of the node's container, as a kubelet would make it. */
export function variablesOf(template: PodTemplate, sources: Sources): Record<string, string> {
  const variables: Record<string, string> = {};
  const node = template.spec.containers.find(({ name }) => name === "peat-mesh");
  for (const { name, value, valueFrom } of node?.env ?? []) {
    const reference = valueFrom?.secretKeyRef;
    if (value !== undefined) variables[name] = value;
    else if (valueFrom?.fieldRef !== undefined) variables[name] = sources.podName;
    else if (reference !== undefined) {
      const secret = sources.secrets[reference.key];
      if (secret === undefined && reference.optional === true) continue;
      variables[name] = secret ?? sources.fallbackSecret;
    }
  }
  return variables;
}
