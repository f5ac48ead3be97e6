// One peer of the native dialect: reads frames, joins what comes, sends what the peer lacks.
import { type Clock, sleep } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { NodeName } from "../identity/peer.ts";
import type { LinkEnd } from "../net/link.ts";
import { CLOSE, type Member } from "../net/membership.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { Committed, IncomingState, MergeOutcome, Store } from "../store/store.ts";
import { ROOT } from "../store/sums.ts";
import { FrameDecoder } from "../wire/frame.ts";
import {
  decodeNative,
  encodeNative,
  NATIVE_PAYLOAD_BYTES_MAX,
  type NativeMessage,
} from "../wire/native.ts";
import { Assemblies } from "./assembly.ts";
import { Intake } from "./intake.ts";
import { Outbox, type OutboxItem } from "./outbox.ts";
import { Probes } from "./probe.ts";
import {
  answerCompare,
  answerLeaves,
  answerMerge,
  answerSums,
  compareMessages,
  rootSums,
  rootText,
} from "./reconcile.ts";
import { newStatistics, type SessionStatistics } from "./statistics.ts";
import { Window } from "./window.ts";

const log = getLog("peat_mesh::storage::automerge_sync");

const READ_BYTES_MAX = 64 * 1024;
/** Answers that wait to be written; beyond this the peer reads too slowly to be worth keeping. */
const CONTROL_BYTES_MAX = 4 * 1024 * 1024;
/** A write that the transport does not take for so long ends the link. */
const STALLED_MS = 60_000;
/** How often sums are compared while anything has changed since the last agreement. */
const RECONCILE_MS = 3_500;
/** How long a catch-up may put that off. */
const RECONCILE_LATEST_MS = 30_000;
/** Only one side asks at a time, as a rule: the answers of both would send everything twice. */
const RECONCILE_ACCEPTOR_EXTRA_MS = 1_000;
/** With so many frames unacknowledged, fewer documents than that wait, so long at most. */
const GATHER_FRAMES = 2;
const GATHER_DOCUMENTS = 64;
const GATHER_MS = 5;
const STREAM_END_MS = 1_000;
const DRAIN_POLL_MS = 5;
/** Held changes that are named one by one; more of them are settled by sums. */
const NAMED_MAX = 64;

export interface SessionContext {
  readonly store: Store;
  readonly clock: Clock;
  /** Called whenever both sides have found their sums equal. */
  readonly onAgreed: (session: Session) => void;
}

export class Session {
  readonly member: Member;
  readonly name: NodeName;
  readonly statistics: SessionStatistics;
  /** Resolves when the link is down and nothing of the session goes on. */
  readonly ended: Promise<LinkEnd>;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #context: SessionContext;
  readonly #outbox: Outbox;
  readonly #window: Window;
  readonly #assemblies = new Assemblies();
  readonly #probes: Probes;
  readonly #abort = new AbortController();
  readonly #intake: Intake;
  #neighbours: ReadonlySet<string> = new Set();
  #control: Uint8Array[] = [];
  #controlBytes = 0;
  #isPeerCatchingUp = false;
  #agreedRoot: string | undefined;
  #lastCompared: number;
  #wakeWriter: (() => void) | undefined;
  #cancelGather: (() => void) | undefined;

