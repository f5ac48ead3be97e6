// An emulator of the older release's node, peat-mesh-node 0.6.0, as a peer on `cap/automerge/1`: its bytes, its
// habits and its faults, from nothing but the description of its wire. It shares no code with the program that is
// tested against it; what it keeps of the original is told member by member in this folder.

import type { TtlPreset } from "./collections.ts";
import { GuestDocument } from "./document.ts";
import type { FormationAuth } from "./formation-auth.ts";
import { GuestTtl, keepHouse } from "./housekeeping.ts";
import { decodeSecret, endpointIdentity, formationHmacKey, type Identity } from "./identity.ts";
import {
  type GuestAddress,
  type GuestClock,
  type GuestEndpoint,
  type OpenEndpoint,
  systemGuestClock,
} from "./link.ts";
import { GuestLinks } from "./links.ts";
import { type GuestCounters, GuestRecord, type SeenFrame } from "./record.ts";
import { GuestStorage } from "./storage.ts";
import { GuestSync } from "./sync.ts";
import { GuestTimers } from "./timers.ts";
import type { GuestTombstone } from "./tombstone.ts";

export interface GuestOptions {
  /** Node name; the endpoint id follows from it and the secret. */
  readonly name: string;
  /** The formation secret, standard base64 or decoded. */
  readonly secret: string | Uint8Array;
  /** overIroh() or overMemory(). */
  readonly open: OpenEndpoint;
  readonly clock?: GuestClock;
  /** Fills bytes for actors and nonces; the system's random unless a simulation needs its own. */
  readonly random?: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;
  /** The 0.6.0 binary never dials, whoever it is told of; other releases dial every peer they hear of. */
  readonly dials?: boolean;
  /** Authentication of each connection's first stream, both as acceptor and as dialler; none in 0.6.0. */
  readonly formationAuth?: { readonly formationId: string; readonly connectorSpeaksFirst: boolean };
  /**
   * As releases after 0.9.0-rc.25: one long stream of batches per link and any number of frames per stream read,
   * everything announced on connect, silence no failure, deleted documents not sent, newer links not forgotten.
   */
  readonly laterRelease?: boolean;
  /** Whether snapshots of deleted documents are ignored. 0.6.0 takes them, and so revives documents. */
  readonly guardsSnapshots?: boolean;
  readonly collectsGarbage?: boolean;
  /** No document expires without one. */
  readonly ttlPreset?: TtlPreset;
  /** What an earlier life left; empty unless given. */
  readonly storage?: GuestStorage;
  /** Called for every frame, entries of batches included. */
  readonly onFrame?: (frame: SeenFrame) => void;
}

const POLL_MS = 5_000;
const WATCH_MS = 5_000;
const BACKOFF_MAX_MS = 120_000;
const ACTOR_BYTES = 16;
const NONCE_BYTES = 32;

/** One process from start to end. */
interface Run {
  readonly endpoint: GuestEndpoint;
  readonly timers: GuestTimers;
  readonly record: GuestRecord;
  readonly links: GuestLinks;
  readonly sync: GuestSync;
}

export class GuestEmulator implements AsyncDisposable {
  readonly name: string;
  /** Endpoint id, 64 hex digits. */
  readonly id: string;
  readonly #options: GuestOptions;
  readonly #secret: Uint8Array;
  readonly #identity: Identity;
  readonly #known = new Map<string, GuestAddress>();
  #storage: GuestStorage;
  #run: Run | undefined;

  private constructor(options: GuestOptions) {
    const { secret } = options;
    this.#options = options;
    this.#secret = typeof secret === "string" ? decodeSecret(secret) : secret;
    this.name = options.name;
    this.#identity = endpointIdentity(this.#secret, options.name);
    this.id = this.#identity.id;
    this.#storage = options.storage ?? new GuestStorage();
  }

  static async start(options: GuestOptions): Promise<GuestEmulator> {
    const guest = new GuestEmulator(options);
    await guest.#start();
    return guest;
  }

