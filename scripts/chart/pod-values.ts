// Rows of the chart's table about the pods: probes, protection, rights, placement, security.
import {
  mapping,
  mappings,
  objectName,
  own,
  type Row,
  text,
  texts,
  whole,
  yesNo,
} from "./value.ts";

const COUNT_OR_SHARE = {
  type: ["integer", "string"],
  minimum: 0,
  pattern: "^([0-9]+%)?$",
} as const;

const probe = (name: string, periodSeconds: number, timeoutSeconds: number, failures: number) => [
  own(`${name}.periodSeconds`, periodSeconds, whole(1, 3600), "Seconds between two probes."),
  own(
    `${name}.timeoutSeconds`,
    timeoutSeconds,
    whole(1, 3600),
    "Seconds until an answer is too late.",
  ),
  own(`${name}.failureThreshold`, failures, whole(1, 100_000), "Failures in a row that count."),
];

const OPERATION: readonly Row[] = [
  {
    path: "startupProbe",
    help: "Until the first answer of /api/v1/health. The database is checked at a start, some 4 s per GB.",
  },
  ...probe("startupProbe", 1, 5, 600),
  { path: "livenessProbe", help: "/api/v1/health; a node that does not answer is restarted." },
  ...probe("livenessProbe", 10, 5, 6),
  {
    path: "readinessProbe",
    help: "/api/v1/ready; a node that is not ready gets no requests from brokerService.",
  },
  ...probe("readinessProbe", 2, 5, 3),
  own(
    "terminationGracePeriodSeconds",
    10,
    whole(3, 3600),
    "Seconds that a node has to stop; it takes less than 2.",
  ),
  { path: "podDisruptionBudget", help: "Keeps drains from taking many nodes at once." },
  own("podDisruptionBudget.enabled", false, yesNo, "Whether there is one."),
  own(
    "podDisruptionBudget.maxUnavailable",
    1,
    COUNT_OR_SHARE,
    "How many pods may be away, or a share such as 50%.",
  ),
  { path: "networkPolicy", help: "Lets in what the mesh needs, and nothing else." },
  own("networkPolicy.enabled", false, yesNo, "Whether there is one."),
  own(
    "networkPolicy.brokerFrom",
    [],
    mappings,
    "Who else may reach the broker (NetworkPolicyPeer); all pods of the namespace if empty.",
  ),
  own(
    "networkPolicy.irohFrom",
    [],
    mappings,
    "Who else may reach Iroh's port: mesh nodes elsewhere. Gateways can be reached by anybody.",
  ),
  own(
    "networkPolicy.egress",
    false,
    yesNo,
    "Whether what goes out is limited too: to the mesh, DNS, and the API server where it is asked.",
  ),
  own(
    "networkPolicy.extraEgress",
    [],
    mappings,
    "Further rules for what may go out, such as relays (NetworkPolicyEgressRule).",
  ),
  {
    path: "serviceMonitor",
    help: "A ServiceMonitor for the Prometheus operator; made only in clusters that know the kind.",
  },
  own("serviceMonitor.enabled", false, yesNo, "Whether there is one."),
  own("serviceMonitor.interval", "30s", text, "Time between two scrapes."),
  own(
    "serviceMonitor.tlsConfig",
    {},
    mapping,
    "How the broker's certificate is checked; by default with ca.crt of tls.existingSecret, for <name>.<namespace>.svc.",
  ),
  own("serviceMonitor.labels", {}, texts, "Labels that your Prometheus selects by."),
  {
    path: "prometheusRule",
    help: "Alert rules for the Prometheus operator; made only in clusters that know the kind.",
  },
  own("prometheusRule.enabled", false, yesNo, "Whether there are any."),
  own("prometheusRule.labels", {}, texts, "Labels that your Prometheus selects by."),
  {
    path: "grafanaDashboard",
    help: "A ConfigMap with the dashboard, for the sidecar of Grafana's chart.",
  },
  own("grafanaDashboard.enabled", false, yesNo, "Whether there is one."),
  own(
    "grafanaDashboard.labels",
    { grafana_dashboard: "1" },
    texts,
    "Labels that the sidecar looks for.",
  ),
  own(
    "grafanaDashboard.annotations",
    {},
    texts,
    "Its annotations, such as the folder of the dashboard.",
  ),
  {
    path: "serviceAccount",
    help: "The pods' identity; its token is mounted only for Kubernetes discovery.",
  },
  own("serviceAccount.create", true, yesNo, "Whether the chart makes it."),
  own("serviceAccount.name", "", objectName, "Its name; the installation's if empty."),
  own("serviceAccount.annotations", {}, texts, "Its annotations."),
  { path: "rbac", help: "The pods' rights: to list and watch EndpointSlices of one namespace." },
  own("rbac.create", true, yesNo, "Whether the chart makes Role and RoleBinding."),
];

const PODS: readonly Row[] = [
  { path: "", help: "The pods. The defaults pass the restricted Pod Security level." },
  own(
    "topologySpreadConstraints",
    [],
    mappings,
    "Replaces the default, which spreads the pods over hosts where it can; labelSelector is filled in where it is missing.",
  ),
  own("nodeSelector", {}, texts, "Kubernetes nodes that pods may run on, by labels."),
  own("tolerations", [], mappings, "Taints that pods tolerate."),
  own("affinity", {}, mapping, "Affinity of pods."),
  own("priorityClassName", "", objectName, "Their priority class."),
  own("podAnnotations", {}, texts, "Their annotations."),
  own("podLabels", {}, texts, "Their further labels."),
  own(
    "podSecurityContext",
    {
      runAsNonRoot: true,
      runAsUser: 65_532,
      runAsGroup: 65_532,
      fsGroup: 65_532,
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    },
    mapping,
    "Security context of the pod.",
  ),
  own(
    "securityContext",
    {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    mapping,
    "Security context of the node's container.",
  ),
  own("extraEnv", [], mappings, "Further variables of the node's container (EnvVar)."),
  own("extraVolumes", [], mappings, "Further volumes of the pod."),
  own("extraVolumeMounts", [], mappings, "Where the node's container has them."),
  { path: "", help: "Names, and what else belongs to the installation." },
  own("nameOverride", "", objectName, "Part of the objects' names instead of peat-mesh."),
  own(
    "fullnameOverride",
    "",
    { ...objectName, maxLength: 44 },
    "The objects' name as a whole; pods are <name>-0 and on.",
  ),
  own("extraObjects", [], mappings, "Further objects; templates in them are filled in."),
];

export const POD_ROWS: readonly Row[] = [...OPERATION, ...PODS];
