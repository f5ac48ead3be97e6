// What passes on the wires of a simulated network, read by somebody who only listens: frames of the native dialect,
// by type, sender and document.
import type { EndpointId } from "../../src/identity/peer.ts";
import { FrameDecoder } from "../../src/wire/frame.ts";
import {
  decodeNative,
  NATIVE_PAYLOAD_BYTES_MAX,
  type NativeMessage,
} from "../../src/wire/native.ts";
import type { MemoryNet } from "./memory-network.ts";

export interface TappedFrame {
  /** When its last byte was sent, by the network's clock. */
  readonly at: number;
  readonly from: EndpointId;
  readonly to: EndpointId;
  readonly type: NativeMessage["type"] | "hello";
  /** Bytes on the wire, header and all. */
  readonly bytes: number;
  /** Documents whose states, or parts of them, are in it. */
  readonly documents: readonly string[];
  /** Documents that it compares, asks for, or lists. */
  readonly named: readonly string[];
}

const HEADER_BYTES = 7;

export class FrameTap {
  readonly frames: TappedFrame[] = [];
  /** One per direction of a stream; it has to listen before the first of them begins. */
  readonly #decoders = new WeakMap<object, FrameDecoder>();

  constructor(net: MemoryNet) {
    net.tap(({ from, to, stream, bytes }) => {
      const decoder = this.#decoderOf(stream);
      decoder.push(bytes);
      for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
        const message = decodeNative(frame);
        this.frames.push({
          at: net.clock.monotonic(),
          from,
          to,
          type: message?.type ?? "hello",
          bytes: HEADER_BYTES + frame.payload.length,
          documents: documentsOf(message),
          named: namedBy(message),
        });
      }
    });
  }

  #decoderOf(stream: object): FrameDecoder {
    const known = this.#decoders.get(stream);
    if (known !== undefined) return known;
    const limits = { payloadBytesMax: NATIVE_PAYLOAD_BYTES_MAX, keyBytesMax: 0 };
    const decoder = new FrameDecoder(limits);
    this.#decoders.set(stream, decoder);
    return decoder;
  }

  /** Forgets what it has heard. */
  clear(): void {
    this.frames.length = 0;
  }

  /** Frames that carry the document. */
  with(key: string): TappedFrame[] {
    return this.frames.filter(({ documents }) => documents.includes(key));
  }

  /** Number, bytes and carried documents by type. */
  summary(): Record<string, { frames: number; bytes: number; documents: number }> {
    const table: Record<string, { frames: number; bytes: number; documents: number }> = {};
    for (const { type, bytes, documents } of this.frames) {
      table[type] ??= { frames: 0, bytes: 0, documents: 0 };
      const row = table[type];
      row.frames += 1;
      row.bytes += bytes;
      row.documents += documents.length;
    }
    return table;
  }
}

function documentsOf(message: NativeMessage | undefined): string[] {
  if (message?.type === "states") return message.entries.map(({ key }) => key);
  return message?.type === "chunk" ? [message.key] : [];
}

function namedBy(message: NativeMessage | undefined): string[] {
  if (message?.type !== "compare" && message?.type !== "leaves") return [];
  return message.entries.map(({ key }) => key);
}
