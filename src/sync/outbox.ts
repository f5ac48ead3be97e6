// What one peer is to be sent: changes by urgency and age, each document once; what a catch-up needs behind
// them; and what is held back because the peer probably hears it from its author.
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { PRIORITY_CLASSES, priorityOf } from "../store/collection-policies.ts";
import { type DocumentKey, splitKey } from "../store/document-key.ts";
import { joinDeltas } from "../store/state.ts";
import type { Committed, Store } from "../store/store.ts";
import { bucketOf, bucketsBelow, DEPTH, type Prefix } from "../store/sums.ts";
import { STATES_BYTES_TARGET, type StateEntry } from "../wire/native.ts";
import { HeldChanges } from "./held-changes.ts";
import { bytesOf, type ChunkPart, followedBy, LargeStates, type Wanted } from "./large-states.ts";
import type { Carriage, DueChange, RelayPeer } from "./relays.ts";

/** A change that waits. */
interface Waiting extends Omit<Wanted, "key"> {
  readonly order: number;
  /** The peer has asked for it. */
  readonly isAsked: boolean;
}

export type OutboxItem =
  | {
      readonly kind: "states";
      readonly more: boolean;
      /** Some of them are held back for other peers, who get them from this one. */
      readonly isEntrusted: boolean;
      readonly entries: readonly StateEntry[];
    }
  | { readonly kind: "chunk"; readonly part: ChunkPart };

const NOTHING_KNOWN = {
  deltas: undefined,
  isWhole: false,
  heads: [],
  isAsked: false,
} as const;

/** Bytes of changes that are kept for a slow peer; beyond it only their keys are. */
const DELTA_BYTES_MAX = 4 * 1024 * 1024;
/** Waiting documents beyond this are forgotten: comparing sums finds them again. */
export const QUEUE_MAX = 50_000;
/** Every fourth frame begins with the oldest, whatever its class: nothing waits for ever. */
const OLDEST_EVERY = 4;
const ENTRIES_PER_FRAME = 4096;

