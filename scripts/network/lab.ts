// A formation in network namespaces: each node is the executable on a host of its own, and all hosts are plugged
// into switches that can be parted, slowed down and counted. Nothing of it leaves the machine.
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, Namespace } from "../../test/support/namespace.ts";
import { Wire } from "../../test/support/wire.ts";
import { atExit } from "../support/at-exit.ts";
import type { NodeProcess } from "../support/node-process.ts";
import { waitFor } from "../support/waiting.ts";
import { IROH_PORT, Seat } from "./seat.ts";
import type { WireQuality } from "./wire.ts";

const SWITCHES = ["switch0", "switch1"] as const;
const DEVICE = "eth0";

export interface LabOptions {
  readonly executable: string;
  readonly hosts: readonly string[];
  /** Those of them whose cables can be made bad; such a cable is slower at its best, too. */
  readonly wired?: readonly string[];
  /** Those of them whose frames are recorded as they leave, in NAME.frames of the lab's folder. */
  readonly recorded?: readonly string[];
  readonly logFilter?: string;
}

export interface Counters {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** One machine with one interface, and mostly one node. */
export class Host {
  readonly name: string;
  readonly seat: Seat;
  readonly port: string;
  readonly #lab: Lab;
  readonly #wire: Wire | undefined;
  #address: string;

  constructor(lab: Lab, place: { seat: Seat; index: number; wire: Wire | undefined }) {
    this.#lab = lab;
    this.seat = place.seat;
    this.name = place.seat.name;
    this.#address = addressOf(place.index);
    this.port = `port${place.index}`;
    this.#wire = place.wire;
  }

  get address(): string {
    return this.#address;
  }

  get namespace(): Namespace {
    return this.seat.namespace;
  }

  get node(): NodeProcess {
    return this.seat.node;
  }

  /** Starts the node; it looks for all other hosts unless `settings` say else. */
  start(settings: Readonly<Record<string, string>> = {}): Promise<NodeProcess> {
    const others = this.#lab.hosts.filter((host) => host !== this);
    const peers = others.map((host) => `${host.name}@${host.address}:${IROH_PORT}`);
    return this.seat.start(peers, settings);
  }

  stop(): Promise<void> {
    return this.seat.stop();
  }

  /** What its interface has counted, frames with all their headers. */
  counters(): Counters {
    const read = (name: string) =>
      Number(this.namespace.read(["cat", `/sys/class/net/${DEVICE}/statistics/${name}`]));
    return { sentBytes: read("tx_bytes"), receivedBytes: read("rx_bytes") };
  }

  /** How good its cable is from now on; only of a host that was opened with a wire of its own. */
  async degrade(quality: WireQuality): Promise<void> {
    if (this.#wire === undefined) throw new Error(`${this.name} has an ordinary cable`);
    await this.#wire.degrade(quality);
  }

  /** Takes another address of the network, and gives up the one that it had. */
  moveTo(address: string): void {
    // In this order: with the first address of a network the kernel drops the later ones.
    this.namespace.ip("address", "del", `${this.#address}/24`, "dev", DEVICE);
    this.namespace.ip("address", "add", `${address}/24`, "dev", DEVICE);
    this.#address = address;
  }

  /** Pulls its cable out of the switch, or puts it back. */
  plug(isIn: boolean): void {
    this.#lab.hub.ip("link", "set", this.port, isIn ? "up" : "down");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.seat[Symbol.asyncDispose]();
    this.#wire?.[Symbol.dispose]();
  }
}

function addressOf(index: number): string {
  return `10.77.0.${index + 1}`;
}

export class Lab implements AsyncDisposable {
  readonly executable: string;
  readonly folder: string;
  readonly secretFile: string;
  readonly secret: string;
  readonly logFilter: string;
  readonly hub: Namespace;
  readonly hosts: readonly Host[];
  readonly #forgetFolder: () => void;

