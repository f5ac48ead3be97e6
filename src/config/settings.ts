// THE table of settings. Parsing, help, the generated documents and the type Config all come from it.
// A row may use the settled text of rows above it for its default: there the order of rows matters.

import { collectionMode, collectionName, collectionPolicy, peerAddress } from "./addresses.ts";
import { AGENT_SETTINGS } from "./agent-settings.ts";
import { ATTACHMENT_SETTINGS } from "./attachment-settings.ts";
import { findBrokerReads, findNodeName, findRuntimeDir } from "./defaults.ts";
import { FEATURE_SETTINGS } from "./feature-settings.ts";
import {
  boolean,
  httpUrl,
  integer,
  ipAddress,
  kindOf,
  listOf,
  logFilter,
  matching,
  nodeName,
  oneOf,
  origin,
  orOff,
  path,
  port,
  seconds,
  secretBytes,
  secretToken,
  size,
} from "./kinds.ts";
import { RPC_SETTINGS } from "./rpc-settings.ts";
import {
  foundDefault,
  optional,
  type Program,
  required,
  type Setting,
  withDefault,
} from "./setting.ts";

/** Bounds of a formation secret; the upper one only keeps a wrong file from being one. */
const FORMATION_SECRET = secretBytes({ min: 16, max: 4096 });
const FORMATION_SECRETS_ALSO_MAX = 3;
const DAY_SECS = 86_400;
const MONTH_SECS = 30 * DAY_SECS;
const GIB = 1024 ** 3;

const IDENTITY_SETTINGS = {
  clusterName: optional(
    matching({
      placeholder: "NAME",
      rule: "1 to 63 letters, digits, dots, underscores or hyphens",
      pattern: /^[A-Za-z0-9._-]{1,63}$/,
    }),
    {
      group: "Identity and membership",
      env: ["PEAT_CLUSTER_NAME"],
      chart: "clusterName",
      help: "Name of this cluster. Node names become <HOSTNAME>.<cluster>, so that two clusters with one secret and equal pod names have different identities.",
    },
  ),
  nodeName: foundDefault(nodeName, {
    group: "Identity and membership",
    env: ["PEAT_NODE_ID", "PEAT_NODE_NODE_ID"],
    help: "Name of this node, verbatim and unique in its formation; the identity is derived from it and the secret.",
    told: "HOSTNAME (then .PEAT_CLUSTER_NAME, if set); else peat-mesh-0 with a warning (peat-mesh-node) or the host name (peat-sidecar)",
    find: findNodeName,
  }),
  formationSecret: required(FORMATION_SECRET, {
    group: "Identity and membership",
    env: ["PEAT_FORMATION_SECRET", "PEAT_NODE_SHARED_KEY"],
    chart: "formationSecret",
    help: "Secret that all nodes of a formation share, standard base64 of at least 16 bytes (32 are advised).",
  }),
  formationSecretsAlso: withDefault(
    listOf(FORMATION_SECRET, { itemsMax: FORMATION_SECRETS_ALSO_MAX }),
    {
      group: "Identity and membership",
      env: ["PEAT_FORMATION_SECRET_ALSO"],
      chart: "formationSecretsAlso",
      fallback: "none",
      help: "Up to 3 further secrets whose holders are accepted and dialled too, while the secret is being changed.",
    },
  ),
};

/** AES-256. */
const ENCRYPTION_KEY = secretBytes({ min: 32, max: 32 });
const ENCRYPTION_KEYS_PREVIOUS_MAX = 3;

