// An HTTP/2 client that keeps no rule unless the test does: it writes frames as they are given, and keeps what comes.
import type { Socket } from "node:net";
import { waitFor } from "../../scripts/support/waiting.ts";
import { toUtf8 } from "../../src/base/bytes.ts";

const HEAD_BYTES = 9;
const LIMIT_MS = 30_000;
const PREFACE = toUtf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const FrameType = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { endStream: 1, ack: 1, endHeaders: 4 } as const;

export const Setting = { maxConcurrentStreams: 3, initialWindowSize: 4 } as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Uint8Array;
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, (payload.length << 8) | type);
  bytes[4] = flags;
  view.setUint32(5, stream);
  bytes.set(payload, HEAD_BYTES);
  return bytes;
}

/** Headers of HPACK's simplest form: every name and value as it is, nothing remembered. */
export function headerBlock(headers: Readonly<Record<string, string>>): Uint8Array {
  const parts = Object.entries(headers).flatMap(([name, value]) => [
    new Uint8Array([0]),
    text(name),
    text(value),
  ]);
  return Buffer.concat(parts);
}

function text(value: string): Uint8Array {
  const bytes = toUtf8(value);
  if (bytes.length < 127) return Buffer.concat([new Uint8Array([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([new Uint8Array([...length, rest]), bytes]);
}

function settings(values: Readonly<Record<number, number>>): Uint8Array {
  const entries = Object.entries(values);
  const payload = new Uint8Array(6 * entries.length);
  const view = new DataView(payload.buffer);
  entries.forEach(([id, value], index) => {
    view.setUint16(6 * index, Number(id));
    view.setUint32(6 * index + 2, value);
  });
  return frame(FrameType.settings, 0, 0, payload);
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** Error code 8 is CANCEL. */
export function rstStream(stream: number, code = 8): Uint8Array {
  return frame(FrameType.rstStream, 0, stream, uint32(code));
}

export function windowUpdate(stream: number, bytes: number): Uint8Array {
  return frame(FrameType.windowUpdate, 0, stream, uint32(bytes));
}

export class RawHttp2 implements Disposable {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  #rest = new Uint8Array();
  #nextStream = 1;

  /** On a connected socket; says the preface and SETTINGS, and answers the SETTINGS and PINGs of the other side. */
  constructor(socket: Socket, values: Readonly<Record<number, number>> = {}) {
    this.socket = socket;
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.write(Buffer.concat([PREFACE, settings(values)]));
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  get isClosed(): boolean {
    return this.socket.destroyed;
  }

  /** Resolves once the other side has answered the preface; before, it may not be sent anything in pieces. */
  async greeted(): Promise<void> {
    const isAck = (f: Frame) => f.type === FrameType.settings && (f.flags & Flag.ack) !== 0;
    await waitFor("the answer to SETTINGS", LIMIT_MS, () => this.frames.some(isAck) || undefined);
  }

  /** The error codes of the GOAWAY frames that came. */
  get goAwayCodes(): number[] {
    return this.of(0, FrameType.goAway).map(({ payload }) => payload[7] ?? 0);
  }

  /** The number of a stream that nobody has used. */
  newStream(): number {
    this.#nextStream += 2;
    return this.#nextStream - 2;
  }

  write(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** As write, and waits until the bytes have left, or the other side has closed. */
  async writeAll(...frames: readonly Uint8Array[]): Promise<void> {
    let isSent = false;
    this.socket.write(Buffer.concat(frames), () => {
      isSent = true;
    });
    await waitFor("bytes to leave", LIMIT_MS, () => isSent || this.isClosed || undefined, 1);
  }

  of(stream: number, type: number): Frame[] {
    return this.frames.filter((f) => f.stream === stream && f.type === type);
  }

  /** Whether the other side has ended that stream, by an answer or a reset. */
  hasEnded(stream: number): boolean {
    return this.frames.some(
      (f) =>
        f.stream === stream &&
        (f.type === FrameType.rstStream ||
          (f.type <= FrameType.headers && (f.flags & Flag.endStream) !== 0)),
    );
  }

  /** Resolves at the end of the connection. */
  async closed(): Promise<void> {
    await waitFor("the connection's end", LIMIT_MS, () => this.isClosed || undefined);
  }

  #read(chunk: Uint8Array): void {
    let bytes: Uint8Array = Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= HEAD_BYTES) {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const head = view.getUint32(0);
      const length = head >>> 8;
      if (bytes.length < HEAD_BYTES + length) break;
      const payload = bytes.slice(HEAD_BYTES, HEAD_BYTES + length);
      const stream = view.getUint32(5) & 0x7fff_ffff;
      this.#take({ type: head & 255, flags: view.getUint8(4), stream, payload });
      bytes = bytes.subarray(HEAD_BYTES + length);
    }
    this.#rest = new Uint8Array(bytes);
  }

  #take(received: Frame): void {
    this.frames.push(received);
    const { type, flags, payload } = received;
    if ((flags & Flag.ack) !== 0) return;
    if (type === FrameType.settings) this.write(frame(FrameType.settings, Flag.ack, 0));
    if (type === FrameType.ping) this.write(frame(FrameType.ping, Flag.ack, 0, payload));
  }
}
