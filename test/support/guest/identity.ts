// Who a node of the older release is: everything follows from the formation secret and a name
// (peat-mesh 0.6.0 wire, §1).
import { ed25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";

const KEY_BYTES = 32;

function derive(ikm: Uint8Array, info: string, salt?: Uint8Array): Uint8Array {
  return hkdf(sha256, ikm, salt, Buffer.from(info), KEY_BYTES);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** The bytes of a secret in strict standard base64. */
export function decodeSecret(text: string): Uint8Array {
  const trimmed = text.trim();
  const bytes = Buffer.from(trimmed, "base64");
  if (bytes.toString("base64") !== trimmed) throw new Error("Invalid base64 shared secret");
  return new Uint8Array(bytes);
}

export interface Identity {
  readonly seed: Uint8Array;
  /** Endpoint id, 64 hex digits. */
  readonly id: string;
}

function identityOf(seed: Uint8Array): Identity {
  return { seed, id: hex(ed25519.getPublicKey(seed)) };
}

/** The Iroh endpoint of node `name`. */
export function endpointIdentity(secret: Uint8Array, name: string): Identity {
  return identityOf(derive(secret, `iroh:${name}`));
}

/** The device key of node `name`, and the id that the log shows of it. */
export function deviceIdentity(
  secret: Uint8Array,
  name: string,
): Identity & { readonly deviceId: string } {
  const device = identityOf(derive(secret, name));
  const deviceId = hex(sha256(Buffer.from(device.id, "hex")).subarray(0, 16));
  return { ...device, deviceId };
}

/** The HMAC key that proves membership; only here a secret of another length than 32 bytes is hashed first. */
export function formationHmacKey(secret: Uint8Array, formationId: string): Uint8Array {
  const normalised = secret.length === KEY_BYTES ? secret : sha256(secret);
  return derive(normalised, "peat-protocol-v1-formation", Buffer.from(formationId));
}
