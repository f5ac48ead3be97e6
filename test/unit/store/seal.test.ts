import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fromBase64, fromHex, toHex } from "../../../src/base/bytes.ts";
import { Secret } from "../../../src/base/secret.ts";
import {
  type EncryptionKey,
  keyIdOf,
  NO_ENCRYPTION,
  SEALED_EXTRA_BYTES,
  Seal,
  sealedBy,
} from "../../../src/store/seal.ts";
import vectors from "../../vectors/at-rest.json" with { type: "json" };

const key = new Secret(fromBase64(vectors.key));
const other: EncryptionKey = new Secret(new Uint8Array(32).fill(7));
const seal = new Seal({ key, previous: [] });
const place = { column: "json", key: "tracks:1" };

describe("a sealed cell", () => {
  test("is opened as another program made it from the description", () => {
    expect(keyIdOf(key)).toBe(vectors.keyId);
    for (const { column, key: document, value, cell } of vectors.cells) {
      const opened = seal.open(fromHex(cell), { column, key: document });
      expect(opened && toHex(opened)).toBe(value);
    }
  });

  test("opens to what was sealed, in its own place only", () => {
    const names = fc.string({ minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4096 }), names, names, names, (value, a, b, c) => {
        const sealed = seal.close(value, { column: a, key: b });
        expect(sealed.length).toBe(value.length + SEALED_EXTRA_BYTES);
        expect(sealedBy(sealed)).toBe(vectors.keyId);
        expect(seal.open(sealed, { column: a, key: b })).toEqual(value);
        if (`${a}\n${c}` !== `${a}\n${b}`)
          expect(seal.open(sealed, { column: a, key: c })).toBe(undefined);
        if (`${c}\n${b}` !== `${a}\n${b}`)
          expect(seal.open(sealed, { column: c, key: b })).toBe(undefined);
      }),
    );
  });

  test("that was changed anywhere, or cut, is not opened", () => {
    const sealed = seal.close(new TextEncoder().encode("position"), place);
    for (let at = 4; at < sealed.length; at += 1) {
      for (const bit of [1, 0x80]) {
        const changed = Uint8Array.from(sealed);
        changed[at] = (changed[at] ?? 0) ^ bit;
        expect(seal.open(changed, place)).toBeUndefined();
      }
    }
    for (let length = 4; length < sealed.length; length += 1) {
      expect(seal.open(sealed.subarray(0, length), place)).toBeUndefined();
    }
    expect(seal.open(Uint8Array.of(...sealed, 0), place)).toBeUndefined();
  });

  test("is opened by its key only, also if that was used before", () => {
    const sealed = seal.close(Uint8Array.of(1, 2, 3), place);
    expect(new Seal({ key: other, previous: [] }).open(sealed, place)).toBeUndefined();
    expect(new Seal(NO_ENCRYPTION).open(sealed, place)).toBeUndefined();
    const rotated = new Seal({ key: other, previous: [key] });
    expect(rotated.open(sealed, place)).toEqual(Uint8Array.of(1, 2, 3));
    expect([rotated.isCurrent(sealed), seal.isCurrent(sealed)]).toEqual([false, true]);
  });

  test("never has the nonce of another, in one process start or the next", () => {
    const seals = [seal, new Seal({ key, previous: [] })];
    const heads = seals.flatMap((one) =>
      Array.from({ length: 500 }, () => toHex(one.close(new Uint8Array(4), place).subarray(0, 32))),
    );
    expect(new Set(heads).size).toBe(heads.length);
  });

  test("is a text where nothing is encrypted, and bytes where it is", () => {
    const clear = new Seal(NO_ENCRYPTION);
    expect(clear.closeText("{}", place)).toBe("{}");
    const sealed = seal.closeText('{"ä":"😀"}', place);
    expect(sealed).toBeInstanceOf(Uint8Array);
    expect(seal.openText(sealed, place)).toBe('{"ä":"😀"}');
    expect(seal.openText("{}", place)).toBe("{}");
    expect(seal.openText(new Uint8Array(60), place)).toBeUndefined();
  });
});
