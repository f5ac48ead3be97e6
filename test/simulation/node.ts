// One node of a simulated formation: the real store and the real coordinator over virtual time and a memory
// network. It also tells the judge what the node acknowledged and what reached it.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { DocumentChecker, Operation, Seen } from "../../scripts/model/checker.ts";
import type { Random } from "../../scripts/model/random.ts";
import { assert } from "../../src/base/assert.ts";
import { collectGarbage } from "../../src/garbage-collector.ts";
import type { Formation } from "../../src/identity/formation.ts";
import {
  type EndpointId,
  type NodeName,
  parseNodeName,
  toEndpointId,
} from "../../src/identity/peer.ts";
import {
  CollectionPolicies,
  NO_CHOICES,
  type PolicyChoices,
} from "../../src/store/collection-policies.ts";
import { parseDocumentKey } from "../../src/store/document-key.ts";
import { decodeState, type State } from "../../src/store/state.ts";
import { type IncomingState, type MergeOutcome, Store } from "../../src/store/store.ts";
import { Coordinator } from "../../src/sync/coordinator.ts";
import { ALPN_GUEST, ALPN_NATIVE } from "../../src/wire/hello.ts";
import type { MemoryEndpoint, MemoryNet } from "../support/memory-network.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";
import type { Sabotage } from "./sabotage.ts";

export const PORT = 11204;
/** Endings of a database's files. */
const FILES = ["", "-wal", "-shm"];
/** Small, so that histories are evicted and loaded again all the time. */
const CRDT_CACHE_BYTES = 100_000;

export interface NodeContext {
  readonly net: MemoryNet;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly formation: Formation;
  readonly sabotage: Sabotage | undefined;
  /** For single nodes, by name. */
  readonly choicesOf: Readonly<Record<string, Partial<PolicyChoices>>> | undefined;
  /** Older nodes that all nodes know of. */
  readonly guests: readonly Place[];
  readonly checkers: ReadonlyMap<string, DocumentChecker>;
  /** What each state of each document, by key and hash, knew of the writes. */
  readonly known: Map<string, bigint>;
  readonly choices: Partial<PolicyChoices>;
  /** Undefined: nothing is ever collected. */
  readonly gcSecs: number | undefined;
  /** Calls for every failure after which the process would end. */
  readonly onFatal: (node: string, message: string) => void;
}

/** Where a node is that others are told of. */
export interface Place {
  readonly name: NodeName;
  readonly host: string;
}

/** A node's directory as it was once. */
export interface Backup {
  readonly files: readonly { readonly suffix: string; readonly bytes: Uint8Array }[];
  /** By key, what the judge had it know. */
  readonly seen: ReadonlyMap<string, bigint>;
  /** By key, what it showed. */
  readonly json: ReadonlyMap<string, Seen>;
}

export class SimulatedNode {
  readonly name: NodeName;
  readonly id: EndpointId;
  readonly index: number;
  readonly #context: NodeContext;
  /** Its database. */
  readonly path: string;
  #skewMs: number;
  #stopping = 0;
  readonly #jsonBefore = new Map<string, Seen>();
  readonly #json = new Map<string, Seen>();
  #peers: readonly SimulatedNode[] = [];
  #running:
    | {
        store: Store;
        coordinator: Coordinator;
        endpoint: MemoryEndpoint;
        isDead: boolean;
        end: AbortController;
      }
    | undefined;

  constructor(
    context: NodeContext,
    place: { index: number; name: string; path: string; skewMs: number },
  ) {
    this.#context = context;
    this.index = place.index;
    this.name = parseNodeName(place.name);
    this.path = place.path;
    this.#skewMs = place.skewMs;
    this.id = toEndpointId(context.formation.endpointKey(this.name).publicKey);
  }

