import { expect, test } from "bun:test";
import fc from "fast-check";
import { BugError } from "../../../src/base/assert.ts";
import { concatBytes, fromHex, toHex } from "../../../src/base/bytes.ts";
import { Secret } from "../../../src/base/secret.ts";
import {
  answerChallenge,
  type Challenge,
  decodeAuthLength,
  decodeChallenge,
  decodeResponse,
  encodeChallenge,
  encodeResponse,
  isAnswer,
  RESPONSE_HEADER,
  VERDICT_ACCEPTED,
  VERDICT_REJECTED,
} from "../../../src/wire/formation-auth.ts";
import { CHALLENGE_BYTES_MAX, RESPONSE_BYTES_MAX } from "../../../src/wire/limits.ts";
import { faultCode } from "../../support/faults.ts";
import vectors from "../../vectors/formation-auth.json" with { type: "json" };
import { damageIsContained, truncationIsRefused } from "./codec-rules.ts";

const challenge: Challenge = {
  formationId: vectors.formationId,
  nonce: fromHex(vectors.nonce),
};
const keyOf = (hex: string) => new Secret(fromHex(hex));

/** As a reader of a stream does: the length, then as many bytes. */
function readCounted(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const length = decodeAuthLength(bytes.subarray(0, 4), bytesMax);
  return bytes.subarray(4, 4 + length);
}

const readChallenge = (bytes: Uint8Array) =>
  decodeChallenge(readCounted(bytes, CHALLENGE_BYTES_MAX));
const readResponse = (bytes: Uint8Array) => decodeResponse(readCounted(bytes, RESPONSE_BYTES_MAX));

test("a challenge is the recorded bytes, both ways", () => {
  expect(toHex(encodeChallenge(challenge))).toBe(vectors.challengeFrame);
  expect(readChallenge(fromHex(vectors.challengeFrame))).toEqual(challenge);
});

for (const { secret, hmacKey, response } of vectors.answers) {
  test(`the answer by secret ${secret} is the recorded one and is accepted`, () => {
    const answer = answerChallenge(keyOf(hmacKey), challenge);
    expect(toHex(answer)).toBe(response);
    expect(toHex(encodeResponse(answer))).toBe(`20000000${response}`);
    expect(readResponse(encodeResponse(answer))).toEqual(answer);
    expect(isAnswer(keyOf(hmacKey), { challenge, response: answer })).toBe(true);
  });
}

test("the length may go ahead of the response: together they are the same bytes", () => {
  const answer = fromHex(vectors.answers[0]?.response ?? "");
  expect(concatBytes([RESPONSE_HEADER, answer])).toEqual(encodeResponse(answer));
  expect([VERDICT_ACCEPTED, VERDICT_REJECTED]).toEqual([1, 0]);
});

test("an answer by another key, to another nonce or for another formation is wrong", () => {
  const key = keyOf(vectors.answers[0]?.hmacKey ?? "");
  const response = answerChallenge(key, challenge);
  const otherKey = keyOf(vectors.answers[1]?.hmacKey ?? "");
  expect(isAnswer(otherKey, { challenge, response })).toBe(false);
  const nonce = new Uint8Array(32);
  expect(isAnswer(key, { challenge: { ...challenge, nonce }, response })).toBe(false);
  const elsewhere = { ...challenge, formationId: "peat2" };
  expect(isAnswer(key, { challenge: elsewhere, response })).toBe(false);
  expect(isAnswer(key, { challenge, response: response.subarray(0, 31) })).toBe(false);
});

test("challenges of any formation come back as they were", () => {
  const challenges = fc.record({
    formationId: fc.string({ maxLength: 100 }),
    nonce: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  });
  fc.assert(
    fc.property(challenges, (each) => {
      expect(readChallenge(encodeChallenge(each))).toEqual(each);
    }),
  );
});

const challengeSample = {
  name: "a challenge",
  bytes: encodeChallenge(challenge),
  decode: readChallenge,
};
const responseSample = {
  name: "a response",
  bytes: encodeResponse(answerChallenge(keyOf(vectors.answers[0]?.hmacKey ?? ""), challenge)),
  decode: readResponse,
};
for (const sample of [challengeSample, responseSample]) {
  truncationIsRefused(sample);
  damageIsContained(sample);
}

test("lengths at the limit pass and one more is refused", () => {
  const header = (length: number) => Uint8Array.of(length & 0xff, length >> 8, 0, 0);
  for (const max of [CHALLENGE_BYTES_MAX, RESPONSE_BYTES_MAX]) {
    expect(decodeAuthLength(header(max), max)).toBe(max);
    expect(faultCode(() => decodeAuthLength(header(max + 1), max))).toBe("wire_invalid");
  }
});

test("a response's bytes beyond the 32nd are ignored", () => {
  const answer = fromHex(vectors.answers[0]?.response ?? "");
  expect(decodeResponse(concatBytes([answer, Uint8Array.of(1, 2)]))).toEqual(answer);
});

test("a formation id that fills a challenge passes, and a longer one can't be encoded", () => {
  const of = (length: number) => ({ ...challenge, formationId: "f".repeat(length) });
  expect(readChallenge(encodeChallenge(of(990)))).toEqual(of(990));
  expect(() => encodeChallenge(of(991))).toThrow(BugError);
});
