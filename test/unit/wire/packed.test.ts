// Packed frames: what they save, that they hold what went in, and what is refused.
import { describe, expect, test } from "bun:test";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { ByteWriter, toUtf8 } from "../../../src/base/bytes.ts";
import { FRAME_PACKED_TYPE, pack, unpack } from "../../../src/wire/packed.ts";
import { faultCode } from "../../support/faults.ts";

const LIMIT = 100_000;
const frameOf = (payload: Uint8Array, type = 0x21) => ({ key: "", type, payload });

/** A packed frame whose parts may contradict each other. */
function packedFrame(parts: { type?: number; length: number; stream: Uint8Array }) {
  const writer = new ByteWriter().u8(parts.type ?? 0x21).u32(parts.length);
  return frameOf(writer.bytes(parts.stream).finish(), FRAME_PACKED_TYPE);
}

test("what repeats itself becomes small, and is what it was when it is unpacked", () => {
  const payload = toUtf8('tracks:1 {"speed":3} '.repeat(200));
  const packed = pack(frameOf(payload));
  expect(packed.type).toBe(FRAME_PACKED_TYPE);
  expect(packed.payload.length).toBeLessThan(payload.length / 20);
  expect(unpack(packed, LIMIT)).toEqual(frameOf(payload));
});

test("any frame is what it was, and never longer on the wire", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), fc.integer({ min: 1, max: 40 }), (part, n) => {
      const payload = new Uint8Array(Buffer.concat(Array.from({ length: n }, () => part)));
      const packed = pack(frameOf(payload));
      expect(packed.payload.length).toBeLessThanOrEqual(payload.length);
      expect(unpack(packed, LIMIT)).toEqual(frameOf(payload));
    }),
  );
});

test.each([0, 255])("a short payload of %i bytes goes as it is", (length) => {
  const frame = frameOf(new Uint8Array(length));
  expect(pack(frame)).toBe(frame);
});

describe("refused is", () => {
  const zeros = new Uint8Array(5_000);
  const refusals: readonly [string, ReturnType<typeof frameOf>][] = [
    [
      "a packed frame in a packed one",
      packedFrame({
        type: FRAME_PACKED_TYPE,
        length: 3,
        stream: deflateRawSync(zeros.subarray(0, 3)),
      }),
    ],
    [
      "a length beyond the limit",
      packedFrame({ length: LIMIT + 1, stream: deflateRawSync(new Uint8Array(LIMIT + 1)) }),
    ],
    [
      "a stream that grows beyond its length",
      packedFrame({ length: 4_999, stream: deflateRawSync(zeros) }),
    ],
    [
      "a stream that ends before its length",
      packedFrame({ length: 5_001, stream: deflateRawSync(zeros) }),
    ],
    [
      "a stream that is broken off",
      packedFrame({ length: 5_000, stream: deflateRawSync(zeros).subarray(0, 5) }),
    ],
    [
      "a stream of something else",
      packedFrame({ length: 10, stream: toUtf8("\u00ff not deflate") }),
    ],
    ["nothing at all", frameOf(new Uint8Array(), FRAME_PACKED_TYPE)],
  ];

  test.each(refusals)("%s", (_, frame) => {
    expect(faultCode(() => unpack(frame, LIMIT))).toBe("wire_invalid");
  });

  test("a bomb, before there is memory for it", () => {
    const bomb = deflateRawSync(new Uint8Array(200 * 1024 * 1024), { level: 9 });
    const before = process.memoryUsage.rss();
    for (let n = 0; n < 50; n += 1) {
      const frame = packedFrame({ length: LIMIT, stream: bomb });
      expect(faultCode(() => unpack(frame, LIMIT))).toBe("wire_invalid");
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 1024 * 1024);
  });
});
