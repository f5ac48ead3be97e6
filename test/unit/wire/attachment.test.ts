// Frames of the protocol by which files are fetched: round trips, limits, truncation and damage.
import { describe, expect, test } from "bun:test";
import { ByteReader } from "../../../src/base/bytes.ts";
import {
  ANSWER_BYTES_MAX,
  type AttachmentMessage,
  decodeAttachment,
  encodeAttachment,
} from "../../../src/wire/attachment.ts";
import { encodeFrame, readFrame } from "../../../src/wire/frame.ts";
import { faultCode } from "../../support/faults.ts";
import { damageIsContained, truncationIsRefused } from "./codec-rules.ts";

const hash = "0f".repeat(32);
const ask = {
  type: "ask",
  number: 7,
  hash,
  what: "content",
  index: 4095,
  offset: 8,
  length: 100,
} as const;
const samples: readonly AttachmentMessage[] = [
  ask,
  { ...ask, number: 0xffff_ffff, what: "sections" },
  { ...ask, what: "groups", length: ANSWER_BYTES_MAX },
  { type: "answer", number: 3, bytes: Uint8Array.of(1, 2, 3) },
  { type: "answer", number: 3, bytes: new Uint8Array() },
  { type: "refusal", number: 9, why: "gone" },
  { type: "refusal", number: 9, why: "unreadable" },
];

const decode = (bytes: Uint8Array) => decodeAttachment(readFrame(new ByteReader(bytes)));

describe("a message", () => {
  for (const sample of samples) {
    const name = `${sample.type} ${sample.number}`;
    test(`${name}: is read as it was written`, () => {
      expect(decode(encodeAttachment(sample))).toEqual(sample);
    });
    damageIsContained({ name, bytes: encodeAttachment(sample), decode });
    truncationIsRefused({ name, bytes: encodeAttachment(sample), decode });
  }

  test("that asks for more than an answer holds is refused", () => {
    expect(() => decode(encodeAttachment({ ...ask, length: ANSWER_BYTES_MAX }))).not.toThrow();
    const over = encodeAttachment({ ...ask, length: ANSWER_BYTES_MAX + 1 });
    expect(faultCode(() => decode(over))).toBe("wire_invalid");
  });

  test("of an unknown type is passed over", () => {
    expect(decode(encodeFrame({ key: "", type: 0x4f, payload: new Uint8Array(3) }))).toBe(
      undefined,
    );
  });

  test("with bytes after its end is refused", () => {
    const { type, payload } = readFrame(new ByteReader(encodeAttachment(ask)));
    const longer = encodeFrame({ key: "", type, payload: Uint8Array.of(...payload, 0) });
    expect(faultCode(() => decode(longer))).toBe("wire_invalid");
  });
});
