// One guest: an older node of the formation, on the one connection that it is to have. It hears of every
// document and every change, is answered, and is kept announcing; what it sends is hostile until checked.
import { type Clock, sleep } from "../base/clock.ts";
import { Fault, messageOf } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { NodeName } from "../identity/peer.ts";
import { type Asking, askForProof } from "../net/guest-auth.ts";
import type { ByteStream, Link, LinkEnd } from "../net/link.ts";
import { CLOSE } from "../net/membership.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { Store } from "../store/store.ts";
import type { Frame } from "../wire/frame.ts";
import { decodeMessage, encodeMessage, type Message } from "../wire/message.ts";
import { GuestExchange } from "./guest-exchange.ts";
import { type Errand, GuestQueue } from "./guest-queue.ts";
import { GuestRounds } from "./guest-rounds.ts";
import { GuestStreams } from "./guest-streams.ts";
import { KeyLocks } from "./key-locks.ts";
import { newStatistics, type SessionStatistics } from "./statistics.ts";

const log = getLog("peat_mesh::storage::automerge_sync");

/** Refusals that are told, of one connection. */
const REFUSED_MAX = 100;
const TICK_MS = 1_000;
/** Answers that wait to be sent while more is read. */
const REPLIES_MAX = 200;
/** Snapshots of one document take this much of the link at most. */
const SNAPSHOT_BYTES_PER_MS = 64;
/** Changes of a moment go together. */
const GATHER_MS = 100;

/** A guest as the network has proved it. */
export interface GuestPeer {
  readonly name: NodeName;
  readonly link: Link;
  /** Tag of the secret by which its id derives from its name; undefined for an id that was configured. */
  readonly tag: string | undefined;
}

export interface GuestSessionContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly nodeName: NodeName;
  /** Something that can't happen has: the process has to end. */
  readonly onBug: (error: unknown) => void;
  /** The guest hears us, but we no longer hear it. True: the connection is to be closed. */
  readonly mayEndDeafness: () => boolean;
  /** How a guest that dialled us and wants to prove itself is asked. */
  readonly proof: Asking;
}

export class GuestSession {
  readonly name: NodeName;
  readonly peer: GuestPeer;
  readonly statistics: SessionStatistics;
  /** Resolves when the link is down. */
  readonly ended: Promise<LinkEnd>;
  readonly #context: GuestSessionContext;
  readonly #abort = new AbortController();
  readonly #streams: GuestStreams;
  readonly #exchange: GuestExchange;
  readonly #queue = new GuestQueue();
  readonly #rounds: GuestRounds;
  readonly #locks = new KeyLocks<DocumentKey>();
  readonly #refused = new Map<string, string>();
  #tombstonesSeen: number | bigint | undefined;

