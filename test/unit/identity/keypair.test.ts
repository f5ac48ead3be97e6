import { describe, expect, test } from "bun:test";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { fromBase64, fromHex, toHex } from "../../../src/base/bytes.ts";
import { Secret } from "../../../src/base/secret.ts";
import {
  deriveAuthorityKey,
  deriveDeviceKey,
  deriveEndpointKey,
  deriveOtaKey,
  deviceId,
  formationHmacKey,
  type KeyPair,
  secretTag,
} from "../../../src/identity/keypair.ts";
import { liteId, printLiteId } from "../../../src/identity/lite-id.ts";
import { parseNodeName, shortId, toEndpointId } from "../../../src/identity/peer.ts";
import auth from "../../vectors/formation-auth.json" with { type: "json" };
import vectors from "../../vectors/identity.json" with { type: "json" };

type SecretName = keyof typeof vectors.secrets;

function secretOf(name: string): Secret<Uint8Array> {
  return new Secret(fromBase64(vectors.secrets[name as SecretName]));
}

function seedOf(pair: KeyPair): string {
  return toHex(pair.seed.expose());
}

describe("the derivations of peat-mesh 0.6.0", () => {
  for (const node of vectors.nodes) {
    test(`node ${node.name} by secret ${node.secret}`, () => {
      const name = parseNodeName(node.name);
      const endpoint = deriveEndpointKey(secretOf(node.secret), name);
      const device = deriveDeviceKey(secretOf(node.secret), name);
      const id = toEndpointId(endpoint.publicKey);
      expect<string>(id).toBe(node.endpointId);
      expect(deviceId(device.publicKey)).toBe(node.deviceId);
      if (node.endpointSeed !== undefined) expect(seedOf(endpoint)).toBe(node.endpointSeed);
      if (node.shortId !== undefined) expect(shortId(id)).toBe(node.shortId);
      if (node.deviceSeed !== undefined) expect(seedOf(device)).toBe(node.deviceSeed);
      if (node.devicePublicKey !== undefined) {
        expect(toHex(device.publicKey)).toBe(node.devicePublicKey);
      }
    });
  }

  for (const formation of vectors.formation) {
    test(`the keys of the formation by secret ${formation.secret}`, () => {
      const ota = deriveOtaKey(secretOf(formation.secret));
      const authority = deriveAuthorityKey(secretOf(formation.secret));
      expect(seedOf(ota)).toBe(formation.otaSeed);
      expect(toHex(ota.publicKey)).toBe(formation.otaPublicKey);
      expect(seedOf(authority)).toBe(formation.authoritySeed);
      expect(toHex(authority.publicKey)).toBe(formation.authorityPublicKey);
    });
  }

  for (const answer of auth.answers) {
    test(`the HMAC key by secret ${answer.secret}`, () => {
      const key = formationHmacKey(secretOf(answer.secret), auth.formationId);
      expect(toHex(key.expose())).toBe(answer.hmacKey);
    });
  }

  test("a secret of another length than 32 bytes is hashed for the HMAC key", () => {
    const hashed = fromHex(auth.answers[2]?.normalisedSecret ?? "");
    expect(toHex(sha256(secretOf("C").expose()))).toBe(toHex(hashed));
    const key = formationHmacKey(new Secret(hashed), auth.formationId);
    expect(toHex(key.expose())).toBe(auth.answers[2]?.hmacKey ?? "");
  });

  for (const lite of vectors.liteIds) {
    test(`the radio number of ${lite.name}`, () => {
      const id = liteId(parseNodeName(lite.name));
      expect(id).toBe(lite.id);
      expect(printLiteId(id)).toBe(lite.printed);
    });
  }
});

test("a radio number with leading zeros prints eight digits", () => {
  expect(printLiteId(liteId(parseNodeName("a")))).toBe("lite-00000061");
});

test("a pair prints without its seed", () => {
  const pair = deriveEndpointKey(secretOf("A"), parseNodeName("peat-mesh-0"));
  expect(JSON.stringify(pair)).not.toContain("bc295664");
  expect(Bun.inspect(pair)).toContain("[secret]");
});

test("a secret's tag is eight digits and differs between secrets", () => {
  const tags = ["A", "B", "C"].map((name) => secretTag(secretOf(name)));
  expect(new Set(tags).size).toBe(3);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 64 }), (bytes) => {
      expect(secretTag(new Secret(bytes))).toMatch(/^[0-9a-f]{8}$/);
    }),
  );
});
