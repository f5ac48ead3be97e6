// A formation in one process: real stores, real coordinators, virtual time, a network that can be cut. One seed
// names everything that happens in it.
import { join } from "node:path";
import { DocumentChecker, type Operation } from "../../scripts/model/checker.ts";
import { Random } from "../../scripts/model/random.ts";
import { Secret } from "../../src/base/secret.ts";
import { Formation } from "../../src/identity/formation.ts";
import { parseNodeName } from "../../src/identity/peer.ts";
import type { PolicyChoices } from "../../src/store/collection-policies.ts";
import { parseDocumentKey } from "../../src/store/document-key.ts";
import { ROOT } from "../../src/store/sums.ts";
import { GuestEmulator } from "../support/guest/guest-emulator.ts";
import { overMemory } from "../support/guest/over-memory.ts";
import { MemoryNet } from "../support/memory-network.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { type Place, PORT, SimulatedNode } from "./node.ts";
import type { Sabotage } from "./sabotage.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: readonly string[];
  /** Whether nodes know all others, or only their neighbours in a row. */
  readonly shape?: "mesh" | "row";
  readonly latencyMs?: number;
  readonly bytesPerMs?: number;
  readonly skewMsMax?: number;
  /** Documents that the judge follows; their fields are numbers. */
  readonly keys?: readonly string[];
  /** What nodes are told of collections, by name. */
  readonly choicesOf?: Readonly<Record<string, Partial<PolicyChoices>>>;
  /** A rule that is broken on purpose. */
  readonly sabotage?: Sabotage | undefined;
  /** Older nodes beside them, which all of them know. */
  readonly guests?: readonly string[];
  /** Stores on files, so that nodes can restart. */
  readonly hasFiles?: boolean;
  /** By how much each node's clock is wrong, in place of a random amount. */
  readonly skewsMs?: readonly number[];
  readonly choices?: Partial<PolicyChoices>;
  /** How often each node lets go what has had its time; never, unless given. */
  readonly gcSecs?: number;
}

const SECRET = new Uint8Array(32).fill(7);
const SETTLE_MS_MAX = 600_000;
/** Nodes that send so much after the last write will never come to rest. */
const FRAMES_MAX = 5_000;
/** For what follows an agreement: names of neighbours, changes that were held back. */
const COME_TO_REST_MS = 5_000;
const QUIET_MS = 60_000;