const STORAGE_SETTINGS = {
  dataDir: withDefault(path, {
    group: "Storage",
    env: ["PEAT_DATA_DIR", "PEAT_NODE_DATA_DIR"],
    fallback: { "peat-mesh-node": "/data", "peat-sidecar": "/var/lib/peat-sidecar" },
    help: "Directory of everything that is kept; the database is automerge/peat.db below it.",
  }),
  runtimeDir: foundDefault(path, {
    group: "Storage",
    env: ["PEAT_RUNTIME_DIR"],
    told: "RUNTIME_DIRECTORY (set by systemd), else /run/peat-sidecar where it can be written, else the data directory",
    find: findRuntimeDir,
    help: "Directory of what lives as long as the process, of this node alone: the API token that is made at start, and the socket by which commands reach the node.",
  }),
  encryptionKey: optional(orOff(ENCRYPTION_KEY), {
    group: "Storage",
    env: ["PEAT_ENCRYPTION_KEY", "PEAT_NODE_ENCRYPTION_KEY"],
    help: "Key by which documents are encrypted on disk, base64 of exactly 32 bytes; unset or off, they lie in the clear.",
  }),
  encryptionKeysPrevious: withDefault(
    listOf(ENCRYPTION_KEY, { itemsMax: ENCRYPTION_KEYS_PREVIOUS_MAX }),
    {
      group: "Storage",
      env: ["PEAT_ENCRYPTION_KEY_PREVIOUS"],
      fallback: "none",
      help: "Up to 3 keys that were PEAT_ENCRYPTION_KEY before: what they encrypted is read, and written again by the present one (in the clear, where that is off).",
    },
  ),
  documentBytesMax: withDefault(size(1024, 16 * 1024 ** 2), {
    group: "Storage",
    env: ["PEAT_DOCUMENT_BYTES_MAX"],
    fallback: "1048576",
    help: "Largest document that is accepted from local writers, as JSON text.",
  }),
};

const PEER_SETTINGS = {
  staticPeers: withDefault(listOf(peerAddress), {
    group: "Discovery",
    env: ["PEAT_STATIC_PEERS", "PEAT_NODE_PEERS"],
    reloads: true,
    fallback: "none",
    help: "Peers to dial, as name@host:port or <64 hex endpoint id>@host:port; host names are resolved at every dial. name@relay is a peer without an address of its own, reached by PEAT_IROH_RELAY_URLS. Adds static to the discovery by itself.",
  }),
  discovery: withDefault(listOf(oneOf(["kubernetes", "mdns", "static"], { k8s: "kubernetes" })), {
    group: "Discovery",
    env: ["PEAT_DISCOVERY"],
    chart: "discoveryMode",
    fallback: { "peat-mesh-node": "kubernetes", "peat-sidecar": "mdns" },
    help: "How peers are found; several at once are a comma list (kubernetes,static). none: this node only waits to be dialled.",
  }),
  irohBindAddr: withDefault(ipAddress, {
    group: "Iroh (QUIC)",
    env: ["PEAT_IROH_BIND_ADDR"],
    fallback: "0.0.0.0",
    help: "Address that Iroh's UDP socket is bound to.",
  }),
  irohBindPort: withDefault(port, {
    group: "Iroh (QUIC)",
    env: ["PEAT_IROH_BIND_PORT", "PEAT_NODE_IROH_UDP_PORT"],
    chart: "irohBindPort",
    fallback: "11204",
    help: "UDP port of Iroh (QUIC); 0 takes any free one.",
  }),
  irohRelayUrls: withDefault(listOf(httpUrl("URL"), { itemsMax: 16 }), {
    group: "Iroh (QUIC)",
    env: ["PEAT_IROH_RELAY_URLS"],
    chart: "irohRelayUrls",
    fallback: "none",
    help: "URLs of Iroh relays for nodes that can't reach each other directly; all nodes that are to meet there name the same. none: no relay is used.",
  }),
};

