// What the older node says of its documents and does with what it hears (peat-mesh 0.6.0 wire, §3.3-3.8).
import { initSyncState, type SyncState } from "@automerge/automerge";
import { isLatestOnly } from "./collections.ts";
import { GuestDocument, resetSyncState } from "./document.ts";
import { FAILURES_MAX, PeerFlow } from "./flow.ts";
import { decodeBatch, FRAME, type Frame, hexByte } from "./frame.ts";
import type { GuestRecord } from "./record.ts";
import type { GuestStorage } from "./storage.ts";
import type { GuestTimers } from "./timers.ts";
import {
  decodeTombstone,
  decodeTombstones,
  type GuestTombstone,
  keyOf,
  tombstoneFrame,
  tombstonesFrame,
  withDefaultDirection,
} from "./tombstone.ts";

/** Where frames go: the registered connections. */
export interface GuestOutput {
  connected(): string[];
  send(peer: string, frame: Frame): Promise<void>;
  sendBatch(peer: string, entries: readonly Frame[]): Promise<void>;
}

export interface GuestSyncOptions {
  readonly storage: GuestStorage;
  readonly record: GuestRecord;
  readonly timers: GuestTimers;
  readonly newActor: () => string;
  readonly isLaterRelease: boolean;
  /** Whether a snapshot of a deleted document is ignored, as a sync message for it is. */
  readonly guardsSnapshots: boolean;
  /** A document came from a peer. */
  readonly onReceived: (key: string) => void;
}

const NOTHING_TO_SAY = "No initial sync message to send";

export class GuestSync {
  readonly #options: GuestSyncOptions;
  readonly #output: GuestOutput;
  readonly #states = new Map<string, Map<string, SyncState>>();
  readonly #flows = new Map<string, PeerFlow>();

  constructor(options: GuestSyncOptions, output: GuestOutput) {
    this.#options = options;
    this.#output = output;
  }

  breakerOf(peer: string): "closed" | "open" {
    return this.#flows.get(peer)?.isOpen === true ? "open" : "closed";
  }

  /** Sync states go with the connection; breaker and cooldowns stay. */
  forget(peer: string): void {
    this.#states.delete(peer);
  }

  /** Announces every key in byte order, one after the other, then all tombstones. */
  async announceAll(peer: string): Promise<void> {
    const { storage, timers, isLaterRelease } = this.#options;
    for (const key of storage.keys()) {
      if (timers.isOver) return;
      if (isLaterRelease && storage.isDeleted(key)) continue;
      await this.#initiate(peer, key);
    }
    await this.#sendTombstones(peer);
  }

