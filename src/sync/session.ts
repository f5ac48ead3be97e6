// One peer of the native dialect: reads frames, joins what comes, sends what the peer lacks.
import { Fault } from "../base/faults.ts";
import { getLog } from "../base/log.ts";
import type { NodeName } from "../identity/peer.ts";
import type { Link, LinkEnd } from "../net/link.ts";
import { CLOSE, type Member } from "../net/membership.ts";
import type { DocumentKey } from "../store/document-key.ts";
import type { Committed } from "../store/store.ts";
import type { NativeMessage } from "../wire/native.ts";
import { FEATURE_PACKED } from "../wire/packed.ts";
import { Acquaintance } from "./acquaintance.ts";
import { Agreement } from "./agreement.ts";
import { Assemblies } from "./assembly.ts";
import { Carrier, type CarrierContext } from "./carrier.ts";
import { Comparison } from "./comparison.ts";
import { readFrames } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import { Intake } from "./intake.ts";
import { Liveness } from "./liveness.ts";
import { Nap } from "./nap.ts";
import { Outbox } from "./outbox.ts";
import { Probes } from "./probe.ts";
import { type Claim, compareMessages, rootSums } from "./reconcile.ts";
import { RuleDifferences, rulesOf } from "./rule-differences.ts";
import type { SessionContext } from "./session-context.ts";
import { newStatistics, type SessionStatistics } from "./statistics.ts";
import { type Legacy, Succession } from "./succession.ts";

const log = getLog("peat_mesh::storage::automerge_sync");

const PEER_FAULTS: readonly string[] = ["wire_invalid", "invalid_argument"];
const STREAM_END_MS = 1_000;
/** How long more is waited for, after a peer has said that more follows. */
const RECEIVING_MS = 5_000;

export class Session {
  readonly member: Member;
  readonly name: NodeName;
  readonly statistics: SessionStatistics;
  /** Its link, beside those of the other sessions. */
  readonly carrier: Carrier;
  /** Resolves when the link is down and nothing of the session goes on. */
  readonly ended: Promise<LinkEnd>;
  readonly #context: SessionContext;
  readonly #outbox: Outbox;
  readonly #writer: FrameWriter;
  readonly #assemblies = new Assemblies();
  readonly #probes: Probes;
  readonly #abort = new AbortController();
  readonly #intake: Intake;
  #isCatchingUp = false;
  readonly #agreement: Agreement;
  readonly #acquaintance: Acquaintance;
  readonly #comparison: Comparison;
  readonly #rules: RuleDifferences;
  readonly #nap: Nap;
  readonly #liveness: Liveness;
  #taken: Promise<void> = Promise.resolve();
  readonly #succession: Succession;

