import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BugError } from "../../../src/base/assert.ts";
import { concatBytes, fromHex, toHex } from "../../../src/base/bytes.ts";
import { encodeFrame, type Frame, FrameDecoder } from "../../../src/wire/frame.ts";
import { GUEST_PAYLOAD_BYTES_MAX } from "../../../src/wire/limits.ts";
import { faultCode } from "../../support/faults.ts";
import vectors from "../../vectors/frames.json" with { type: "json" };
import { damageIsContained, truncationIsRefused, withBytes } from "./codec-rules.ts";

const guest = { payloadBytesMax: GUEST_PAYLOAD_BYTES_MAX };

function decodeAll(chunks: readonly Uint8Array[], limits = guest): Frame[] {
  const decoder = new FrameDecoder(limits);
  const frames: Frame[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      frames.push(frame);
    }
  }
  decoder.end();
  return frames;
}

/** Cuts `bytes` after as many bytes as `sizes` say, over and over. */
function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length] ?? 1;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

const anyFrame: fc.Arbitrary<Frame> = fc.record({
  key: fc.string({ unit: "binary", maxLength: 40 }).filter((key) => key.isWellFormed()),
  type: fc.integer({ min: 0, max: 255 }),
  payload: fc.uint8Array({ maxLength: 300 }),
});

const delta: Frame = {
  key: vectors.delta.key,
  type: 0,
  payload: fromHex(vectors.delta.payload),
};

test("a delta is the recorded bytes, both ways", () => {
  expect(toHex(encodeFrame(delta))).toBe(vectors.delta.frame);
  expect(decodeAll([fromHex(vectors.delta.frame)])).toEqual([delta]);
});

test("frames survive every way of cutting the stream into chunks", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 12 }), sizes, (frames, by) => {
      expect(decodeAll(cut(concatBytes(frames.map(encodeFrame)), by))).toEqual(frames);
    }),
  );
});

test("a stream in chunks of one byte gives the same frames", () => {
  const frames = [delta, { key: "", type: 255, payload: new Uint8Array(0) }, delta];
  expect(decodeAll(cut(concatBytes(frames.map(encodeFrame)), [1]))).toEqual(frames);
});

const sample = {
  name: "a frame",
  bytes: encodeFrame(delta),
  decode: (bytes: Uint8Array) => decodeAll([bytes]),
};
truncationIsRefused(sample, 1);
damageIsContained(sample);

// An empty stream ends between frames, which is no truncation.
test("an empty stream is the end, not a fault", () => {
  expect(decodeAll([])).toEqual([]);
});

describe("a decoder's limits", () => {
  const limits = { payloadBytesMax: 100, keyBytesMax: 10 };
  const ofPayload = (length: number) =>
    encodeFrame({ key: "k", type: 1, payload: new Uint8Array(length) });
  const ofKey = (length: number) =>
    encodeFrame({ key: "k".repeat(length), type: 1, payload: new Uint8Array(0) });

  test("a payload at the limit passes, one byte more is refused", () => {
    expect(decodeAll([ofPayload(100)], limits)).toHaveLength(1);
    expect(faultCode(() => decodeAll([ofPayload(101)], limits))).toBe("wire_invalid");
  });

  test("a key at the limit passes, one byte more is refused", () => {
    expect(decodeAll([ofKey(10)], limits)).toHaveLength(1);
    expect(faultCode(() => decodeAll([ofKey(11)], limits))).toBe("wire_invalid");
  });

  test("a key of 65,535 bytes passes, and more can't be encoded", () => {
    expect(decodeAll([ofKey(0xffff)])[0]?.key).toHaveLength(0xffff);
    expect(() => ofKey(0x10000)).toThrow(BugError);
  });

  test("a guest's payload of 64 MiB is expected, one byte more is refused from the header", () => {
    const header = encodeFrame({ key: "k", type: 1, payload: new Uint8Array(0) });
    const at = new FrameDecoder(guest);
    at.push(withBytes(header, 4, [0x04, 0, 0, 0]));
    expect(at.next()).toBeUndefined();
    const over = new FrameDecoder(guest);
    over.push(withBytes(header, 4, [0x04, 0, 0, 1]));
    expect(faultCode(() => over.next())).toBe("wire_invalid");
  });

  test("an over-long key is refused by its length alone", () => {
    const decoder = new FrameDecoder(limits);
    decoder.push(Uint8Array.of(0, 11));
    expect(faultCode(() => decoder.next())).toBe("wire_invalid");
  });

  test("huge announced lengths cost no memory", () => {
    const header = Uint8Array.of(0, 1, 0x6b, 1, 0x03, 0xff, 0xff, 0xff);
    Bun.gc(true);
    const before = process.memoryUsage().rss;
    const waiting = Array.from({ length: 1000 }, () => {
      const decoder = new FrameDecoder(guest);
      decoder.push(header);
      expect(decoder.next()).toBeUndefined();
      return decoder;
    });
    const grown = process.memoryUsage().rss - before;
    expect(waiting).toHaveLength(1000);
    expect(grown).toBeLessThan(32 * 1024 * 1024);
  });

  test("a decoder that has refused a stream goes on refusing it", () => {
    const decoder = new FrameDecoder(limits);
    decoder.push(ofPayload(101));
    expect(faultCode(() => decoder.next())).toBe("wire_invalid");
    decoder.push(ofPayload(1));
    expect(faultCode(() => decoder.next())).toBe("wire_invalid");
    expect(faultCode(() => decoder.end())).toBe("wire_invalid");
  });

  test("a key that is not UTF-8 is refused", () => {
    expect(faultCode(() => decodeAll([withBytes(ofKey(2), 2, [0xc3, 0x28])]))).toBe("wire_invalid");
  });
});

describe("a decoder's cost", () => {
  test("a frame's payload does not change when the next chunk arrives", () => {
    const decoder = new FrameDecoder(guest);
    decoder.push(encodeFrame({ key: "a", type: 1, payload: Uint8Array.of(1, 2, 3) }));
    const first = decoder.next();
    decoder.push(encodeFrame({ key: "b", type: 1, payload: Uint8Array.of(9, 9, 9) }));
    decoder.next();
    expect(first?.payload).toEqual(Uint8Array.of(1, 2, 3));
  });

  test("copies grow with the bytes, not with their square", () => {
    const payload = new Uint8Array(16);
    const seconds = (count: number) => {
      const bytes = concatBytes(
        Array.from({ length: count }, () => encodeFrame({ key: "n:1", type: 0, payload })),
      );
      const chunks = cut(bytes, [1200]);
      const start = performance.now();
      // One chunk of everything and many of one packet: the two shapes that go wrong.
      expect(decodeAll([bytes])).toHaveLength(count);
      expect(decodeAll(chunks)).toHaveLength(count);
      return performance.now() - start;
    };
    // The least of some, as of those many: a machine that stands still for a moment is no measure.
    const few = Math.min(...Array.from({ length: 5 }, () => seconds(5_000)));
    // Forty times the frames; a quadratic decoder would take 1,600 times as long.
    expect(seconds(200_000)).toBeLessThan(Math.max(few, 2) * 400);
  });

  test("a frame of 16 MiB in packets is put together once", () => {
    const payload = new Uint8Array(16 * 1024 * 1024).fill(7);
    const [frame] = decodeAll(cut(encodeFrame({ key: "big", type: 1, payload }), [1200]));
    expect(frame?.payload.length).toBe(payload.length);
    expect(Buffer.compare(frame?.payload ?? new Uint8Array(0), payload)).toBe(0);
  });
});
