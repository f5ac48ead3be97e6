// THE table of the chart's values: values.yaml, its schema and the README's table come from it.
// Names and defaults of the deployment guide stand first and as they are there.
import { SETTING_NAMES, type SettingName, settingOf } from "../../src/config/settings.ts";
import { POD_ROWS } from "./pod-values.ts";
import {
  mapping,
  mappings,
  objectName,
  oneOfWords,
  own,
  type Row,
  setting,
  text,
  texts,
  whole,
  yesNo,
} from "./value.ts";

const QUANTITIES = {
  type: "object",
  additionalProperties: { type: ["string", "number"] },
} as const;

const RESOURCES = {
  type: "object",
  additionalProperties: false,
  properties: { requests: QUANTITIES, limits: QUANTITIES, claims: mappings },
} as const;

const NODE_PORT = whole(1, 65_535);
const QUANTITY = { type: ["string", "integer"] } as const;
const GUIDE: readonly Row[] = [
  own("replicaCount", 3, whole(0, 1000), "Number of mesh nodes. Changing it restarts no pod."),
  { path: "image", help: "The node's image." },
  own(
    "image.repository",
    "peat-mesh-node",
    { type: "string", minLength: 1 },
    "Its name, with the registry where it is not local.",
  ),
  own("image.tag", "latest", text, "Its tag; the chart's appVersion if empty."),
  own(
    "image.digest",
    "",
    { type: "string", pattern: "^(sha256:[0-9a-f]{64})?$" },
    "sha256:…, which beats the tag.",
  ),
  own(
    "image.pullPolicy",
    "IfNotPresent",
    oneOfWords("Always", "IfNotPresent", "Never"),
    "When it is pulled.",
  ),
  own(
    "imagePullSecrets",
    [],
    {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name"],
        properties: { name: text },
      },
    },
    "Secrets to pull it with, as - name: NAME.",
  ),
  {
    path: "",
    help: "The formation: the secret that its nodes share, and how they find each other.",
  },
  setting("formationSecret"),
  own(
    "existingSecret",
    "",
    objectName,
    "Name of a Secret of yours with the formation secret, instead of formationSecret. Exactly one of the two is given.",
  ),
  own(
    "existingSecretKey",
    "formation-secret",
    { ...objectName, minLength: 1 },
    "Its key for the formation secret. Optional further keys are formation-secret-also and api-token.",
  ),
  setting("formationSecretsAlso"),
  setting("clusterName"),
  setting("discoveryMode"),
  {
    ...setting("brokerPort"),
    help: "TCP port of the HTTP and WebSocket broker. (PEAT_BROKER_PORT)",
  },
  { ...setting("irohBindPort"), help: "UDP port of Iroh (QUIC). (PEAT_IROH_BIND_PORT)" },
  setting("irohRelayUrls"),
  setting("rustLog"),
  { path: "compaction", help: "Background compaction of documents without history." },
  setting("compaction.enabled"),
  setting("compaction.intervalSecs"),
  setting("compaction.thresholdBytes"),
  setting("compaction.collections"),
  own(
    "resources",
    { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "500m", memory: "256Mi" } },
    RESOURCES,
    "What a node is given.",
  ),
];

/** Settings that the chart decides itself, or that have values of their own names. */
const DECIDED: ReadonlySet<SettingName> = new Set([
  "nodeName",
  "dataDir",
  "runtimeDir",
  "tlsCert",
  "tlsKey",
  "listen",
]);

/** Settings that are values below `settings`, by their own names. */
export const FREE_SETTINGS: readonly SettingName[] = SETTING_NAMES.filter((name) => {
  const { chart, effective, kind } = settingOf(name);
  return chart === undefined && effective !== false && !kind.isSecret && !DECIDED.has(name);
});

