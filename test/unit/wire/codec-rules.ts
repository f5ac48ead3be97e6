// What every codec of untrusted bytes has to stand: truncation at each byte, and random damage.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { faultCode } from "../../support/faults.ts";

export interface CodecSample {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly decode: (bytes: Uint8Array) => unknown;
}

export function withBytes(bytes: Uint8Array, at: number, value: readonly number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(value, at);
  return copy;
}

interface Edit {
  readonly kind: "flip" | "insert" | "remove";
  readonly at: number;
  readonly byte: number;
}

const edits: fc.Arbitrary<readonly Edit[]> = fc.array(
  fc.record({
    kind: fc.constantFrom("flip" as const, "insert" as const, "remove" as const),
    at: fc.nat(),
    byte: fc.integer({ min: 0, max: 255 }),
  }),
  { minLength: 1, maxLength: 6 },
);

function mutate(bytes: Uint8Array, steps: readonly Edit[]): Uint8Array {
  const out = [...bytes];
  for (const { kind, at, byte } of steps) {
    const index = at % (out.length + 1);
    out.splice(index, kind === "insert" ? 0 : 1, ...(kind === "remove" ? [] : [byte]));
  }
  return Uint8Array.from(out);
}

export function truncationIsRefused({ name, bytes, decode }: CodecSample, from = 0): void {
  test(`${name}: every truncation is refused`, () => {
    for (let length = from; length < bytes.length; length += 1) {
      const code = faultCode(() => decode(bytes.subarray(0, length)));
      expect(code, `cut at ${length}`).toBe("wire_invalid");
    }
  });
}

export function damageIsContained({ name, bytes, decode }: CodecSample): void {
  test(`${name}: 1,000 random mutations decode or are refused, and nothing else`, () => {
    const outcomes = { decoded: 0, refused: 0 };
    fc.assert(
      fc.property(edits, (steps) => {
        const code = faultCode(() => decode(mutate(bytes, steps)));
        if (code === undefined) outcomes.decoded += 1;
        else outcomes.refused += 1;
        expect([undefined, "wire_invalid"]).toContain(code);
      }),
      { numRuns: 1000 },
    );
    expect(outcomes.decoded + outcomes.refused).toBe(1000);
    expect(outcomes.refused).toBeGreaterThan(0);
  });
}
