// Formation authentication with later releases of the older node, as far as they ask for it or offer it
// (peat-mesh 0.6.0 wire, §2.4): on the first stream of a connection, opened by the dialler. 0.6.0 itself has none.
//
// The dialler says the length of its answer before it knows the question: an empty stream is never heard of.
import { type Clock, within } from "../base/clock.ts";
import { Fault } from "../base/faults.ts";
import type { Secret } from "../base/secret.ts";
import {
  answerChallenge,
  decodeAuthLength,
  decodeChallenge,
  decodeResponse,
  encodeChallenge,
  isAnswer,
  RESPONSE_HEADER,
  VERDICT_ACCEPTED,
  VERDICT_REJECTED,
} from "../wire/formation-auth.ts";
import { CHALLENGE_BYTES_MAX, HMAC_BYTES, NONCE_BYTES } from "../wire/limits.ts";
import type { ByteStream, Link } from "./link.ts";

/** The name that every older node gives the formation. */
export const FORMATION_ID = "peat";
/** For the whole exchange. The older node gives each step 30 s; strangers get less here. */
const WITHIN_MS = 10_000;

const LATE = Symbol("late");

async function inTime<T>(clock: Clock, work: Promise<T>): Promise<T> {
  const done = await within(clock, WITHIN_MS, work, LATE);
  if (done !== LATE) return done;
  work.catch(() => undefined);
  throw new Fault("peer_refused", `did not authenticate within ${WITHIN_MS / 1000} s`);
}

async function readExactly(stream: ByteStream, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  let filled = 0;
  while (filled < count) {
    const part = await stream.read(count - filled);
    if (part === undefined) throw new Fault("peer_refused", "left in the middle of authenticating");
    bytes.set(part, filled);
    filled += part.length;
  }
  return bytes;
}

/** As the dialler: answers the peer's challenge. Fault `peer_refused` unless it accepts. */
export function authenticateTo(link: Link, key: Secret<Uint8Array>, clock: Clock): Promise<void> {
  return inTime(clock, answerOn(link, key));
}

async function answerOn(link: Link, key: Secret<Uint8Array>): Promise<void> {
  const stream = await link.openStream();
  await stream.write(RESPONSE_HEADER);
  const length = decodeAuthLength(await readExactly(stream, 4), CHALLENGE_BYTES_MAX);
  const challenge = decodeChallenge(await readExactly(stream, length));
  if (challenge.formationId !== FORMATION_ID) {
    throw new Fault("peer_refused", "its formation has another name");
  }
  await stream.write(answerChallenge(key, challenge));
  const [verdict] = await readExactly(stream, 1);
  if (verdict !== VERDICT_ACCEPTED) throw new Fault("peer_refused", "it rejected our answer");
  await stream.finish();
}

export interface Asking {
  /** Of every secret that is accepted. */
  readonly keys: readonly Secret<Uint8Array>[];
  readonly random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array;
  readonly clock: Clock;
}

/**
 * As the acceptor, on the first stream: asks for proof if the dialler offers it. Resolves with undefined when it
 * proved itself, and with the stream, as if nothing had been read, when it offers none. Fault `peer_refused`
 * for a wrong answer.
 */
export function askForProof(stream: ByteStream, asking: Asking): Promise<ByteStream | undefined> {
  return inTime(asking.clock, askOn(stream, asking));
}

async function askOn(
  stream: ByteStream,
  { keys, random }: Asking,
): Promise<ByteStream | undefined> {
  const first = await readExactly(stream, RESPONSE_HEADER.length);
  if (Buffer.compare(first, RESPONSE_HEADER) !== 0) return unread(stream, first);
  const challenge = { formationId: FORMATION_ID, nonce: random(new Uint8Array(NONCE_BYTES)) };
  await stream.write(encodeChallenge(challenge));
  const response = decodeResponse(await readExactly(stream, HMAC_BYTES));
  const isProved = keys.some((key) => isAnswer(key, { challenge, response }));
  await stream.write(Uint8Array.of(isProved ? VERDICT_ACCEPTED : VERDICT_REJECTED));
  await stream.finish();
  if (!isProved) throw new Fault("peer_refused", "gave a wrong answer to the challenge");
  return undefined;
}

/** The stream with bytes put back before it. */
function unread(stream: ByteStream, bytes: Uint8Array): ByteStream {
  let before: Uint8Array | undefined = bytes;
  return {
    write: (out) => stream.write(out),
    finish: () => stream.finish(),
    stop: (code) => stream.stop(code),
    read: async (bytesMax) => {
      if (before === undefined) return await stream.read(bytesMax);
      const part = before.subarray(0, bytesMax);
      before = part.length < before.length ? before.subarray(bytesMax) : undefined;
      return part;
    },
  };
}
