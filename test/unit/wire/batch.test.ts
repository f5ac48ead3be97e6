import { expect, test } from "bun:test";
import fc from "fast-check";
import { fromHex, toHex } from "../../../src/base/bytes.ts";
import { type Batch, decodeBatch, encodeBatch } from "../../../src/wire/batch.ts";
import { encodeFrame } from "../../../src/wire/frame.ts";
import { faultCode } from "../../support/faults.ts";
import vectors from "../../vectors/frames.json" with { type: "json" };
import { damageIsContained, truncationIsRefused, withBytes } from "./codec-rules.ts";

const { entry } = vectors.batch;
const recorded: Batch = {
  id: BigInt(vectors.batch.id),
  createdAtMs: vectors.batch.createdAtMs,
  ttl: vectors.batch.ttl,
  entries: [{ key: entry.key, type: entry.type, payload: fromHex(entry.payload) }],
};
const sample = { name: "a batch", bytes: fromHex(vectors.batch.payload), decode: decodeBatch };

test("a batch is the recorded bytes, both ways", () => {
  expect(toHex(encodeBatch(recorded))).toBe(vectors.batch.payload);
  expect(decodeBatch(sample.bytes)).toEqual(recorded);
  const frame = { key: "batch", type: 7, payload: encodeBatch(recorded) };
  expect(toHex(encodeFrame(frame))).toBe(vectors.batch.frame);
});

test("what is encoded is decoded again", () => {
  const batches = fc.record({
    id: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    createdAtMs: fc.maxSafeNat(),
    ttl: fc.integer({ min: 0, max: 255 }),
    entries: fc.array(
      fc.record({
        key: fc.string({ maxLength: 20 }),
        type: fc.integer({ min: 0, max: 255 }),
        payload: fc.uint8Array({ maxLength: 60 }),
      }),
      { maxLength: 8 },
    ),
  });
  fc.assert(
    fc.property(batches, (batch) => {
      expect(decodeBatch(encodeBatch(batch))).toEqual(batch);
    }),
  );
});

truncationIsRefused(sample);
damageIsContained(sample);

test("a count of entries that can't be there is refused before they are read", () => {
  for (const count of [
    [0, 0, 0, 2],
    [0xff, 0xff, 0xff, 0xff],
  ]) {
    expect(faultCode(() => decodeBatch(withBytes(sample.bytes, 17, count)))).toBe("wire_invalid");
  }
});

test("an entry's lengths one beyond the end are refused", () => {
  const key = withBytes(sample.bytes, 21, [0, 9]);
  const payload = withBytes(sample.bytes, 32, [0, 0, 0, 4]);
  const huge = withBytes(sample.bytes, 32, [0xff, 0xff, 0xff, 0xff]);
  for (const bytes of [key, payload, huge]) {
    expect(faultCode(() => decodeBatch(bytes))).toBe("wire_invalid");
  }
});

test("bytes after the last entry are refused", () => {
  const longer = new Uint8Array([...sample.bytes, 0]);
  expect(faultCode(() => decodeBatch(longer))).toBe("wire_invalid");
  const fewer = withBytes(sample.bytes, 17, [0, 0, 0, 0]);
  expect(faultCode(() => decodeBatch(fewer))).toBe("wire_invalid");
});

test("a time beyond what a number holds is refused; an id may be any", () => {
  const max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
  expect(faultCode(() => decodeBatch(withBytes(sample.bytes, 8, max)))).toBe("wire_invalid");
  expect(decodeBatch(withBytes(sample.bytes, 0, max)).id).toBe(2n ** 64n - 1n);
});
