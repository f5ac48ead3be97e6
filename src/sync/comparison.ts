// What a session does with a peer's sums, leaves and states: its answers, and what both have come to agree on.
import type { Clock } from "../base/clock.ts";
import type { IncomingState, MergeOutcome } from "../store/store.ts";
import { ROOT } from "../store/sums.ts";
import { inFrames, type LeafEntry, type NativeMessage } from "../wire/native.ts";
import type { Agreement } from "./agreement.ts";
import type { Outbox } from "./outbox.ts";
import { answerCompare, answerLeaves, answerMerge, answerSums, type Claim } from "./reconcile.ts";
import type { ComparedStore } from "./rule-differences.ts";

type Message<T extends NativeMessage["type"]> = Extract<NativeMessage, { type: T }>;

export interface ComparisonContext {
  /** Undefined while it is not known what may be compared with this peer. */
  readonly store: () => ComparedStore | undefined;
  readonly clock: Clock;
  readonly outbox: Outbox;
  readonly agreement: Agreement;
  readonly claim: Claim;
  /** Whether anything is on its way that would be found to differ. */
  readonly isBusy: () => boolean;
  readonly reply: (messages: readonly NativeMessage[]) => void;
  /** Called whenever both sides have found their sums equal. */
  readonly agreed: () => void;
}

export class Comparison {
  readonly #context: ComparisonContext;
  readonly #orphans: LeafEntry[] = [];

  constructor(context: ComparisonContext) {
    this.#context = context;
  }

  /** Takes the peer's part of a comparison; nothing before it is known what may be compared. */
  receive(message: Message<"compare" | "sums" | "leaves" | "agreed">): void {
    const store = this.#context.store();
    if (store === undefined) return;
    switch (message.type) {
      case "compare":
        this.#compare(store, message);
        return;
      case "sums":
        this.#sums(store, message);
        return;
      case "leaves":
        this.#leaves(store, message);
        return;
      case "agreed":
        this.#agreed(store, message);
    }
  }

  #compare(store: ComparedStore, message: Message<"compare">): void {
    const { outbox, agreement, claim, reply } = this.#context;
    agreement.received();
    reply(answerCompare(store, outbox, message, claim));
  }

  #sums(store: ComparedStore, message: Message<"sums">): void {
    const { outbox, agreement, isBusy, reply } = this.#context;
    const root = message.entries.find(({ depth }) => depth === 0);
    const horizon = Math.max(message.horizon, store.horizon);
    const ours = store.sum(ROOT, horizon);
    const isEqual = root?.count === ours.count && root.sum === ours.sum;
    if (root !== undefined && !isEqual && !agreement.mayAnswer(root.count, isBusy())) {
      // A sum that is not the one asked about: not now.
      reply([{ type: "agreed", horizon, ...ours }]);
      return;
    }
    if (root === undefined && !agreement.mayGoOn) return;
    if (root === undefined) agreement.compared();
    else outbox.forgetBulk();
    const { replies, isAgreed, isPartial } = answerSums(store, outbox, message);
    if (isAgreed) this.#agree();
    if (isPartial) agreement.again();
    reply(replies);
  }

  #leaves(store: ComparedStore, message: Message<"leaves">): void {
    const { outbox, agreement, claim, reply } = this.#context;
    if (!agreement.mayGoOn) return;
    agreement.compared();
    reply(answerLeaves(store, outbox, message, claim));
  }

  #agreed(store: ComparedStore, { horizon, count, sum }: Message<"agreed">): void {
    const { outbox, agreement } = this.#context;
    const ours = store.sum(ROOT, horizon);
    if (ours.count !== count || ours.sum !== sum) {
      agreement.declined();
      return;
    }
    outbox.forgetBulk();
    this.#agree();
  }

  /** A state of the peer's is committed, or was not taken. */
  merged({ key, hash }: IncomingState, outcome: MergeOutcome): void {
    const { outbox, reply } = this.#context;
    const store = this.#context.store();
    if (store === undefined) return;
    switch (outcome.kind) {
      case "equal":
      case "expired":
        outbox.has(key, hash);
        return;
      case "orphan":
        this.#tellOrphan({ key, hash });
        return;
      case "ahead":
      case "incomplete":
        reply(answerMerge(store, outbox, { key, kind: outcome.kind }));
    }
  }

  /** Those of one turn together: the peer sets them aside in one commit. */
  #tellOrphan(orphan: LeafEntry): void {
    this.#orphans.push(orphan);
    if (this.#orphans.length > 1) return;
    const { clock, reply } = this.#context;
    clock.soon(() => {
      const told = inFrames(this.#orphans.splice(0), ({ key }) => key.length + 18);
      reply(told.map((entries) => ({ type: "orphans", entries })));
    });
  }

  #agree(): void {
    this.#context.agreement.reached();
    this.#context.agreed();
  }
}
