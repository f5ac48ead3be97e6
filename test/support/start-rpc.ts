// RPC listeners over a store in memory, and clients of every protocol and transport.
import { connect as connectNet, type Socket } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import {
  type Client,
  type Code,
  ConnectError,
  createClient,
  type Transport,
} from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Random } from "../../scripts/model/random.ts";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { Secret } from "../../src/base/secret.ts";
import { Formation } from "../../src/identity/formation.ts";
import { parseNodeName } from "../../src/identity/peer.ts";
import { PeatSidecar } from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { CLOSE_MS } from "../../src/rpc/limits.ts";
import type { ListenAddress } from "../../src/rpc/listen-address.ts";
import { RpcServer, type RpcServerOptions } from "../../src/rpc/server.ts";
import { type RpcParts, RpcServices } from "../../src/rpc/services.ts";
import type { Store } from "../../src/store/store.ts";
import { Coordinator } from "../../src/sync/coordinator.ts";
import { ALPN_NATIVE } from "../../src/wire/hello.ts";
import { type MemoryEndpoint, MemoryNet } from "./memory-network.ts";
import { openMemoryStore } from "./memory-store.ts";
import { tempFolder } from "./temp-folder.ts";

export const TOKEN = "a-token-of-the-test";

export type Protocol = "connect" | "grpc" | "grpc-web";

export interface ClientOptions {
  readonly protocol: Protocol;
  readonly httpVersion: "1.1" | "2";
  readonly useBinaryFormat: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A listener that stops waits long for what is under way: clients share its process, which may stand for a while. */
export const patientClock: Clock = {
  ...systemClock,
  after: (ms, run) => systemClock.after(ms === CLOSE_MS ? 20_000 : ms, run),
};

const FORMATION_SECRET = new Secret(new Uint8Array(32).fill(7));

/** A network for several nodes. */
export function newNet(): MemoryNet {
  return new MemoryNet({ clock: systemClock, random: new Random(1), path: { latencyMs: 1 } });
}

export interface RpcWorld extends AsyncDisposable {
  readonly server: RpcServer;
  readonly store: Store;
  readonly services: RpcServices;
  readonly coordinator: Coordinator;
  /** Of the node: its id, and `ip:port` where peers find it. */
  readonly peerId: string;
  readonly peerAddress: string;
  /** Of the listener with that number. */
  address(index?: number): ListenAddress;
  /** `http://…`; of a unix socket with a host of no meaning. */
  url(index?: number): string;
  client(options?: Partial<ClientOptions>, index?: number): Client<typeof PeatSidecar>;
  clientOf<S extends DescService>(
    service: S,
    options?: Partial<ClientOptions>,
    index?: number,
  ): Client<S>;
  /** A connection that is being made. */
  socket(index?: number): Socket;
  /** A connection without any protocol. */
  connect(index?: number): Promise<Socket>;
}

export type RpcWorldOptions = Partial<Omit<RpcServerOptions, "access" | "services">> & {
  readonly access?: Partial<RpcServerOptions["access"]>;
  readonly store?: Store;
  readonly parts?: Partial<Pick<RpcParts, "isReady" | "streamsMax" | "files">>;
  /** The network that the node is on; one of its own by default. */
  readonly net?: MemoryNet;
  /** The node's name, `node-1` to `node-254`; that is also its address. */
  readonly number?: number;
  /** A unix socket in a folder of its own instead of a TCP port. */
  readonly isUnix?: boolean;
};

const CONNECTIONS = {
  headerReadMs: 30_000,
  idleMs: 300_000,
  pingMs: 30_000,
  pingAckMs: 20_000,
  streamsMax: 128,
};

export async function startRpc(options: RpcWorldOptions = {}): Promise<RpcWorld> {
  const folder = tempFolder();
  const store = options.store ?? openMemoryStore();
  const unix = { kind: "unix", path: folder.file("rpc.sock") } as const;
  const tcp = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
  const { isUnix = false, parts, access, net = newNet(), number = 1, ...given } = options;
  const node = startNode(store, net, number);
  const services = new RpcServices({
    store,
    clock: systemClock,
    isReady: () => true,
    nodeName: node.nodeName,
    endpointId: node.endpoint.id,
    sync: node.coordinator,
    ...parts,
  });
  const server = await RpcServer.open({
    clock: systemClock,
    listen: [isUnix ? unix : tcp],
    deadlines: { defaultMs: 120_000, maxMs: 300_000 },
    connections: CONNECTIONS,
    documentBytesMax: 1024 ** 2,
    ...given,
    access: { token: new Secret(TOKEN), isTokenConfigured: true, corsOrigins: [], ...access },
    services,
  });
  const address = (index = 0): ListenAddress => {
    const found = server.addresses[index];
    if (found === undefined) throw new Error(`there is no listener ${index}`);
    return found;
  };
  const url = (index = 0): string => {
    const at = address(index);
    return at.kind === "unix" ? "http://localhost" : `http://127.0.0.1:${at.port}`;
  };
  const clientOf: RpcWorld["clientOf"] = (service, clientOptions = {}, index = 0) =>
    createClient(service, transportTo(address(index), url(index), clientOptions));
  return {
    server,
    store,
    services,
    coordinator: node.coordinator,
    peerId: node.endpoint.id,
    peerAddress: net.addressOf(node.endpoint.id),
    address,
    url,
    clientOf,
    client: (clientOptions, index) => clientOf(PeatSidecar, clientOptions, index),
    socket: (index) => socketTo(address(index)),
    connect: (index) => connected(socketTo(address(index))),
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await node.coordinator.close();
      await node.endpoint.close();
      if (options.store === undefined) store.close();
      folder[Symbol.dispose]();
    },
  };
}