  get host(): string {
    return `10.0.0.${this.index + 1}`;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Its files are still open. */
  get isStopping(): boolean {
    return this.#stopping > 0;
  }

  get store(): Store {
    assert(this.#running !== undefined, `${this.name} is running`);
    return this.#running.store;
  }

  get coordinator(): Coordinator {
    assert(this.#running !== undefined, `${this.name} is running`);
    return this.#running.coordinator;
  }

  start(peers: readonly SimulatedNode[]): void {
    const { net, clock, random, formation, onFatal, choices, gcSecs } = this.#context;
    this.#peers = peers;
    const ownClock = clock.skewed(() => this.#skewMs);
    const store = Store.open({
      path: this.path,
      nodeName: this.name,
      clock: ownClock,
      random: random.fill,
      cacheBytes: 1024 * 1024,
      policies: new CollectionPolicies({
        ...NO_CHOICES,
        ...choices,
        ...this.#context.choicesOf?.[this.name],
      }),
      crdtCacheBytes: CRDT_CACHE_BYTES,
      documentBytesMax: 1024 * 1024,
      onFatal: (fault) => onFatal(this.name, fault.message),
    });
    const endpoint = net.open({
      id: this.id,
      address: `${this.host}:${PORT}`,
      alpns: [ALPN_NATIVE, ALPN_GUEST],
    });
    store.onCommit((committed) => {
      for (const { key } of committed) {
        this.#jsonBefore.set(key, this.#json.get(key));
        this.#json.set(key, shown(store, key));
      }
    });
    const coordinator = new Coordinator({
      onBug: (error) => {
        throw error;
      },

      network: endpoint,
      store: this.#watched(store),
      clock: ownClock,
      formation,
      nodeName: this.name,
      version: "simulated",
      random: () => random.next(),
    });
    coordinator.start();
    for (const { name, host } of [...peers, ...this.#context.guests]) {
      const identity = { kind: "name", name } as const;
      const hosts = [{ host, port: PORT }];
      coordinator.handle("static", { kind: "seen", peer: { identity, hosts } });
    }
    const end = new AbortController();
    if (gcSecs !== undefined) {
      void collectGarbage({ store, clock: ownClock, intervalSecs: gcSecs }, end.signal);
    }
    this.#running = { store, coordinator, endpoint, isDead: false, end };
  }

  /** As a power cut does it: what was not committed is gone, and nobody is told goodbye. */
  crash(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    running.isDead = true;
    running.end.abort();
    running.endpoint.crash();
    const files = this.#filesNow();
    const json = new Map(this.#json);
    running.store.close();
    void running.coordinator.close();
    // The store has committed what still waited; a power cut would not have let it.
    this.#putFiles(files);
    this.#json.clear();
    for (const [key, shown] of json) this.#json.set(key, shown);
  }

  #filesNow(): ReadonlyMap<string, Uint8Array> {
    const paths = FILES.map((suffix) => `${this.path}${suffix}`).filter((path) => existsSync(path));
    return new Map(paths.map((path) => [path, readFileSync(path)]));
  }

  #putFiles(files: ReadonlyMap<string, Uint8Array>): void {
    for (const suffix of FILES) rmSync(`${this.path}${suffix}`, { force: true });
    for (const [path, bytes] of files) writeFileSync(path, bytes);
  }

  /** As SIGTERM does it. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#stopping += 1;
    running.end.abort();
    await running.coordinator.close();
    await running.endpoint.close();
    running.store.close();
    this.#stopping -= 1;
  }

  restart(): void {
    this.start(this.#peers);
  }

  /** The node's clock is set, forwards or backwards. */
  setClock(skewMs: number): void {
    this.#skewMs = skewMs;
  }

  /** A copy of the directory of a node that is not running, and what its documents knew. */
  backUp(): Backup {
    assert(!this.isRunning, `${this.name} is stopped before it is copied`);
    return this.#backupOf(this.#filesNow());
  }

  /**
   * As `backup` copies a node that runs: the file now, the log when the result is called. That gives nothing if the
   * node has not run all the time.
   */
  beginBackUp(): () => Backup | undefined {
    const { store } = this;
    const copy = store.copying.begin();
    const file = readFileSync(this.path);
    return () => {
      if (!this.isRunning || this.store !== store) return undefined;
      const log = readFileSync(`${this.path}-wal`);
      store.copying.end(copy);
      return this.#backupOf(
        new Map([
          [this.path, file],
          [`${this.path}-wal`, log],
        ]),
      );
    };
  }

  #backupOf(copied: ReadonlyMap<string, Uint8Array>): Backup {
    const seen = new Map<string, bigint>();
    for (const [key, checker] of this.#context.checkers) seen.set(key, checker.seenBy(this.index));
    const files = [...copied].map(([path, bytes]) => ({
      suffix: path.slice(this.path.length),
      bytes,
    }));
    return { files, seen, json: new Map(this.#json) };
  }

  /** The directory becomes the copy: of this node, or of another one. */
  restoreFrom({ files, seen, json }: Backup): void {
    assert(!this.isRunning, `${this.name} is stopped before its directory is replaced`);
    this.#putFiles(new Map(files.map(({ suffix, bytes }) => [`${this.path}${suffix}`, bytes])));
    this.#json.clear();
    for (const [key, shown] of json) this.#json.set(key, shown);
    for (const [key, checker] of this.#context.checkers) {
      checker.replaced(this.index, seen.get(key) ?? 0n);
    }
  }

  get(key: string): Seen {
    return shown(this.store, key);
  }

  stateOf(key: string): State | undefined {
    const state = this.store.stateFor(parseDocumentKey(key));
    return state === undefined ? undefined : decodeState(state.bytes);
  }

  /** Writes, and tells the judge once it is acknowledged. */
  async write(key: string, operation: Operation): Promise<void> {
    const { store } = this;
    const running = this.#running;
    const content =
      operation.kind === "delete"
        ? ({ kind: "delete", reason: "" } as const)
        : { kind: operation.kind, body: JSON.stringify(operation.body) };
    const { outcome, document } = await store.write({
      key: parseDocumentKey(key),
      operation: content,
    });
    // Its process died before it could answer.
    if (running?.isDead === true) return;
    const after = document.deleted ? undefined : (JSON.parse(document.json) as Seen);
    const before = outcome === "unchanged" ? after : this.#jsonBefore.get(key);
    this.#context.checkers.get(key)?.acknowledged(this.index, operation, before, after);
    this.#remember(key, document.hash);
  }

  #remember(key: string, hash: string): void {
    const seen = this.#context.checkers.get(key)?.seenBy(this.index);
    if (seen === undefined) return;
    const state = `${key} ${hash}`;
    // Equal states know the same: what one node saw go into it, another that holds it has seen too.
    this.#context.known.set(state, seen | (this.#context.known.get(state) ?? 0n));
  }

  /** The store, with an ear at its merges: what came in tells what this node has seen. */
  #watched(store: Store): Store {
    const { sabotage, random } = this.#context;
    const merge = sabotage?.merge(store, random) ?? store.merge.bind(store);
    return new Proxy(store, {
      get: (target, name) => {
        if (name === "merge") {
          return (incoming: IncomingState, origin: string) =>
            merge(incoming, origin).then((outcome) => this.#merged(target, incoming, outcome));
        }
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  }

  #merged(store: Store, incoming: IncomingState, outcome: MergeOutcome): MergeOutcome {
    const { checkers, known } = this.#context;
    const { key } = incoming;
    // Of a history only part may have come; then nothing is claimed, which only makes the judge milder.
    const isWhole =
      outcome.kind === "equal" || (outcome.kind === "ahead" && key.startsWith("tracks"));
    if (isWhole) {
      const knew = known.get(`${key} ${incoming.hash}`);
      if (knew !== undefined) checkers.get(key)?.learned(this.index, knew);
      const hash = store.hashOf(key);
      if (hash !== undefined) this.#remember(key, hash);
    }
    return outcome;
  }
}

function shown(store: Store, key: string): Seen {
  const document = store.get(parseDocumentKey(key));
  return document === undefined ? undefined : (JSON.parse(document.json) as Seen);
}
