// The kubelet's own HTTPS server, asked by the API server alone: logs, and exec by WebSocket.
import type { Subprocess } from "bun";
import { killTree } from "./container-process.ts";
import type { ContainerRunner } from "./container-runner.ts";
import type { PodWorker } from "./pod-worker.ts";

/** The remote command protocol of Kubernetes: the first byte of each message is its channel. */
const EXEC_PROTOCOL = "v5.channel.k8s.io";
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
/** The client is done with the channel that the next byte names. */
const CLOSE = 255;

interface ExecSession {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly hasStdin: boolean;
  child?: Subprocess<"pipe" | "ignore", "pipe", "pipe">;
}

export interface KubeletServerOptions {
  readonly address: string;
  readonly port: number;
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly find: (namespace: string, name: string) => PodWorker | undefined;
}

export function serveKubelet(options: KubeletServerOptions): Disposable {
  const server = Bun.serve<ExecSession>({
    hostname: options.address,
    port: options.port,
    idleTimeout: 0,
    tls: {
      ca: options.ca,
      cert: options.certificate,
      key: options.key,
      requestCert: true,
      rejectUnauthorized: true,
    },
    fetch(request, self) {
      const url = new URL(request.url);
      const [, kind, namespace = "", name = "", container] = url.pathname.split("/");
      const runner = options.find(namespace, name)?.container(container);
      if (runner === undefined) return new Response("no such container\n", { status: 404 });
      if (kind === "containerLogs") return logs(runner, url.searchParams);
      if (kind === "exec") return upgrade(runner, url.searchParams, request, self);
      return new Response("not served\n", { status: 404 });
    },
    websocket: {
      open: (socket) => void runExec(socket),
      message: (socket, message) => takeInput(socket.data, Buffer.from(message)),
      close: ({ data }) => {
        if (data.child !== undefined && data.child.exitCode === null) killTree(data.child.pid);
      },
    },
  });
  return { [Symbol.dispose]: () => void server.stop(true) };
}

function numberOf(params: URLSearchParams, name: string): number | undefined {
  const text = params.get(name);
  return text === null ? undefined : Number(text);
}

function logs(runner: ContainerRunner, params: URLSearchParams): Response {
  const log = runner.log(params.get("previous") === "true");
  if (log === undefined) return new Response("no log yet\n", { status: 400 });
  const seconds = numberOf(params, "sinceSeconds");
  const time = params.get("sinceTime");
  const run = runner.process;
  const query = {
    follow: params.get("follow") === "true",
    tailLines: numberOf(params, "tailLines"),
    timestamps: params.get("timestamps") === "true",
    sinceMs:
      seconds === undefined
        ? time === null
          ? undefined
          : Date.parse(time)
        : Date.now() - seconds * 1000,
  };
  const lines = log.read(query, () => runner.process !== run || run === undefined);
  const encoder = new TextEncoder();
  const body = new ReadableStream({
    async pull(controller) {
      const { done, value } = await lines.next();
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await lines.return(undefined);
    },
  });
  return new Response(body, { headers: { "content-type": "text/plain" } });
}

function upgrade(
  runner: ContainerRunner,
  params: URLSearchParams,
  request: Request,
  server: Bun.Server<ExecSession>,
): Response | undefined {
  const { process } = runner;
  if (process === undefined) return new Response("it does not run\n", { status: 400 });
  const offered = request.headers.get("sec-websocket-protocol") ?? "";
  if (!offered.split(/\s*,\s*/).includes(EXEC_PROTOCOL) || params.get("tty") === "true") {
    return new Response(`only ${EXEC_PROTOCOL} without a terminal\n`, { status: 400 });
  }
  const data: ExecSession = {
    command: process.execCommand(params.getAll("command")),
    env: process.spec.env,
    hasStdin: params.get("input") === "1",
  };
  const headers = { "sec-websocket-protocol": EXEC_PROTOCOL };
  if (server.upgrade(request, { data, headers })) return undefined;
  return new Response("not a WebSocket\n", { status: 400 });
}

async function runExec(socket: Bun.ServerWebSocket<ExecSession>): Promise<void> {
  const { command, env, hasStdin } = socket.data;
  const child = Bun.spawn([...command], {
    env: { ...env },
    stdin: hasStdin ? "pipe" : "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  socket.data.child = child;
  const send = async (channel: number, stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const chunk of stream) socket.send(Buffer.concat([Buffer.from([channel]), chunk]));
  };
  await Promise.all([send(STDOUT, child.stdout), send(STDERR, child.stderr)]);
  const exitCode = await child.exited;
  const status =
    exitCode === 0
      ? { status: "Success" }
      : {
          status: "Failure",
          reason: "NonZeroExitCode",
          message: `command terminated with non-zero exit code: ${exitCode}`,
          details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
        };
  socket.send(Buffer.concat([Buffer.from([STATUS]), Buffer.from(JSON.stringify(status))]));
  socket.close(1000);
}

function takeInput({ child }: ExecSession, message: Buffer): void {
  const input = child?.stdin;
  if (input === undefined || typeof input === "number") return;
  if (message[0] === STDIN) {
    input.write(message.subarray(1));
    input.flush();
  } else if (message[0] === CLOSE && message[1] === STDIN) {
    input.end();
  }
}