/** Of a call that fails; undefined when it is answered. */
export async function codeOf(call: Promise<unknown>): Promise<Code | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return ConnectError.from(error).code;
  }
}

function startNode(store: Store, net: MemoryNet, number: number) {
  const formation = new Formation([FORMATION_SECRET]);
  const nodeName = parseNodeName(`node-${number}`);
  const [own] = formation.endpointIds(nodeName);
  if (own === undefined) throw new Error("a formation has a secret");
  const endpoint: MemoryEndpoint = net.open({
    id: own.id,
    address: `10.0.0.${number}:11204`,
    alpns: [ALPN_NATIVE],
  });
  const coordinator = new Coordinator({
    onBug: (error) => {
      throw error;
    },
    network: endpoint,
    store,
    clock: systemClock,
    formation,
    nodeName,
    version: "test",
    random: Math.random,
  });
  coordinator.start();
  return { coordinator, endpoint, nodeName };
}

function socketTo(address: ListenAddress): Socket {
  return connectNet(address.kind === "unix" ? { path: address.path } : address);
}

function connected(socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

function transportTo(
  address: ListenAddress,
  baseUrl: string,
  options: Partial<ClientOptions>,
): Transport {
  const { protocol = "connect", httpVersion = "2", useBinaryFormat = true, headers = {} } = options;
  const socketPath = address.kind === "unix" ? address.path : undefined;
  const nodeOptions =
    httpVersion === "2" ? { createConnection: () => connectNet(socketPath ?? "") } : { socketPath };
  const common = {
    baseUrl,
    useBinaryFormat,
    interceptors: [
      (next) => (request) => {
        for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
        return next(request);
      },
    ],
    ...(socketPath === undefined ? {} : { nodeOptions }),
  } satisfies Partial<Parameters<typeof createGrpcTransport>[0]>;
  switch (protocol) {
    case "connect":
      return createConnectTransport({ ...common, httpVersion });
    case "grpc":
      return createGrpcTransport({ ...common });
    case "grpc-web":
      return createGrpcWebTransport({ ...common, httpVersion });
  }
}