const KUBERNETES_SETTINGS = {
  discoveryNamespace: optional(
    matching({
      placeholder: "NAMESPACE",
      rule: "a Kubernetes namespace",
      pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    }),
    {
      group: "Discovery",
      env: ["PEAT_DISCOVERY_NAMESPACE", "PEAT_NODE_DISCOVERY_NAMESPACE"],
      help: "Namespace in which peers are looked for; by default the pod's own, else default.",
    },
  ),
  discoveryLabelSelector: withDefault(
    kindOf({
      placeholder: "SELECTOR",
      rule: "a Kubernetes label selector",
      read: (text) => (/^[ -~]{1,1024}$/.test(text) ? text : undefined),
    }),
    {
      group: "Discovery",
      env: ["PEAT_DISCOVERY_LABEL_SELECTOR"],
      fallback: "app=peat-mesh",
      help: "Label selector of the EndpointSlices in which peers are looked for.",
    },
  ),
  kubeconfig: optional(path, {
    group: "Discovery",
    env: ["KUBECONFIG"],
    help: "Kubernetes configuration file that says where the API server is and who we are there, or several with colons between. By default a pod's own service account, else .kube/config in the home directory.",
  }),
};

const BROKER_SETTINGS = {
  brokerAddr: withDefault(ipAddress, {
    group: "Broker (HTTP and WebSocket)",
    env: ["PEAT_BROKER_ADDR"],
    fallback: { "peat-mesh-node": "0.0.0.0", "peat-sidecar": "127.0.0.1" },
    help: "Address that the broker listens on.",
  }),
  brokerPort: withDefault(port, {
    group: "Broker (HTTP and WebSocket)",
    env: ["PEAT_BROKER_PORT"],
    chart: "brokerPort",
    fallback: "8081",
    help: "TCP port of the HTTP and WebSocket broker; 0 takes any free one.",
  }),
  brokerReads: foundDefault(oneOf(["open", "token"]), {
    group: "Broker (HTTP and WebSocket)",
    env: ["PEAT_BROKER_READS"],
    told: "open for peat-mesh-node and for a loopback address; else token",
    find: findBrokerReads,
    help: "Whether reading from the broker needs the API token.",
  }),
  apiToken: optional(secretToken, {
    group: "Broker (HTTP and WebSocket)",
    env: ["PEAT_API_TOKEN"],
    reloads: true,
    chart: "apiToken",
    help: "Token that writers over TCP send as Authorization: Bearer. Without it, writers use the one in the file token of the runtime directory, which is made when there is none.",
  }),
  apiOpen: withDefault(oneOf(["none", "loopback"]), {
    group: "Broker (HTTP and WebSocket)",
    env: ["PEAT_API_OPEN"],
    fallback: { "peat-mesh-node": "loopback", "peat-sidecar": "none" },
    help: "Who may write without a token: nobody, or whoever connects from loopback (in a pod, that is the pod).",
  }),
  corsOrigins: withDefault(listOf(origin), {
    group: "Broker (HTTP and WebSocket)",
    env: ["PEAT_CORS_ORIGINS"],
    fallback: "none",
    help: "Web origins besides the broker's own whose pages may call it; * allows all.",
  }),
  tlsCert: optional(path, {
    group: "Broker (HTTP and WebSocket)",
    env: ["PEAT_TLS_CERT"],
    help: "PEM file with the certificate chain for TLS on TCP listeners; needs PEAT_TLS_KEY.",
  }),
  tlsKey: optional(path, {
    group: "Broker (HTTP and WebSocket)",
    env: ["PEAT_TLS_KEY"],
    help: "PEM file with the private key of PEAT_TLS_CERT.",
  }),
};

