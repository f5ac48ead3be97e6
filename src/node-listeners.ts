// The node's entrances for others on this machine and beyond: the broker, and RPC where it is set; who may call, and by
// which certificate, is the same for both.
import { loadOrMakeApiToken } from "./access/token.ts";
import type { Attachments } from "./attachments/service.ts";
import { systemClock } from "./base/clock.ts";
import type { Scope } from "./base/scope.ts";
import { Broker } from "./broker/server.ts";
import type { Config } from "./config/settings.ts";
import type { Network } from "./net/link.ts";
import type { NodeMetrics } from "./node-metrics.ts";
import type { NodeStatus } from "./node-status.ts";
import type { RpcServer } from "./rpc/server.ts";
import type { Store } from "./store/store.ts";
import type { Coordinator } from "./sync/coordinator.ts";

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
  readonly entrance: ReturnType<typeof entranceOf>;
  readonly scope: Scope;
  readonly metrics: NodeMetrics;
}

export async function openBroker(config: Config, parts: ListenerParts): Promise<Broker> {
  const { store, status, scope, metrics } = parts;
  const { access, tls } = parts.entrance;
  return await Broker.open({
    store,
    node: status,
    clock: systemClock,
    address: config.brokerAddr,
    port: config.brokerPort,
    access: { ...access, reads: config.brokerReads, open: config.apiOpen },
    tls,
    onFatal: (error) => scope.fail(error),
    documentBytesMax: config.documentBytesMax,
    metrics: metrics.print,
    requestTimes: metrics.requestTimes,
  });
}

export interface RpcNode extends ListenerParts {
  readonly network: Network;
  readonly coordinator: Coordinator;
  readonly files: Attachments | undefined;
}

export async function openRpc(config: Config, parts: RpcNode): Promise<RpcServer | undefined> {
  if (config.listen.length === 0) return undefined;
  // Loaded only where it is used: Connect and node's HTTP take megabytes.
  const [{ RpcServer }, { RpcServices }] = await Promise.all([
    import("./rpc/server.ts"),
    import("./rpc/services.ts"),
  ]);
  const { store, status, entrance, network, coordinator, files, metrics } = parts;
  const isReady = () => status.readiness().every((check) => check.ready);
  return await RpcServer.open({
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
}
