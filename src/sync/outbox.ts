// What one peer is to be sent: changes by urgency and age, each document once; what a catch-up needs behind
// them; and what is held back because the peer probably hears it from its author.
import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { getLog } from "../base/log.ts";
import { PRIORITY_CLASSES, priorityOf } from "../store/collection-policies.ts";
import { type DocumentKey, splitKey } from "../store/document-key.ts";
import type { Committed, Store } from "../store/store.ts";
import { bucketsBelow, DEPTH, type Prefix } from "../store/sums.ts";
import { STATE_BYTES_MAX, STATES_BYTES_TARGET, type StateEntry } from "../wire/native.ts";
import { HeldChanges } from "./held-changes.ts";
import type { Carriage, DueChange, RelayPeer } from "./relays.ts";

const log = getLog("peat_mesh::storage::automerge_sync");

/** A change that waits. */
interface Waiting {
  readonly order: number;
  readonly hash: string;
  /** What the peer needs if it has all that was committed before; undefined: the whole state, read when sent. */
  readonly delta: Uint8Array | undefined;
  /** Heads that the peer has told us, if it has the history. */
  readonly heads: readonly string[] | undefined;
  /** The peer has asked for it. */
  readonly isAsked: boolean;
}

/** Part of a state that is too large for one frame. */
export interface ChunkPart {
  readonly key: DocumentKey;
  readonly hash: string;
  readonly total: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
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

/** A large state on its way; only the first few have their bytes in memory. */
interface Large {
  readonly key: DocumentKey;
  readonly heads: readonly string[] | undefined;
  sending: { readonly hash: string; readonly bytes: Uint8Array; offset: number } | undefined;
}

const NOTHING_KNOWN = { delta: undefined, heads: undefined, isAsked: false } as const;

/** Bytes of changes that are kept for a slow peer; beyond it only their keys are. */
const DELTA_BYTES_MAX = 4 * 1024 * 1024;
/** Waiting documents beyond this are forgotten: comparing sums finds them again. */
const WAITING_MAX = 50_000;
/** Large states that share a link at one time. */
const LARGE_ACTIVE_MAX = 2;
/** A catch-up that has found so many waits for them: its list of what is large stays short. */
const LARGE_FOUND_MAX = 8;
/** Every fourth frame begins with the oldest, whatever its class: nothing waits for ever. */
const OLDEST_EVERY = 4;
const ENTRIES_PER_FRAME = 4096;
const STUCK_MAX = 1000;
export class Outbox {
  readonly #store: Store;
  readonly #classes = Array.from(
    { length: PRIORITY_CLASSES },
    () => new Map<DocumentKey, Waiting>(),
  );
  readonly #carriage: (key: DocumentKey, hash: string) => Carriage;
  readonly #held: HeldChanges;
  readonly #large: Large[] = [];
  readonly #stuck = new Map<DocumentKey, string>();
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
    this.#carriage = carriage;
  }

  /** Documents that wait to be sent, as far as they are known one by one. */
  get depth(): number {
    return this.#live + this.#bulkKeys.length + this.#large.length;
  }

  get isEmpty(): boolean {
    return this.depth === 0 && this.#bulkBuckets.length === 0;
  }

  /** Documents that can't be sent, with the reason. */
  get stuck(): ReadonlyMap<DocumentKey, string> {
    return this.#stuck;
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
  push({ key, hash, delta }: Committed): void {
    this.#held.delete(key);
    this.#stuck.delete(key);
    const before = this.#waiting(key);
    if (before === undefined) {
      this.#put(key, {
        order: this.#nextOrder(),
        hash,
        delta: this.#afford(delta),
        heads: undefined,
        isAsked: false,
      });
      return;
    }
    // A second change of a waiting document: its state is read when it is sent, once for both.
    this.#put(key, { ...before, hash, delta: undefined });
  }

  /** The state of a document for a peer that lacks it, or has only `heads` of its history. */
  pushState(key: DocumentKey, heads?: readonly string[]): void {
    const order = this.#waiting(key)?.order ?? this.#nextOrder();
    this.#put(key, { order, hash: "", delta: undefined, heads, isAsked: true });
  }

  /** Catch-up: documents of which the peer has nothing. They go when nothing else does. */
  pushBulk(keys: readonly DocumentKey[]): void {
    if (this.#bulkKeys.length + keys.length > WAITING_MAX) this.#isForgetful = true;
    else this.#bulkKeys.push(...keys);
  }

  /** What a peer lacks altogether is found anew by the comparison that begins. */
  forgetBulk(): void {
    this.#bulkKeys = [];
    this.#bulkBuckets = [];
  }

  pushBulkBelow(prefix: Prefix): void {
    const { first, last } = bucketsBelow(prefix);
    if (this.#bulkBuckets.length < WAITING_MAX) this.#bulkBuckets.push({ next: first, last });
  }

  /** A change that the peer probably gets from its author: told only if it still matters a second later. */
  hold(change: Committed): void {
    const { key, hash } = change;
    // An earlier change of it waits already: one state serves both.
    if (this.#waiting(key) !== undefined) this.push(change);
    else if (this.#held.size >= WAITING_MAX) this.#isForgetful = true;
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
    for (const large of this.#large) large.sending = undefined;
    for (const key of unacknowledged) {
      const order = this.#waiting(key)?.order ?? this.#nextOrder();
      this.#put(key, { order, hash: "", ...NOTHING_KNOWN });
    }
  }

  /** The peer is known to have this state now. */
  has(key: DocumentKey, hash: string): void {
    this.#held.has(key, hash);
    if (this.#waiting(key)?.hash === hash) this.#drop(key);
  }

  forgetHeld(): void {
    this.#held.clear();
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
    const chunk = this.#turn % 2 === 0 ? this.#takeChunk(bytesMax) : undefined;
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
    const part = this.#takeChunk(bytesMax);
    return part === undefined ? undefined : { kind: "chunk", part };
  }

  #takeChunk(bytesMax: number): ChunkPart | undefined {
    while (this.#large.length > 0) {
      const active = this.#activeLarge();
      // Every other turn may be the only one that large states have.
      const large = active[(this.#turn >> 1) % active.length];
      assert(large !== undefined, "the first of the list is always active");
      large.sending ??= this.#load(large);
      const { sending, key } = large;
      if (sending === undefined) {
        this.#large.splice(this.#large.indexOf(large), 1);
        continue;
      }
      const { hash, bytes, offset } = sending;
      const part = bytes.subarray(offset, offset + bytesMax);
      sending.offset += part.length;
      if (sending.offset >= bytes.length) this.#large.splice(this.#large.indexOf(large), 1);
      return { key, hash, total: bytes.length, offset, bytes: part };
    }
    return undefined;
  }

  /** The first few; a newer version of one that is on its way waits until that has arrived whole. */
  #activeLarge(): Large[] {
    const active: Large[] = [];
    for (const large of this.#large) {
      if (active.some(({ key }) => key === large.key)) continue;
      active.push(large);
      if (active.length === LARGE_ACTIVE_MAX) break;
    }
    return active;
  }

  #load({ key, heads }: Large): Large["sending"] {
    const state = this.#store.stateFor(key, heads);
    if (state === undefined) return undefined;
    if (state.bytes.length <= STATE_BYTES_MAX) return { ...state, offset: 0 };
    // Local writes stay below the limit; what two partitions made larger together no peer would take.
    this.#refuse(key, state.bytes.length);
    return undefined;
  }

  #refuse(key: DocumentKey, bytes: number): void {
    if (this.#stuck.has(key) || this.#stuck.size >= STUCK_MAX) return;
    const reason = `state of ${bytes} bytes exceeds the ${STATE_BYTES_MAX} that can be sent; delete the document and write it anew`;
    this.#stuck.set(key, reason);
    log.warn("Document can't be sent to peers", { doc_key: key, cause: reason });
  }

  /** Not yet begun, so that the newest version goes when its turn comes. */
  #putLarge(key: DocumentKey, heads: readonly string[] | undefined): void {
    const waits = this.#large.some((large) => large.key === key && large.sending === undefined);
    if (!waits) this.#large.push({ key, heads, sending: undefined });
  }

  /** The next state that fits a frame; larger ones are set to go in parts, gone ones are passed over. */
  #takeState(bytesMax: number): StateEntry | undefined {
    while (true) {
      const next = this.#takeLive() ?? this.#takeBulk();
      if (next === undefined) return undefined;
      const { key, hash, delta, heads, isAsked } = next;
      const state = delta === undefined ? this.#store.stateFor(key, heads) : { hash, bytes: delta };
      if (state === undefined) continue;
      // Chunks don't say that others wait for what they bring: a large one goes by every link.
      if (state.bytes.length > bytesMax) this.#putLarge(key, heads);
      else if (isAsked || !this.#isHeldBack(key, state.hash)) return { key, ...state };
    }
  }

  #isHeldBack(key: DocumentKey, hash: string): boolean {
    const carriage = this.#carriage(key, hash);
    if (carriage.kind === "entrusted") this.#isEntrusting = true;
    if (carriage.kind !== "held" || this.#held.size >= WAITING_MAX) return false;
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
    while (this.#hasBulk() && this.#large.length < LARGE_FOUND_MAX) {
      if (this.#bulkKeys.length === 0) this.#expandBucket();
      const key = this.#bulkKeys.pop();
      if (key === undefined) continue;
      return { key, hash: "", delta: undefined, heads: undefined, isAsked: false };
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
    if (before === undefined && this.#live >= WAITING_MAX) {
      this.#isForgetful = true;
      return;
    }
    this.#deltaBytes += (waiting.delta?.length ?? 0) - (before?.delta?.length ?? 0);
    map.set(key, waiting);
  }

  #drop(key: DocumentKey): void {
    const map = this.#classOf(key);
    this.#deltaBytes -= map.get(key)?.delta?.length ?? 0;
    map.delete(key);
  }

  #afford(delta: Uint8Array): Uint8Array | undefined {
    return this.#deltaBytes + delta.length <= DELTA_BYTES_MAX ? delta : undefined;
  }

  #nextOrder(): number {
    this.#order += 1;
    return this.#order;
  }
}
