// A place for one node in a network namespace: how it is started there, and asked from outside.
import { join } from "node:path";
import type { Namespace } from "../../test/support/namespace.ts";
import { atExit } from "../support/at-exit.ts";
import { NodeProcess } from "../support/node-process.ts";

export const IROH_PORT = 11204;
const BROKER_PORT = 8081;

export interface SeatOptions {
  readonly name: string;
  readonly namespace: Namespace;
  readonly executable: string;
  /** Where it keeps its documents, in a folder of its own. */
  readonly folder: string;
  readonly secretFile: string;
  readonly logFilter: string;
}

export class Seat implements AsyncDisposable {
  readonly name: string;
  readonly namespace: Namespace;
  readonly #options: SeatOptions;
  readonly #door: string;
  readonly #doorProcess: Bun.Subprocess;
  #node: NodeProcess | undefined;

  constructor(options: SeatOptions) {
    this.name = options.name;
    this.namespace = options.namespace;
    this.#options = options;
    this.#door = join(options.folder, `${options.name}.sock`);
    const command = [process.execPath, join(import.meta.dirname, "door.ts")];
    const where = [this.#door, String(BROKER_PORT)];
    this.#doorProcess = Bun.spawn(this.namespace.command([...command, ...where]), {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit",
    });
    this.#doorProcess.exited.finally(atExit(() => this.#doorProcess.kill("SIGKILL")));
  }

  get node(): NodeProcess {
    if (this.#node === undefined) throw new Error(`no node runs on ${this.name}`);
    return this.#node;
  }

  get isRunning(): boolean {
    return this.#node !== undefined;
  }

  /** Starts the node, on the data it left if it ran before; `peers` as in PEAT_STATIC_PEERS. */
  async start(
    peers: readonly string[],
    settings: Readonly<Record<string, string>> = {},
  ): Promise<NodeProcess> {
    const { name, executable, folder, secretFile, logFilter } = this.#options;
    this.#node = await NodeProcess.start({
      executable,
      name,
      secretFile,
      dataDir: join(folder, name),
      brokerPort: BROKER_PORT,
      irohPort: IROH_PORT,
      peers,
      logFilter,
      place: { command: this.namespace.command([]), door: this.#door },
      env: { PEAT_IROH_BIND_ADDR: "0.0.0.0", ...settings },
    });
    return this.#node;
  }

  async stop(): Promise<void> {
    const node = this.#node;
    this.#node = undefined;
    await node?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#doorProcess.kill("SIGKILL");
    this.namespace[Symbol.dispose]();
  }
}
