// What goes to one peer, frame by frame: answers first, then states as far as the window allows.
import { type Clock, sleep } from "../base/clock.ts";
import { guarded } from "../base/faults.ts";
import type { ByteStream } from "../net/link.ts";
import type { DocumentKey } from "../store/document-key.ts";
import { encodeNative, encodeNativePacked, type NativeMessage } from "../wire/native.ts";
import type { Outbox, OutboxItem } from "./outbox.ts";
import type { SessionStatistics } from "./statistics.ts";
import type { PeerTimes } from "./sync-times.ts";
import { Window } from "./window.ts";

/** Answers that wait to be written; beyond this the peer reads too slowly to be worth keeping. */
const CONTROL_BYTES_MAX = 4 * 1024 * 1024;
const DRAIN_POLL_MS = 5;
/** Answers of one write. */
const CONTROL_WRITE_BYTES = 64 * 1024;
/** A write that the transport does not take for so long ends the link. */
const STALLED_MS = 60_000;
/** With so many frames unacknowledged, fewer documents than that wait, so long at most. */
const GATHER_FRAMES = 2;
const GATHER_DOCUMENTS = 64;
const GATHER_MS = 5;

export interface FrameWriterContext {
  readonly stream: ByteStream;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly statistics: SessionStatistics;
  readonly signal: AbortSignal;
  /** Whether the peer takes packed frames. */
  readonly isPacked: boolean;
  readonly times: PeerTimes | undefined;
  /** The peer takes nothing any more. */
  readonly stalled: () => void;
  /** Hears of what can't be any peer's doing. */
  readonly onBug: (error: unknown) => void;
}

export class FrameWriter {
  readonly window: Window;
  readonly #context: FrameWriterContext;
  #control: Uint8Array[] = [];
  #controlBytes = 0;
  #isTurnOfStates = true;
  #wake: (() => void) | undefined;
  #cancelGather: (() => void) | undefined;

  constructor(context: FrameWriterContext) {
    this.#context = context;
    this.window = new Window(context.clock, context.times);
  }

  /** Sends an answer before any states that wait. */
  send(message: NativeMessage): void {
    if (this.#context.signal.aborted) return;
    const bytes = this.#bytesOf(message);
    this.#controlBytes += bytes.length;
    if (this.#controlBytes > CONTROL_BYTES_MAX) this.#context.stalled();
    else this.#control.push(bytes);
    this.wake();
  }

  /** The outbox has something, or the peer has acknowledged something. */
  wake(): void {
    this.#wake?.();
  }

  /** Writes until the signal; rejects when the stream is dead. */
  async run(): Promise<void> {
    const { signal, clock, stream, statistics, stalled } = this.#context;
    signal.addEventListener("abort", () => this.wake(), { once: true });
    while (!signal.aborted) {
      const bytes = this.#nextBytes();
      if (bytes === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        continue;
      }
      statistics.sentBytes += bytes.length;
      const cancel = clock.after(STALLED_MS, stalled);
      await stream.write(bytes).finally(cancel);
    }
    this.#cancelGather?.();
  }

  /** Resolves once nothing waits or is unacknowledged, or after `withinMs`. */
  async drain(withinMs: number): Promise<void> {
    const { clock, signal, outbox } = this.#context;
    const until = clock.monotonic() + withinMs;
    const isDone = () => outbox.isEmpty && this.window.inFlightBytes === 0;
    while (!isDone() && !signal.aborted && clock.monotonic() < until) {
      await sleep(clock, DRAIN_POLL_MS, signal);
    }
  }

  #nextBytes(): Uint8Array | undefined {
    return guarded(this.#context.onBug, () => this.#choose());
  }

  #choose(): Uint8Array | undefined {
    const { outbox } = this.#context;
    this.#isTurnOfStates = !this.#isTurnOfStates && this.#control.length > 0;
    if (!this.#isTurnOfStates && this.#control.length > 0) return this.#takeControl();
    const item =
      this.window.hasRoom && !this.#isGathering() ? outbox.take(this.window.frameBytes) : undefined;
    if (item !== undefined) return this.#encode(item);
    return this.#control.length > 0 ? this.#takeControl() : undefined;
  }

  /** Some answers at a time, so that a slow link shows that it moves, and states get their turn between. */
  #takeControl(): Uint8Array {
    let count = 0;
    let length = 0;
    for (const bytes of this.#control) {
      if (count > 0 && length + bytes.length > CONTROL_WRITE_BYTES) break;
      count += 1;
      length += bytes.length;
    }
    this.#context.statistics.sentFrames += count;
    this.#controlBytes -= length;
    return Buffer.concat(this.#control.splice(0, count));
  }

  /**
   * Under load, few documents wait a moment for more: every frame costs both sides a packet, a commit and an
   * acknowledgement, whatever it holds. A change that comes alone never waits.
   */
  #isGathering(): boolean {
    const { inFlightFrames, sinceLastMs } = this.window;
    const { depth } = this.#context.outbox;
    if (depth === 0 || depth >= GATHER_DOCUMENTS) return false;
    if (inFlightFrames < GATHER_FRAMES || sinceLastMs >= GATHER_MS) return false;
    this.#cancelGather ??= this.#context.clock.after(GATHER_MS - sinceLastMs, () => {
      this.#cancelGather = undefined;
      this.wake();
    });
    return true;
  }

  #bytesOf(message: NativeMessage): Uint8Array {
    return this.#context.isPacked ? encodeNativePacked(message) : encodeNative(message);
  }

  #encode(item: OutboxItem): Uint8Array {
    const { statistics } = this.#context;
    const serial = this.window.nextSerial();
    const message: NativeMessage =
      item.kind === "states" ? statesOf(serial, item) : { type: "chunk", serial, ...item.part };
    const bytes = this.#bytesOf(message);
    statistics.sentFrames += 1;
    statistics.sentDocuments += item.kind === "states" ? item.entries.length : 0;
    this.window.sent(serial, bytes.length, statesBytesOf(item), keysOf(item));
    return bytes;
  }
}

function statesOf(serial: number, item: Extract<OutboxItem, { kind: "states" }>): NativeMessage {
  const { more, isEntrusted, entries } = item;
  return { type: "states", serial, more, isEntrusted, entries };
}

/** Of what is whole with this frame; a large state that is not goes on waiting as a whole. */
function keysOf(item: OutboxItem): DocumentKey[] {
  if (item.kind === "chunk") {
    const { key, offset, bytes, total } = item.part;
    return offset + bytes.length >= total ? [key] : [];
  }
  return item.entries.map(({ key }) => key as DocumentKey);
}

function statesBytesOf(item: OutboxItem): number {
  if (item.kind === "chunk") return item.part.bytes.length;
  return item.entries.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
