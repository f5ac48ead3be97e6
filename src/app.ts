// The node: every service opened in order into one scope, and stopped in reverse. The only file that knows
// Config and all services.
import { existsSync, mkdirSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import type { Attachments } from "./attachments/service.ts";
import { compactInBackground } from "./background-compaction.ts";
import { systemClock } from "./base/clock.ts";
import type { Fault } from "./base/faults.ts";
import { getLog } from "./base/log.ts";
import { limitNativeArenas, releaseNativeMemory } from "./base/native-memory.ts";
import type { Notifier } from "./base/notify-socket.ts";
import { Scope } from "./base/scope.ts";
import type { Broker } from "./broker/server.ts";
import { buildInfo } from "./build-info.ts";
import { prepareDataDir } from "./config/data-dir.ts";
import type { Config } from "./config/settings.ts";
import { Explainer } from "./diagnosis/explainer.ts";
import { Partings } from "./diagnosis/partings.ts";
import { collectGarbage } from "./garbage-collector.ts";
import { Formation } from "./identity/formation.ts";
import { deriveDeviceKey, deviceId } from "./identity/keypair.ts";
import { shortId } from "./identity/peer.ts";
import { releaseMemoryWhenIdle } from "./idle-memory.ts";
import type { Network } from "./net/link.ts";
import { loadIroh } from "./net/load-iroh.ts";
import { watchLocalAddresses } from "./net/local-addresses.ts";
import { fileAlpns, fileFeatures, openFiles } from "./node-files.ts";
import { apiTokenOf, entranceOf, openBroker, openControl, openRpc } from "./node-listeners.ts";
import { NodeMetrics } from "./node-metrics.ts";
import { NodeOperation, type OperationParts, type OperatorDesk } from "./node-operation.ts";
import { NodeStatus } from "./node-status.ts";
import { Discovery } from "./peer-discovery.ts";
import type { RpcServer } from "./rpc/server.ts";
import { ServiceManager } from "./service-manager.ts";
import { CollectionPolicies } from "./store/collection-policies.ts";
import { Store } from "./store/store.ts";
import { Coordinator } from "./sync/coordinator.ts";
import { ALPN_GUEST, ALPN_NATIVE } from "./wire/hello.ts";

const log = getLog("peat_mesh_node");
const meshLog = getLog("peat_mesh::mesh");
const connectorLog = getLog("peat_mesh::peer_connector");

const DEFAULT_CACHE_BYTES = 16 * 1024 * 1024;
/** Loaded CRDTs; WebAssembly memory never shrinks, so this is also what stays. */
const CRDT_CACHE_BYTES = 4 * 1024 * 1024;

/** Longest time of each stop step. Their sum is below TimeoutStopSec and terminationGracePeriodSeconds. */
const STOP_DEADLINES_MS = {
  discovery: 400,
  broker: 400,
  rpc: 400,
  files: 300,
  sync: 1_000,
  network: 500,
} as const;

/** Takes static peers, the token and certificates anew; `read` gives the settings, or nothing if they are wrong. */
type Reload = (read: () => Config | undefined) => Promise<void>;

export interface RunningApp {
  /** Resolves when the node ends by itself, with what ended it, and after stop(). */
  readonly ended: Promise<Fault | Error | undefined>;
  readonly reload: Reload;
  stop(): Promise<void>;
}

/**
 * Faults: storage_*, address_unavailable, settings_invalid. What was opened by then is closed again.
 * `desk` is what operators see of the process; `notifier` is told how the node is, if there is one.
 */
export async function startApp(
  config: Config,
  desk: OperatorDesk,
  notifier?: Notifier,
): Promise<RunningApp> {
  limitNativeArenas();
  const scope = new Scope(systemClock);
  let reload: Reload;
  try {
    reload = await open(config, { scope, desk, notifier });
  } catch (error) {
    await scope.close();
    throw error;
  }
  let finish: (error: Fault | Error | undefined) => void = () => undefined;
  const ended = new Promise<Fault | Error | undefined>((resolve) => {
    finish = resolve;
  });
  scope.failed.catch(async (error: unknown) => {
    await scope.close();
    finish(error instanceof Error ? error : new Error(String(error)));
  });
  const stop = async () => {
    await scope.close();
    finish(undefined);
  };
  return { ended, reload, stop };
}

interface Opening {
  readonly scope: Scope;
  readonly desk: OperatorDesk;
  readonly notifier: Notifier | undefined;
}

async function open(config: Config, { scope, desk, notifier }: Opening): Promise<Reload> {
  const manager = notifier && new ServiceManager(notifier, systemClock);
  const formation = new Formation([config.formationSecret, ...config.formationSecretsAlso]);
  const policies = new CollectionPolicies({
    modes: config.syncModes,
    deletions: config.deletionPolicies,
    ttlPreset: config.ttlPreset,
    deletionMemoryDays: config.deletionMemoryDays,
  });
  manager?.starting("opening the database");
  const metrics = new NodeMetrics(systemClock);
  const store = openStore(config, { policies, scope, metrics });
  scope.defer("store", () => store.close());
  scope.run("scrub", (signal) => store.damage.scrub(signal));
  scope.run("encryption", (signal) => store.resealing.run(systemClock, signal));
  log.info("TTL manager started", { preset: `"${config.ttlPreset}"` });
  startSweeps({ config, store, scope, metrics });

  const network = await (await loadIroh()).openIrohNetwork({
    secretKey: formation.endpointKey(config.nodeName).seed.expose(),
    bindAddress: printAddress(config.irohBindAddr, config.irohBindPort),
    relayUrls: config.irohRelayUrls,
    alpns: [ALPN_NATIVE, ALPN_GUEST, ...fileAlpns(config)],
  });
  scope.defer("network", () => network.close(), STOP_DEADLINES_MS.network);
  const endpoint = shortId(network.id);
  log.info("Iroh endpoint ready", { iroh_endpoint_id: endpoint });

  const { coordinator, files } = await startSync({
    config,
    scope,
    store,
    formation,
    network,
    metrics,
  });
  coordinator.accepted.catch((error: unknown) => scope.fail(error));
  const changed = () => coordinator.networkChanged();
  const addresses = { clock: systemClock, list: networkInterfaces, changed };
  scope.run("addresses", (signal) => watchLocalAddresses(addresses, signal));
  releaseMemory(scope, { store, coordinator });

  const { nodeName } = config;
  const watcher = await openAgentWatcher(config, store);
  const agent = watcher && (() => watcher.state());
  const { version } = buildInfo;
  const about = { nodeName, version, clock: systemClock, store, coordinator };
  const partings = new Partings(systemClock, (listener) => void coordinator.onPeer(listener));
  const status = new NodeStatus({ ...about, partings, agent });
  meshLog.info("Iroh blob store ready (blobs + automerge sync)", { iroh_endpoint_id: endpoint });
  const device = deviceId(deriveDeviceKey(config.formationSecret, config.nodeName).publicKey);
  log.info("Mesh started", { node_id: config.nodeName, device_id: device });

  const entrance = entranceOf(config);
  const { tlsCert } = config;
  metrics.watch({ store, status, coordinator, files, databasePath: databasePath(config), tlsCert });
  const operation = openOperation(config, { network, coordinator, formation, desk });
  const explainer = new Explainer({ ...about, partings, status, secretTag: formation.ownTag });
  const common = { store, status, operation, explainer, files, entrance, scope, metrics };
  const broker = await openBroker(config, common);
  scope.defer("broker", () => broker.close(), STOP_DEADLINES_MS.broker);
  await openControl(config, { broker, operation });
  const rpc = await openRpc(config, { ...common, network, coordinator });
  scope.defer("rpc", () => rpc?.close(), STOP_DEADLINES_MS.rpc);
  status.listenersOpened();

  if (watcher !== undefined) scope.run("agent watcher", (signal) => watcher.run(signal));
  connectorLog.info("PeerConnector started");
  const closeMs = STOP_DEADLINES_MS.discovery;
  const discovery = new Discovery({ ...about, scope, formation, network, status, closeMs });
  await discovery.start(config);
  if (manager !== undefined) {
    manager.watch({
      readiness: () => status.readiness(),
      summary: () => status.summary(),
      turn: () => store.turn(),
    });
    scope.defer("service manager", () => manager.stopping());
  }
  const { runtimeDir } = config;
  return reloader({ scope, discovery, listeners: [broker, rpc], manager, runtimeDir });
}

function openOperation(
  config: Config,
  parts: Pick<OperationParts, "network" | "coordinator" | "formation" | "desk">,
): NodeOperation {
  const { program } = config;
  const path = databasePath(config);
  return new NodeOperation({ ...parts, program, clock: systemClock, databasePath: path });
}

interface Reloadable {
  readonly scope: Scope;
  readonly discovery: Discovery;
  readonly listeners: readonly (Broker | RpcServer | undefined)[];
  readonly manager: ServiceManager | undefined;
  /** Of the start, where the file of the token is. */
  readonly runtimeDir: string;
}

function reloader(parts: Reloadable): Reload {
  const { scope, discovery, listeners, manager, runtimeDir } = parts;
  return async (read) => {
    const take = async () => {
      const config = read();
      if (config === undefined) return;
      const token = apiTokenOf({ apiToken: config.apiToken, runtimeDir });
      await discovery.setStaticPeers(config);
      if (scope.signal.aborted) return;
      for (const listener of listeners) {
        listener?.replaceToken(token);
        listener?.reloadCertificate();
      }
    };
    await (manager === undefined ? take() : manager.reloading(take));
  };
}

interface SyncParts {
  readonly config: Config;
  readonly scope: Scope;
  readonly store: Store;
  readonly formation: Formation;
  readonly network: Network;
  readonly metrics: NodeMetrics;
}

/** Documents with all peers, and files where the settings want them. */
async function startSync(parts: SyncParts) {
  const { config, scope, store, formation, network } = parts;
  const late: { files?: Attachments } = {};
  const coordinator = new Coordinator({
    network,
    store,
    clock: systemClock,
    formation,
    nodeName: config.nodeName,
    version: buildInfo.version,
    random: Math.random,
    times: parts.metrics.times,
    onBug: (error) => scope.fail(error),
    features: fileFeatures(config),
    arrivedBeside: async (link) => await late.files?.arrived(link),
  });
  if (!config.autoSync) coordinator.orders.stopSync();
  const files = await openFiles(config, { coordinator, network, store, formation });
  if (files !== undefined) late.files = files;
  coordinator.start();
  scope.defer("sync", () => coordinator.close(), STOP_DEADLINES_MS.sync);
  if (files !== undefined) scope.run("file loops", () => files.run());
  scope.defer("files", () => files?.close(), STOP_DEADLINES_MS.files);
  return { coordinator, files };
}

function releaseMemory(
  scope: Scope,
  { store, coordinator }: { store: Store; coordinator: Coordinator },
): void {
  const endRelease = releaseMemoryWhenIdle({
    store,
    clock: systemClock,
    connections: () => coordinator.connectionsSoFar,
    collect: () => {
      Bun.gc(true);
      Bun.shrink();
      releaseNativeMemory();
    },
  });
  scope.defer("memory", endRelease);
}

interface SweepParts {
  readonly config: Config;
  readonly store: Store;
  readonly scope: Scope;
  readonly metrics: NodeMetrics;
}

/** What lets go of what has had its time, and what tells of it. */
function startSweeps({ config, store, scope, metrics }: SweepParts): void {
  const clock = systemClock;
  const { gcIntervalSecs, compactionIntervalSecs, compactionThresholdBytes } = config;
  scope.run("loop delay", (signal) => metrics.loop.run(signal));
  const garbage = { store, clock, intervalSecs: gcIntervalSecs, figures: metrics.garbage };
  scope.run("garbage collector", (signal) => collectGarbage(garbage, signal));
  if (!config.compactionEnabled) return;
  const compaction = {
    store,
    clock,
    intervalSecs: compactionIntervalSecs,
    thresholdBytes: compactionThresholdBytes,
    collections: config.compactionCollections,
    figures: metrics.compaction,
  };
  scope.run("compaction", (signal) => compactInBackground(compaction, signal));
}

interface StoreParts {
  readonly policies: CollectionPolicies;
  readonly scope: Scope;
  readonly metrics: NodeMetrics;
}

function databasePath({ dataDir }: Config): string {
  return join(dataDir, "automerge", "peat.db");
}

function openStore(config: Config, { policies, scope, metrics }: StoreParts): Store {
  prepareDataDir(config.dataDir);
  const folder = join(config.dataDir, "automerge");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const older = join(folder, "automerge.redb");
  if (existsSync(older)) {
    log.warn("The older node's database is left as it is; its documents come from its peers", {
      path: older,
    });
  }
  const key = config.encryptionKey === "off" ? undefined : config.encryptionKey;
  return Store.open({
    path: databasePath(config),
    nodeName: config.nodeName,
    policies,
    clock: systemClock,
    random: (bytes) => crypto.getRandomValues(bytes),
    cacheBytes: DEFAULT_CACHE_BYTES,
    crdtCacheBytes: CRDT_CACHE_BYTES,
    documentBytesMax: config.documentBytesMax,
    encryption: { key, previous: config.encryptionKeysPrevious },
    commits: metrics.commits,
    readers: metrics.readers,
    onFatal: (fault) => scope.fail(fault),
  });
}

/** Loaded only where there is an agent to follow. */
async function openAgentWatcher(config: Config, store: Store) {
  const { agentAddr, agentTlsCert, agentTlsKey, agentTlsCa } = config;
  if (agentAddr === undefined) return undefined;
  const { AgentWatcher } = await import("./agent/watcher.ts");
  const client =
    agentTlsCert === undefined || agentTlsKey === undefined
      ? undefined
      : { cert: agentTlsCert, key: agentTlsKey };
  return new AgentWatcher({
    store,
    clock: systemClock,
    nodeName: config.nodeName,
    target: agentAddr,
    tls: { client, ca: agentTlsCa },
    intervalSecs: config.agentPollIntervalSecs,
    random: Math.random,
  });
}

function printAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
