// The handshake of later releases on the first stream of a connection (peat-mesh 0.6.0 wire, §2.4). Lengths are
// little-endian here:
//
//   acceptor → connector   u32le L | u16le idLen | formation id | nonce[32]
//   connector → acceptor   u32le 32 | HMAC-SHA256(key, nonce | formation id)
//   acceptor → connector   01 accepted, 00 rejected
import { timingSafeEqual } from "node:crypto";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { demandExactly, type GuestLink, type GuestStream } from "./link.ts";
import type { GuestTimers } from "./timers.ts";

export interface FormationAuth {
  readonly formationId: string;
  readonly hmacKey: Uint8Array;
  /** A connector that waits for the challenge before it writes waits for ever: nobody hears of its stream. */
  readonly connectorSpeaksFirst: boolean;
  readonly nonce: () => Uint8Array;
}

const STEP_MS = 30_000;
const NONCE_BYTES = 32;
const RESPONSE_BYTES = 32;
const CHALLENGE_BYTES_MAX = 1024;
const RESPONSE_BYTES_MAX = 256;
const ACCEPTED = 0x01;
const REJECTED = 0x00;

function littleEndian(value: number, bytes: 2 | 4): Uint8Array {
  const out = Buffer.alloc(bytes);
  out.writeUIntLE(value, 0, bytes);
  return out;
}

export function encodeChallenge(formationId: string, nonce: Uint8Array): Uint8Array {
  const id = Buffer.from(formationId);
  const challenge = Buffer.concat([littleEndian(id.length, 2), id, nonce]);
  return Buffer.concat([littleEndian(challenge.length, 4), challenge]);
}

export function respond(
  { formationId, hmacKey }: Pick<FormationAuth, "formationId" | "hmacKey">,
  nonce: Uint8Array,
): Uint8Array {
  return hmac(sha256, hmacKey, Buffer.concat([nonce, Buffer.from(formationId)]));
}

async function readLength(stream: GuestStream, limit: number): Promise<number> {
  const length = Buffer.from(await demandExactly(stream, 4)).readUInt32LE();
  if (length > limit) throw new Error(`message of ${length} bytes exceeds ${limit}`);
  return length;
}

/** Throws unless the dialler of this link proves that it holds the secret; then the link is closed. */
export async function authenticateAcceptor(
  link: GuestLink,
  auth: FormationAuth,
  timers: GuestTimers,
): Promise<void> {
  try {
    const stream = await timers.within(STEP_MS, link.acceptBi());
    if (stream === undefined) throw new Error("connection lost");
    const nonce = auth.nonce();
    await timers.within(STEP_MS, stream.write(encodeChallenge(auth.formationId, nonce)));
    const length = await timers.within(STEP_MS, readLength(stream, RESPONSE_BYTES_MAX));
    const response = await timers.within(STEP_MS, demandExactly(stream, length));
    const expected = respond(auth, nonce);
    const isGood =
      response.length >= RESPONSE_BYTES &&
      timingSafeEqual(response.subarray(0, RESPONSE_BYTES), expected);
    await stream.write(Uint8Array.of(isGood ? ACCEPTED : REJECTED));
    await stream.finish();
    if (!isGood) throw new Error("formation response does not match");
  } catch (error) {
    link.close(1, "formation auth failed");
    throw error;
  }
}

async function readChallenge(stream: GuestStream, formationId: string): Promise<Uint8Array> {
  const bytes = Buffer.from(
    await demandExactly(stream, await readLength(stream, CHALLENGE_BYTES_MAX)),
  );
  const idBytes = bytes.readUInt16LE();
  const id = bytes.subarray(2, 2 + idBytes).toString();
  const nonce = bytes.subarray(2 + idBytes);
  if (id !== formationId || nonce.length !== NONCE_BYTES) {
    throw new Error(`challenge is for formation ${id}`);
  }
  return nonce;
}

/** Proves that we hold the secret to the node that we dialled. Throws when it does not believe. */
export async function authenticateConnector(
  link: GuestLink,
  auth: FormationAuth,
  timers: GuestTimers,
): Promise<void> {
  const stream = await timers.within(STEP_MS, link.openBi());
  const header = littleEndian(RESPONSE_BYTES, 4);
  if (auth.connectorSpeaksFirst) await stream.write(header);
  const nonce = await timers.within(STEP_MS, readChallenge(stream, auth.formationId));
  if (!auth.connectorSpeaksFirst) await stream.write(header);
  await timers.within(STEP_MS, stream.write(respond(auth, nonce)));
  const [verdict] = await timers.within(STEP_MS, demandExactly(stream, 1));
  if (verdict !== ACCEPTED) throw new Error("formation auth rejected");
  await stream.finish();
}
