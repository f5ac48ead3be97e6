// A node without its listeners: network, store, formation and coordinator in this process, over real Iroh on
// loopback, in a folder of its own.

import { waitFor } from "../../scripts/support/waiting.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Fault } from "../../src/base/faults.ts";
import { type LogFilter, openLog, parseLogFilter } from "../../src/base/log.ts";
import { Secret } from "../../src/base/secret.ts";
import { Formation } from "../../src/identity/formation.ts";
import {
  type NodeName,
  type PeerAddress,
  parseHostPort,
  parseNodeName,
} from "../../src/identity/peer.ts";
import { openIrohNetwork } from "../../src/net/iroh.ts";
import type { Network } from "../../src/net/link.ts";
import { CollectionPolicies, NO_CHOICES } from "../../src/store/collection-policies.ts";
import { Store } from "../../src/store/store.ts";
import { ROOT } from "../../src/store/sums.ts";
import { Coordinator, type CoordinatorOptions } from "../../src/sync/coordinator.ts";
import type { Session } from "../../src/sync/session.ts";
import { ALPN_GUEST, ALPN_NATIVE } from "../../src/wire/hello.ts";
import { put, read, remove } from "./memory-store.ts";
import { type TempFolder, tempFolder } from "./temp-folder.ts";

const MIB = 1024 * 1024;
const LIMIT_MS = 20_000;

export function randomSecret(): Secret<Uint8Array> {
  return new Secret(crypto.getRandomValues(new Uint8Array(32)));
}

export interface StartOptions {
  readonly name: string;
  /** The identity first, then what is accepted beside it. */
  readonly secrets: readonly Secret<Uint8Array>[];
  /** Where it keeps its documents; a folder of its own by default, gone with it. */
  readonly folder?: string;
  /** `ip:port`; any port of 127.0.0.1 by default. */
  readonly bindAddress?: string;
  readonly alpns?: readonly string[];
  readonly documentBytesMax?: number;
  /** What else its coordinator is told. */
  readonly beside?: Pick<CoordinatorOptions, "features" | "arrivedBeside">;
}

export class TestNode implements AsyncDisposable {
  readonly name: NodeName;
  readonly formation: Formation;
  readonly network: Network;
  readonly store: Store;
  readonly coordinator: Coordinator;
  /** What would have ended the process. */
  readonly fatal: Fault[];
  readonly #folder: TempFolder | undefined;
  #isStopped = false;

  private constructor(parts: {
    name: NodeName;
    formation: Formation;
    network: Network;
    store: Store;
    fatal: Fault[];
    folder: TempFolder | undefined;
    beside: StartOptions["beside"];
  }) {
    this.name = parts.name;
    this.formation = parts.formation;
    this.network = parts.network;
    this.store = parts.store;
    this.fatal = parts.fatal;
    this.#folder = parts.folder;
    this.coordinator = new Coordinator({
      onBug: (error) => {
        throw error;
      },

      network: parts.network,
      store: parts.store,
      clock: systemClock,
      formation: parts.formation,
      nodeName: parts.name,
      version: "0.1.0-test",
      random: Math.random,
      ...parts.beside,
    });
    this.coordinator.start();
  }

  static async start(options: StartOptions): Promise<TestNode> {
    const name = parseNodeName(options.name);
    const formation = new Formation(options.secrets);
    const folder = options.folder === undefined ? tempFolder({ isInMemory: true }) : undefined;
    const fatal: Fault[] = [];
    const network = await openIrohNetwork({
      secretKey: formation.endpointKey(name).seed.expose(),
      bindAddress: options.bindAddress ?? "127.0.0.1:0",
      relayUrls: [],
      alpns: options.alpns ?? [ALPN_NATIVE, ALPN_GUEST],
    });
    const store = Store.open({
      path: `${options.folder ?? folder?.path}/peat.db`,
      nodeName: name,
      clock: systemClock,
      random: (bytes) => crypto.getRandomValues(bytes),
      cacheBytes: 8 * MIB,
      policies: new CollectionPolicies(NO_CHOICES),
      crdtCacheBytes: 8 * MIB,
      documentBytesMax: options.documentBytesMax ?? MIB,
      onFatal: (fault) => fatal.push(fault),
    });
    const { beside } = options;
    return new TestNode({ name, formation, network, store, fatal, folder, beside });
  }

