// The protocol by which files are fetched, beside that of documents: the receiver dials, both say hello, and then the
// receiver asks and the sender answers, one stream for all.
//
//   ask     0x40  u32 number | hash[32] | u8 what | u32 index | u32 offset | u32 length
//   answer  0x41  u32 number | bytes
//   refusal 0x42  u32 number | u8 why
//
// in the frames of the native dialect. `what`: 0 the hashes of all sections, 1 those of the groups of section `index`,
// 2 `length` bytes from `offset` of group `index`. Answers come in the order of the asks.
import { assert } from "../base/assert.ts";
import { ByteReader, ByteWriter, fromHex, toHex } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import { encodeFrame, type Frame } from "./frame.ts";

export const ALPN_ATTACHMENT = "peat/attachment/1";

/** Bit of the hello's features, in this protocol and in the native one: the node has an inbox. */
export const FEATURE_RECEIVES_FILES = 2;

/** The longest list of hashes: 4096 of 32 bytes. */
export const ANSWER_BYTES_MAX = 128 * 1024;
export const ATTACHMENT_PAYLOAD_BYTES_MAX = 4 + ANSWER_BYTES_MAX;
const HASH_BYTES = 32;
const ASK_BYTES = 4 + HASH_BYTES + 1 + 4 + 4 + 4;

const TYPES = { ask: 0x40, answer: 0x41, refusal: 0x42 } as const;
const PARTS = ["sections", "groups", "content"] as const;
/** gone: not held here, or not for the asker; unreadable: it was, but can't be read now. */
const REFUSALS = ["gone", "unreadable"] as const;

export interface Ask {
  readonly type: "ask";
  readonly number: number;
  /** Of the content, 64 hex digits. */
  readonly hash: string;
  readonly what: (typeof PARTS)[number];
  readonly index: number;
  readonly offset: number;
  readonly length: number;
}

interface Answer {
  readonly type: "answer";
  readonly number: number;
  readonly bytes: Uint8Array;
}

interface Refusal {
  readonly type: "refusal";
  readonly number: number;
  readonly why: (typeof REFUSALS)[number];
}

export type AttachmentMessage = Ask | Answer | Refusal;

export function encodeAttachment(message: AttachmentMessage): Uint8Array {
  const writer = new ByteWriter(message.type === "answer" ? 4 + message.bytes.length : ASK_BYTES);
  writer.u32(message.number);
  switch (message.type) {
    case "ask":
      writer.bytes(fromHex(message.hash)).u8(PARTS.indexOf(message.what));
      writer.u32(message.index).u32(message.offset).u32(message.length);
      break;
    case "answer":
      assert(message.bytes.length <= ANSWER_BYTES_MAX, "an answer is too long");
      writer.bytes(message.bytes);
      break;
    case "refusal":
      writer.u8(REFUSALS.indexOf(message.why));
  }
  return encodeFrame({ key: "", type: TYPES[message.type], payload: writer.finish() });
}

function known<T>(values: readonly T[], index: number, what: string): T {
  const value = values[index];
  if (value === undefined) throw new Fault("wire_invalid", `${what} ${index} is unknown`);
  return value;
}

function readAsk(reader: ByteReader): Ask {
  const ask = {
    type: "ask",
    number: reader.u32(),
    hash: toHex(reader.bytes(HASH_BYTES)),
    what: known(PARTS, reader.u8(), "part"),
    index: reader.u32(),
    offset: reader.u32(),
    length: reader.u32(),
  } as const;
  if (ask.length > ANSWER_BYTES_MAX) {
    throw new Fault("wire_invalid", `${ask.length} bytes are asked for at once`);
  }
  return ask;
}

/** Undefined for a frame of an unknown type, which is passed over. Fault `wire_invalid`. */
export function decodeAttachment({ type, payload }: Frame): AttachmentMessage | undefined {
  const reader = new ByteReader(payload);
  switch (type) {
    case TYPES.ask: {
      const ask = readAsk(reader);
      reader.end();
      return ask;
    }
    case TYPES.answer:
      return { type: "answer", number: reader.u32(), bytes: reader.rest() };
    case TYPES.refusal: {
      const number = reader.u32();
      const why = known(REFUSALS, reader.u8(), "refusal");
      reader.end();
      return { type: "refusal", number, why };
    }
    default:
      return undefined;
  }
}
