// The native dialect's frames: round trips, limits, truncation and damage.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ByteReader, ByteWriter, toUtf8 } from "../../../src/base/bytes.ts";
import { FrameDecoder, readFrame } from "../../../src/wire/frame.ts";
import type { StandingKind } from "../../../src/wire/inquiry.ts";
import {
  decodeNative,
  encodeNative,
  inFrames,
  NATIVE_PAYLOAD_BYTES_MAX,
  type NativeMessage,
  NO_HASH,
  STATE_BYTES_MAX,
  STATES_BYTES_TARGET,
} from "../../../src/wire/native.ts";
import { faultCode } from "../../support/faults.ts";
import { damageIsContained, truncationIsRefused, withBytes } from "./codec-rules.ts";

const hash = "0123456789abcdef0123456789abcdef";
const head = "ab".repeat(32);
const samples: readonly NativeMessage[] = [
  {
    type: "states",
    serial: 7,
    more: true,
    isEntrusted: true,
    entries: [
      { key: "tracks:a", hash, bytes: Uint8Array.of(1, 2, 3) },
      { key: "tracks:ü", hash: NO_HASH, bytes: new Uint8Array() },
    ],
  },
  {
    type: "chunk",
    serial: 0xffff_ffff,
    key: "notes:long",
    hash,
    total: 10,
    offset: 4,
    bytes: Uint8Array.of(9, 8, 7),
  },
  { type: "ack", serial: 1 },
  {
    type: "compare",
    entries: [
      { key: "notes:a", hash, heads: [head, head] },
      { key: "notes:b", hash: NO_HASH, heads: [] },
    ],
  },
  {
    type: "sums",
    horizon: 1_800_000_000_000,
    entries: [{ depth: 2, index: 255, count: 3, sum: hash }],
  },
  { type: "leaves", horizon: 2 ** 53 - 1, depth: 3, index: 4095, entries: [{ key: "a:b", hash }] },
  { type: "agreed", horizon: 0, count: 12, sum: hash },
  { type: "neighbours", names: ["node-1", "node-2.east"] },
  { type: "ping", nonce: 0 },
  { type: "pong", nonce: 0xffff_ffff },
  { type: "memory", metAt: 1_800_000_000_000, forgottenAt: 0 },
  { type: "orphans", entries: [{ key: "a:b", hash }] },
  { type: "rules", entries: [{ collection: "tracks", rules: "LatestOnly tombstone:60 ttl:none" }] },
  { type: "resumed" },
  { type: "inquiry", nonce: 3, key: "tracks:a" },
  {
    type: "report",
    nonce: 3,
    now: 1_800_000_000_000,
    isDiskFull: true,
    isCatchingUp: false,
    isQueued: true,
    queued: 9,
    standing: "deleted",
    life: 1,
    hash,
    changedAt: 1_800_000_000_000,
    bytes: 45,
    deletedAt: 1_799_999_999_999,
    by: "node-c",
    stuck: "",
  },
];

/** Payload of a message, and how a payload of its type is decoded. */
function payloadOf(message: NativeMessage) {
  const frame = readFrame(new ByteReader(encodeNative(message)));
  const decode = (payload: Uint8Array) => decodeNative({ key: "", type: frame.type, payload });
  return { name: message.type, bytes: frame.payload, decode };
}

function sampleOf(type: NativeMessage["type"]) {
  const found = samples.find((sample) => sample.type === type);
  if (found === undefined) throw new Error(`no sample of ${type}`);
  return payloadOf(found);
}

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const moment = fc.maxSafeNat();
const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((array) => array.toHex());
const text = fc.string({ unit: "grapheme", maxLength: 30 });
const bytes = fc.uint8Array({ maxLength: 80 });
const listOf = <T>(entry: fc.Arbitrary<T>) => fc.array(entry, { maxLength: 6 });
const is = <T extends string>(type: T) => fc.constant(type);

