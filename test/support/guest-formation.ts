// Nodes of ours and older nodes in one formation, over virtual time and a network in memory: the real store and
// coordinator on our side, the emulator on theirs.
import { join } from "node:path";
import { Random } from "../../scripts/model/random.ts";
import { Secret } from "../../src/base/secret.ts";
import { Formation } from "../../src/identity/formation.ts";
import { parseNodeName } from "../../src/identity/peer.ts";
import { CollectionPolicies, NO_CHOICES } from "../../src/store/collection-policies.ts";
import { Store } from "../../src/store/store.ts";
import { Coordinator } from "../../src/sync/coordinator.ts";
import type { GuestSession } from "../../src/sync/guest-session.ts";
import { ALPN_GUEST, ALPN_NATIVE } from "../../src/wire/hello.ts";
import { GuestEmulator, type GuestOptions } from "./guest/guest-emulator.ts";
import { overMemory } from "./guest/over-memory.ts";
import { type MemoryEndpoint, MemoryNet } from "./memory-network.ts";
import { key, put, read, remove } from "./memory-store.ts";
import { tempFolder } from "./temp-folder.ts";
import { VirtualClock } from "./virtual-clock.ts";

const SECRET = new Uint8Array(32).fill(7);
const PORT = 11204;
const MIB = 1024 * 1024;

interface Place {
  readonly name: string;
  readonly host: string;
}