const ACCESS: readonly Row[] = [
  {
    path: "",
    help: "All further settings, by their names in docs/configuration.md: settings.logFormat: json.",
  },
  own("settings", {}, mapping, "Further settings by name; lists may be YAML lists."),
  { path: "", help: "Who may write and read at the broker, and where it can be reached." },
  {
    ...setting("apiToken"),
    help: "Token that writers from outside of a pod send as Authorization: Bearer. If empty, one is derived from formationSecret and kept in the Secret under api-token.",
  },
  own(
    "existingApiTokenSecret",
    "",
    objectName,
    "Name of a Secret of yours with the token, instead of apiToken.",
  ),
  own("existingApiTokenSecretKey", "api-token", { ...objectName, minLength: 1 }, "Its key."),
  { path: "tls", help: "TLS of the broker." },
  own(
    "tls.existingSecret",
    "",
    objectName,
    "Name of a kubernetes.io/tls Secret; the broker then speaks https only.",
  ),
  {
    path: "brokerService",
    help: "A Service for the brokers of all pods, besides the headless one.",
  },
  own("brokerService.enabled", false, yesNo, "Whether there is one."),
  own(
    "brokerService.type",
    "ClusterIP",
    oneOfWords("ClusterIP", "NodePort", "LoadBalancer"),
    "Its type.",
  ),
  own("brokerService.port", 0, whole(0, 65_535), "Its port; 0 is brokerPort."),
  own(
    "brokerService.nodePort",
    0,
    whole(0, 65_535),
    "Its port on every Kubernetes node, for NodePort and LoadBalancer; 0 lets Kubernetes choose.",
  ),
  own(
    "brokerService.loadBalancerSourceRanges",
    [],
    { type: "array", items: text },
    "Addresses that may use the LoadBalancer.",
  ),
  own("brokerService.annotations", {}, texts, "Its annotations."),
];

const MODES: readonly Row[] = [
  {
    path: "gateway",
    help: "Gateways: nodes of this installation that also dial nodes of other clusters, and can be dialled by them.",
  },
  own(
    "gateway.enabled",
    false,
    yesNo,
    "Whether there are any: pods <name>-gateway-0 and on, which are full members here.",
  ),
  own("gateway.replicaCount", 1, whole(1, 100), "How many. Changing it restarts no pod."),
  own(
    "gateway.staticPeers",
    [],
    { type: "array", items: { type: "string", pattern: "^[^,\\s]+@[^,\\s]+$" } },
    "Gateways of other clusters as name@host:port; host names are resolved at every dial.",
  ),
  own(
    "gateway.serviceType",
    "NodePort",
    oneOfWords("NodePort", "LoadBalancer"),
    "Type of the UDP Service that each gateway pod has.",
  ),
  own(
    "gateway.nodePorts",
    [],
    { type: "array", items: NODE_PORT, uniqueItems: true },
    "Ports on every Kubernetes node of gateway 0, 1 and on; Kubernetes chooses those that are not named.",
  ),
  own(
    "gateway.externalTrafficPolicy",
    "Cluster",
    oneOfWords("Cluster", "Local"),
    "Local keeps the sender's address, and answers only on the Kubernetes node of the pod.",
  ),
  own("gateway.annotations", {}, texts, "Annotations of those Services."),
  {
    path: "sidecar",
    help: "Sidecar mode: applications beside the node in its pods, which use its RPC on a shared socket.",
  },
  own("sidecar.enabled", false, yesNo, "Whether the node listens for RPC."),
  own(
    "sidecar.listen",
    "unix:///run/peat-sidecar/peat-sidecar.sock",
    { type: "string", minLength: 1 },
    "Where it listens (PEAT_LISTEN); /run/peat-sidecar is the volume that the pod's containers share.",
  ),
  own(
    "sidecar.containers",
    [],
    mappings,
    "The application's containers; each gets the volume at /run/peat-sidecar.",
  ),
];

const STORAGE: readonly Row[] = [
  {
    path: "persistence",
    help: "Where the documents are. Without a volume of its own, a pod that moves or is deleted begins empty and is refilled by the others.",
  },
  own("persistence.enabled", false, yesNo, "Whether each pod has a PersistentVolumeClaim."),
  own("persistence.size", "1Gi", QUANTITY, "Its size."),
  own("persistence.storageClass", "", text, "Its storage class; the cluster's default if empty."),
  own(
    "persistence.accessModes",
    ["ReadWriteOnce"],
    { type: "array", items: oneOfWords("ReadWriteOnce", "ReadWriteOncePod"), minItems: 1 },
    "Its access modes.",
  ),
  own("persistence.annotations", {}, texts, "Its annotations."),
  own(
    "persistence.whenDeleted",
    "Retain",
    oneOfWords("Retain", "Delete"),
    "What becomes of the claims when the installation is removed.",
  ),
  own(
    "persistence.whenScaled",
    "Retain",
    oneOfWords("Retain", "Delete"),
    "What becomes of a claim whose pod is scaled away.",
  ),
  own(
    "persistence.emptyDirSizeLimit",
    "",
    QUANTITY,
    "Without persistence: how large a pod's data may grow before the pod is evicted; no limit if empty.",
  ),
];

export const CHART_ROWS: readonly Row[] = [...GUIDE, ...ACCESS, ...MODES, ...STORAGE, ...POD_ROWS];