const messages: fc.Arbitrary<NativeMessage> = fc.oneof(
  fc.record({
    type: is("states"),
    serial: u32,
    more: fc.boolean(),
    isEntrusted: fc.boolean(),
    entries: listOf(fc.record({ key: text, hash: hex(16), bytes })),
  }),
  fc.record({
    type: is("chunk"),
    serial: u32,
    key: text,
    hash: hex(16),
    total: u32,
    offset: u32,
    bytes,
  }),
  fc.record({ type: is("ack"), serial: u32 }),
  fc.record({
    type: is("compare"),
    entries: listOf(fc.record({ key: text, hash: hex(16), heads: listOf(hex(32)) })),
  }),
  fc.record({
    type: is("sums"),
    horizon: moment,
    entries: listOf(fc.record({ depth: u8, index: u16, count: u32, sum: hex(16) })),
  }),
  fc.record({
    type: is("leaves"),
    horizon: moment,
    depth: u8,
    index: u16,
    entries: listOf(fc.record({ key: text, hash: hex(16) })),
  }),
  fc.record({ type: is("agreed"), horizon: moment, count: u32, sum: hex(16) }),
  fc.record({ type: is("neighbours"), names: listOf(text) }),
  fc.record({ type: fc.constantFrom("ping" as const, "pong" as const), nonce: u32 }),
  fc.record({ type: is("memory"), metAt: moment, forgottenAt: moment }),
  fc.record({
    type: is("rules"),
    entries: listOf(fc.record({ collection: text, rules: text })),
  }),
  fc.record({ type: is("resumed") }),
  fc.record({ type: is("inquiry"), nonce: u32, key: text }),
  fc.record({
    type: is("report"),
    nonce: u32,
    now: moment,
    isDiskFull: fc.boolean(),
    isCatchingUp: fc.boolean(),
    isQueued: fc.boolean(),
    queued: u32,
    standing: fc.constantFrom<StandingKind[]>(
      ...([
        "absent",
        "alive",
        "deleted",
        "forgotten",
        "aside",
        "damaged",
        "expired",
        "other",
      ] as const),
    ),
    life: u32,
    hash: hex(16),
    changedAt: moment,
    bytes: u32,
    deletedAt: moment,
    by: text,
    stuck: text,
  }),
  fc.record({ type: is("orphans"), entries: listOf(fc.record({ key: text, hash: hex(16) })) }),
);

describe("every message", () => {
  test("is decoded to what was encoded", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(messages, (message) => {
        seen.add(message.type);
        expect(decodeNative(readFrame(new ByteReader(encodeNative(message))))).toEqual(message);
      }),
      { numRuns: 1000 },
    );
    expect(seen).toEqual(new Set(samples.map(({ type }) => type)));
  });

  test("comes through a stream in pieces of any size", () => {
    const stream = Buffer.concat(samples.map((message) => encodeNative(message)));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sizes) => {
        const decoder = new FrameDecoder({
          payloadBytesMax: NATIVE_PAYLOAD_BYTES_MAX,
          keyBytesMax: 0,
        });
        const decoded: unknown[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          decoder.push(stream.subarray(at, at + size));
          at += size;
          for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
            decoded.push(decodeNative(frame));
          }
        }
        expect(decoded).toEqual([...samples]);
      }),
      { numRuns: 50 },
    );
  });

  test("has its own type, in the frame's layout with an empty key", () => {
    const types = samples.map((sample) => {
      const frame = readFrame(new ByteReader(encodeNative(sample)));
      expect(frame.key).toBe("");
      return frame.type;
    });
    expect(types).toEqual([
      0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2c, 0x2d, 0x2e, 0x2f, 0x30,
      0x31,
    ]);
  });
});

describe("the bytes of", () => {
  for (const sample of samples) {
    const codec = payloadOf(sample);
    // A chunk's last field is what is left: it may be shorter, and the assembly refuses what does not add up.
    if (sample.type === "chunk") {
      test("chunk: every truncation before the bytes is refused", () => {
        for (let length = 0; length < codec.bytes.length - sample.bytes.length; length += 1) {
          expect(faultCode(() => codec.decode(codec.bytes.subarray(0, length)))).toBe(
            "wire_invalid",
          );
        }
      });
    } else truncationIsRefused(codec);
    damageIsContained(codec);
  }
});

test("bytes after the end of a message are refused, but for a chunk", () => {
  for (const sample of samples.filter(({ type }) => type !== "chunk")) {
    const { bytes: payload, decode } = payloadOf(sample);
    expect(faultCode(() => decode(Uint8Array.of(...payload, 0)))).toBe("wire_invalid");
  }
});

test("a frame of a type from later versions is skipped, whatever it holds", () => {
  for (const type of [0x00, 0x1f, 0x32, 0xff]) {
    expect(decodeNative({ key: "", type, payload: Uint8Array.of(1, 2, 3) })).toBeUndefined();
  }
});

