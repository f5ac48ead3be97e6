// The node's entrances for others on this machine and beyond: the broker, and RPC where it is set; who may call, and by
// which certificate, is the same for both.
import { controlSocketPath } from "./access/control-socket.ts";
import { loadOrMakeApiToken } from "./access/token.ts";
import type { Attachments } from "./attachments/service.ts";
import { systemClock } from "./base/clock.ts";
import { Fault } from "./base/faults.ts";
import { getLog } from "./base/log.ts";
import type { Scope } from "./base/scope.ts";
import { Broker } from "./broker/server.ts";
import type { Config } from "./config/settings.ts";
import { Dashboard } from "./dashboard/page.ts";
import type { Explainer } from "./diagnosis/explainer.ts";
import { printHostPort } from "./identity/peer.ts";
import type { Network } from "./net/link.ts";
import type { NodeMetrics } from "./node-metrics.ts";
import type { NodeOperation } from "./node-operation.ts";
import type { NodeStatus } from "./node-status.ts";
import type { RpcServer } from "./rpc/server.ts";
import type { Store } from "./store/store.ts";
import type { Coordinator } from "./sync/coordinator.ts";

const log = getLog("peat_mesh_node");

export function apiTokenOf({ apiToken, runtimeDir }: Pick<Config, "apiToken" | "runtimeDir">) {
  return {
    token: apiToken ?? loadOrMakeApiToken(runtimeDir),
    isTokenConfigured: apiToken !== undefined,
  };
}

/** What broker and RPC have in common: who may call, and by which certificate. */
export function entranceOf(config: Config) {
  const { tlsCert, tlsKey } = config;
  return {
    access: { ...apiTokenOf(config), corsOrigins: config.corsOrigins },
    tls: tlsCert === undefined || tlsKey === undefined ? undefined : { cert: tlsCert, key: tlsKey },
  };
}

export interface ListenerParts {
  readonly store: Store;
  readonly status: NodeStatus;
  readonly operation: NodeOperation;
  readonly files: Attachments | undefined;
  readonly explainer: Explainer;
  readonly entrance: ReturnType<typeof entranceOf>;
  readonly scope: Scope;
  readonly metrics: NodeMetrics;
}

export async function openBroker(config: Config, parts: ListenerParts): Promise<Broker> {
  const { store, status, operation, explainer, files, scope, metrics } = parts;
  const { access, tls } = parts.entrance;
  const broker = await Broker.open({
    store,
    node: status,
    control: operation,
    files,
    diagnostics: explainer,
    clock: systemClock,
    address: config.brokerAddr,
    port: config.brokerPort,
    access: { ...access, reads: config.brokerReads, open: config.apiOpen },
    tls,
    onFatal: (error) => scope.fail(error),
    documentBytesMax: config.documentBytesMax,
    metrics: metrics.print,
    dashboard: new Dashboard().page,
    requestTimes: metrics.requestTimes,
  });
  const address = printHostPort({ host: config.brokerAddr, port: broker.port });
  operation.listening({ kind: "broker", address });
  return broker;
}

/**
 * The way of this machine's commands to the node. A runtime directory that can hold no socket (read-only, a path too
 * long) costs only this; one where another node lives is a fault.
 */
export async function openControl(
  { runtimeDir }: Pick<Config, "runtimeDir">,
  { broker, operation }: { readonly broker: Broker; readonly operation: NodeOperation },
): Promise<void> {
  const path = controlSocketPath(runtimeDir);
  try {
    await broker.openControl(path);
  } catch (error) {
    if (!(error instanceof Fault) || error.details["taken"] === true) throw error;
    log.info("No control socket; commands ask the broker instead", { reason: error.message });
    return;
  }
  operation.listening({ kind: "control", address: path });
}

export interface RpcNode extends ListenerParts {
  readonly network: Network;
  readonly coordinator: Coordinator;
}

export async function openRpc(config: Config, parts: RpcNode): Promise<RpcServer | undefined> {
  if (config.listen.length === 0) return undefined;
  // Loaded only where it is used: Connect and node's HTTP take megabytes.
  const [{ RpcServer }, { RpcServices }, { printListenAddress }] = await Promise.all([
    import("./rpc/server.ts"),
    import("./rpc/services.ts"),
    import("./rpc/listen-address.ts"),
  ]);
  const { store, status, operation, entrance, network, coordinator, files, metrics } = parts;
  const isReady = () => status.readiness().every((check) => check.ready);
  const rpc = await RpcServer.open({
    ...entrance,
    clock: systemClock,
    listen: config.listen,
    group: config.listenGroup,
    deadlines: {
      defaultMs: config.rpcDefaultTimeoutSecs * 1000,
      maxMs: config.rpcMaxTimeoutSecs * 1000,
    },
    connections: {
      headerReadMs: config.httpHeaderReadTimeoutSecs * 1000,
      idleMs: config.httpMaxConnectionIdleSecs * 1000,
      pingMs: config.http2KeepaliveIntervalSecs * 1000,
      pingAckMs: config.http2KeepaliveTimeoutSecs * 1000,
      streamsMax: config.http2MaxConcurrentStreams,
    },
    documentBytesMax: config.documentBytesMax,
    callTimes: metrics.callTimes,
    services: new RpcServices({
      store,
      clock: systemClock,
      nodeName: config.nodeName,
      endpointId: network.id,
      sync: coordinator,
      files,
      isReady,
    }),
  });
  for (const address of rpc.addresses) {
    operation.listening({ kind: "rpc", address: printListenAddress(address) });
  }
  return rpc;
}