const SYNC_SETTINGS = {
  syncModes: withDefault(listOf(collectionMode), {
    group: "Sync, deletion and compaction",
    env: ["PEAT_SYNC_MODES"],
    fallback: "none",
    help: "How much of a collection's history is kept, as collection=LatestOnly, =FullHistory or =WindowedHistory:seconds; replaces the built-in mode of the collections named.",
  }),
  deletionPolicies: withDefault(listOf(collectionPolicy), {
    group: "Sync, deletion and compaction",
    env: ["PEAT_DELETION_POLICIES"],
    fallback: "none",
    help: "What deleting means in a collection, as collection=soft_delete (the content can be restored for as long as deletions are remembered), =immutable (written once), =tombstone:seconds (for which a tombstone is kept whole) or =implicit_ttl:seconds (after which a document that was not written is gone); replaces the built-in policy of the collections named.",
  }),
  ttlPreset: withDefault(oneOf(["default", "tactical", "long_duration", "offline_node"]), {
    group: "Sync, deletion and compaction",
    env: ["PEAT_TTL_PRESET"],
    fallback: "default",
    help: "Set of lifetimes for beacons, node_positions, capabilities and cells: what was not written for so long is not served any more.",
  }),
  deletionMemoryDays: withDefault(integer({ placeholder: "N", min: 1, max: 3650 }), {
    group: "Sync, deletion and compaction",
    env: ["PEAT_DELETION_MEMORY_DAYS"],
    fallback: "180",
    help: "Days for which a deletion is remembered after its tombstone's time, so that nothing brings the document back. The same on all nodes.",
  }),
  gcIntervalSecs: withDefault(seconds(1, DAY_SECS), {
    group: "Sync, deletion and compaction",
    env: ["PEAT_GC_INTERVAL_SECS", "PEAT_NODE_GC_INTERVAL_SECS"],
    fallback: "300",
    help: "Seconds between two sweeps for what has had its time. What is served does not depend on it.",
  }),
  compactionEnabled: withDefault(boolean, {
    group: "Sync, deletion and compaction",
    env: ["PEAT_COMPACTION_ENABLED"],
    chart: "compaction.enabled",
    fallback: "false",
    help: "Whether documents of some collections are rewritten without their history from time to time.",
  }),
  compactionIntervalSecs: withDefault(seconds(10, MONTH_SECS), {
    group: "Sync, deletion and compaction",
    env: ["PEAT_COMPACTION_INTERVAL_SECS"],
    chart: "compaction.intervalSecs",
    fallback: "300",
    help: "Seconds between two compaction sweeps (at least 10).",
  }),
  compactionThresholdBytes: withDefault(size(0, GIB), {
    group: "Sync, deletion and compaction",
    env: ["PEAT_COMPACTION_THRESHOLD_BYTES"],
    chart: "compaction.thresholdBytes",
    fallback: "65536",
    help: "Only documents whose Automerge bytes are more than this are compacted.",
  }),
  compactionCollections: withDefault(listOf(collectionName), {
    group: "Sync, deletion and compaction",
    env: ["PEAT_COMPACTION_COLLECTIONS"],
    chart: "compaction.collections",
    fallback: "none",
    help: "Collections to compact. none: all collections whose sync mode is LatestOnly.",
  }),
};

const LOG_SETTINGS = {
  logFilter: withDefault(logFilter, {
    group: "Logging",
    env: ["RUST_LOG"],
    reloads: true,
    chart: "rustLog",
    fallback: "info,peat_mesh=debug",
    emptyIsValue: true,
    help: "Which lines are logged: a comma list of level, target or target=level; set but empty, only failures are.",
  }),
  logFormat: withDefault(oneOf(["text", "json"]), {
    group: "Logging",
    env: ["PEAT_LOG_FORMAT"],
    reloads: true,
    fallback: "text",
    help: "Lines of text or of JSON, on standard output.",
  }),
};

export const SETTINGS = {
  ...IDENTITY_SETTINGS,
  ...STORAGE_SETTINGS,
  ...PEER_SETTINGS,
  ...KUBERNETES_SETTINGS,
  ...BROKER_SETTINGS,
  ...RPC_SETTINGS,
  ...LOG_SETTINGS,
  ...SYNC_SETTINGS,
  ...ATTACHMENT_SETTINGS,
  ...AGENT_SETTINGS,
  ...FEATURE_SETTINGS,
} as const satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;

/** Every setting, checked. */
export type Config = {
  readonly [K in SettingName]: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never;
} & { readonly program: Program };

export const SETTING_NAMES: readonly SettingName[] = Object.keys(SETTINGS) as SettingName[];

/** The row of a setting, with its value's type left open. */
export function settingOf(name: SettingName): Setting<unknown> {
  return SETTINGS[name];
}