describe("a length field", () => {
  const max32 = [0xff, 0xff, 0xff, 0xff];

  test("of a list is refused when so many entries can't be there", () => {
    // [message, where its count begins, bytes of the count, the entries that are there]
    const counts = [
      ["states", 5, 2, 2],
      ["compare", 0, 2, 2],
      ["sums", 8, 2, 1],
      ["leaves", 11, 4, 1],
      ["neighbours", 0, 2, 2],
      ["orphans", 0, 2, 1],
    ] as const;
    for (const [type, at, width, present] of counts) {
      const { bytes: payload, decode } = sampleOf(type);
      const count = (value: number) =>
        width === 2 ? new ByteWriter(2).u16(value).finish() : new ByteWriter(4).u32(value).finish();
      const set = (value: number) => withBytes(payload, at, [...count(value)]);
      expect(faultCode(() => decode(set(present)))).toBeUndefined();
      for (const wrong of [present - 1, present + 1, width === 2 ? 0xffff : 0xffff_ffff]) {
        expect(
          faultCode(() => decode(set(wrong))),
          `${type} with ${wrong}`,
        ).toBe("wire_invalid");
      }
    }
  });

  test("of a state may be the largest state and not one byte more", () => {
    const { decode } = sampleOf("states");
    const payload = (stateBytes: number, told: number) => {
      const writer = new ByteWriter(stateBytes + 64).u32(1).u8(0).u16(1);
      return writer
        .text16("a:b")
        .bytes(new Uint8Array(16))
        .u32(told)
        .bytes(new Uint8Array(stateBytes))
        .finish();
    };
    const largest = payload(STATE_BYTES_MAX, STATE_BYTES_MAX);
    expect(faultCode(() => decode(largest))).toBeUndefined();
    expect(faultCode(() => decode(payload(STATE_BYTES_MAX + 1, STATE_BYTES_MAX + 1)))).toBe(
      "wire_invalid",
    );
    expect(faultCode(() => decode(payload(10, 11)))).toBe("wire_invalid");
    expect(faultCode(() => decode(payload(10, 0xffff_ffff)))).toBe("wire_invalid");
  });

  test("of a key may be 65,535 and not one byte more than is there", () => {
    const { decode } = sampleOf("compare");
    const key = "k".repeat(0xffff);
    const payload = new ByteWriter(0x1_0100)
      .u16(1)
      .text16(key)
      .bytes(new Uint8Array(16))
      .u16(0)
      .finish();
    expect(decode(payload)).toEqual({
      type: "compare",
      entries: [{ key, hash: NO_HASH, heads: [] }],
    });
    const { bytes: short } = sampleOf("compare");
    expect(faultCode(() => decode(withBytes(short, 2, [0xff, 0xff])))).toBe("wire_invalid");
    expect(() => encodeNative({ type: "neighbours", names: [`${key}k`] })).toThrow(RangeError);
  });

  test("of heads may be 30,000 and not one more", () => {
    const { decode } = sampleOf("compare");
    const payload = (heads: number) =>
      payloadOf({
        type: "compare",
        entries: [{ key: "a:b", hash, heads: new Array<string>(heads).fill(head) }],
      }).bytes;
    expect(faultCode(() => decode(payload(30_000)))).toBeUndefined();
    expect(faultCode(() => decode(payload(30_001)))).toBe("wire_invalid");
  });

  test("of a frame may be the largest payload and not one byte more", () => {
    const header = (payloadBytes: number) =>
      new ByteWriter(7).u16(0).u8(0x23).u32(payloadBytes).finish();
    const receive = (start: Uint8Array) => {
      const decoder = new FrameDecoder({
        payloadBytesMax: NATIVE_PAYLOAD_BYTES_MAX,
        keyBytesMax: 0,
      });
      decoder.push(start);
      return decoder.next();
    };
    expect(receive(header(NATIVE_PAYLOAD_BYTES_MAX))).toBeUndefined();
    for (const payloadBytes of [NATIVE_PAYLOAD_BYTES_MAX + 1, 0xffff_ffff]) {
      expect(faultCode(() => receive(header(payloadBytes)))).toBe("wire_invalid");
    }
    // The native dialect has no keys: one byte of one is one too many.
    expect(faultCode(() => receive(Uint8Array.of(0, 1, 0x6b)))).toBe("wire_invalid");
  });

  test("of a chunk is any; only the parts' assembly knows what fits", () => {
    const { bytes: payload, decode } = sampleOf("chunk");
    const at = 4 + 2 + toUtf8("notes:long").length + 16;
    expect(decode(withBytes(payload, at, max32))).toMatchObject({ total: 0xffff_ffff });
    expect(decode(withBytes(payload, at + 4, max32))).toMatchObject({ offset: 0xffff_ffff });
  });
});

test("text that is not UTF-8 is refused in keys and names", () => {
  const lone = [0xff];
  expect(faultCode(() => sampleOf("neighbours").decode(Uint8Array.of(0, 1, 0, 1, ...lone)))).toBe(
    "wire_invalid",
  );
  const compare = Uint8Array.of(0, 1, 0, 1, ...lone, ...new Uint8Array(18));
  expect(faultCode(() => sampleOf("compare").decode(compare))).toBe("wire_invalid");
});

describe("a list that is cut into frames", () => {
  test("keeps its order and loses nothing; only single large entries exceed the target", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 2 * STATES_BYTES_TARGET }), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(sizes, (entries) => {
        const frames = inFrames(entries, (size) => size);
        expect(frames.flat()).toEqual(entries);
        for (const frame of frames) {
          expect(frame.length).toBeGreaterThan(0);
          const total = frame.reduce((sum, size) => sum + size, 0);
          if (frame.length > 1) expect(total).toBeLessThanOrEqual(STATES_BYTES_TARGET);
        }
      }),
    );
  });

  test("never has more entries in one than its count can tell", () => {
    const entries = new Array<number>(0xffff + 1).fill(0);
    expect(inFrames(entries, () => 0).map((frame) => frame.length)).toEqual([0xffff, 1]);
  });
});