  async #start(): Promise<void> {
    const { laterRelease = false, guardsSnapshots = false } = this.#options;
    const endpoint = await this.#options.open(this.#identity);
    const timers = new GuestTimers(this.#options.clock ?? systemGuestClock);
    const record = new GuestRecord(this.#options.onFrame);
    const { ttlPreset, collectsGarbage = false } = this.#options;
    const ttl = ttlPreset === undefined ? undefined : new GuestTtl(ttlPreset);
    const links = new GuestLinks({
      endpoint,
      timers,
      record,
      auth: this.#auth(),
      isLaterRelease: laterRelease,
      onFrame: (peer, frame) => sync.receive(peer, frame),
      onReady: (peer) => {
        if (laterRelease) void sync.announceAll(peer);
      },
      onGone: (peer) => sync.forget(peer),
    });
    const sync = new GuestSync(
      {
        storage: this.#storage,
        record,
        timers,
        newActor: () => this.#hex(ACTOR_BYTES),
        isLaterRelease: laterRelease,
        guardsSnapshots,
        onReceived: (key) => ttl?.received(key, timers.now()),
      },
      links,
    );
    this.#run = { endpoint, timers, record, links, sync };
    keepHouse({ storage: this.#storage, timers }, { collects: collectsGarbage, ttl });
    void timers.every(POLL_MS, () => this.#poll(timers, record, links, sync));
    for (const peer of this.#known.values()) this.#watch(peer);
  }

  async #poll(
    timers: GuestTimers,
    record: GuestRecord,
    links: GuestLinks,
    sync: GuestSync,
  ): Promise<void> {
    record.counters.polls += 1;
    for (const peer of links.connected()) {
      if (timers.isOver) return;
      await sync.announceAll(peer);
    }
  }

  /** Tells it of a peer, as discovery would; it dials only if it `dials`. */
  introduce(peer: { readonly name: string; readonly addresses: readonly string[] }): void {
    const { id } = endpointIdentity(this.#secret, peer.name);
    if (id === this.id) return;
    const address = { id, addresses: peer.addresses };
    const isNew = !this.#known.has(id);
    this.#known.set(id, address);
    if (isNew && this.#run !== undefined) this.#watch(address);
  }

  /** Every five seconds: dialled unless connected, with ever longer pauses while it fails. */
  #watch({ id }: GuestAddress): void {
    const run = this.#run;
    if (this.#options.dials !== true || run === undefined) return;
    const { timers, links, record } = run;
    const loop = async () => {
      let pauseMs = WATCH_MS;
      while (!timers.isOver) {
        const peer = this.#known.get(id);
        if (peer !== undefined && !links.connected().includes(id)) {
          try {
            await links.dial(peer);
            pauseMs = WATCH_MS;
          } catch (error) {
            record.log("WARN", `Failed to connect to peer ${id}: ${error}`);
            pauseMs = Math.min(2 * pauseMs, BACKOFF_MAX_MS);
          }
        }
        await timers.sleep(pauseMs);
      }
    };
    void loop();
  }

  get #running(): Run {
    if (this.#run === undefined) throw new Error(`guest ${this.name} is not running`);
    return this.#run;
  }

  get isRunning(): boolean {
    return this.#run !== undefined;
  }

  get addresses(): readonly string[] {
    return this.#running.endpoint.addresses;
  }

  /** Of this process start. */
  get counters(): Readonly<GuestCounters> {
    return this.#running.record.counters;
  }

  /** Its last log lines, level first. */
  get log(): readonly string[] {
    return this.#running.record.lines;
  }

  /** Endpoint ids of the peers that it could send to. */
  get connected(): readonly string[] {
    return this.#running.links.connected();
  }

  /** Whether it still announces to this peer. */
  breakerOf(peerId: string): "closed" | "open" {
    return this.#running.sync.breakerOf(peerId);
  }

  /** In byte order. */
  keys(): string[] {
    return this.#storage.keys();
  }

  /** What its broker would show: text of unknown kinds as null. Undefined without such a document. */
  json(key: string): unknown {
    const text = this.jsonText(key);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** As json(), as it is printed: sorted keys, floats with a point. */
  jsonText(key: string): string | undefined {
    return this.#storage.get(key)?.jsonText();
  }

  /** The saved Automerge document. */
  saved(key: string): Uint8Array | undefined {
    return this.#storage.get(key)?.save();
  }

  heads(key: string): readonly string[] {
    return this.#storage.get(key)?.heads() ?? [];
  }

  /** In byte order of their keys. */
  tombstones(): readonly GuestTombstone[] {
    return this.#storage.tombstones();
  }

  /** Writes as the library's writers do, JSON text or a value. It travels with the next poll; there is no push. */
  write(key: string, json: string | Readonly<Record<string, unknown>>): void {
    const text = typeof json === "string" ? json : JSON.stringify(json);
    const document = this.#storage.get(key) ?? GuestDocument.empty(this.#hex(ACTOR_BYTES));
    document.write(text, this.#hex(ACTOR_BYTES));
    this.#storage.put(key, document);
  }

  /** Takes bytes of a saved Automerge document as they are, for content that JSON has no words for. */
  writeSaved(key: string, bytes: Uint8Array): void {
    this.#storage.put(key, GuestDocument.load(bytes, this.#hex(ACTOR_BYTES)));
  }

  /** As if it had come from some peer: it deletes, and is told to all others. False when it was known. */
  applyTombstone(tombstone: GuestTombstone): Promise<boolean> {
    return this.#running.sync.bury(tombstone);
  }

  /** A copy of what is on its disk now, to start or restart from. */
  backup(): GuestStorage {
    return this.#storage.copy(() => this.#hex(ACTOR_BYTES));
  }

  /** As SIGTERM does it. */
  async stop(): Promise<void> {
    const run = this.#end();
    await run?.endpoint.close();
  }

  /** As SIGKILL does it, as far as the transport can. */
  async kill(): Promise<void> {
    const run = this.#end();
    await run?.endpoint.crash();
  }

  #end(): Run | undefined {
    const run = this.#run;
    this.#run = undefined;
    run?.timers.stop();
    return run;
  }

  /** Starts a new process: on its storage as it was left, on another one, or on none. */
  async restart(storage: "kept" | "lost" | GuestStorage = "kept"): Promise<void> {
    if (this.#run !== undefined) await this.kill();
    if (storage === "lost") this.#storage = new GuestStorage();
    else if (storage !== "kept") this.#storage = storage;
    await this.#start();
  }

  #auth(): FormationAuth | undefined {
    const wanted = this.#options.formationAuth;
    if (wanted === undefined) return undefined;
    return {
      ...wanted,
      hmacKey: formationHmacKey(this.#secret, wanted.formationId),
      nonce: () => this.#random(NONCE_BYTES),
    };
  }

  #random(length: number): Uint8Array {
    const fill = this.#options.random ?? ((bytes) => crypto.getRandomValues(bytes));
    return fill(new Uint8Array(length));
  }

  #hex(length: number): string {
    return Buffer.from(this.#random(length)).toString("hex");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
