import { expect, test } from "bun:test";
import fc from "fast-check";
import { fromHex, toHex } from "../../../src/base/bytes.ts";
import { encodeFrame, type Frame } from "../../../src/wire/frame.ts";
import { decodeHeartbeat, encodeHeartbeat } from "../../../src/wire/heartbeat.ts";
import { decodeMessage, encodeMessage, type Message } from "../../../src/wire/message.ts";
import { decodeTombstone } from "../../../src/wire/tombstone.ts";
import { faultCode } from "../../support/faults.ts";
import vectors from "../../vectors/frames.json" with { type: "json" };
import { damageIsContained, truncationIsRefused, withBytes } from "./codec-rules.ts";

const tombstones = vectors.tombstones.map((each) => decodeTombstone(fromHex(each.payload)));
const [bidirectional, systemWide] = tombstones;
if (bidirectional === undefined || systemWide === undefined)
  throw new Error("two vectors expected");

const messages: readonly { message: Message; frame?: string; type: number; key: string }[] = [
  {
    message: { kind: "delta", key: "nodes:n1", sync: fromHex("deadbeef") },
    frame: vectors.delta.frame,
    type: 0,
    key: "nodes:n1",
  },
  {
    message: { kind: "snapshot", key: "nodes:n1", document: fromHex("010203") },
    type: 1,
    key: "nodes:n1",
  },
  {
    message: { kind: "tombstone", tombstone: systemWide },
    frame: vectors.tombstones[1]?.frame ?? "",
    type: 4,
    key: "tombstones:alerts:a1",
  },
  {
    message: { kind: "tombstones", tombstones: [bidirectional] },
    frame: vectors.tombstones[0]?.batchFrame ?? "",
    type: 5,
    key: "tombstones:batch",
  },
  { message: { kind: "tombstone-ack" }, type: 6, key: "tombstones:batch" },
  {
    message: {
      kind: "batch",
      batch: {
        id: 1n,
        createdAtMs: vectors.batch.createdAtMs,
        ttl: 5,
        entries: [{ key: "nodes:n1", type: 1, payload: fromHex("010203") }],
      },
    },
    frame: vectors.batch.frame,
    type: 7,
    key: "batch",
  },
];

for (const { message, frame: recorded, type, key } of messages) {
  test(`a ${message.kind} has its number and key, and comes back as it was`, () => {
    const frame = encodeMessage(message);
    expect(frame.type).toBe(type);
    expect(frame.key).toBe(key);
    expect(decodeMessage(frame)).toEqual(message);
    if (recorded !== undefined) expect(toHex(encodeFrame(frame))).toBe(recorded);
  });
}

test("types that are reserved or unknown stay frames, whatever they hold", () => {
  const types = fc
    .integer({ min: 0, max: 255 })
    .filter((type) => ![0, 1, 4, 5, 6, 7].includes(type));
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 40 }), (type, payload) => {
      const frame: Frame = { key: "_negentropy", type, payload };
      const message = decodeMessage(frame);
      expect(message).toEqual({ kind: "other", frame });
      expect(encodeMessage(message)).toEqual(frame);
    }),
  );
});

test("any bytes under any type are a message or are refused", () => {
  const frames = fc.record({
    key: fc.string({ maxLength: 10 }),
    type: fc.integer({ min: 0, max: 11 }),
    payload: fc.uint8Array({ maxLength: 80 }),
  });
  fc.assert(
    fc.property(frames, (frame) => {
      expect([undefined, "wire_invalid"]).toContain(faultCode(() => decodeMessage(frame)));
    }),
    { numRuns: 1000 },
  );
});

test("an acknowledgement may hold anything", () => {
  const frame = { key: "", type: 6, payload: fromHex("00ff") };
  expect(decodeMessage(frame)).toEqual({ kind: "tombstone-ack" });
});

const heartbeat = {
  name: "a heartbeat",
  bytes: fromHex(vectors.heartbeat.bytes),
  decode: decodeHeartbeat,
};

test("a heartbeat is the recorded bytes, both ways", () => {
  expect(toHex(encodeHeartbeat(vectors.heartbeat.sentAtMs))).toBe(vectors.heartbeat.bytes);
  expect(decodeHeartbeat(heartbeat.bytes)).toBe(vectors.heartbeat.sentAtMs);
});

truncationIsRefused(heartbeat);
damageIsContained(heartbeat);

test("a heartbeat of another kind or length is refused", () => {
  for (const bytes of [
    withBytes(heartbeat.bytes, 0, [2]),
    fromHex(`${vectors.heartbeat.bytes}00`),
  ]) {
    expect(faultCode(() => decodeHeartbeat(bytes))).toBe("wire_invalid");
  }
});
