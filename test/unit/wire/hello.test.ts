// The first frame between two nodes: what it says, how long it may be, and what becomes of damaged ones.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { toHex } from "../../../src/base/bytes.ts";
import { decodeHello, encodeHello, HELLO_BYTES_MAX, type Hello } from "../../../src/wire/hello.ts";
import { faultCode } from "../../support/faults.ts";
import { truncationIsRefused, withBytes } from "./codec-rules.ts";

const hello: Hello = {
  name: "peat-mesh-0.east",
  version: "0.1.0",
  start: "0123456789abcdef0123456789abcdef",
  policies: "f".repeat(32),
  features: 5,
};
const bytes = encodeHello(hello);

const hex16 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((array) => toHex(array));
const names = fc.stringMatching(/^[A-Za-z0-9._-]{1,253}$/);
const hellos: fc.Arbitrary<Hello> = fc.record({
  name: names,
  version: fc.string({ unit: "grapheme-ascii", maxLength: 64 }),
  start: hex16,
  policies: hex16,
  features: fc.integer({ min: 0, max: 0xffff_ffff }),
});

test("a hello is these bytes", () => {
  const name = "706561742d6d6573682d302e65617374";
  const version = "302e312e30";
  expect(toHex(bytes)).toBe(`0010${name}0005${version}${hello.start}${hello.policies}00000005`);
  expect(decodeHello(bytes)).toEqual(hello);
});

test("what is encoded is decoded again, and fits the limit", () => {
  fc.assert(
    fc.property(hellos, (sent) => {
      const encoded = encodeHello(sent);
      expect(decodeHello(encoded)).toEqual(sent);
      expect(encoded.length).toBeLessThanOrEqual(HELLO_BYTES_MAX);
    }),
  );
});

test("even the longest name and version fit the limit", () => {
  const longest = { ...hello, name: "n".repeat(253), version: "版".repeat(1000) };
  expect(encodeHello(longest).length).toBeLessThanOrEqual(HELLO_BYTES_MAX);
  expect(decodeHello(encodeHello(longest)).version).toBe("版".repeat(64));
});

truncationIsRefused({ name: "a hello", bytes, decode: decodeHello });

test("what later versions add at the end is ignored", () => {
  expect(decodeHello(Uint8Array.of(...bytes, 1, 2, 3))).toEqual(hello);
});

test("a length beyond the end is refused", () => {
  for (const length of [
    [0xff, 0xff],
    [0, bytes.length - 1],
  ]) {
    expect(faultCode(() => decodeHello(withBytes(bytes, 0, length)))).toBe("wire_invalid");
  }
});

test("a name that is not UTF-8 is refused", () => {
  expect(faultCode(() => decodeHello(withBytes(bytes, 2, [0xff])))).toBe("wire_invalid");
});

test("1,000 random mutations decode or are refused, and nothing else", () => {
  const outcomes = { decoded: 0, refused: 0 };
  const damage = fc.array(
    fc.record({ at: fc.nat(bytes.length - 1), value: fc.integer({ min: 0, max: 255 }) }),
    { minLength: 1, maxLength: 6 },
  );
  fc.assert(
    fc.property(damage, fc.nat(bytes.length), (flips, length) => {
      const forged = bytes.slice(0, length < bytes.length / 4 ? length : bytes.length);
      for (const { at, value } of flips) if (at < forged.length) forged[at] = value;
      const code = faultCode(() => decodeHello(forged));
      outcomes[code === undefined ? "decoded" : "refused"] += 1;
      expect([undefined, "wire_invalid"]).toContain(code);
    }),
    { numRuns: 1000 },
  );
  expect(outcomes.decoded).toBeGreaterThan(0);
  expect(outcomes.refused).toBeGreaterThan(0);
});