  constructor(peer: GuestPeer, context: GuestSessionContext) {
    const { store, clock, nodeName } = context;
    this.name = peer.name;
    this.peer = peer;
    this.#context = context;
    this.statistics = newStatistics(clock.now());
    const { signal } = this.#abort;
    const refused = (key: string, cause: string) => this.#refuse(key, cause);
    const guest = this.name;
    this.#exchange = new GuestExchange({ store, clock, nodeName, guest, signal, refused });
    this.#streams = new GuestStreams({
      link: peer.link,
      clock,
      statistics: this.statistics,
      signal,
      receive: (frame) => this.#receive(frame),
      refused: (cause) => this.#refuse("", cause),
      stalled: () => this.#stalled(),
      greet: peer.link.direction === "incoming" ? (first) => this.#greet(first) : undefined,
    });
    this.#rounds = new GuestRounds({
      store,
      clock,
      exchange: this.#exchange,
      queue: this.#queue,
      send: (messages) => void this.#send(messages),
    });
    this.ended = this.#run();
  }

  get link(): Link {
    return this.peer.link;
  }

  /** Documents that wait to be told, or that the guest is not known to have as they are here. */
  get queueDepth(): number {
    return this.#queue.size;
  }

  /** The guest has shown that it has all that it was told. */
  get isLevel(): boolean {
    return this.#queue.size === 0 && this.#exchange.unsettled === 0 && this.#rounds.isComplete;
  }

  /** Documents of the guest that could not be taken, with the reason. */
  get refused(): ReadonlyMap<string, string> {
    return this.#refused;
  }

  /** It has said something on this connection lately. */
  get isHeard(): boolean {
    return this.#rounds.isHeard;
  }

  push(keys: readonly DocumentKey[]): void {
    for (const key of keys) {
      this.#exchange.changed(key);
      this.#queue.put(key, "push");
    }
    this.#pump();
  }

  close({ code, reason }: { code: number; reason: string }): void {
    this.link.close(code, reason);
    this.#abort.abort();
  }

  #stalled(): void {
    log.warn("Peer reads too slowly; closing its connection", { peer: this.name });
    this.close(CLOSE.stalled);
  }

  /** It is known already; but later releases wait for the question before they say anything else. */
  async #greet(first: ByteStream): Promise<ByteStream | undefined> {
    try {
      return await askForProof(first, this.#context.proof);
    } catch (error) {
      log.warn("Guest failed to authenticate", { peer: this.name, cause: messageOf(error) });
      this.close(CLOSE.authFailed);
      return undefined;
    }
  }

  async #run(): Promise<LinkEnd> {
    void this.#streams.accept();
    void this.#keepTime();
    const end = await this.link.ended;
    this.#abort.abort();
    return end;
  }

  async #keepTime(): Promise<void> {
    const { clock, mayEndDeafness } = this.#context;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      this.#guard(() => {
        this.#rounds.tick();
        this.#pump();
      });
      if (this.#rounds.isDeaf && mayEndDeafness()) {
        log.info("Guest no longer answers on this connection; a new one follows", {
          peer: this.name,
        });
        this.close(CLOSE.normal);
      }
      await sleep(clock, TICK_MS, signal);
    }
  }

  /** Sends what waits as far as there is room. */
  #pump(): void {
    while (!this.#abort.signal.aborted && this.#streams.hasRoom) {
      const next = this.#queue.take(this.#locks.held);
      if (next === undefined) {
        if (!this.#rounds.refill()) return;
        continue;
      }
      const now = this.#context.clock.monotonic();
      const note = this.#exchange.notes.peek(next.key);
      const mayGoAt = this.#rounds.mayGoAt(next.key, note);
      if (mayGoAt > now) {
        this.#queue.putLater(next.key, next.errand, mayGoAt);
        continue;
      }
      this.#serve(next.key, next.errand);
    }
  }

  /** Nothing is held while it is on its way: the guest may need an answer of ours to go on. */
  #serve(key: DocumentKey, errand: Errand): void {
    const told = this.#guard(() => {
      const isPush = errand === "push";
      const messages = isPush ? this.#exchange.push(key) : this.#exchange.announce(key);
      this.#rounds.said(key);
      return messages;
    });
    void this.#send(told ?? []).then(() => this.#pump());
  }

  async #send(messages: readonly Message[]): Promise<void> {
    for (const message of messages) {
      const frame = encodeMessage(message);
      if (message.kind === "snapshot") {
        const paceMs = Math.max(GATHER_MS, frame.payload.length / SNAPSHOT_BYTES_PER_MS);
        const note = this.#exchange.notes.of(message.key as DocumentKey);
        note.pacedUntil = this.#context.clock.monotonic() + paceMs;
      }
      this.statistics.sentDocuments += 1;
      await this.#streams.send(frame);
    }
  }

  async #receive(frame: Frame): Promise<void> {
    this.#rounds.heard();
    try {
      await this.#handle(decodeMessage(frame));
    } catch (error) {
      if (error instanceof Fault) this.#refuse(frame.key, error.message);
      else this.#context.onBug(error);
    }
  }

  async #handle(message: Message): Promise<void> {
    switch (message.kind) {
      case "delta":
      case "snapshot":
        return await this.#handleDocument(message);
      case "tombstone":
        return await this.#exchange.receiveTombstone(message.tombstone);
      case "tombstones":
        return await this.#handleTombstones(message);
      case "tombstone-ack":
        return;
      case "batch":
        for (const entry of message.batch.entries) await this.#receive(entry);
        return;
      case "other":
        this.#refuse(`type ${message.frame.type}`, "unknown sync message type");
    }
  }

  async #handleDocument(message: Extract<Message, { kind: "delta" | "snapshot" }>): Promise<void> {
    const key = message.key as DocumentKey;
    this.statistics.receivedDocuments += 1;
    const replies = await this.#locks.run(key, async () => {
      const isDelta = message.kind === "delta";
      const replies = isDelta
        ? await this.#exchange.receiveDelta(message)
        : await this.#exchange.receiveSnapshot(message);
      this.#rounds.heardOf(key, isDelta);
      return replies;
    });
    // What waits must not hold up what comes: the guest may be waiting for streams that we have to end first.
    if (this.#streams.waiting > REPLIES_MAX) this.#postpone(key);
    else void this.#send(replies);
    this.#pump();
  }

  /** The guest asks faster than it takes answers: it is spoken to of the document again when there is room. */
  #postpone(key: DocumentKey): void {
    this.#exchange.giveUp(key);
    this.#queue.putLater(key, "announce", this.#context.clock.monotonic() + TICK_MS);
  }

  /** The whole list comes every few seconds: an equal one says nothing new. */
  async #handleTombstones({ tombstones }: Extract<Message, { kind: "tombstones" }>): Promise<void> {
    const encoded = encodeMessage({ kind: "tombstones", tombstones });
    const hash = Bun.hash(encoded.payload);
    if (hash === this.#tombstonesSeen) return;
    this.#tombstonesSeen = hash;
    for (const tombstone of tombstones) await this.#exchange.receiveTombstone(tombstone);
  }

  #guard<T>(run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      if (error instanceof Fault) this.#refuse("", error.message);
      else this.#context.onBug(error);
      return undefined;
    }
  }

  #refuse(key: string, cause: string): void {
    if (this.#refused.has(key) || this.#refused.size >= REFUSED_MAX) return;
    this.#refused.set(key, cause);
    log.warn("Message of a guest refused", {
      peer: this.name,
      doc_key: key,
      cause: messageOf(cause),
    });
  }
}
