// One Ed25519 key, and its signature in the three forms that some program of a bare machine can judge: raw (openssl),
// SSHSIG (ssh-keygen) and OpenPGP (gpgv, sqv).
//
//   SHA256SUMS.sig     64 bytes (RFC 8032)
//   SHA256SUMS.sshsig  OpenSSH's PROTOCOL.sshsig, namespace "file"
//   SHA256SUMS.asc     OpenPGP, version 4, legacy EdDSA (RFC 4880; RFC 9580 section 5.2.3)
import { createHash, createPublicKey, type KeyObject, sign } from "node:crypto";
import { assert } from "../../src/base/assert.ts";
import { concatBytes, toUtf8 } from "../../src/base/bytes.ts";

const OWNER = "peat-sidecar releases";
const KEY_BYTES = 32;

function uint(value: number, size: 1 | 2 | 4): Uint8Array {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntBE(value, 0, size);
  return bytes;
}

/** The 32 bytes of the public key. */
function publicBytes(key: KeyObject): Uint8Array {
  const { x } = createPublicKey(key).export({ format: "jwk" });
  const bytes = Buffer.from(x ?? "", "base64url");
  assert(bytes.length === KEY_BYTES, "an Ed25519 key has 32 bytes");
  return bytes;
}

function armour(kind: string, bytes: Uint8Array, extra = ""): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${kind}-----\n${extra}${lines.join("\n")}\n`;
}

// SSH: strings with their length before them.

const SSH_TYPE = "ssh-ed25519";
const SSH_NAMESPACE = "file";
const SSH_HASH = "sha512";

const sshString = (bytes: Uint8Array): Uint8Array => concatBytes([uint(bytes.length, 4), bytes]);

function sshPublicKey(key: KeyObject): Uint8Array {
  return concatBytes([sshString(toUtf8(SSH_TYPE)), sshString(publicBytes(key))]);
}

function sshSignature(message: Uint8Array, key: KeyObject): string {
  const common = [toUtf8(SSH_NAMESPACE), new Uint8Array(), toUtf8(SSH_HASH)].map(sshString);
  const digest = createHash(SSH_HASH).update(message).digest();
  const signed = sign(null, concatBytes([toUtf8("SSHSIG"), ...common, sshString(digest)]), key);
  const signature = concatBytes([sshString(toUtf8(SSH_TYPE)), sshString(signed)]);
  const head = [toUtf8("SSHSIG"), uint(1, 4), sshString(sshPublicKey(key))];
  const body = concatBytes([...head, ...common, sshString(signature)]);
  return `${armour("SSH SIGNATURE", body)}-----END SSH SIGNATURE-----\n`;
}

// OpenPGP: packets, each with a tag and a length before it.

/** Part of the key's fingerprint, hence of what people have written down: never another. 2025-01-01. */
const PGP_KEY_MADE_S = 1_735_689_600;
const PGP_EDDSA = 22;
const PGP_SHA256 = 8;
const PGP_ED25519_OID = [0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
const PGP_TAG = { signature: 2, key: 6, userId: 13 } as const;
const PGP_TYPE = { binary: 0x00, certification: 0x13 } as const;
const PGP_SUBPACKET = { made: 2, issuer: 16, keyFlags: 27, issuerFingerprint: 33 } as const;
const PGP_MAY_CERTIFY_AND_SIGN = 0x03;
/** Up to here one byte tells a length. */
const PGP_SHORT_MAX = 191;

function pgpPacket(tag: number, body: Uint8Array): Uint8Array {
  const rest = body.length - PGP_SHORT_MAX - 1;
  const length =
    rest < 0
      ? uint(body.length, 1)
      : concatBytes([uint((rest >> 8) + PGP_SHORT_MAX + 1, 1), uint(rest & 0xff, 1)]);
  return concatBytes([uint(0xc0 | tag, 1), length, body]);
}

/** A number: its length in bits, and its bytes without zeros before. */
function pgpNumber(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0);
  const significant = start === -1 ? new Uint8Array() : bytes.subarray(start);
  const [first = 0] = significant;
  const bits = first === 0 ? 0 : significant.length * 8 - (Math.clz32(first) - 24);
  return concatBytes([uint(bits, 2), significant]);
}

function pgpKeyBody(key: KeyObject): Uint8Array {
  const oid = Uint8Array.from(PGP_ED25519_OID);
  const point = concatBytes([uint(0x40, 1), publicBytes(key)]);
  const head = [uint(4, 1), uint(PGP_KEY_MADE_S, 4), uint(PGP_EDDSA, 1), uint(oid.length, 1), oid];
  return concatBytes([...head, pgpNumber(point)]);
}

/** What a signature over a key hashes of it. */
const pgpKeyPrefixed = (body: Uint8Array): Uint8Array =>
  concatBytes([uint(0x99, 1), uint(body.length, 2), body]);

const pgpSubpacket = (type: number, ...parts: readonly Uint8Array[]): Uint8Array => {
  const body = concatBytes([uint(type, 1), ...parts]);
  return concatBytes([uint(body.length, 1), body]);
};

interface PgpSignature {
  readonly type: number;
  /** What is signed, as the type wants it hashed. */
  readonly subject: Uint8Array;
  readonly madeS: number;
  readonly extra?: readonly Uint8Array[];
}

function pgpSignature({ type, subject, madeS, extra = [] }: PgpSignature, key: KeyObject) {
  const fingerprint = createHash("sha1")
    .update(pgpKeyPrefixed(pgpKeyBody(key)))
    .digest();
  const subpackets = concatBytes([
    pgpSubpacket(PGP_SUBPACKET.made, uint(madeS, 4)),
    ...extra,
    pgpSubpacket(PGP_SUBPACKET.issuerFingerprint, uint(4, 1), fingerprint),
  ]);
  const head = Uint8Array.of(4, type, PGP_EDDSA, PGP_SHA256);
  const hashed = concatBytes([head, uint(subpackets.length, 2), subpackets]);
  const trailer = concatBytes([Uint8Array.of(4, 0xff), uint(hashed.length, 4)]);
  const digest = createHash("sha256").update(subject).update(hashed).update(trailer).digest();
  const signed = sign(null, digest, key);
  const issuer = pgpSubpacket(PGP_SUBPACKET.issuer, fingerprint.subarray(-8));
  const numbers = [signed.subarray(0, KEY_BYTES), signed.subarray(KEY_BYTES)].map(pgpNumber);
  const unhashed = [uint(issuer.length, 2), issuer];
  const body = concatBytes([hashed, ...unhashed, digest.subarray(0, 2), ...numbers]);
  return pgpPacket(PGP_TAG.signature, body);
}

/** The sum that ends an armoured block (RFC 4880, section 6.1). */
function crc24(bytes: Uint8Array): Uint8Array {
  let sum = 0xb704ce;
  for (const byte of bytes) {
    sum ^= byte << 16;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 0x800000 ? (sum << 1) ^ 0x1864cfb : sum << 1;
  }
  return uint(sum & 0xffffff, 4).subarray(1);
}

function pgpArmour(kind: string, bytes: Uint8Array): string {
  const sum = Buffer.from(crc24(bytes)).toString("base64");
  return `${armour(`PGP ${kind}`, bytes, "\n")}=${sum}\n-----END PGP ${kind}-----\n`;
}

function pgpPublicKey(key: KeyObject): string {
  const body = pgpKeyBody(key);
  const owner = toUtf8(OWNER);
  const subject = concatBytes([pgpKeyPrefixed(body), uint(0xb4, 1), uint(owner.length, 4), owner]);
  const flags = pgpSubpacket(PGP_SUBPACKET.keyFlags, uint(PGP_MAY_CERTIFY_AND_SIGN, 1));
  const certification = pgpSignature(
    { type: PGP_TYPE.certification, subject, madeS: PGP_KEY_MADE_S, extra: [flags] },
    key,
  );
  return pgpArmour(
    "PUBLIC KEY BLOCK",
    concatBytes([pgpPacket(PGP_TAG.key, body), pgpPacket(PGP_TAG.userId, owner), certification]),
  );
}

/** The public key in the three forms, one after another: each program finds its own. */
export function publicKeyFile(key: KeyObject): string {
  const pem = createPublicKey(key).export({ type: "spki", format: "pem" });
  const ssh = `${SSH_TYPE} ${Buffer.from(sshPublicKey(key)).toString("base64")} ${OWNER}`;
  return `${pem}${ssh}\n${pgpPublicKey(key)}`;
}

/** The signatures, by the endings of their files. Equal messages and times have equal ones. */
export function signatures(
  message: Uint8Array,
  key: KeyObject,
  time: Date,
): Readonly<Record<"sig" | "sshsig" | "asc", Uint8Array>> {
  // Programs refuse what is older than its key.
  const madeS = Math.max(Math.floor(time.getTime() / 1000), PGP_KEY_MADE_S);
  const pgp = pgpSignature({ type: PGP_TYPE.binary, subject: message, madeS }, key);
  return {
    sig: sign(null, message, key),
    sshsig: toUtf8(sshSignature(message, key)),
    asc: toUtf8(pgpArmour("SIGNATURE", pgp)),
  };
}