export class GuestFormation implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly net: MemoryNet;
  readonly formation = new Formation([new Secret(SECRET)]);
  readonly bugs: unknown[] = [];
  readonly #folder = tempFolder({ isInMemory: true });
  readonly #nodes: FormationNode[] = [];
  readonly #guests: GuestEmulator[] = [];
  readonly #places: Place[] = [];

  constructor(options: { seed?: number; latencyMs?: number } = {}) {
    this.random = new Random(options.seed ?? 1);
    const { clock, random } = this;
    const path = { latencyMs: options.latencyMs ?? 2, idleMs: 30_000 };
    this.net = new MemoryNet({ clock, random, path });
  }

  /** A node of ours that knows everybody of `peers` and everything of what is known so far. */
  async node(name: string, options: { knows?: readonly string[] } = {}): Promise<FormationNode> {
    const place = this.#place(name);
    const node = new FormationNode(this, { ...place, path: join(this.#folder.path, `${name}.db`) });
    this.#nodes.push(node);
    node.start();
    for (const other of this.#places) {
      if (other.name === name) continue;
      if (options.knows === undefined || options.knows.includes(other.name)) node.seek(other);
    }
    await this.moment();
    return node;
  }

  /** An older node, known to all nodes of ours from now on. */
  async guest(name: string, options: Partial<GuestOptions> = {}): Promise<GuestEmulator> {
    const place = this.#place(name);
    const guest = await GuestEmulator.start({
      name,
      secret: SECRET,
      open: overMemory(this.net, `${place.host}:${PORT}`),
      clock: this.clock,
      random: this.random.fill,
      ...options,
    });
    this.#guests.push(guest);
    for (const node of this.#nodes) if (node.isRunning) node.seek(place);
    return guest;
  }

  #place(name: string): Place {
    const place = { name, host: `10.0.0.${this.#places.length + 1}` };
    this.#places.push(place);
    return place;
  }

  get places(): readonly Place[] {
    return this.#places;
  }

  moment(): Promise<void> {
    return this.clock.advance(200);
  }

  seconds(count: number): Promise<void> {
    return this.clock.advance(count * 1000);
  }

  /** Resolves once the condition holds; throws when it does not within the time. */
  async until(what: string, isSo: () => boolean, withinS = 60): Promise<number> {
    const from = this.clock.monotonic();
    if (await this.clock.advanceUntil(isSo, withinS * 1000)) return this.clock.monotonic() - from;
    throw new Error(`not so within ${withinS} s: ${what}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) node.crash();
    for (const guest of this.#guests) if (guest.isRunning) void guest.kill();
    await this.clock.advance(60_000);
    this.#folder[Symbol.dispose]();
  }
}

export class FormationNode {
  readonly name;
  readonly #world: GuestFormation;
  readonly #place: Place & { readonly path: string };
  readonly #sought: Place[] = [];
  #running: { store: Store; coordinator: Coordinator; endpoint: MemoryEndpoint } | undefined;

  constructor(world: GuestFormation, place: Place & { readonly path: string }) {
    this.#world = world;
    this.#place = place;
    this.name = parseNodeName(place.name);
  }

  get id() {
    return this.#now.endpoint.id;
  }

  get address(): string {
    return `${this.#place.host}:${PORT}`;
  }

  get path(): string {
    return this.#place.path;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  get #now() {
    if (this.#running === undefined) throw new Error(`${this.name} is not running`);
    return this.#running;
  }

  get store(): Store {
    return this.#now.store;
  }

  get coordinator(): Coordinator {
    return this.#now.coordinator;
  }

  start(): void {
    const { clock, random, formation, net, bugs } = this.#world;
    const [first] = formation.endpointIds(this.name);
    if (first === undefined) throw new Error("a formation has a secret");
    const store = Store.open({
      path: this.#place.path,
      nodeName: this.name,
      clock,
      random: random.fill,
      cacheBytes: MIB,
      policies: new CollectionPolicies(NO_CHOICES),
      crdtCacheBytes: MIB,
      documentBytesMax: MIB,
      onFatal: (fault) => bugs.push(fault),
    });
    const alpns = [ALPN_NATIVE, ALPN_GUEST];
    const endpoint = net.open({ id: first.id, address: this.address, alpns });
    const coordinator = new Coordinator({
      network: endpoint,
      store,
      clock,
      formation,
      nodeName: this.name,
      version: "test",
      random: () => random.next(),
      onBug: (error) => bugs.push(error),
    });
    coordinator.start();
    this.#running = { store, coordinator, endpoint };
    for (const place of this.#sought) this.#tell(place);
  }

  seek(place: Place): void {
    this.#sought.push(place);
    this.#tell(place);
  }

  /** Discovery no longer tells of it, and its connection ends. */
  forget(name: string): void {
    const index = this.#sought.findIndex((place) => place.name === name);
    this.#sought.splice(index, 1);
    const identity = { kind: "name", name: parseNodeName(name) } as const;
    this.coordinator.handle("static", { kind: "gone", identity });
    this.guestSession(name)?.close({ code: 0, reason: "" });
  }

  #tell({ name, host }: Place): void {
    const identity = { kind: "name", name: parseNodeName(name) } as const;
    const hosts = [{ host, port: PORT }];
    this.coordinator.handle("static", { kind: "seen", peer: { identity, hosts } });
  }

  guestSession(name: string): GuestSession | undefined {
    return this.coordinator.guests.find((guest) => guest.name === name);
  }

  /** A write is committed in a later turn, which virtual time has to reach. */
  async put(name: string, value: object): Promise<void> {
    await this.#written(put(this.store, name, value));
  }

  async patch(name: string, value: object): Promise<void> {
    const operation = { kind: "patch", body: JSON.stringify(value) } as const;
    await this.#written(this.store.write({ key: key(name), operation }));
  }

  async remove(name: string): Promise<void> {
    await this.#written(remove(this.store, name));
  }

  async #written(write: Promise<unknown>): Promise<void> {
    // Whoever awaits it below sees why; until then it must not count as nobody's.
    write.catch(() => undefined);
    await this.#world.clock.advance(0);
    await write;
  }

  read(name: string): string | undefined {
    return read(this.store, name);
  }

  /** As a power cut does it: nobody is told, and what is not written down is gone. */
  crash(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    running.endpoint.crash();
    running.store.close();
    void running.coordinator.close();
  }

  async stop(): Promise<void> {
    const running = this.#now;
    this.#running = undefined;
    const closing = running.coordinator.close();
    await this.#world.clock.advance(500);
    await closing;
    await running.endpoint.close();
    running.store.close();
  }

  restart(): void {
    this.start();
  }
}
