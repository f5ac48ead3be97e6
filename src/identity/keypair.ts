// Formation secret + node name -> HKDF-SHA256 -> Ed25519 seed -> key pair (peat-mesh 0.6.0 wire, §1.2-1.3).
//
//   purpose      salt           ikm              info
//   endpoint     none           secret           "iroh:" + name
//   device       none           secret           name
//   OTA signing  none           secret           "peat-ota-signing-v1"
//   authority    none           secret           "peat-mesh:authority-keypair"
//   formation    formation id   secret, 32 B *   "peat-protocol-v1-formation"
//
//   * a secret of another length is hashed with SHA-256 first; the other rows take it as it is.
import { ed25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { toHex, toUtf8 } from "../base/bytes.ts";
import { Secret } from "../base/secret.ts";
import type { NodeName } from "./peer.ts";

const KEY_BYTES = 32;
const DEVICE_ID_BYTES = 16;
const TAG_BYTES = 4;

/** An Ed25519 pair: `seed` is the private key of RFC 8032 and is never shown. */
export interface KeyPair {
  readonly seed: Secret<Uint8Array>;
  readonly publicKey: Uint8Array;
}

function expand(secret: Secret<Uint8Array>, info: string): Uint8Array {
  return hkdf(sha256, secret.expose(), undefined, toUtf8(info), KEY_BYTES);
}

function deriveKeyPair(secret: Secret<Uint8Array>, info: string): KeyPair {
  const seed = expand(secret, info);
  return { seed: new Secret(seed), publicKey: ed25519.getPublicKey(seed) };
}

/** The key whose public half is the node's EndpointId on the network. */
export function deriveEndpointKey(secret: Secret<Uint8Array>, name: NodeName): KeyPair {
  return deriveKeyPair(secret, `iroh:${name}`);
}

/** The key that certificates speak of; another one than the endpoint key. */
export function deriveDeviceKey(secret: Secret<Uint8Array>, name: NodeName): KeyPair {
  return deriveKeyPair(secret, name);
}

/** The key that signs firmware for small devices. */
export function deriveOtaKey(secret: Secret<Uint8Array>): KeyPair {
  return deriveKeyPair(secret, "peat-ota-signing-v1");
}

/** The key that issues certificates, unless the operator gives another. */
export function deriveAuthorityKey(secret: Secret<Uint8Array>): KeyPair {
  return deriveKeyPair(secret, "peat-mesh:authority-keypair");
}

/** The key by which later releases let a dialler prove its membership (§2.4). */
export function formationHmacKey(
  secret: Secret<Uint8Array>,
  formationId: string,
): Secret<Uint8Array> {
  const raw = secret.expose();
  const ikm = raw.length === KEY_BYTES ? raw : sha256(raw);
  const info = toUtf8("peat-protocol-v1-formation");
  return new Secret(hkdf(sha256, ikm, toUtf8(formationId), info, KEY_BYTES));
}

/** The device id of a device public key: 32 hex digits. */
export function deviceId(publicKey: Uint8Array): string {
  return toHex(sha256(publicKey).subarray(0, DEVICE_ID_BYTES));
}

/** Eight hex digits that name a secret without telling it: equal tags, equal secrets. */
export function secretTag(secret: Secret<Uint8Array>): string {
  return toHex(expand(secret, "peat:tag").subarray(0, TAG_BYTES));
}
