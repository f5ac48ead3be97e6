// What comes from one peer, frame by frame, no faster than it is taken in.
import type { Clock } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import type { ByteStream } from "../net/link.ts";
import { FrameDecoder } from "../wire/frame.ts";
import { decodeNative, NATIVE_PAYLOAD_BYTES_MAX, type NativeMessage } from "../wire/native.ts";
import type { SessionStatistics } from "./statistics.ts";

const READ_BYTES_MAX = 64 * 1024;
const BREACHES: readonly string[] = ["wire_invalid", "invalid_argument"];

export interface FrameReaderContext {
  readonly stream: ByteStream;
  readonly clock: Clock;
  readonly statistics: SessionStatistics;
  readonly signal: AbortSignal;
  /** Something came, whatever it is. */
  readonly heard: () => void;
  /** The middle of a frame came. */
  readonly advanced: () => void;
  readonly receive: (message: NativeMessage) => void;
  /** Resolves when more may be read. */
  readonly room: () => Promise<void>;
}

/** Resolves at the end of the stream or at the signal; rejects when it is dead or its bytes are no frames. */
export async function readFrames(context: FrameReaderContext): Promise<void> {
  const { stream, clock, statistics, signal } = context;
  const decoder = new FrameDecoder({ payloadBytesMax: NATIVE_PAYLOAD_BYTES_MAX, keyBytesMax: 0 });
  while (!signal.aborted) {
    const bytes = await stream.read(READ_BYTES_MAX);
    if (bytes === undefined) return;
    statistics.receivedBytes += bytes.length;
    statistics.lastSeenMs = clock.now();
    context.heard();
    decoder.push(bytes);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      statistics.receivedFrames += 1;
      const message = decodeNative(frame);
      if (message !== undefined) context.receive(message);
    }
    if (decoder.isInside) context.advanced();
    await context.room();
  }
}

/** Whether a peer has sent what it must not. */
export function isBreach(error: unknown): error is Fault {
  return error instanceof Fault && BREACHES.includes(error.code);
}
