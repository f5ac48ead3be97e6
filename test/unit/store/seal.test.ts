import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fromBase64, fromHex, toHex } from "../../../src/base/bytes.ts";
import { Secret } from "../../../src/base/secret.ts";
import { Envelopes } from "../../../src/store/envelope.ts";
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

describe("an older sidecar's encrypted document", () => {
  const envelopes = new Envelopes({ key: other, previous: [key] });
  const [object, list, text, big] = vectors.envelopes.map(({ document }) => document);

  test("is read as the object that it holds, in canonical text", () => {
    expect(envelopes.open(object ?? "")).toBe('{"a":[1.0,"x"],"b":1}');
    expect(envelopes.open(big ?? "")).toBe('{"n":9223372036854775807}');
  });

  test("is one like any other where it holds no object, or where its key is not here", () => {
    for (const document of [list ?? "", text ?? ""])
      expect(envelopes.open(document)).toBe(document);
    for (const keyless of [NO_ENCRYPTION, { key: other, previous: [] }]) {
      expect(new Envelopes(keyless).open(object ?? "")).toBe(object ?? "");
    }
  });

  test("is not made of whatever looks like one", () => {
    const changed = (object ?? "").replace("ENC:v1:A", "ENC:v1:B");
    const looks = [
      '{"value":"ENC:v1:"}',
      '{"value":"ENC:v1:!"}',
      '{"value":"ENC:v1:AAAA"}',
      changed,
    ];
    for (const document of [...looks, '{"value":"x"}', "{}"]) {
      expect(envelopes.open(document)).toBe(document);
    }
    fc.assert(
      fc.property(fc.base64String({ maxLength: 400 }), (base64) => {
        const document = `{"value":"ENC:v1:${base64}"}`;
        expect(envelopes.open(document)).toBe(document);
      }),
    );
  });

  test("is patched as it is read, and replaced in the clear", () => {
    const patch = (body: string) => envelopes.write({ kind: "patch", body }, object);
    expect(patch('{"b":null,"c":2}')).toEqual({ kind: "put", body: '{"a":[1.0,"x"],"c":2}' });
    expect(patch('{"b":1}')).toEqual({ kind: "patch", body: "{}" });
    const put = { kind: "put", body: "{}" } as const;
    expect(envelopes.write(put, object)).toBe(put);
    expect(envelopes.write({ kind: "patch", body: "{}" }, '{"a":1}').kind).toBe("patch");
  });
});