  constructor(member: Member, context: SessionContext) {
    this.member = member;
    this.name = member.name;
    this.#store = context.store;
    this.#clock = context.clock;
    this.#context = context;
    this.#outbox = new Outbox(context.store, context.clock);
    this.#window = new Window(context.clock);
    this.#probes = new Probes(context.clock);
    this.#intake = new Intake({
      store: context.store,
      clock: context.clock,
      origin: this.name,
      signal: this.#abort.signal,
      merged: (incoming, outcome) => this.#merged(incoming, outcome),
    });
    this.statistics = newStatistics(context.clock.now());
    this.#lastCompared = context.clock.monotonic();
    this.ended = this.#run();
  }

  get link() {
    return this.member.link;
  }

  /** Names of the peers that this peer is connected to, as it last said. */
  get neighbours(): ReadonlySet<string> {
    return this.#neighbours;
  }

  get queueDepth(): number {
    return this.#outbox.depth;
  }

  get lagMs(): number {
    return this.#window.lastLagMs;
  }

  /** Both sides had equal sums when they last compared, and nothing has changed here since. */
  get isAgreed(): boolean {
    return this.#agreedRoot !== undefined && this.#agreedRoot === rootText(this.#store);
  }

  /** Documents of the peer that could not be joined, with the reason. */
  get stuck(): ReadonlyMap<string, string> {
    return this.#intake.stuck;
  }

  /** Sends the change as soon as the peer can take it. */
  push(committed: readonly Committed[]): void {
    for (const change of committed) this.#outbox.push(change);
    this.#wakeWriter?.();
  }

  /** Sends the change later, and only if the peer has not heard it from its author by then. */
  hold(change: Committed): void {
    this.#outbox.hold(change);
  }

  tellNeighbours(names: readonly string[]): void {
    this.#send({ type: "neighbours", names });
  }

  /** Compares sums at once. */
  reconcile(): void {
    this.#lastCompared = this.#clock.monotonic();
    this.#send(rootSums(this.#store));
  }

  /** Whether the peer answers on this link. */
  probe(): Promise<boolean> {
    const send = (nonce: number) => this.#send({ type: "ping", nonce });
    return this.#probes.ask(send, this.link.path().rttMs, this.#abort.signal);
  }

  /** Resolves once the peer has acknowledged all that it is to have, or after `withinMs`. */
  async drain(withinMs: number): Promise<void> {
    const until = this.#clock.monotonic() + withinMs;
    const isDone = () => this.#outbox.isEmpty && this.#window.inFlightBytes === 0;
    while (!isDone() && !this.#abort.signal.aborted && this.#clock.monotonic() < until) {
      await sleep(this.#clock, DRAIN_POLL_MS, this.#abort.signal);
    }
  }

  close({ code, reason }: { code: number; reason: string }): void {
    this.link.close(code, reason);
    this.#stop();
  }

  #stop(): void {
    this.#abort.abort();
    this.#wakeWriter?.();
  }

  async #run(): Promise<LinkEnd> {
    if (this.link.direction === "outgoing") this.reconcile();
    const loops = [this.#readFrames(), this.#writeFrames(), this.#keepTime()];
    const end = await this.link.ended;
    this.#stop();
    await Promise.all(loops);
    return end;
  }

  async #readFrames(): Promise<void> {
    const decoder = new FrameDecoder({ payloadBytesMax: NATIVE_PAYLOAD_BYTES_MAX, keyBytesMax: 0 });
    try {
      while (!this.#abort.signal.aborted) {
        const bytes = await this.member.stream.read(READ_BYTES_MAX);
        if (bytes === undefined) break;
        this.statistics.receivedBytes += bytes.length;
        this.statistics.lastSeenMs = this.#clock.now();
        decoder.push(bytes);
        for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
          this.statistics.receivedFrames += 1;
          const message = decodeNative(frame);
          if (message !== undefined) this.#receive(message);
        }
        await this.#intake.room();
      }
      this.#streamEnded();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The one place where what a peer did ends its link; a link that died has its own words. */
  #failed(error: unknown): void {
    if (this.#abort.signal.aborted) return;
    if (
      error instanceof Fault &&
      (error.code === "wire_invalid" || error.code === "invalid_argument")
    ) {
      log.warn("Peer broke the protocol; closing its connection", {
        peer: this.name,
        cause: error.message,
      });
      this.close(CLOSE.protocol);
      return;
    }
    this.#streamEnded();
  }

  /** The stream is over; the link mostly is too, and says why in a moment. */
  #streamEnded(): void {
    this.#clock.after(STREAM_END_MS, () => this.close(CLOSE.normal));
  }

  #receive(message: NativeMessage): void {
    switch (message.type) {
      case "states":
        this.#isPeerCatchingUp = message.more;
        this.#takeIn(message.entries, message.serial);
        return;
      case "chunk": {
        const whole = this.#assemblies.add({ ...message, key: message.key as DocumentKey });
        this.#takeIn(whole === undefined ? [] : [whole], message.serial);
        return;
      }
      case "ack":
        this.#window.acknowledged(message.serial);
        this.#wakeWriter?.();
        return;
      case "compare":
        this.#reply(answerCompare(this.#store, this.#outbox, message));
        return;
      case "sums": {
        const { replies, isAgreed } = answerSums(this.#store, this.#outbox, message);
        this.#lastCompared = this.#clock.monotonic();
        if (isAgreed) this.#agree();
        this.#reply(replies);
        return;
      }
      case "leaves":
        this.#reply(answerLeaves(this.#store, this.#outbox, message));
        return;
      case "agreed":
        this.#receiveAgreed(message);
        return;
      case "neighbours":
        this.#neighbours = new Set(message.names);
        return;
      case "ping":
        this.#send({ type: "pong", nonce: message.nonce });
        return;
      case "pong":
        this.#probes.answered(message.nonce);
    }
  }

  #receiveAgreed({ count, sum }: { count: number; sum: string }): void {
    const ours = this.#store.sum(ROOT);
    if (ours.count === count && ours.sum === sum) this.#agree();
  }

  #agree(): void {
    this.#agreedRoot = rootText(this.#store);
    this.#lastCompared = this.#clock.monotonic();
    this.#context.onAgreed(this);
  }

  #takeIn(
    entries: readonly { key: string; hash: string; bytes: Uint8Array }[],
    serial: number,
  ): void {
    this.statistics.receivedDocuments += entries.length;
    void this.#intake.take(entries).then(() => this.#send({ type: "ack", serial }));
  }

  #merged({ key, hash }: IncomingState, outcome: MergeOutcome): void {
    if (outcome.kind === "equal") this.#outbox.has(key, hash);
    else this.#reply(answerMerge(this.#store, this.#outbox, { key, kind: outcome.kind }));
  }

  #reply(messages: readonly NativeMessage[]): void {
    for (const message of messages) this.#send(message);
    this.#wakeWriter?.();
  }

  #send(message: NativeMessage): void {
    if (this.#abort.signal.aborted) return;
    const bytes = encodeNative(message);
    this.#controlBytes += bytes.length;
    if (this.#controlBytes > CONTROL_BYTES_MAX) {
      log.warn("Peer reads too slowly; closing its connection", { peer: this.name });
      this.close(CLOSE.stalled);
      return;
    }
    this.#control.push(bytes);
    this.#wakeWriter?.();
  }

  async #writeFrames(): Promise<void> {
    try {
      while (!this.#abort.signal.aborted) {
        const bytes = this.#nextBytes();
        if (bytes === undefined) {
          await new Promise<void>((resolve) => {
            this.#wakeWriter = resolve;
          });
          this.#wakeWriter = undefined;
          continue;
        }
        this.statistics.sentBytes += bytes.length;
        const cancel = this.#clock.after(STALLED_MS, () => this.close(CLOSE.stalled));
        await this.member.stream.write(bytes).finally(cancel);
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Answers first, all at once; then the next frame of states, if the peer may be sent more. */
  #nextBytes(): Uint8Array | undefined {
    if (this.#control.length > 0) {
      const bytes = Buffer.concat(this.#control);
      this.statistics.sentFrames += this.#control.length;
      this.#control = [];
      this.#controlBytes = 0;
      return bytes;
    }
    if (!this.#window.hasRoom || this.#isGathering()) return undefined;
    const item = this.#outbox.take();
    return item === undefined ? undefined : this.#encode(item);
  }

  /**
   * Under load, few documents wait a moment for more: every frame costs both sides a packet, a commit and an
   * acknowledgement, whatever it holds. A change that comes alone never waits.
   */
  #isGathering(): boolean {
    const { inFlightFrames, sinceLastMs } = this.#window;
    const depth = this.#outbox.depth;
    if (depth === 0 || depth >= GATHER_DOCUMENTS) return false;
    if (inFlightFrames < GATHER_FRAMES || sinceLastMs >= GATHER_MS) return false;
    this.#cancelGather ??= this.#clock.after(GATHER_MS - sinceLastMs, () => {
      this.#cancelGather = undefined;
      this.#wakeWriter?.();
    });
    return true;
  }

  #encode(item: OutboxItem): Uint8Array {
    const serial = this.#window.nextSerial();
    const bytes =
      item.kind === "states"
        ? encodeNative({ type: "states", serial, more: item.more, entries: item.entries })
        : encodeNative({ type: "chunk", serial, ...item.part });
    this.statistics.sentFrames += 1;
    this.statistics.sentDocuments += item.kind === "states" ? item.entries.length : 0;
    this.#window.sent(serial, bytes.length);
    return bytes;
  }

  /** Tells held changes whose time has come, and compares sums while anything is unsettled. */
  async #keepTime(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      await sleep(this.#clock, this.#outbox.hasHeld ? 250 : 500, this.#abort.signal);
      const due = this.#outbox.takeDue().map(({ key, hash }) => ({ key, hash, heads: [] }));
      // Sums say of many documents what naming each would say at length.
      const isMany = due.length > NAMED_MAX;
      if (!isMany) this.#reply(compareMessages(due));
      if (isMany || this.#isTimeToCompare()) this.reconcile();
    }
  }

  #isTimeToCompare(): boolean {
    if (this.#outbox.takeForgetful()) return true;
    if (this.isAgreed) return false;
    const waited = this.#clock.monotonic() - this.#lastCompared;
    const isBusy = this.#isPeerCatchingUp || !this.#outbox.isEmpty || this.#intake.isBusy;
    const extra = this.link.direction === "incoming" ? RECONCILE_ACCEPTOR_EXTRA_MS : 0;
    return waited >= (isBusy ? RECONCILE_LATEST_MS : RECONCILE_MS) + extra;
  }
}
