// Every maximum of the wire, with what must hold between them.
import { assert } from "../base/assert.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Largest key that a frame's u16 length can tell. */
export const KEY_BYTES_MAX = 0xffff;

/**
 * Largest payload of a frame from a guest. Its protocol knows no limit below 4 GiB; whole
 * histories arrive in one frame, so the limit is far above what a document may be.
 */
export const GUEST_PAYLOAD_BYTES_MAX = 64 * MIB;

/** A decoder that has emptied a larger buffer than this gives it back. */
export const DECODER_IDLE_BYTES_MAX = 64 * KIB;

/** Fixed parts of a frame around its key and payload (peat-mesh 0.6.0 wire, §3.2). */
export const FRAME_OVERHEAD_BYTES = 2 + 1 + 4;

/** A batch before its entries: id, time, ttl, count (§3.3). */
export const BATCH_HEADER_BYTES = 8 + 8 + 1 + 4;

/** A tombstone whose texts are all empty (§3.7). */
export const TOMBSTONE_BYTES_MIN = 2 + 2 + 8 + 8 + 2 + 2 + 1;

/** Formation authentication (§2.4): what each side takes from the other at most. */
export const CHALLENGE_BYTES_MAX = 1024;
export const RESPONSE_BYTES_MAX = 256;
export const NONCE_BYTES = 32;
export const HMAC_BYTES = 32;

assert(GUEST_PAYLOAD_BYTES_MAX <= 0xffff_ffff, "a payload length must fit its u32");
assert(HMAC_BYTES <= RESPONSE_BYTES_MAX, "a response must hold its HMAC");
assert(2 + NONCE_BYTES < CHALLENGE_BYTES_MAX, "a challenge must hold its nonce and an id");
