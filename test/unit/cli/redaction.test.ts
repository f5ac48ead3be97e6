// What leaves the machine in a support bundle: no secret in any form, and no id unless it was asked for.
import { describe, expect, test } from "bun:test";
import { Secret } from "../../../src/base/secret.ts";
import { Redaction, secretsOf } from "../../../src/cli/bundle/redaction.ts";

const secret = Uint8Array.from({ length: 32 }, (_, i) => (i * 37 + 11) % 256);
const base64 = Buffer.from(secret).toString("base64");

function redaction(keepsIds = false): Redaction {
  const values = { formationSecret: new Secret(secret), apiToken: new Secret("token-of-the-test") };
  return new Redaction({ secrets: secretsOf({ values }), keepsIds });
}

describe("a secret is taken out", () => {
  const forms = {
    base64,
    "base64 without padding": base64.replace(/=+$/, ""),
    base64url: Buffer.from(secret).toString("base64url"),
    hex: Buffer.from(secret).toString("hex"),
    "capital hex": Buffer.from(secret).toString("hex").toUpperCase(),
    "percent-encoded": encodeURIComponent(base64),
    "base64 of its base64": Buffer.from(base64).toString("base64"),
    "a token": "token-of-the-test",
    "hex of a token": Buffer.from("token-of-the-test").toString("hex"),
    "base64 of a token": Buffer.from("token-of-the-test").toString("base64"),
  };
  for (const [name, form] of Object.entries(forms)) {
    test(`as ${name}`, () => {
      expect(redaction().apply(`before ${form} after`)).toBe("before [redacted] after");
    });
  }

  test("also where it is somebody else's, by the word in front of it, and every private key", () => {
    const told = redaction();
    expect(told.apply("authorization: Bearer abcdef123456")).toBe(
      "authorization: Bearer [redacted]",
    );
    expect(told.apply("PASSWORD=hunter2hunter2 x")).toBe("PASSWORD=[redacted] x");
    expect(told.apply("at nats://me:hunter2@10.0.0.1:4222")).toBe(
      "at nats://[redacted]@10.0.0.1:4222",
    );
    expect(told.apply("another formation secret together")).toBe(
      "another formation secret together",
    );
    const pem = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----";
    expect(told.apply(`a ${pem} b`)).toBe("a [redacted] b");
  });
});

describe("the id of a document", () => {
  test("is replaced behind its collection, alike everywhere, and numbers are left alone", () => {
    const told = redaction();
    told.learn("tracks:7");
    told.learn("tracks/callsign-alpha");
    const text = told.apply('{"n":7} tracks:7 tracks/7 callsign-alpha tracks:callsign-alpha');
    expect(text).toMatch(/^\{"n":7\} tracks:(id-\w{12}) tracks\/\1 (id-\w{12}) tracks:\2$/);
  });

  test("is replaced as JSON writes it, too", () => {
    const told = redaction();
    told.learn('notes:a "quoted" name');
    expect(told.apply(JSON.stringify({ key: 'notes:a "quoted" name' }))).toMatch(
      /^\{"key":"notes:id-\w{12}"\}$/,
    );
  });

  test("stays where it was asked for, and differs from bundle to bundle otherwise", () => {
    const kept = redaction(true);
    kept.learn("tracks:callsign-alpha");
    expect(kept.apply("tracks:callsign-alpha")).toBe("tracks:callsign-alpha");
    const two = [redaction(), redaction()].map((told) => {
      told.learn("tracks:callsign-alpha");
      return told.apply("tracks:callsign-alpha");
    });
    expect(two[0]).not.toBe(two[1] ?? "");
  });
});