export class Outbox {
  readonly #store: Store;
  readonly #classes = Array.from(
    { length: PRIORITY_CLASSES },
    () => new Map<DocumentKey, Waiting>(),
  );
  readonly #carriage: (key: DocumentKey, hash: string) => Carriage;
  readonly #held: HeldChanges;
  readonly #large: LargeStates;
  #bulkKeys: DocumentKey[] = [];
  /** Leaves of the reconciliation tree whose documents the peer lacks altogether. */
  #bulkBuckets: { next: number; last: number }[] = [];
  #deltaBytes = 0;
  #order = 0;
  #turn = 0;
  #isForgetful = false;
  #isEntrusting = false;

  /** `carriage` is asked when a change's turn has come; what was asked for is always sent. */
  constructor(
    store: Store,
    clock: Clock,
    carriage: (key: DocumentKey, hash: string) => Carriage = () => ({ kind: "alone" }),
  ) {
    this.#store = store;
    this.#held = new HeldChanges(clock);
    this.#large = new LargeStates(store);
    this.#carriage = carriage;
  }

  /** Documents that wait to be sent, as far as they are known one by one. */
  get depth(): number {
    return this.#live + this.#bulkKeys.length + this.#large.size;
  }

  /** Bytes of changes that wait; of what is not kept here the state is read when it is sent. */
  get keptBytes(): number {
    return this.#deltaBytes + this.#large.deltaBytes;
  }

  get isEmpty(): boolean {
    return this.depth === 0 && this.#bulkBuckets.length === 0;
  }

  /** Documents that can't be sent, with the reason. */
  get stuck(): ReadonlyMap<DocumentKey, string> {
    return this.#large.stuck;
  }

  /** True once after documents were forgotten for want of room: sums have to be compared. */
  takeForgetful(): boolean {
    const was = this.#isForgetful;
    this.#isForgetful = false;
    return was;
  }

  get #live(): number {
    return this.#classes.reduce((sum, map) => sum + map.size, 0);
  }

  /** A change that the peer is not known to have. */
  push({ key, hash, delta, isWhole }: Committed): void {
    this.#held.delete(key);
    this.#large.changed(key);
    const before = this.#waiting(key) ?? {
      ...NOTHING_KNOWN,
      order: this.#nextOrder(),
      deltas: [],
    };
    // A second change of a waiting document goes with the first, or replaces it.
    const deltas = before.deltas && this.#afford(isWhole ? [] : before.deltas, delta);
    this.#put(key, { ...before, hash, deltas, isWhole: isWhole || before.isWhole });
  }

  /** The state of a document for a peer that lacks it, or has only `heads` of its history. */
  pushState(key: DocumentKey, heads: readonly string[] = []): void {
    const before = this.#waiting(key);
    // Of what is on its way as a whole, the changes that wait are all that is left to send.
    const isLeft = before?.deltas !== undefined && before.hash === this.#store.hashOf(key);
    if (before !== undefined && heads.length === 0 && isLeft && this.#large.isComing(key)) {
      this.#put(key, { ...before, isAsked: true });
      return;
    }
    const order = before?.order ?? this.#nextOrder();
    this.#put(key, { ...NOTHING_KNOWN, order, hash: "", heads, isAsked: true });
  }

  /** Catch-up: documents of which the peer has nothing. They go when nothing else does. */
  pushBulk(keys: readonly DocumentKey[]): void {
    if (this.#bulkKeys.length + keys.length > QUEUE_MAX) this.#isForgetful = true;
    else this.#bulkKeys.push(...keys);
  }

  /** What a peer lacks altogether is found anew by the comparison that begins. */
  forgetBulk(): void {
    this.#bulkKeys = [];
    this.#bulkBuckets = [];
  }

  pushBulkBelow(prefix: Prefix): void {
    const { first, last } = bucketsBelow(prefix);
    if (this.#bulkBuckets.length < QUEUE_MAX) this.#bulkBuckets.push({ next: first, last });
  }

  /** A change that the peer probably gets from its author: told only if it still matters a second later. */
  hold(change: Committed): void {
    const { key, hash } = change;
    // An earlier change of it waits already: one state serves both.
    if (this.#waiting(key) !== undefined) this.push(change);
    else if (this.#held.size >= QUEUE_MAX) this.#isForgetful = true;
    else this.#held.hold(key, hash);
  }

  /** The link that carried them is over: held changes are sent after all. */
  carrierEnded(peer: RelayPeer): void {
    for (const key of this.#held.carriedBy(peer)) this.release(key);
  }

  /** Sends what waits for another link to carry it. */
  release(key: DocumentKey): void {
    const hash = this.#held.take(key);
    if (hash !== undefined) this.#put(key, { order: this.#nextOrder(), hash, ...NOTHING_KNOWN });
  }

  /** The link is another one: what was not acknowledged is sent anew, and so is what was sent in part. */
  resume(unacknowledged: readonly DocumentKey[]): void {
    this.#large.resume();
    for (const key of unacknowledged) {
      const order = this.#waiting(key)?.order ?? this.#nextOrder();
      this.#put(key, { order, hash: "", ...NOTHING_KNOWN });
    }
  }

  /** The peer is known to have this state now. */
  has(key: DocumentKey, hash: string): void {
    this.#held.has(key, hash);
    if (this.#waiting(key)?.hash === hash) this.#drop(key);
    this.#large.has(key, hash);
  }

  /** The peer has acknowledged what was sent of these documents. */
  arrived(keys: readonly DocumentKey[]): void {
    this.#large.arrived(keys);
  }

  forgetHeld(): void {
    this.#held.clear();
  }

  /** Whether the document waits here, and for what: its turn, or another link that probably brings it. */
  waits(key: DocumentKey): "queued" | "held" | undefined {
    const bucket = bucketOf(key);
    const isQueued =
      this.#waiting(key) !== undefined ||
      this.#large.waits(key) ||
      this.#bulkKeys.includes(key) ||
      this.#bulkBuckets.some(({ next, last }) => bucket >= next && bucket <= last);
    if (isQueued) return "queued";
    return this.#held.waits(key) ? "held" : undefined;
  }

  get hasHeld(): boolean {
    return this.#held.size > 0;
  }

  /** Held changes whose time has come. */
  takeDue(carriedMax?: number): DueChange[] {
    return this.#held.takeDue(carriedMax);
  }

  /** The next frame's worth, of some `bytesMax` bytes, or undefined when nothing waits. */
  take(bytesMax = STATES_BYTES_TARGET): OutboxItem | undefined {
    this.#turn += 1;
    // Large states share the link with everything else, frame by frame.
    const chunk = this.#turn % 2 === 0 ? this.#takePart(bytesMax) : undefined;
    if (chunk !== undefined) return { kind: "chunk", part: chunk };
    const entries: StateEntry[] = [];
    this.#isEntrusting = false;
    let bytes = 0;
    while (bytes < bytesMax && entries.length < ENTRIES_PER_FRAME) {
      const entry = this.#takeState(bytesMax);
      if (entry === undefined) break;
      entries.push(entry);
      bytes += entry.bytes.length + entry.key.length + 22;
    }
    if (entries.length > 0) {
      return { kind: "states", more: !this.isEmpty, isEntrusted: this.#isEntrusting, entries };
    }
    const part = this.#takePart(bytesMax);
    return part === undefined ? undefined : { kind: "chunk", part };
  }

  /** Every other turn may be the only one that large states have. */
  #takePart(bytesMax: number): ChunkPart | undefined {
    return this.#large.take(this.#turn >>> 1, bytesMax);
  }

  /** The next state that fits a frame; larger ones are set to go in parts, gone ones are passed over. */
  #takeState(bytesMax: number): StateEntry | undefined {
    while (true) {
      const next = this.#takeLive() ?? this.#takeBulk();
      if (next === undefined) return undefined;
      const { key, deltas, heads, isAsked } = next;
      // Who has some of it, and says so, has missed what came between.
      if (deltas === undefined && heads.length === 0 && this.#large.brings(key)) continue;
      if (this.#large.holdsUp(next)) {
        this.#large.add(next);
        continue;
      }
      const state = this.#read(next, bytesMax);
      if (state === undefined) continue;
      // Chunks don't say that others wait for what they bring: a large one goes by every link.
      if (state.bytes.length > bytesMax) {
        this.#large.add(state.isWhole ? { ...next, deltas: undefined } : next);
      } else if (isAsked || !this.#isHeldBack(key, state.hash)) {
        this.#large.followed(key, state.hash);
        return { key, hash: state.hash, bytes: state.bytes };
      }
    }
  }

  /** The changes that wait, or the state where that is no longer than they are. */
  #read({ key, hash, deltas, heads }: Wanted, bytesMax: number) {
    const changes = deltas === undefined ? undefined : joinDeltas(deltas);
    const isSmall = deltas?.length === 1 && (changes?.length ?? 0) <= bytesMax;
    if (changes !== undefined && isSmall) return { hash, bytes: changes, isWhole: false };
    const state = this.#store.stateFor(key, heads);
    if (state === undefined) return undefined;
    const isWhole = changes === undefined || state.bytes.length <= changes.length;
    return isWhole ? { ...state, isWhole } : { hash, bytes: changes, isWhole };
  }

  #isHeldBack(key: DocumentKey, hash: string): boolean {
    const carriage = this.#carriage(key, hash);
    if (carriage.kind === "entrusted") this.#isEntrusting = true;
    if (carriage.kind !== "held" || this.#held.size >= QUEUE_MAX) return false;
    this.#held.hold(key, hash, carriage.by);
    return true;
  }

  #takeLive(): (Waiting & { key: DocumentKey }) | undefined {
    const wantsOldest = this.#turn % OLDEST_EVERY === 0;
    let chosen: (Waiting & { key: DocumentKey }) | undefined;
    for (const map of this.#classes) {
      for (const [key, waiting] of map) {
        if (chosen === undefined || waiting.order < chosen.order) chosen = { ...waiting, key };
        break;
      }
      if (chosen !== undefined && !wantsOldest) break;
    }
    if (chosen !== undefined) this.#drop(chosen.key);
    return chosen;
  }

  #takeBulk(): (Omit<Waiting, "order"> & { key: DocumentKey }) | undefined {
    while (this.#hasBulk() && !this.#large.isFull) {
      if (this.#bulkKeys.length === 0) this.#expandBucket();
      const key = this.#bulkKeys.pop();
      if (key === undefined) continue;
      return { key, hash: "", ...NOTHING_KNOWN };
    }
    return undefined;
  }

  #hasBulk(): boolean {
    return this.#bulkKeys.length > 0 || this.#bulkBuckets.length > 0;
  }

  #expandBucket(): void {
    const range = this.#bulkBuckets[0];
    assert(range !== undefined, "a bucket waits to be expanded");
    const leaves = this.#store.leaves({ depth: DEPTH, index: range.next });
    this.#bulkKeys = leaves.map((leaf) => leaf.key);
    range.next += 1;
    if (range.next > range.last) this.#bulkBuckets.shift();
  }

  #waiting(key: DocumentKey): Waiting | undefined {
    return this.#classOf(key).get(key);
  }

  #classOf(key: DocumentKey): Map<DocumentKey, Waiting> {
    const map = this.#classes[priorityOf(splitKey(key).collection)];
    assert(map !== undefined, "every priority has its class");
    return map;
  }

  #put(key: DocumentKey, waiting: Waiting): void {
    const map = this.#classOf(key);
    const before = map.get(key);
    if (before === undefined && this.#live >= QUEUE_MAX) {
      this.#isForgetful = true;
      return;
    }
    this.#deltaBytes += bytesOf(waiting) - bytesOf(before);
    map.set(key, waiting);
  }

  #drop(key: DocumentKey): void {
    const map = this.#classOf(key);
    this.#deltaBytes -= bytesOf(map.get(key));
    map.delete(key);
  }

  /** Undefined where they are too much to be kept. */
  #afford(deltas: readonly Uint8Array[], next: Uint8Array): readonly Uint8Array[] | undefined {
    return this.keptBytes + next.length <= DELTA_BYTES_MAX ? followedBy(deltas, [next]) : undefined;
  }

  #nextOrder(): number {
    this.#order += 1;
    return this.#order;
  }
}
