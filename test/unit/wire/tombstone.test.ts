import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BugError } from "../../../src/base/assert.ts";
import { concatBytes, fromHex, toHex } from "../../../src/base/bytes.ts";
import {
  decodeTombstone,
  decodeTombstoneBatch,
  encodeTombstone,
  encodeTombstoneBatch,
  type Tombstone,
  type TombstoneDirection,
} from "../../../src/wire/tombstone.ts";
import { faultCode } from "../../support/faults.ts";
import vectors from "../../vectors/frames.json" with { type: "json" };
import { damageIsContained, truncationIsRefused, withBytes } from "./codec-rules.ts";

type Recorded = (typeof vectors.tombstones)[number];

function tombstoneOf(recorded: Recorded): Tombstone {
  return {
    collection: recorded.collection,
    documentId: recorded.documentId,
    deletedAtMs: recorded.deletedAtMs,
    lamport: BigInt(recorded.lamport),
    deletedBy: recorded.deletedBy,
    reason: recorded.reason,
    direction: recorded.direction as TombstoneDirection,
  };
}

const recorded = vectors.tombstones.map((each) => ({
  value: tombstoneOf(each),
  payload: each.payload,
  batchPayload: each.batchPayload,
}));

const anyTombstone: fc.Arbitrary<Tombstone> = fc.record({
  collection: fc.string({ maxLength: 20 }),
  documentId: fc.string({ maxLength: 20 }),
  deletedAtMs: fc.maxSafeNat(),
  lamport: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  deletedBy: fc.string({ maxLength: 20 }),
  reason: fc.option(fc.string({ minLength: 1, maxLength: 20 }), { nil: undefined }),
  direction: fc.constantFrom("bidirectional", "up-only", "down-only", "system-wide"),
});

describe("one tombstone", () => {
  for (const { value, payload } of recorded) {
    const name = `the tombstone of ${value.collection}:${value.documentId}`;
    test(`${name} is the recorded bytes, both ways`, () => {
      expect(toHex(encodeTombstone(value))).toBe(payload);
      expect(decodeTombstone(fromHex(payload))).toEqual(value);
    });
    const sample = { name, bytes: fromHex(payload), decode: decodeTombstone };
    truncationIsRefused(sample);
    damageIsContained(sample);
  }

  test("what is encoded is decoded again", () => {
    fc.assert(
      fc.property(anyTombstone, (tombstone) => {
        expect(decodeTombstone(encodeTombstone(tombstone))).toEqual(tombstone);
      }),
    );
  });

  test("bytes after its end are ignored", () => {
    for (const { value, payload } of recorded) {
      expect(decodeTombstone(fromHex(`${payload}00ff`))).toEqual(value);
    }
  });

  test("directions 0 to 3 are known and 4 is refused", () => {
    const bytes = fromHex(recorded[0]?.payload ?? "");
    const directions = [0, 1, 2, 3].map(
      (byte) => decodeTombstone(withBytes(bytes, bytes.length - 1, [byte])).direction,
    );
    expect(directions).toEqual(["bidirectional", "up-only", "down-only", "system-wide"]);
    for (const byte of [4, 255]) {
      const wrong = withBytes(bytes, bytes.length - 1, [byte]);
      expect(faultCode(() => decodeTombstone(wrong))).toBe("wire_invalid");
    }
  });

  test("a time of 2^53 - 1 passes and 2^53 is refused", () => {
    const bytes = fromHex(recorded[0]?.payload ?? "");
    const at = 2 + 6 + 2 + 2;
    const last = withBytes(bytes, at, [0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    const beyond = withBytes(bytes, at, [0, 0x20, 0, 0, 0, 0, 0, 0]);
    expect(decodeTombstone(last).deletedAtMs).toBe(Number.MAX_SAFE_INTEGER);
    expect(faultCode(() => decodeTombstone(beyond))).toBe("wire_invalid");
  });

  test("each text may have 65,535 bytes, and no more is encoded", () => {
    const long = "x".repeat(0xffff);
    const base = recorded[1]?.value;
    for (const field of ["collection", "documentId", "deletedBy", "reason"] as const) {
      const tombstone = { ...base, [field]: long } as Tombstone;
      expect(decodeTombstone(encodeTombstone(tombstone))).toEqual(tombstone);
      const longer = { ...base, [field]: `${long}x` } as Tombstone;
      expect(() => encodeTombstone(longer)).toThrow(RangeError);
    }
  });

  test("text that is not UTF-8 is refused", () => {
    const bytes = withBytes(fromHex(recorded[0]?.payload ?? ""), 2, [0xff, 0xfe]);
    expect(faultCode(() => decodeTombstone(bytes))).toBe("wire_invalid");
  });

  test("an empty reason is our mistake: the wire has no such thing", () => {
    const tombstone = { ...recorded[0]?.value, reason: "" } as Tombstone;
    expect(() => encodeTombstone(tombstone)).toThrow(BugError);
  });
});

describe("a batch of tombstones", () => {
  const both = recorded.map((each) => each.value);
  const sample = {
    name: "a batch of tombstones",
    bytes: encodeTombstoneBatch(both),
    decode: decodeTombstoneBatch,
  };

  test("of one is the recorded bytes, both ways", () => {
    const one = both.slice(0, 1);
    expect(toHex(encodeTombstoneBatch(one))).toBe(recorded[0]?.batchPayload ?? "");
    expect(decodeTombstoneBatch(fromHex(recorded[0]?.batchPayload ?? ""))).toEqual(one);
  });

  test("what is encoded is decoded again, none included", () => {
    fc.assert(
      fc.property(fc.array(anyTombstone, { maxLength: 8 }), (tombstones) => {
        expect(decodeTombstoneBatch(encodeTombstoneBatch(tombstones))).toEqual(tombstones);
      }),
    );
  });

  truncationIsRefused(sample);
  damageIsContained(sample);

  test("a count or length beyond the end is refused before anything is read", () => {
    const huge = [0xff, 0xff, 0xff, 0xff];
    for (const bytes of [
      withBytes(sample.bytes, 0, [0, 0, 0, 3]),
      withBytes(sample.bytes, 0, huge),
      withBytes(sample.bytes, 4, huge),
      concatBytes([sample.bytes, Uint8Array.of(0)]),
    ]) {
      expect(faultCode(() => decodeTombstoneBatch(bytes))).toBe("wire_invalid");
    }
  });
});
