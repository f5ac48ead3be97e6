// One process of the compiled executable, started with settings in its environment, watched until its end.
import { mkdir } from "node:fs/promises";
import { atExit } from "./at-exit.ts";
import { BrokerApi } from "./broker-api.ts";
import { waitFor } from "./waiting.ts";

const LOG_LINES_KEPT = 200;
const TAIL_LINES = 25;
const STOP_LIMIT_MS = 20_000;
/** For the last words in the pipe of a process that has ended; what it has started may hold the pipe open. */
const LAST_WORDS_MS = 2_000;

export interface NodeProcessOptions {
  readonly executable: string;
  readonly name: string;
  readonly secretFile: string;
  readonly dataDir: string;
  readonly brokerPort: number;
  readonly irohPort: number;
  /** `name@host:port` of the others. */
  readonly peers: readonly string[];
  /** RUST_LOG of the process. */
  readonly logFilter: string;
  /** More settings, by their names in the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where it runs, if not beside this process. */
  readonly place?: NodePlace;
}

/** Somewhere that loopback does not reach, such as a network namespace. */
export interface NodePlace {
  /** What the command line begins with; it must keep the process id. */
  readonly command: readonly string[];
  /** Path of a unix socket that leads to the broker. */
  readonly door: string;
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  keep: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) keep(line);
  }
  if (rest !== "") keep(rest);
}

export class NodeProcess {
  readonly name: string;
  readonly api: BrokerApi;
  readonly dataDir: string;
  /** That it was started with. */
  readonly environment: Readonly<Record<string, string>>;
  /** performance.now() just before the process was started. */
  readonly startedMs: number;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #lines: string[] = [];
  /** Ends when all that the process has said is read. */
  readonly #output: Promise<unknown>;
  #isEndExpected = false;
  /** Rejects, with the log's tail, when the process ends without having been told to; never resolves. */
  readonly failed: Promise<never>;

  private constructor(options: NodeProcessOptions) {
    this.name = options.name;
    this.dataDir = options.dataDir;
    this.api = new BrokerApi(`http://127.0.0.1:${options.brokerPort}`, options.place?.door);
    this.startedMs = performance.now();
    // Nothing of the caller's own settings may reach the node.
    this.environment = {
      PATH: Bun.env["PATH"] ?? "",
      HOME: options.dataDir,
      ...(Bun.env["TMPDIR"] === undefined ? {} : { TMPDIR: Bun.env["TMPDIR"] }),
      PEAT_NODE_ID: options.name,
      PEAT_FORMATION_SECRET_FILE: options.secretFile,
      PEAT_DATA_DIR: options.dataDir,
      PEAT_RUNTIME_DIR: options.dataDir,
      PEAT_DISCOVERY: "static",
      PEAT_STATIC_PEERS: options.peers.join(","),
      PEAT_BROKER_ADDR: "127.0.0.1",
      PEAT_LISTEN: "none",
      PEAT_BROKER_PORT: String(options.brokerPort),
      PEAT_IROH_BIND_ADDR: "127.0.0.1",
      PEAT_IROH_BIND_PORT: String(options.irohPort),
      RUST_LOG: options.logFilter,
      ...options.env,
    };
    this.#child = Bun.spawn([...(options.place?.command ?? []), options.executable], {
      env: this.environment,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const child = this.#child;
    child.exited.finally(atExit(() => child.kill("SIGKILL")));
    const keep = (line: string): void => {
      this.#lines.push(line);
      if (this.#lines.length > LOG_LINES_KEPT) this.#lines.shift();
    };
    this.#output = Promise.all([
      readLines(this.#child.stdout, keep),
      readLines(this.#child.stderr, keep),
    ]);
    this.failed = this.#child.exited.then(async () => {
      await this.#output;
      if (this.#isEndExpected) return new Promise<never>(() => undefined);
      const how = this.#child.signalCode ?? `exit status ${this.#child.exitCode}`;
      throw new Error(`${this.name} ended by itself (${how}). Its last lines:\n${this.logTail()}`);
    });
    // Whoever awaits `failed` is told; nobody awaiting it must not end this process.
    this.failed.catch(() => undefined);
  }

  /** Starts the process; resolves at once, before the node is ready. */
  static async start(options: NodeProcessOptions): Promise<NodeProcess> {
    await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
    return new NodeProcess(options);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The newest lines of its output, a few hundred at most. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** The last lines of its output, indented. */
  logTail(): string {
    return this.#lines
      .slice(-TAIL_LINES)
      .map((line) => `    ${line}`)
      .join("\n");
  }

  /** Resolves with the ms since the start once the node calls itself ready. */
  async ready(limitMs = 30_000): Promise<number> {
    const isReady = waitFor(
      `${this.name} to be ready`,
      limitMs,
      async () => (await this.api.isReady()) || undefined,
      2,
    );
    await Promise.race([isReady, this.failed]);
    return performance.now() - this.startedMs;
  }

  /** Resolves once so many peers are connected. */
  async connected(count: number, limitMs = 30_000): Promise<void> {
    const isConnected = waitFor(`${this.name} to have ${count} peers`, limitMs, async () => {
      const peers = await this.api.peers();
      return peers.filter((peer) => peer.connected).length >= count || undefined;
    });
    await Promise.race([isConnected, this.failed]);
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    this.#isEndExpected = true;
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    await this.#read();
  }

  /** Asks it to stop; resolves with its exit status. After 20 s it is killed, and the status is null. */
  async stop(): Promise<number | null> {
    this.#isEndExpected = true;
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_LIMIT_MS);
    await this.#child.exited;
    clearTimeout(timer);
    await this.#read();
    return this.#child.exitCode;
  }

  async #read(): Promise<void> {
    await Promise.race([this.#output, Bun.sleep(LAST_WORDS_MS)]);
  }

  /** From now on the end of the process is nobody's surprise: a Ctrl-C reaches it too. */
  expectEnd(): void {
    this.#isEndExpected = true;
  }
}