  constructor(member: Member, context: SessionContext, legacy?: Legacy) {
    this.member = member;
    this.name = member.name;
    this.#context = context;
    this.#succession = new Succession(legacy);
    this.carrier = legacy?.carrier ?? new Carrier(this.#road);
    legacy?.carrier.moveTo(this.#road);
    this.#outbox =
      legacy?.outbox ?? new Outbox(context.store, context.clock, this.carrier.carriage);
    this.#outbox.resume(legacy?.unacknowledged ?? []);
    this.#acquaintance = new Acquaintance(context.store, this.name);
    this.#rules = new RuleDifferences(context.store, {
      peerName: this.name,
      areEqual: member.hello.policies === context.store.policies.fingerprint,
    });
    this.#probes = new Probes(context.clock);
    this.#liveness = new Liveness({
      clock: context.clock,
      link: member.link,
      doubt: () => context.onDoubt(this),
      ask: () => this.#probes.after(this.#ping, () => undefined),
      giveUp: () => this.#stalled(),
    });
    this.#nap = new Nap(context.clock, this.#abort.signal);
    this.#intake = new Intake({
      store: context.store,
      clock: context.clock,
      origin: this.name,
      signal: this.#abort.signal,
      suspectUntil: () => this.#acquaintance.suspectUntil,
      merged: (incoming, outcome) => {
        context.claims.settled(this, incoming.key);
        if (outcome.kind === "equal") context.relays.crossed(incoming.key, this.name);
        this.#guard(() => this.#comparison.merged(incoming, outcome));
      },
    });
    this.statistics = newStatistics(context.clock.now());
    this.#writer = new FrameWriter({
      stream: member.stream,
      isPacked: (member.hello.features & FEATURE_PACKED) !== 0,
      outbox: this.#outbox,
      clock: context.clock,
      statistics: this.statistics,
      signal: this.#abort.signal,
      stalled: () => this.#stalled(),
      latencies: context.latencies,
    });
    const { store, clock, catchUp } = context;
    const isDialer = member.link.direction === "outgoing";
    const afterAnswers = (then: () => void) => this.#probes.after(this.#ping, then);
    const about = { store, clock, catchUp, isDialer, road: this.carrier, afterAnswers };
    this.#agreement = new Agreement(about);
    this.#comparison = new Comparison({
      store: () => this.#rules.compared,
      clock,
      outbox: this.#outbox,
      agreement: this.#agreement,
      claim: this.#claim,
      isBusy: () => this.carrier.isBusy,
      reply: (messages) => this.#reply(messages),
      agreed: () => {
        this.#acquaintance.agreed(clock.now());
        this.carrier.agreed();
        context.catchUp.agreed();
      },
    });
    this.ended = this.#run();
  }

  get #road(): CarrierContext {
    const { relays, clock } = this.#context;
    return {
      name: this.name,
      relays,
      clock,
      link: this.link,
      outbox: () => this.#outbox,
      window: () => this.#writer.window,
      wake: () => this.#writer.wake(),
      isAllCompared: () => this.#rules.isAllCompared,
      isReceiving: () => this.isCatchingUp || this.#intake.isBusy,
    };
  }

  get link() {
    return this.member.link;
  }

  get queueDepth(): number {
    return this.#outbox.depth;
  }

  get lagMs(): number {
    return this.#writer.window.lastLagMs;
  }

  /** Both sides had equal sums when they last compared, and nothing has changed here since. */
  get isAgreed(): boolean {
    return this.#agreement.holds;
  }

  /** Collections that are kept otherwise there, and so are not compared. */
  get differingCollections(): readonly string[] {
    return this.#rules.collections;
  }

  /** Documents that could not be joined here or can't be sent there, with the reason. */
  get stuck(): ReadonlyMap<string, string> {
    return new Map([...this.#intake.stuck, ...this.#outbox.stuck]);
  }

  /** Sends the change as soon as the peer can take it. */
  push(committed: readonly Committed[]): void {
    for (const change of committed) this.#outbox.push(change);
    this.#nap.stir();
    this.#writer.wake();
  }

  /** Sends it later, if the peer has not heard it from its author by then. Undefined: others do so, sums are enough. */
  hold(change: Committed | undefined): void {
    if (change !== undefined) this.#outbox.hold(change);
    this.#nap.stir();
  }

  tellNeighbours(names: readonly string[]): void {
    this.#writer.send({ type: "neighbours", names });
  }

  /** The peer sends much, and has said that more follows. */
  get isCatchingUp(): boolean {
    return this.#isCatchingUp && this.#agreement.quietMs < RECEIVING_MS;
  }

  /** Compares sums, at once unless another peer is being caught up with. */
  reconcile(): void {
    const { compared } = this.#rules;
    if (compared === undefined) return;
    if (!this.#agreement.mayCompare(this.carrier.isBusy)) return;
    this.#writer.send(rootSums(compared));
    this.#agreement.asked();
  }

  /** One side asks. */
  #beginComparing(): void {
    if (this.link.direction === "outgoing") this.reconcile();
  }

  readonly #ping = (nonce: number): void => this.#writer.send({ type: "ping", nonce });

  /** Whether the peer answers on this link, in the time that this or `other` takes for a few round trips. */
  probe(other?: Link): Promise<boolean> {
    const paths = [this.link, other ?? this.link].map((link) => link.path());
    return this.#probes.ask(this.#ping, paths, this.#abort.signal);
  }

  /** Resolves once the peer has acknowledged all that it is to have, or after `withinMs`. */
  drain(withinMs: number): Promise<void> {
    return this.#writer.drain(withinMs);
  }

  close({ code, reason }: { code: number; reason: string }): void {
    this.link.close(code, reason);
    this.#abort.abort();
  }

  #stalled(): void {
    log.warn("Peer reads too slowly; closing its connection", { peer: this.name });
    this.close(CLOSE.stalled);
  }

  async #run(): Promise<LinkEnd> {
    if (this.#succession.goesOn) this.#writer.send({ type: "resumed" });
    this.#introduce();
    if (!this.#succession.goesOn) this.#beginComparing();
    const loops = [this.#readFrames(), this.#writeFrames(), this.#keepTime()];
    const end = await this.link.ended;
    this.#abort.abort();
    await Promise.all(loops);
    return end;
  }

  /** What decides about our documents is told before any of them. */
  #introduce(): void {
    this.#writer.send({ type: "memory", ...this.#acquaintance.introduce() });
    if (this.#rules.compared !== undefined) return;
    this.#writer.send({ type: "rules", entries: rulesOf(this.#context.store.policies) });
  }

  async #readFrames(): Promise<void> {
    try {
      await readFrames({
        stream: this.member.stream,
        clock: this.#context.clock,
        statistics: this.statistics,
        signal: this.#abort.signal,
        heard: () => this.#liveness.heard(),
        advanced: () => this.#agreement.advanced(),
        receive: (message) => this.#guard(() => this.#receive(message)),
        room: () => this.#intake.room(),
      });
      this.#streamEnded();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The one place where what a peer did ends its link; a link that died has its own words. */
  #failed(error: unknown): void {
    if (this.#abort.signal.aborted) return;
    if (error instanceof Fault && PEER_FAULTS.includes(error.code)) {
      const { message: cause } = error;
      log.warn("Peer broke the protocol; closing its connection", { peer: this.name, cause });
      this.close(CLOSE.protocol);
      return;
    }
    this.#streamEnded();
  }

  /** What it throws besides Faults is our own mistake: no peer should be able to break it. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!(error instanceof Fault)) this.#context.onBug(error);
      throw error;
    }
  }

  /** The stream is over; the link mostly is too, and says why in a moment. */
  #streamEnded(): void {
    this.#context.clock.after(STREAM_END_MS, () => this.close(CLOSE.normal));
  }

  #receive(message: NativeMessage): void {
    switch (message.type) {
      case "states":
        this.#isCatchingUp = message.more;
        if (message.more && message.entries.length > 0) this.#agreement.advanced();
        else this.#agreement.received();
        this.#takeIn(message.entries, message.serial, message.isEntrusted);
        return;
      case "chunk": {
        const whole = this.#assemblies.add({ ...message, key: message.key as DocumentKey });
        this.#takeIn(whole === undefined ? [] : [whole], message.serial);
        return;
      }
      case "ack":
        this.#writer.window.acknowledged(message.serial);
        this.#agreement.progressed();
        this.#writer.wake();
        return;
      case "compare":
      case "sums":
      case "leaves":
      case "agreed":
        this.#comparison.receive(message);
        return;
      case "neighbours":
        this.carrier.neighbours = new Set(message.names);
        this.#context.relays.parted(this.carrier);
        return;
      case "ping":
        this.#writer.send({ type: "pong", nonce: message.nonce });
        return;
      case "pong":
        this.#probes.answered(message.nonce);
        return;
      case "memory":
        this.#acquaintance.introduced(message);
        if (this.#succession.introduced(this.#agreement).beginsAnew) this.#beginComparing();
        return;
      case "resumed":
        this.#succession.resumed();
        return;
      case "orphans":
        this.#acquaintance.orphaned(message.entries);
        return;
      case "rules":
        this.#rules.told(message.entries);
        this.#beginComparing();
    }
  }

  /** For the session whose link takes the place of this one's. */
  get legacy(): Legacy | undefined {
    if (!this.#succession.hasBegun) return undefined;
    const [outbox, agreement, { window }] = [this.#outbox, this.#agreement, this.#writer];
    return { outbox, carrier: this.carrier, agreement, unacknowledged: window.unacknowledged };
  }

  readonly #claim: Claim = (key, isKnown) => {
    const { catchUp, claims } = this.#context;
    // What another peer is about to send anyway is not asked for here; sums find what that one lacks too.
    if (!isKnown && catchUp.isFromOther(this.#agreement)) return false;
    return claims.claim(this, key, this.link.path().rttMs);
  };

  #takeIn(
    entries: readonly { key: string; hash: string; bytes: Uint8Array }[],
    serial: number,
    isEntrusted = false,
  ): void {
    const keys = isEntrusted ? entries.map(({ key }) => key as DocumentKey) : [];
    const release = this.#context.relays.entrust(this.name, keys);
    this.statistics.receivedDocuments += entries.length;
    this.#nap.stir();
    // In order: an acknowledgement speaks for everything before it.
    this.#taken = Promise.all([this.#taken, this.#intake.take(entries)]).then(() => {
      release();
      this.#writer.send({ type: "ack", serial });
    });
  }

  #reply(messages: readonly NativeMessage[]): void {
    for (const message of messages) this.#writer.send(message);
    this.#writer.wake();
  }

  async #writeFrames(): Promise<void> {
    await this.#writer.run().catch((error: unknown) => this.#failed(error));
  }

  /** Tells held changes whose time has come, and compares sums while anything is unsettled. */
  async #keepTime(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      this.#liveness.check(this.#writer.window.inFlightBytes > 0);
      const isQuiet = this.isAgreed && !this.#outbox.hasHeld && !this.#liveness.isInDoubt;
      await this.#nap.take(isQuiet);
      if (this.#abort.signal.aborted) break;
      if (this.isAgreed) this.#acquaintance.agreed(this.#context.clock.now());
      if (this.#acquaintance.isOutdated) this.#introduce();
      const named = this.carrier.toName().map(({ key, hash }) => ({ key, hash, heads: [] }));
      this.#reply(compareMessages(named));
      const isDue = this.#agreement.isDue(this.carrier.isBusy);
      if (isDue || this.#outbox.takeForgetful()) this.reconcile();
    }
    this.#agreement.end();
    this.#context.claims.drop(this);
  }
}