export class World implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly net: MemoryNet;
  readonly nodes: readonly SimulatedNode[];
  readonly failures: string[] = [];
  settleFrames = 0;
  readonly #checkers = new Map<string, DocumentChecker>();
  readonly #folder;
  readonly #shape: "mesh" | "row";
  readonly #guestPlaces: readonly Place[];
  readonly guests: GuestEmulator[] = [];
  readonly #writes = new Set<Promise<void>>();

  constructor(options: WorldOptions) {
    this.random = new Random(options.seed);
    this.#shape = options.shape ?? "mesh";
    const { latencyMs = 5, bytesPerMs = 10_000, skewMsMax = 0, hasFiles = false } = options;
    this.#guestPlaces = (options.guests ?? []).map((name, index) => ({
      name: parseNodeName(name),
      host: `10.0.1.${index + 1}`,
    }));
    const { clock, random } = this;
    this.net = new MemoryNet({ clock, random, path: { latencyMs, bytesPerMs } });
    this.#folder = hasFiles ? tempFolder({ isInMemory: true }) : undefined;
    for (const key of options.keys ?? []) {
      const rule = key.startsWith("tracks") ? "replaced" : "merged";
      this.#checkers.set(key, new DocumentChecker(key, rule, options.nodes.length));
    }
    const context = {
      net: this.net,
      clock,
      random,
      formation: new Formation([new Secret(SECRET)]),
      sabotage: options.sabotage,
      choicesOf: options.choicesOf,
      guests: this.#guestPlaces,
      checkers: this.#checkers,
      known: new Map<string, bigint>(),
      choices: options.choices ?? {},
      gcSecs: options.gcSecs,
      onFatal: (node: string, message: string) => this.failures.push(`${node}: ${message}`),
    };
    this.nodes = options.nodes.map((name, index) => {
      const path = this.#folder === undefined ? ":memory:" : join(this.#folder.path, `${name}.db`);
      const skewMs = options.skewsMs?.[index] ?? random.below(2 * skewMsMax + 1) - skewMsMax;
      return new SimulatedNode(context, { index, name, path, skewMs });
    });
    for (const node of this.nodes) node.start(this.#peersOf(node));
  }

  /** Starts the older nodes; once. */
  async startGuests(): Promise<void> {
    for (const { name, host } of this.#guestPlaces) {
      const { clock, random } = this;
      const open = overMemory(this.net, `${host}:${PORT}`);
      this.guests.push(
        await GuestEmulator.start({ name, secret: SECRET, open, clock, random: random.fill }),
      );
    }
  }

  /** Until older nodes and nodes show the same documents, and stay so. */
  async guestsSettled(keys: readonly string[]): Promise<void> {
    const isDone = () => this.isEqual && this.isQuiet && this.#guestsApart(keys).length === 0;
    for (let round = 0; round < 2; round += 1) {
      await this.clock.advanceUntil(isDone, SETTLE_MS_MAX, 1000);
      if (!isDone()) {
        const told = [...this.#guestsApart(keys), this.#describe()].join("; ");
        this.failures.push(`older nodes not settled: ${told}`);
        return;
      }
      await this.clock.advance(QUIET_MS);
    }
  }

  /** What older nodes show otherwise than the nodes do, of the documents whose names are given. */
  #guestsApart(keys: readonly string[]): string[] {
    const [first] = this.running;
    if (first === undefined) return [];
    const apart: string[] = [];
    for (const guest of this.guests.filter((each) => each.isRunning)) {
      for (const key of keys) {
        // They can't be told of a second delete, and bury a document that is begun anew when they hear of its
        // first delete after it.
        if ((first.stateOf(key)?.life ?? 0) > 1) continue;
        const [here, there] = [first.get(key), guest.json(key)].map((json) => canonical(json));
        if (here !== there) apart.push(`${guest.name} shows ${there} of ${key}, and not ${here}`);
      }
    }
    return apart;
  }

  #peersOf(node: SimulatedNode): SimulatedNode[] {
    const isMesh = this.#shape === "mesh";
    return this.nodes.filter(
      (other) => other !== node && (isMesh || Math.abs(other.index - node.index) === 1),
    );
  }

  node(name: string): SimulatedNode {
    const node = this.nodes.find((n) => n.name === name);
    if (node === undefined) throw new RangeError(`no node ${name}`);
    return node;
  }

  get running(): SimulatedNode[] {
    return this.nodes.filter((node) => node.isRunning);
  }

  /** Begins a write; it is acknowledged as time advances. A delete of what is gone is no failure. */
  write(node: SimulatedNode, key: string, operation: Operation): void {
    const done = node.write(key, operation).catch((error: unknown) => {
      const text = String(error);
      if (!text.includes("document not found")) this.failures.push(`${node.name} ${key}: ${text}`);
    });
    this.#writes.add(done);
    void done.then(() => this.#writes.delete(done));
  }

  cut(a: string, b: string): void {
    this.net.cut(this.node(a).id, this.node(b).id);
  }

  heal(a: string, b: string): void {
    this.net.heal(this.node(a).id, this.node(b).id);
  }

  healAll(): void {
    for (const a of this.nodes) for (const b of this.nodes) if (a !== b) this.net.heal(a.id, b.id);
  }

  get isEqual(): boolean {
    // As nodes compare them: what one of them has let go already does not count.
    const horizon = Math.max(...this.running.map((node) => node.store.horizon));
    const roots = this.running.map((node) => JSON.stringify(node.store.sum(ROOT, horizon)));
    return new Set(roots).size <= 1;
  }

  /** Every node has a link to every running peer that it knows, unless they are cut apart. */
  get isConnected(): boolean {
    return this.running.every((node) => {
      const linked = new Set<string>(node.coordinator.sessions.map((session) => session.name));
      return this.#peersOf(node).every(
        (peer) => !peer.isRunning || this.net.isCut(node.id, peer.id) || linked.has(peer.name),
      );
    });
  }

  get isQuiet(): boolean {
    return this.running.every(({ coordinator }) =>
      coordinator.sessions.every((session) => session.isAgreed && session.queueDepth === 0),
    );
  }

  /** Until all running nodes are connected, hold the same, and have told each other so. Returns how long it took. */
  async settled(withinMs = SETTLE_MS_MAX): Promise<number> {
    const from = this.clock.monotonic();
    const framesMax = this.net.traffic.frames + FRAMES_MAX;
    const isDone = () =>
      this.#writes.size === 0 && this.isConnected && this.isEqual && this.isQuiet;
    const isOver = () => isDone() || this.net.traffic.frames > framesMax;
    await this.clock.advanceUntil(isOver, withinMs);
    const tookMs = this.clock.monotonic() - from;
    const frames = this.net.traffic.frames - framesMax + FRAMES_MAX;
    this.settleFrames = frames;
    if (!isDone()) {
      this.failures.push(
        `not settled after ${Math.round(tookMs)} ms and ${frames} frames: ${this.#describe()}`,
      );
    }
    return tookMs;
  }

  #describe(): string {
    const nodes = this.running.map((node) => {
      const sessions = node.coordinator.sessions.map(
        (s) => `${s.name}${s.isAgreed ? "=" : "≠"}${s.queueDepth}`,
      );
      return `${node.name} ${node.store.summary().rootHash} [${sessions.join(" ")}]`;
    });
    return nodes.join("; ");
  }

  /** Bytes that pass while nobody writes anything, for a minute by default. */
  async bytesAtRest(forMs = QUIET_MS): Promise<number> {
    await this.clock.advance(COME_TO_REST_MS);
    const before = this.net.traffic.bytes;
    await this.clock.advance(forMs);
    return this.net.traffic.bytes - before;
  }

  /** Everything that is wrong, by the judge and by the world. */
  judge(): string[] {
    const complaints = [...this.failures];
    for (const [key, checker] of this.#checkers) {
      const shown = this.running.map((node) => {
        const document = node.get(key);
        // Of a deleted one some may have a tombstone and some a stub.
        const hash = document === undefined ? "" : node.store.hashOf(parseDocumentKey(key));
        return { document, hash: hash ?? "" };
      });
      checker.settled(shown);
      complaints.push(...checker.complaints);
    }
    return complaints;
  }

  get writeCount(): number {
    return [...this.#checkers.values()].reduce((sum, checker) => sum + checker.writeCount, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) node.crash();
    for (const guest of this.guests) if (guest.isRunning) void guest.kill();
    await this.clock.advance(60_000);
    this.#folder?.[Symbol.dispose]();
  }
}

function canonical(json: unknown): string {
  if (typeof json !== "object" || json === null) return "nothing";
  // An older node is told of a document by its fields.
  if (Object.keys(json).length === 0) return "nothing";
  return JSON.stringify(Object.fromEntries(Object.entries(json).sort()));
}

/** A world whose nodes are running and connected as far as `shape` lets them. */
export async function simulate(options: WorldOptions): Promise<World> {
  const world = new World(options);
  await world.settled();
  return world;
}