  /** `ip:port` that it listens on. */
  get address(): string {
    const [address] = this.network.boundAddresses;
    if (address === undefined) throw new Error(`${this.name} listens nowhere`);
    return address;
  }

  /** Looks for a peer from now on, as a static list would have it. */
  seek(peer: { name: NodeName; address: string }): void {
    this.coordinator.handle("static", { kind: "seen", peer: addressOf(peer) });
  }

  /** No longer looks for it, and closes the connection if there is one. */
  leave(peer: { name: NodeName }): void {
    const identity = { kind: "name", name: peer.name } as const;
    this.coordinator.handle("static", { kind: "gone", identity });
    this.sessionWith(peer)?.close({ code: 0, reason: "" });
  }

  sessionWith(peer: { name: NodeName }): Session | undefined {
    return this.coordinator.sessions.find((session) => session.name === peer.name);
  }

  async connected(...peers: readonly { name: NodeName }[]): Promise<void> {
    await waitFor(`${this.name} to be connected`, LIMIT_MS, () =>
      peers.every((peer) => this.sessionWith(peer) !== undefined) ? true : undefined,
    );
  }

  put(name: string, value: object) {
    return put(this.store, name, value);
  }

  remove(name: string) {
    return remove(this.store, name);
  }

  read(name: string): string | undefined {
    return read(this.store, name);
  }

  /** Resolves once the document has this JSON text here; undefined: is not there. */
  async shows(name: string, json: string | undefined): Promise<void> {
    await waitFor(
      `${name} on ${this.name}`,
      LIMIT_MS,
      () => this.read(name) === json || undefined,
      2,
    );
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.coordinator.close();
    await this.network.close();
    this.store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#folder?.[Symbol.dispose]();
  }
}

function addressOf({ name, address }: { name: NodeName; address: string }): PeerAddress {
  return { identity: { kind: "name", name }, hosts: [parseHostPort(address)] };
}

/** Every node looks for every other. */
export function acquaint(nodes: readonly TestNode[]): void {
  for (const node of nodes) {
    for (const other of nodes) if (other !== node) node.seek(other);
  }
}

/** Resolves once each is connected to each. */
export async function allConnected(nodes: readonly TestNode[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.connected(...nodes.filter((n) => n !== node))));
}

/** Resolves once all hold equal documents; with a number, so many that are alive. */
export async function allEqual(
  nodes: readonly TestNode[],
  documents?: number,
  limitMs = LIMIT_MS,
): Promise<void> {
  await waitFor(`equal documents on ${nodes.map((node) => node.name).join(", ")}`, limitMs, () => {
    const sums = new Set(nodes.map(({ store }) => store.sum(ROOT).sum));
    const counts = nodes.map(({ store }) => store.summary().documents);
    const isComplete = documents === undefined || counts.every((count) => count === documents);
    return (sums.size === 1 && isComplete) || undefined;
  });
}

/** Lines of this process's log from now on. */
export class LogLines implements Disposable {
  readonly lines: string[] = [];

  constructor(filter = "info") {
    const parsed: LogFilter = parseLogFilter(filter);
    openLog({
      filter: parsed,
      format: "text",
      colour: false,
      write: (line) => this.lines.push(line.trimEnd()),
    });
  }

  /** Lines that hold every one of the texts. */
  with(...texts: readonly string[]): string[] {
    return this.lines.filter((line) => texts.every((text) => line.includes(text)));
  }

  async shows(...texts: readonly string[]): Promise<string> {
    return await waitFor(`a log line with ${texts.join(" and ")}`, LIMIT_MS, () =>
      this.with(...texts).at(0),
    );
  }

  [Symbol.dispose](): void {
    openLog({
      filter: parseLogFilter("off"),
      format: "text",
      colour: false,
      write: () => undefined,
    });
  }
}
