// Frames to and from a guest: each of ours on a stream of its own, since the older node reads one per stream;
// theirs as many per stream as they like, since later releases send them so (peat-mesh 0.6.0 wire, §3.1, §3.4).
import { type Clock, within } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import type { ByteStream, Link } from "../net/link.ts";
import { CLOSE } from "../net/membership.ts";
import { encodeFrame, type Frame, FrameDecoder } from "../wire/frame.ts";
import { GUEST_PAYLOAD_BYTES_MAX } from "../wire/limits.ts";
import type { SessionStatistics } from "./statistics.ts";

/** Streams of ours that the guest has not read to their end; it allows some 100. */
const STREAMS_MAX = 80;
/** A guest that has dealt with a frame ends the stream; one that keeps it is not waited for longer. */
const HANDLED_MS = 10_000;
/** A write that is not taken for so long ends the link. */
const STALLED_MS = 60_000;
/** A frame that has begun has to go on. */
const FRAME_GAP_MS = 30_000;
const READ_BYTES_MAX = 64 * 1024;
/** Beginnings of frames of all streams of the guest together. */
const BUFFERED_BYTES_MAX = 96 * 1024 * 1024;

const LATE = Symbol("late");

export interface StreamsContext {
  readonly link: Link;
  readonly clock: Clock;
  readonly statistics: SessionStatistics;
  readonly signal: AbortSignal;
  /** Never rejects. The next frame of the stream is read when this one has been dealt with. */
  readonly receive: (frame: Frame) => Promise<void>;
  /** Something on a stream that the guest is to blame for; the link lives on. */
  readonly refused: (cause: string) => void;
  /** The link takes nothing any more. */
  readonly stalled: () => void;
  /** Takes the first stream that the guest opens; returns it if there are frames in it. */
  readonly greet: ((first: ByteStream) => Promise<ByteStream | undefined>) | undefined;
}

export class GuestStreams {
  readonly #context: StreamsContext;
  readonly #waiting: (() => void)[] = [];
  #sending = 0;
  #bufferedBytes = 0;

  constructor(context: StreamsContext) {
    this.#context = context;
    context.signal.addEventListener("abort", () => this.#letAllGo(), { once: true });
  }

  get hasRoom(): boolean {
    return this.waiting === 0 && this.#sending < STREAMS_MAX;
  }

  /** Frames that wait for a stream. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Reads every stream that the guest opens, until the link is closed. */
  async accept(): Promise<void> {
    const { link, greet } = this.#context;
    let isFirst = greet !== undefined;
    while (true) {
      const stream = await link.acceptStream();
      if (stream === undefined) return;
      void this.#readStream(stream, isFirst ? greet : undefined);
      isFirst = false;
    }
  }

  /** Resolves when the guest has dealt with the frame, as far as can be told; false when it did not go out. */
  async send(frame: Frame): Promise<boolean> {
    const { signal, statistics } = this.#context;
    while (this.#sending >= STREAMS_MAX && !signal.aborted) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (signal.aborted) return false;
    this.#sending += 1;
    try {
      const bytes = encodeFrame(frame);
      await this.#sendOne(bytes);
      statistics.sentFrames += 1;
      statistics.sentBytes += bytes.length;
      return true;
    } catch {
      // The stream is dead and says no more than its link will.
      return false;
    } finally {
      this.#sending -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #sendOne(bytes: Uint8Array): Promise<void> {
    const { link, clock, stalled } = this.#context;
    const cancel = clock.after(STALLED_MS, stalled);
    let stream: ByteStream;
    try {
      stream = await link.openStream();
      await stream.write(bytes);
      await stream.finish();
    } finally {
      cancel();
    }
    // Never stopped: over Iroh a stop waits for the read that is pending, and there is nothing to be stopped.
    await within(clock, HANDLED_MS, readToEnd(stream), undefined);
  }

  #letAllGo(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #readStream(stream: ByteStream, greet: StreamsContext["greet"]): Promise<void> {
    const { refused } = this.#context;
    try {
      const frames = greet === undefined ? stream : await greet(stream);
      if (frames === undefined) return;
      await this.#readFrames(frames);
      await stream.finish();
    } catch (error) {
      // Anything else is a stream that died, which says no more than its link will.
      if (error instanceof Fault) refused(error.message);
      // Not waited for: over Iroh a stop waits for the read that is pending.
      stream.stop(CLOSE.protocol.code).catch(() => undefined);
      stream.finish().catch(() => undefined);
    }
  }

  async #readFrames(stream: ByteStream): Promise<void> {
    const { receive, signal, statistics, clock } = this.#context;
    const decoder = new FrameDecoder({ payloadBytesMax: GUEST_PAYLOAD_BYTES_MAX });
    let buffered = 0;
    try {
      while (!signal.aborted) {
        const bytes = await this.#readSome(stream, buffered > 0);
        if (bytes === undefined) break;
        statistics.receivedBytes += bytes.length;
        statistics.lastSeenMs = clock.now();
        buffered += bytes.length;
        this.#hold(bytes.length);
        decoder.push(bytes);
        for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
          statistics.receivedFrames += 1;
          await receive(frame);
          this.#bufferedBytes -= buffered;
          buffered = decoder.waiting;
          this.#bufferedBytes += buffered;
        }
      }
      if (!signal.aborted) decoder.end();
    } finally {
      this.#bufferedBytes -= buffered;
    }
  }

  async #readSome(stream: ByteStream, isInFrame: boolean): Promise<Uint8Array | undefined> {
    const reading = stream.read(READ_BYTES_MAX);
    // Between frames a stream may rest: later releases keep one for as long as the link.
    if (!isInFrame) return await reading;
    const bytes = await within(this.#context.clock, FRAME_GAP_MS, reading, LATE);
    if (bytes !== LATE) return bytes;
    reading.catch(() => undefined);
    throw new Fault("wire_invalid", `a frame that began did not go on for ${FRAME_GAP_MS} ms`);
  }

  #hold(bytes: number): void {
    this.#bufferedBytes += bytes;
    if (this.#bufferedBytes <= BUFFERED_BYTES_MAX) return;
    throw new Fault(
      "wire_invalid",
      `unfinished frames exceed ${BUFFERED_BYTES_MAX} bytes together`,
    );
  }
}

async function readToEnd(stream: ByteStream): Promise<void> {
  try {
    while ((await stream.read(READ_BYTES_MAX)) !== undefined);
  } catch {
    // Stopped or reset: it wants no more of the stream, so it has read what was in it.
  }
}