  private constructor(
    options: LabOptions,
    { folder, secret, wires }: { folder: string; secret: string; wires: Map<string, Wire> },
  ) {
    this.executable = options.executable;
    this.logFilter = options.logFilter ?? "info";
    this.folder = folder;
    this.secret = secret;
    this.secretFile = join(folder, "formation-secret");
    this.#forgetFolder = atExit(() => rmSync(folder, { recursive: true, force: true }));
    this.hub = new Namespace("hub");
    for (const device of SWITCHES) {
      this.hub.ip("link", "add", device, "type", "bridge", "mcast_snooping", "0");
      this.hub.ip("link", "set", device, "up");
    }
    this.hosts = options.hosts.map((name, index) => {
      const namespace = new Namespace(name);
      const end = { namespace, device: DEVICE, address: `${addressOf(index)}/24` };
      const port = { namespace: this.hub, device: `port${index}` };
      const wire = wires.get(name);
      if (wire === undefined) connect(port, end);
      else wire.connect(port, end);
      const { executable, secretFile, logFilter } = this;
      const about = { executable, folder, secretFile, logFilter };
      return new Host(this, { seat: new Seat({ name, namespace, ...about }), index, wire });
    });
    this.heal();
  }

  static async open(options: LabOptions): Promise<Lab> {
    const folder = await mkdtemp(join(tmpdir(), "peat-lab-"));
    const secret = randomBytes(32).toString("base64");
    await writeFile(join(folder, "formation-secret"), `${secret}\n`, { mode: 0o600 });
    const wires = new Map<string, Wire>();
    for (const name of options.wired ?? []) wires.set(name, await Wire.open());
    for (const name of options.recorded ?? []) {
      wires.set(name, await Wire.open(join(folder, `${name}.frames`)));
    }
    return new Lab(options, { folder, secret, wires });
  }

  host(name: string): Host {
    const host = this.hosts.find((h) => h.name === name);
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
  }

  get nodes(): NodeProcess[] {
    return this.hosts.filter((host) => host.seat.isRunning).map((host) => host.node);
  }

  /** Starts a node on each host; resolves when each is ready and connected to each. */
  async startAll(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.start(settings)));
    await Promise.all(this.nodes.map((node) => node.ready()));
    await this.connected();
  }

  /** Resolves once every node is connected to every other. */
  async connected(limitMs = 30_000): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.connected(this.nodes.length - 1, limitMs)));
  }

  /** Resolves once every two nodes have found that they hold the same. */
  async settled(limitMs = 60_000): Promise<void> {
    const inSync = /^peat_peer_in_sync\{[^}]*\} 1$/gm;
    await waitFor("all nodes to agree", limitMs, async () => {
      const texts = await Promise.all(this.nodes.map((node) => node.api.metrics()));
      const others = this.nodes.length - 1;
      return texts.every((text) => text.match(inSync)?.length === others) || undefined;
    });
  }

  /** Resolves once no node of one list is connected to one of the other. */
  async parted(ours: readonly string[], limitMs = 60_000): Promise<void> {
    await waitFor("the parting to be noticed", limitMs, async () => {
      for (const name of ours) {
        const peers = await this.host(name).node.api.peers();
        if (peers.some((peer) => peer.connected && !ours.includes(peer.id))) return undefined;
      }
      return true;
    });
  }

  /** Parts the hosts named from all others. */
  part(names: readonly string[]): void {
    for (const host of this.hosts) {
      const device = SWITCHES[names.includes(host.name) ? 1 : 0];
      this.hub.ip("link", "set", host.port, "master", device);
    }
  }

  /** All hosts are on one switch. */
  heal(): void {
    this.part([]);
  }

  /** Sum of what all interfaces have received. */
  receivedBytes(): number {
    return this.hosts.reduce((sum, host) => sum + host.counters().receivedBytes, 0);
  }

  /** Resolves with the ms that it took once all nodes hold equal documents, so many of them. */
  equal(documents: number, limitMs: number): Promise<number> {
    const running = this.hosts.filter((host) => host.seat.isRunning).map((host) => host.name);
    return this.equalAmong(running, documents, limitMs);
  }

  /** The same of the nodes on some hosts. */
  async equalAmong(names: readonly string[], documents: number, limitMs: number): Promise<number> {
    const sinceMs = performance.now();
    const nodes = names.map((name) => this.host(name).node);
    const isEqual = waitFor(
      `${documents} equal documents on ${names.join(", ")}`,
      limitMs,
      async () => {
        const all = await Promise.all(nodes.map((node) => node.api.summary()));
        const isComplete = all.every((summary) => summary.documents === documents);
        return (isComplete && new Set(all.map((s) => s.root_hash)).size === 1) || undefined;
      },
      50,
    );
    await Promise.race([isEqual, ...nodes.map((node) => node.failed)]);
    return performance.now() - sinceMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.hosts.map((host) => host[Symbol.asyncDispose]()));
    this.hub[Symbol.dispose]();
    await rm(this.folder, { recursive: true, force: true });
    this.#forgetFolder();
  }
}
