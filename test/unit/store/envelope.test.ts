import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fromBase64 } from "../../../src/base/bytes.ts";
import { Secret } from "../../../src/base/secret.ts";
import { Envelopes } from "../../../src/store/envelope.ts";
import { type EncryptionKey, NO_ENCRYPTION } from "../../../src/store/seal.ts";
import { openFileStore } from "../../support/file-store.ts";
import { key as keyOf, openMemoryStore, put, read } from "../../support/memory-store.ts";
import { tempFolder } from "../../support/temp-folder.ts";
import vectors from "../../vectors/at-rest.json" with { type: "json" };

const key = new Secret(fromBase64(vectors.key));
const other: EncryptionKey = new Secret(new Uint8Array(32).fill(7));

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

describe("a document that an older sidecar encrypted", () => {
  const encryption = {
    key: new Secret(fromBase64(vectors.key)),
    previous: [],
  };
  const document = vectors.envelopes[0]?.document ?? "";
  for (const name of ["tracks:1", "notes:1"]) {
    test(`is read, listed, told and patched as what it holds, and is the same to peers: ${name}`, async () => {
      const older = openMemoryStore({ nodeName: "older" });
      await put(older, name, JSON.parse(document) as object);
      using folder = tempFolder();
      const { store } = openFileStore(folder.file("peat.db"), { encryption });
      const subscription = store.subscribe({ capacity: 10 });
      const state = older.stateFor(keyOf(name));
      if (state !== undefined) await store.merge({ key: keyOf(name), ...state }, "older");
      const opened = '{"a":[1.0,"x"],"b":1}';
      expect(read(store, name)).toBe(opened);
      expect(store.list(name.split(":")[0] ?? "", { limit: 1 })[0]?.json).toBe(opened);
      const change = await subscription.take();
      expect(change?.kind === "item" && change.item.document.json).toBe(opened);
      expect(store.hashOf(keyOf(name))).toBe(older.hashOf(keyOf(name)));
      const patch = { kind: "patch", body: '{"b":2}' } as const;
      const patched = await store.write({ key: keyOf(name), operation: patch });
      expect(patched.document.json).toBe('{"a":[1.0,"x"],"b":2}');
      const back = store.stateFor(keyOf(name));
      if (back !== undefined) await older.merge({ key: keyOf(name), ...back }, "node-a");
      expect(read(older, name)).toBe('{"a":[1.0,"x"],"b":2}');
      for (const one of [older, store]) one.close();
    });
  }
});
