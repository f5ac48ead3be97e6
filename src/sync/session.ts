// One peer of the native dialect: reads frames, joins what comes, sends what the peer lacks.
import { guarded } from "../base/faults.ts";
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
import { isBreach, readFrames } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import { Inquiries, type Waits } from "./inquiries.ts";
import { Intake } from "./intake.ts";
import { Liveness } from "./liveness.ts";
import { Nap } from "./nap.ts";
import { Outbox } from "./outbox.ts";
import { Probes } from "./probe.ts";
import { compareMessages, rootSums } from "./reconcile.ts";
import { RuleDifferences, rulesOf } from "./rule-differences.ts";
import type { SessionContext } from "./session-context.ts";
import { newStatistics, type SessionStatistics } from "./statistics.ts";
import { type Legacy, Succession } from "./succession.ts";

const log = getLog("peat_mesh::storage::automerge_sync");

const STREAM_END_MS = 1_000;

export class Session {
  readonly member: Member;
  readonly name: NodeName;
  readonly statistics: SessionStatistics;
  readonly inquiries: Inquiries;
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
    const { name, hello } = member;
    const { store, clock, catchUp } = context;
    this.name = name;
    this.#context = context;
    this.#succession = new Succession(legacy);
    this.carrier = legacy?.carrier ?? new Carrier(this.#road);
    legacy?.carrier.moveTo(this.#road);
    this.#outbox = legacy?.outbox ?? new Outbox(store, clock, this.carrier.carriage);
    this.#outbox.resume(legacy?.unacknowledged ?? []);
    this.#acquaintance = new Acquaintance(store, this.name);
    this.#rules = new RuleDifferences(store, {
      peerName: this.name,
      areEqual: hello.policies === store.policies.fingerprint,
    });
    this.#probes = new Probes(clock, this.#send);
    this.inquiries = new Inquiries({ ...context, session: this, send: this.#send, hello });
    this.#liveness = new Liveness({
      clock,
      link: member.link,
      doubt: () => context.onDoubt(this),
      ask: () => this.#probes.after(() => undefined),
      giveUp: () => this.#stalled(),
    });
    this.#nap = new Nap(clock, this.#abort.signal);
    this.#intake = new Intake({
      store,
      clock,
      origin: this.name,
      signal: this.#abort.signal,
      suspectUntil: () => this.#acquaintance.suspectUntil,
      merged: (incoming, outcome) => {
        context.claims.settled(this, incoming.key);
        if (outcome.kind === "equal") context.relays.crossed(incoming.key, this.name);
        this.#guard(() => this.#comparison.merged(incoming, outcome));
      },
    });
    this.statistics = newStatistics(clock.now());
    this.#writer = new FrameWriter({
      ...context,
      stream: member.stream,
      isPacked: (hello.features & FEATURE_PACKED) !== 0,
      outbox: this.#outbox,
      statistics: this.statistics,
      signal: this.#abort.signal,
      stalled: () => this.#stalled(),
      times: context.times?.of(this.name),
    });
    const isDialer = member.link.direction === "outgoing";
    const afterAnswers = (then: () => void) => this.#probes.after(then);
    const about = { store, clock, catchUp, isDialer, road: this.carrier, afterAnswers };
    this.#agreement = new Agreement(about);
    this.#comparison = new Comparison({
      store: () => this.#rules.compared,
      clock,
      outbox: this.#outbox,
      agreement: this.#agreement,
      // What another peer is about to send anyway is not asked for here; sums find what that one lacks too.
      claim: (key, isKnown) =>
        (isKnown || !catchUp.isFromOther(this.#agreement)) &&
        context.claims.claim(this, key, this.link.path().rttMs),
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

  /** Whether a document is on its way to the peer. */
  waits(key: DocumentKey): Waits | undefined {
    return this.#writer.window.unacknowledged.includes(key) ? "sent" : this.#outbox.waits(key);
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
    return this.#agreement.isReceiving;
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

  readonly #send = (message: NativeMessage): void => this.#writer.send(message);

  /** Whether the peer answers on this link, in the time that this or `other` takes for a few round trips. */
  probe(other?: Link): Promise<boolean> {
    const paths = [this.link, other ?? this.link].map((link) => link.path());
    return this.#probes.ask(paths, this.#abort.signal);
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
    if (isBreach(error)) {
      const { message: cause } = error;
      log.warn("Peer broke the protocol; closing its connection", { peer: this.name, cause });
      this.close(CLOSE.protocol);
      return;
    }
    this.#streamEnded();
  }

  /** What it throws besides Faults is our own mistake: no peer should be able to break it. */
  #guard(run: () => void): void {
    guarded(this.#context.onBug, run);
  }

  /** The stream is over; the link mostly is too, and says why in a moment. */
  #streamEnded(): void {
    this.#context.clock.after(STREAM_END_MS, () => this.close(CLOSE.normal));
  }

  #receive(message: NativeMessage): void {
    switch (message.type) {
      case "states":
        this.#agreement.statesCame(message.entries.length, message.more);
        this.#takeIn(message.entries, message.serial, message.isEntrusted);
        return;
      case "chunk": {
        const whole = this.#assemblies.add({ ...message, key: message.key as DocumentKey });
        this.#takeIn(whole === undefined ? [] : [whole], message.serial);
        return;
      }
      case "ack":
        this.#outbox.arrived(this.#writer.window.acknowledged(message.serial));
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
      case "pong":
        this.#probes.receive(message);
        return;
      case "inquiry":
      case "report":
        this.inquiries.receive(message);
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
