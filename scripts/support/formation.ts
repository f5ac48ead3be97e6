// A formation on loopback: some processes of the executable that know each other by a static list.
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "./at-exit.ts";
import { NodeProcess, type NodeProcessOptions } from "./node-process.ts";
import { freeTcpPort, freeUdpPort } from "./ports.ts";
import { waitFor } from "./waiting.ts";

export interface FormationOptions {
  readonly executable: string;
  readonly nodes: number;
  /** RUST_LOG of the nodes; by default what the executable does by itself. */
  readonly logFilter?: string;
  /** More settings of all nodes, by their names in the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export class Formation {
  readonly folder: string;
  readonly #settings: readonly NodeProcessOptions[];
  readonly #forgetFolder: () => void;
  readonly #running = new Map<number, NodeProcess>();

  private constructor(folder: string, settings: readonly NodeProcessOptions[]) {
    this.folder = folder;
    this.#forgetFolder = atExit(() => rmSync(folder, { recursive: true, force: true }));
    this.#settings = settings;
  }

  /** Prepares folders, secret and ports; starts nothing. */
  static async prepare(options: FormationOptions): Promise<Formation> {
    const folder = await mkdtemp(join(tmpdir(), "peat-formation-"));
    const secretFile = join(folder, "formation-secret");
    await writeFile(secretFile, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    const settings: NodeProcessOptions[] = [];
    for (let index = 0; index < options.nodes; index += 1) {
      settings.push({
        executable: options.executable,
        name: `node-${index}`,
        secretFile,
        dataDir: join(folder, `node-${index}`),
        brokerPort: await freeTcpPort(),
        irohPort: await freeUdpPort(),
        peers: [],
        logFilter: options.logFilter ?? "info,peat_mesh=debug",
        env: options.env ?? {},
      });
    }
    const address = (s: NodeProcessOptions): string => `${s.name}@127.0.0.1:${s.irohPort}`;
    const withPeers = settings.map((own) => ({
      ...own,
      peers: settings.filter((other) => other !== own).map(address),
    }));
    return new Formation(folder, withPeers);
  }

  /** A running node. */
  node(index: number): NodeProcess {
    const node = this.#running.get(index);
    if (node === undefined) throw new Error(`node-${index} is not running`);
    return node;
  }

  /** By their numbers, whichever started first. */
  get running(): NodeProcess[] {
    return this.#settings.flatMap((_, index) => this.#running.get(index) ?? []);
  }

  /** What a node is started with, whether it runs or not. */
  settings(index: number): NodeProcessOptions {
    const settings = this.#settings[index];
    if (settings === undefined) throw new Error(`there is no node-${index}`);
    return settings;
  }

  /** Starts one node, on the data it left if it ran before; `changed` replaces some of its settings. */
  async start(index: number, changed: Partial<NodeProcessOptions> = {}): Promise<NodeProcess> {
    const node = await NodeProcess.start({ ...this.settings(index), ...changed });
    this.#running.set(index, node);
    return node;
  }

  /** Starts all; resolves when each is ready and connected to each. */
  async startAll(): Promise<void> {
    await Promise.all(this.#settings.map((_, index) => this.start(index)));
    await Promise.all(this.running.map((node) => node.ready()));
    await Promise.all(this.running.map((node) => node.connected(this.#settings.length - 1)));
  }

  async kill(index: number): Promise<void> {
    await this.node(index).kill();
    this.#running.delete(index);
  }

  async stop(index: number): Promise<void> {
    const node = this.node(index);
    this.#running.delete(index);
    await node.stop();
  }

  /** Throws away what a stopped node has stored. */
  async wipe(index: number): Promise<void> {
    if (this.#running.has(index)) throw new Error(`node-${index} is running`);
    await rm(join(this.folder, `node-${index}`), { recursive: true, force: true });
  }

  /** Resolves with the root hash that all running nodes have, once they hold so many documents. */
  async equal(documents: number, limitMs: number): Promise<string> {
    const isEqual = waitFor("equal state hashes", limitMs, async () => {
      const all = await Promise.all(this.running.map((node) => node.api.summary()));
      const hashes = new Set(all.map((summary) => summary.root_hash));
      const isComplete = all.every((summary) => summary.documents === documents);
      return isComplete && hashes.size === 1 ? [...hashes][0] : undefined;
    });
    return Promise.race([isEqual, this.failed]);
  }

  /** Rejects when one of the running nodes ends by itself. */
  get failed(): Promise<never> {
    return Promise.race(this.running.map((node) => node.failed));
  }

  expectEnd(): void {
    for (const node of this.running) node.expectEnd();
  }

  /** Stops what runs and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.running.map((node) => node.stop()));
    this.#running.clear();
    await rm(this.folder, { recursive: true, force: true });
    this.#forgetFolder();
  }
}
