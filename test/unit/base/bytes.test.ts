import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  ByteReader,
  ByteWriter,
  concatBytes,
  equalBytes,
  fromBase64,
  fromHex,
  fromUtf8,
  toHex,
  toUtf8,
} from "../../../src/base/bytes.ts";
import { faultCode } from "../../support/faults.ts";

const bytes = fc.uint8Array({ maxLength: 64 });

describe("text forms", () => {
  test("hex comes back, in either case; anything else is refused", () => {
    fc.assert(
      fc.property(bytes, (value) => {
        expect(fromHex(toHex(value))).toEqual(value);
        expect(fromHex(toHex(value).toUpperCase())).toEqual(value);
      }),
    );
    for (const text of ["0", "0g", " 00", "0x00", "00\n"]) {
      expect(faultCode(() => fromHex(text))).toBe("invalid_argument");
    }
  });

  test("base64 is strict: padding, no blanks, no stray bits, no other alphabet", () => {
    fc.assert(
      fc.property(bytes, (value) =>
        expect(fromBase64(Buffer.from(value).toString("base64"))).toEqual(value),
      ),
    );
    for (const text of ["QQ", "QQ=", "QR==", "Q Q=", "QQ==\n", "-_==", "QQ==QQ=="]) {
      expect(faultCode(() => fromBase64(text))).toBe("invalid_argument");
    }
  });

  test("UTF-8 comes back with its byte order mark; what is ill-formed is refused", () => {
    for (const text of ["", "ü€😀", "\ufeffx"]) expect(fromUtf8(toUtf8(text))).toBe(text);
    for (const hex of ["ff", "c3", "eda080", "c080", "f4908080"]) {
      expect(faultCode(() => fromUtf8(fromHex(hex)))).toBe("wire_invalid");
    }
  });
});

describe("ByteReader and ByteWriter", () => {
  test("what was written is read again, to the last byte", () => {
    const u64 = fc.bigInt({ min: 0n, max: BigInt(Number.MAX_SAFE_INTEGER) });
    fc.assert(
      fc.property(
        fc.nat(0xff),
        fc.nat(0xffff),
        fc.nat(),
        u64,
        fc.string({ unit: "grapheme" }),
        bytes,
        (a, b, c, d, text, blob) => {
          const writer = new ByteWriter(1)
            .u8(a)
            .u16(b)
            .u32(c)
            .u64(d)
            .text16(text)
            .bytes32(blob)
            .bytes(blob);
          const reader = new ByteReader(writer.finish());
          expect([reader.u8(), reader.u16(), reader.u32(), reader.u64()]).toEqual([
            a,
            b,
            c,
            Number(d),
          ]);
          expect(reader.text16()).toBe(text);
          expect(reader.bytes32(blob.length)).toEqual(blob);
          expect(reader.rest()).toEqual(blob);
          reader.end();
        },
      ),
    );
  });

  test("integers are big-endian", () => {
    const written = new ByteWriter().u16(0x0102).u32(0x03040506).u64(7n).finish();
    expect(toHex(written)).toBe("0102030405060000000000000007");
  });

  test("an overrun is refused at every length, and so is what is left over", () => {
    const whole = new ByteWriter()
      .u8(1)
      .u16(2)
      .u32(3)
      .u64(4)
      .text16("abc")
      .bytes32(toUtf8("d"))
      .finish();
    const readAll = (input: Uint8Array) => {
      const reader = new ByteReader(input);
      reader.u8();
      reader.u16();
      reader.u32();
      reader.u64();
      reader.text16();
      reader.bytes32(1);
      reader.end();
    };
    readAll(whole);
    for (let length = 0; length < whole.length; length += 1) {
      expect(faultCode(() => readAll(whole.subarray(0, length)))).toBe("wire_invalid");
    }
    expect(faultCode(() => readAll(concatBytes([whole, new Uint8Array(1)])))).toBe("wire_invalid");
  });

  test("a length over the limit is refused before anything is taken", () => {
    const input = new ByteWriter().u32(0xffffffff).finish();
    expect(faultCode(() => new ByteReader(input).bytes32(10))).toBe("wire_invalid");
    const fits = new ByteWriter().bytes32(new Uint8Array(11)).finish();
    expect(faultCode(() => new ByteReader(fits).bytes32(10))).toBe("wire_invalid");
    expect(new ByteReader(fits).bytes32(11)).toHaveLength(11);
  });

  test("a 64-bit number is refused where a number can't hold it", () => {
    const largest = new ByteWriter().u64(2n ** 53n - 1n).finish();
    expect(new ByteReader(largest).u64()).toBe(Number.MAX_SAFE_INTEGER);
    const beyond = new ByteWriter().u64(2n ** 53n).finish();
    expect(faultCode(() => new ByteReader(beyond).u64())).toBe("wire_invalid");
    expect(new ByteReader(beyond).u64Big()).toBe(2n ** 53n);
  });

  test("a view into a larger buffer is read from where it begins", () => {
    const outer = Uint8Array.of(9, 9, 1, 2, 9);
    const reader = new ByteReader(outer.subarray(2, 4));
    expect(reader.u16()).toBe(0x0102);
    expect(reader.remaining).toBe(0);
  });

  test("a text that its length can't count is our mistake", () => {
    expect(() => new ByteWriter().text16("x".repeat(65_536))).toThrow(RangeError);
    expect(new ByteWriter().text16("x".repeat(65_535)).length).toBe(65_537);
  });
});

test("bytes are equal by content and length", () => {
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
});

test("parts are joined in order", () => {
  fc.assert(
    fc.property(fc.array(bytes), (parts) => {
      expect([...concatBytes(parts)]).toEqual(parts.flatMap((part) => [...part]));
    }),
  );
});
