// The fuzzer finds what it is there to find: bugs planted into a decoder that is right without them.
import { describe, expect, test } from "bun:test";
import { FuzzPool } from "../../../scripts/fuzz/pool.ts";
import { type FuzzTarget, fuzz, inputOf } from "../../../scripts/fuzz/target.ts";
import { ByteReader, ByteWriter, fromUtf8, toUtf8 } from "../../../src/base/bytes.ts";
import { Fault } from "../../../src/base/faults.ts";

const INPUTS = 20_000;
const SEED = 5;

/** u8 kind, u16 length, text, u32 number. */
function encode(kind: number, text: string, number: number): Uint8Array {
  return new ByteWriter().u8(kind).text16(text).u32(number).finish();
}

const seeds = [encode(1, "text", 7), encode(2, "", 0xffff_ffff)];

/** Reads the message right; `bug` may break that, given what was read. */
function target(
  bug: (read: { kind: number; text: string; number: number }, input: Uint8Array) => void,
): FuzzTarget {
  return {
    name: "planted",
    share: 1,
    corpus: () => ({ seeds, tokens: [] }),
    run(input) {
      const reader = new ByteReader(input);
      const [kind, text, number] = [reader.u8(), reader.text16(), reader.u32()];
      reader.end();
      bug({ kind, text, number }, input);
      return undefined;
    },
  };
}

async function failureOf(planted: FuzzTarget) {
  const range = { seed: SEED, from: 0, count: INPUTS, onInput: () => undefined };
  const { failure } = await fuzz(planted, range);
  if (failure === undefined) return undefined;
  // The seed and the index are enough to have the input again.
  const { input } = inputOf(planted.corpus(), failure.seed, failure.index);
  expect(input.toHex()).toBe(failure.inputHex);
  const again = await fuzz(planted, { ...range, from: failure.index, count: 1 });
  expect(again.failure?.reason).toBeString();
  return failure.reason;
}

describe("the fuzzer", () => {
  test("is content with a decoder that is right, and counts what it accepts and refuses", async () => {
    const range = { seed: SEED, from: 0, count: INPUTS, onInput: () => undefined };
    const result = await fuzz(
      target(() => undefined),
      range,
    );
    expect(result.failure).toBeUndefined();
    expect(result.accepted).toBeGreaterThan(INPUTS / 20);
    expect(result.codes["wire_invalid"]).toBeGreaterThan(INPUTS / 20);
    expect(result.accepted + result.refused).toBe(INPUTS);
  });

  test("finds a length that is believed: what is thrown is no fault", async () => {
    const planted: FuzzTarget = {
      ...target(() => undefined),
      run(input) {
        if (input.length < 7) throw new Fault("wire_invalid", "too short");
        const view = new DataView(input.buffer, input.byteOffset, input.length);
        // Missing: a look at how much there is.
        fromUtf8(new Uint8Array(input.buffer, input.byteOffset + 3, view.getUint16(1)));
        return undefined;
      },
    };
    expect(await failureOf(planted)).toContain("RangeError");
  });

  test("finds a mistake that only one value of one byte meets", async () => {
    const planted = target(({ kind }) => {
      if (kind === 0x7f) throw new TypeError("no such kind");
    });
    expect(await failureOf(planted)).toBe("TypeError: no such kind");
  });

  test("finds an input that takes long, each time", async () => {
    const planted = target(({ number }) => {
      const untilMs = performance.now() + (number === 0x8000_0000 ? 60 : 0);
      while (performance.now() < untilMs);
    });
    expect(await failureOf(planted)).toMatch(/^takes \d+ ms, more than 50$/);
  });

  test("finds what is another one when it is written again", async () => {
    const planted = target(({ kind, text, number }, input) => {
      // Wrong: a number beyond 31 bits is written as a negative one's remainder.
      const again = encode(kind, text, Math.abs(number | 0));
      if (!toUtf8(again.toHex()).every((byte, i) => byte === toUtf8(input.toHex())[i])) {
        throw new Error("written again it differs");
      }
    });
    // The second seed is enough.
    expect(await failureOf(planted)).toContain("written again it differs");
  });

  test("finds a valid input that is refused", async () => {
    const planted = target(({ text }) => {
      if (text === "") throw new Fault("wire_invalid", "no text");
    });
    expect(await failureOf(planted)).toBe("a valid input is refused: wire_invalid");
  });

  test("tells what goes wrong outside of any input", async () => {
    await using pool = new FuzzPool(1);
    const work = pool.run([{ target: "nothing of this name", seed: 1, from: 0, count: 10 }]);
    expect(work).rejects.toThrow("there is no target nothing of this name");
    await work.catch(() => undefined);
  });
});
