// How a dialler proves to a later release of the older node that it holds the formation's secret
// (peat-mesh 0.6.0 wire, §2.4). Lengths are little-endian here, unlike everywhere else.
//
//   acceptor -> dialler   u32le L | u16le idLen | formation id | nonce[32]       L <= 1024
//   dialler -> acceptor   u32le 32 | HMAC-SHA256(key, nonce | formation id)      length <= 256
//   acceptor -> dialler   u8 verdict: 01 accepted, anything else not
//
// The dialler opens the stream and must write first, or the acceptor never hears of the stream:
// it sends RESPONSE_HEADER at once and the HMAC when the challenge is there.
import { timingSafeEqual } from "node:crypto";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { assert } from "../base/assert.ts";
import { concatBytes, fromUtf8, toUtf8 } from "../base/bytes.ts";
import { Fault } from "../base/faults.ts";
import type { Secret } from "../base/secret.ts";
import { CHALLENGE_BYTES_MAX, HMAC_BYTES, NONCE_BYTES } from "./limits.ts";

const LENGTH_BYTES = 4;

export interface Challenge {
  readonly formationId: string;
  /** 32 random bytes, used once. */
  readonly nonce: Uint8Array;
}

/** The length before a response, which may be sent before the challenge has come. */
export const RESPONSE_HEADER: Uint8Array = Uint8Array.of(HMAC_BYTES, 0, 0, 0);

export const VERDICT_ACCEPTED = 0x01;
export const VERDICT_REJECTED = 0x00;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The length that the first four bytes of a challenge or response announce.
 * Fault `wire_invalid` beyond `bytesMax` or when there are not four bytes.
 */
export function decodeAuthLength(header: Uint8Array, bytesMax: number): number {
  if (header.length !== LENGTH_BYTES) {
    throw new Fault("wire_invalid", "formation authentication broke off");
  }
  const length = viewOf(header).getUint32(0, true);
  if (length > bytesMax) {
    throw new Fault(
      "wire_invalid",
      `formation authentication of ${length} bytes exceeds the limit of ${bytesMax}`,
    );
  }
  return length;
}

/** The challenge with its length before it. */
export function encodeChallenge(challenge: Challenge): Uint8Array {
  const id = toUtf8(challenge.formationId);
  const length = 2 + id.length + NONCE_BYTES;
  assert(challenge.nonce.length === NONCE_BYTES, "a challenge's nonce has 32 bytes");
  assert(length <= CHALLENGE_BYTES_MAX, "a formation id must fit a challenge");
  const header = new Uint8Array(LENGTH_BYTES + 2);
  viewOf(header).setUint32(0, length, true);
  viewOf(header).setUint16(LENGTH_BYTES, id.length, true);
  return concatBytes([header, id, challenge.nonce]);
}

/** Takes the bytes after the length. Fault `wire_invalid` unless they are exactly one challenge. */
export function decodeChallenge(bytes: Uint8Array): Challenge {
  const idBytes = bytes.length < 2 ? Number.NaN : viewOf(bytes).getUint16(0, true);
  if (bytes.length !== 2 + idBytes + NONCE_BYTES) {
    throw new Fault("wire_invalid", `a challenge of ${bytes.length} bytes contradicts itself`);
  }
  return {
    formationId: fromUtf8(bytes.subarray(2, 2 + idBytes)),
    nonce: bytes.slice(2 + idBytes),
  };
}

/** The dialler's 32 bytes; `key` is the formation's HMAC key. */
export function answerChallenge(key: Secret<Uint8Array>, challenge: Challenge): Uint8Array {
  const signed = concatBytes([challenge.nonce, toUtf8(challenge.formationId)]);
  return hmac(sha256, key.expose(), signed);
}

/** The response with its length before it. */
export function encodeResponse(response: Uint8Array): Uint8Array {
  assert(response.length === HMAC_BYTES, "a response has 32 bytes");
  return concatBytes([RESPONSE_HEADER, response]);
}

/**
 * Takes the bytes after the length; those beyond the 32nd are ignored, as the older node does.
 * Fault `wire_invalid` for fewer.
 */
export function decodeResponse(bytes: Uint8Array): Uint8Array {
  if (bytes.length < HMAC_BYTES) {
    throw new Fault("wire_invalid", `a response of ${bytes.length} bytes is too short`);
  }
  return bytes.slice(0, HMAC_BYTES);
}

/** Whether `response` answers `challenge`; takes the same time for every wrong one. */
export function isAnswer(
  key: Secret<Uint8Array>,
  { challenge, response }: { challenge: Challenge; response: Uint8Array },
): boolean {
  const expected = answerChallenge(key, challenge);
  return response.length === expected.length && timingSafeEqual(response, expected);
}
