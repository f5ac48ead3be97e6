// A remote agent for tests: a real server of the three calls over HTTP/1.1, HTTP/2 or both, on TCP, a unix socket or
// TLS, with answers as a Connect server prints them.
import { readFileSync } from "node:fs";
import { createServer as createHttp1 } from "node:http";
import { createServer as createHttp2, createSecureServer } from "node:http2";
import { createServer as createHttps } from "node:https";
import { createServer, type Server, type Socket } from "node:net";
import type { AgentTarget } from "../../src/agent/client.ts";
import type { Issued } from "./cluster/pki.ts";

export type Way = "answer" | "hang" | "garbage" | "refuse" | "endless";

export interface FakeAgentOptions {
  readonly protocol: "http/1.1" | "h2";
  /** A unix socket; else TCP on loopback. */
  readonly path?: string;
  readonly port?: number;
  readonly tls?: Issued & { readonly clientCa: string };
}

export const STATUS_PATH = "/status";
export const DEPLOYMENTS_PATH = "/zarfapi.v1.ZarfAPIService/ListPackages";
export const PULLED_PATH = "/registryapi.v1.RegistryService/ListPulledPackages";

const STATUS = {
  version: "1.4.0",
  architecture: "amd64",
  classification: "UNCLASSIFIED",
  k8sVersion: "v1.31.2",
  k8sNodeStatus: "Ready",
  zarfVersion: "v0.48.0",
  runMode: "service",
  systemTime: "2026-01-01T00:00:00Z",
  somethingNewer: { deep: [1, 2, 3] },
};

const DEPLOYMENTS = {
  packages: [
    {
      name: "core",
      version: "0.34.0",
      status: "PACKAGE_STATUS_DEPLOYED",
      flavor: "upstream",
      annotations: { team: "blue" },
    },
    { name: "init", version: "v0.48.0", status: 2, unknownField: true },
  ],
};

const PULLED = {
  registries: [
    {
      host: "ghcr.io",
      packages: [
        {
          packageName: "packages/core",
          tags: [
            {
              reference: "core:0.34.0",
              arch: "amd64",
              version: "0.34.0",
              // As protobuf's JSON has 64-bit numbers.
              totalBytes: "9007199254740995",
              pullInfo: { status: "PULL_STATUS_DONE" },
            },
          ],
        },
      ],
    },
  ],
};

interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

export class FakeAgent implements AsyncDisposable {
  /** What each call answers: JSON, printed at each call. */
  readonly answers = new Map<string, unknown>([
    [STATUS_PATH, STATUS],
    [DEPLOYMENTS_PATH, DEPLOYMENTS],
    [PULLED_PATH, PULLED],
  ]);
  /** How each call is answered, if not well. */
  readonly ways = new Map<string, Way>();
  readonly calls: Exchange[] = [];
  readonly #options: FakeAgentOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #onCall: () => void = () => undefined;

  private constructor(options: FakeAgentOptions) {
    this.#options = options;
    this.#server = this.#create();
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(options: FakeAgentOptions): Promise<FakeAgent> {
    const agent = new FakeAgent(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    agent.#server.once("error", reject);
    if (options.path === undefined) {
      agent.#server.listen(options.port ?? 0, "127.0.0.1", resolve);
    } else agent.#server.listen(options.path, resolve);
    await promise;
    return agent;
  }

  get target(): AgentTarget {
    const { path, tls } = this.#options;
    if (path !== undefined) return { kind: "unix", path };
    const kind = tls === undefined ? "http" : "https";
    return { kind, host: "127.0.0.1", port: this.port, basePath: "" };
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Resolves when the agent has been called again. */
  nextCall(): Promise<void> {
    return new Promise((resolve) => {
      this.#onCall = resolve;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #create(): Server {
    const { protocol, tls } = this.#options;
    const take = (request: Request, response: Response) => this.#take(request, response);
    if (tls === undefined) {
      return protocol === "h2" ? createHttp2(take) : createHttp1(take);
    }
    const options = {
      cert: readFileSync(tls.certificate),
      key: readFileSync(tls.key),
      ca: readFileSync(tls.clientCa),
      requestCert: true,
      rejectUnauthorized: true,
    };
    return protocol === "h2" ? createSecureServer(options, take) : createHttps(options, take);
  }

  #take(request: Request, response: Response): void {
    let body = "";
    request.on("data", (part) => {
      body += String(part);
    });
    request.on("end", () => {
      const path = request.url ?? "";
      this.calls.push({ method: request.method ?? "", path, body });
      this.#answer(path, response);
      this.#onCall();
    });
  }

  #answer(path: string, response: Response): void {
    const answer = this.answers.get(path);
    switch (this.ways.get(path) ?? (answer === undefined ? "refuse" : "answer")) {
      case "answer":
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify(answer));
        return;
      case "refuse":
        response.writeHead(503, { "content-type": "application/json" });
        response.end('{"code":"unavailable"}');
        return;
      case "garbage":
        response.writeHead(200, { "content-type": "application/json" });
        response.end(Buffer.from([0xff, 0x00, 0x7b]));
        return;
      case "endless":
        response.writeHead(200, { "content-type": "application/json" });
        for (let n = 0; n < 40; n += 1) response.write(Buffer.alloc(256 * 1024, 0x20));
        return;
      case "hang":
        return;
    }
  }
}

/** What both versions' compatible interfaces have. */
interface Request {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  on(event: "data" | "end", listener: (part: unknown) => void): unknown;
}

interface Response {
  writeHead(status: number, headers: Record<string, string>): unknown;
  write(part: Uint8Array): unknown;
  end(body: string | Uint8Array): unknown;
}

/** A TCP server that says `bytes` to whoever connects. */
export async function startNoise(bytes: Uint8Array): Promise<{ port: number } & AsyncDisposable> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.resume();
    socket.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