  async #sendTombstones(peer: string): Promise<void> {
    const { storage, record, isLaterRelease } = this.#options;
    const tombstones = storage.tombstones();
    if (tombstones.length === 0) return;
    try {
      if (isLaterRelease) {
        const frames = tombstones.map((each) => tombstoneFrame(withDefaultDirection(each)));
        await this.#output.sendBatch(peer, frames);
      } else await this.#output.send(peer, tombstonesFrame(tombstones));
    } catch (error) {
      record.log("WARN", `Failed to send tombstones to peer ${peer}: ${error}`);
    }
  }

  async #initiate(peer: string, key: string): Promise<void> {
    const { record, timers, isLaterRelease } = this.#options;
    const { counters } = record;
    const flow = this.#flowOf(peer);
    const refusal = flow.refuse(key, timers.now());
    if (refusal === "breaker") counters.refusedByBreaker += 1;
    else if (refusal === "rate") counters.refusedByRate += 1;
    else if (refusal === "cooldown") counters.refusedByCooldown += 1;
    if (refusal !== undefined) return;
    try {
      await this.#announce(peer, key);
      flow.succeed(key, timers.now());
      counters.initiates += 1;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (isLaterRelease && text === NOTHING_TO_SAY) return;
      counters.initiatesFailed += 1;
      record.log("WARN", `Failed to sync document ${key} with new peer ${peer}: ${text}`);
      if (flow.fail()) {
        record.log(
          "WARN",
          `Opening circuit breaker for peer ${peer} after ${FAILURES_MAX} failures`,
        );
      }
    }
  }

  async #announce(peer: string, key: string): Promise<void> {
    const document = this.#options.storage.get(key);
    if (document === undefined) throw new Error("Document not found for sync");
    if (isLatestOnly(key)) {
      await this.#output.send(peer, { key, type: FRAME.snapshot, payload: document.save() });
      return;
    }
    const { state, message } = document.generate(this.#stateOf(peer, key));
    if (message === undefined) throw new Error(NOTHING_TO_SAY);
    await this.#output.send(peer, { key, type: FRAME.delta, payload: message });
    // Only now: what came in meanwhile for this key is overwritten, as there.
    this.#setState(peer, key, state);
  }

  /** Throws for what the older node only warns of; the connection goes on. */
  async receive(peer: string, frame: Frame): Promise<void> {
    if (this.#options.timers.isOver) return;
    const { key, type, payload } = frame;
    switch (type) {
      case FRAME.delta:
        return this.#receiveDelta(peer, key, payload);
      case FRAME.snapshot:
        return this.#receiveSnapshot(key, payload);
      case FRAME.tombstone:
        await this.bury(decodeTombstone(payload), peer);
        return;
      case FRAME.tombstones:
        for (const tombstone of decodeTombstones(payload)) this.#options.storage.bury(tombstone);
        return;
      case FRAME.tombstoneAck:
        return;
      case FRAME.batch:
        return this.#receiveBatch(peer, payload);
      case FRAME.negentropyInit:
      case FRAME.negentropyResponse:
        throw new Error("negentropy, which never converges there, is not emulated");
      default:
        throw new Error(`Unknown sync message type: 0x${hexByte(type)}`);
    }
  }

  async #receiveBatch(peer: string, payload: Uint8Array): Promise<void> {
    const { record } = this.#options;
    for (const entry of decodeBatch(payload).entries) {
      record.frame("received", peer, entry);
      const isKnown =
        entry.type === FRAME.delta ||
        entry.type === FRAME.snapshot ||
        entry.type === FRAME.tombstone;
      if (!isKnown) {
        record.log("WARN", `Unexpected type 0x${hexByte(entry.type)} in a sync batch`);
        continue;
      }
      try {
        await this.receive(peer, entry);
      } catch (error) {
        record.log("WARN", `Failed to process batch entry ${entry.key}: ${error}`);
      }
    }
  }

  async #receiveDelta(peer: string, key: string, message: Uint8Array): Promise<void> {
    const { storage, record, newActor, onReceived } = this.#options;
    if (key.includes(":") && storage.isDeleted(key)) {
      record.counters.ignoredAsDeleted += 1;
      record.log("DEBUG", `Rejecting sync for tombstoned document doc_key="${key}" peer=${peer}`);
      return;
    }
    const document = storage.get(key) ?? GuestDocument.empty(newActor());
    const received = document.receive(this.#stateOf(peer, key), message);
    // Also when nothing changed: a bare announcement makes an empty document.
    storage.put(key, document);
    onReceived(key);
    const { state, message: reply } = document.generate(received);
    if (reply === undefined) {
      this.#setState(peer, key, resetSyncState(state));
      return;
    }
    this.#setState(peer, key, state);
    await this.#output.send(peer, { key, type: FRAME.delta, payload: reply });
  }

  #receiveSnapshot(key: string, bytes: Uint8Array): void {
    const { storage, record, newActor, onReceived, guardsSnapshots } = this.#options;
    if (guardsSnapshots && storage.isDeleted(key)) {
      record.counters.ignoredAsDeleted += 1;
      return;
    }
    const incoming = loadSnapshot(bytes, newActor());
    const document = storage.get(key);
    if (document === undefined) storage.put(key, incoming);
    else {
      document.merge(incoming);
      incoming.free();
    }
    onReceived(key);
  }

  /** A tombstone wins over every document. Returns whether it was news; then it is told to all but `from`. */
  async bury(tombstone: GuestTombstone, from?: string): Promise<boolean> {
    const { storage, record } = this.#options;
    if (!storage.bury(tombstone)) return false;
    record.log("INFO", `Applied tombstone for ${keyOf(tombstone)}`);
    const { direction } = tombstone;
    if (direction !== "bidirectional" && direction !== "system-wide") return true;
    for (const peer of this.#output.connected().filter((each) => each !== from)) {
      await this.#output.send(peer, tombstoneFrame(tombstone)).catch((error: unknown) => {
        record.log("WARN", `Failed to propagate tombstone to peer ${peer}: ${error}`);
      });
    }
    return true;
  }

  #flowOf(peer: string): PeerFlow {
    const flow = this.#flows.get(peer) ?? new PeerFlow(this.#options.timers.now());
    this.#flows.set(peer, flow);
    return flow;
  }

  #stateOf(peer: string, key: string): SyncState {
    return this.#states.get(peer)?.get(key) ?? initSyncState();
  }

  #setState(peer: string, key: string, state: SyncState): void {
    const states = this.#states.get(peer) ?? new Map<string, SyncState>();
    states.set(key, state);
    this.#states.set(peer, states);
  }
}

function loadSnapshot(bytes: Uint8Array, actor: string): GuestDocument {
  try {
    return GuestDocument.load(bytes, actor);
  } catch (cause) {
    throw new Error("Failed to load state snapshot", { cause });
  }
}
