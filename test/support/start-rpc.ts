// RPC listeners over a store in memory, and clients of every protocol and transport.
import { connect as connectNet, type Socket } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { systemClock } from "../../src/base/clock.ts";
import { Secret } from "../../src/base/secret.ts";
import { PeatSidecar } from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import type { ListenAddress } from "../../src/rpc/listen-address.ts";
import { RpcServer, type RpcServerOptions } from "../../src/rpc/server.ts";
import { type RpcParts, RpcServices } from "../../src/rpc/services.ts";
import type { Store } from "../../src/store/store.ts";
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

export interface RpcWorld extends AsyncDisposable {
  readonly server: RpcServer;
  readonly store: Store;
  readonly services: RpcServices;
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
  readonly parts?: Partial<RpcParts>;
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
  const { isUnix = false, parts, access, ...given } = options;
  const services = new RpcServices({ store, clock: systemClock, isReady: () => true, ...parts });
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
    address,
    url,
    clientOf,
    client: (clientOptions, index) => clientOf(PeatSidecar, clientOptions, index),
    socket: (index) => socketTo(address(index)),
    connect: (index) => connected(socketTo(address(index))),
    [Symbol.asyncDispose]: async () => {
      await server.close();
      if (options.store === undefined) store.close();
      folder[Symbol.dispose]();
    },
  };
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
