// Every decoder of bytes: the frame, both dialects' messages, formation authentication, document states.

import { concatBytes, equalBytes } from "../../src/base/bytes.ts";
import { Fault } from "../../src/base/faults.ts";
import { HistoryDocument } from "../../src/store/history.ts";
import { join } from "../../src/store/join.ts";
import { NO_START } from "../../src/store/stamp.ts";
import { checkLatest, decodeState, encodeState, type State } from "../../src/store/state.ts";
import { type Batch, decodeBatch, encodeBatch } from "../../src/wire/batch.ts";
import {
  decodeAuthLength,
  decodeChallenge,
  decodeResponse,
  encodeChallenge,
  encodeResponse,
} from "../../src/wire/formation-auth.ts";
import { encodeFrame, type Frame, FrameDecoder } from "../../src/wire/frame.ts";
import { decodeHeartbeat, encodeHeartbeat } from "../../src/wire/heartbeat.ts";
import { decodeHello, encodeHello } from "../../src/wire/hello.ts";
import { CHALLENGE_BYTES_MAX, RESPONSE_BYTES_MAX } from "../../src/wire/limits.ts";
import { decodeMessage, encodeMessage } from "../../src/wire/message.ts";
import { decodeNative, encodeNative } from "../../src/wire/native.ts";
import {
  decodeTombstone,
  decodeTombstoneBatch,
  encodeTombstone,
  encodeTombstoneBatch,
  type Tombstone,
} from "../../src/wire/tombstone.ts";
import { HistoryPool, randomState } from "../../test/support/states.ts";
import { Random } from "../model/random.ts";
import { FORGED_MS_MAX, mendChecksums } from "./checksums.ts";
import { hash, NATIVE, payload } from "./native-messages.ts";
import { expectEqual, type FuzzTarget, Mismatch, type Outcome } from "./target.ts";

interface Codec<T> {
  readonly name: string;
  readonly share: number;
  readonly seeds: () => readonly Uint8Array[];
  readonly decode: (bytes: Uint8Array) => T;
  readonly encode: (value: T) => Uint8Array;
  /** Whether only the bytes that encode() makes are accepted; otherwise equal values are asked for. */
  readonly isCanonical: boolean;
}

/** A target that writes again what was accepted, and reads that. */
function codec<T>({ name, share, seeds, decode, encode, isCanonical }: Codec<T>): FuzzTarget {
  return {
    name,
    share,
    corpus: () => ({ seeds: seeds(), tokens: [] }),
    run(input) {
      const value = decode(input);
      const again = encode(value);
      if (isCanonical && !equalBytes(again, input)) {
        throw new Mismatch(`written again it is ${again.toHex().slice(0, 400)}`);
      }
      if (!isCanonical) expectEqual(decode(again), value, "read again");
      return undefined;
    },
  };
}

const TOMBSTONES: readonly Tombstone[] = [
  {
    collection: "tracks",
    documentId: "1",
    deletedAtMs: 1_700_000_000_000,
    lamport: 3n,
    deletedBy: "node-a",
    reason: "old",
    direction: "bidirectional",
  },
  {
    collection: "ü",
    documentId: "",
    deletedAtMs: 0,
    lamport: 2n ** 64n - 1n,
    deletedBy: "",
    reason: undefined,
    direction: "system-wide",
  },
];

const FRAMES: readonly Frame[] = [
  { key: "tracks:1", type: 0, payload },
  { key: "", type: 1, payload: new Uint8Array() },
  { key: "notes:ü", type: 7, payload: encodeTombstone({ ...TOMBSTONES[0] } as Tombstone) },
];

const BATCH: Batch = { id: 5n, createdAtMs: 1_700_000_000_000, ttl: 3, entries: FRAMES };

const HELLO = encodeHello({
  name: "node-a",
  version: "1.2.3",
  start: hash(7),
  policies: hash(8),
  features: 1,
});

/** What the first frame in `bytes` decodes to, as the peer's first frame is. */
function onlyFrame(bytes: Uint8Array): Frame | undefined {
  const decoder = new FrameDecoder({ payloadBytesMax: 1024 * 1024, keyBytesMax: 0 });
  decoder.push(bytes);
  const frame = decoder.next();
  decoder.end();
  if (frame === undefined && bytes.length > 0) throw new Mismatch("no frame, and no fault");
  return frame;
}

/** In pieces and in one, the same frames come out; written again they are the input. */
const frameStream: FuzzTarget = {
  name: "frame stream",
  share: 120,
  corpus: () => ({
    seeds: [concatBytes(FRAMES.map(encodeFrame)), ...FRAMES.map(encodeFrame)],
    tokens: [],
  }),
  run(input, index) {
    const whole = readFrames(input, input.length);
    const pieces = readFrames(input, 1 + (index % 7));
    expectEqual(pieces, whole, "in pieces");
    if (whole.fault !== undefined) return whole.fault;
    const again = concatBytes(whole.frames.map(encodeFrame));
    if (!equalBytes(again, input)) throw new Mismatch("the frames written again are other bytes");
    return undefined;
  },
};

function readFrames(input: Uint8Array, pieceBytes: number) {
  const decoder = new FrameDecoder({ payloadBytesMax: 2048, keyBytesMax: 64 });
  const frames: Frame[] = [];
  try {
    for (let at = 0; at < input.length; at += pieceBytes) {
      decoder.push(input.subarray(at, at + pieceBytes));
      for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
        frames.push(frame);
      }
    }
    decoder.end();
    return { frames, fault: undefined };
  } catch (error) {
    if (error instanceof Fault) return { frames, fault: error.code };
    throw error;
  }
}

function states(historyPercent: number): Uint8Array[] {
  const random = new Random(1);
  const pool = new HistoryPool(random, 8);
  return Array.from({ length: 24 }, () => encodeState(randomState(random, pool, historyPercent)));
}

/** What a peer may send is checked before it is joined; then the order of joining can't matter. */
const joinedStates: FuzzTarget = {
  name: "state and join",
  share: 150,
  corpus: () => ({ seeds: states(0), tokens: [] }),
  run(input, index) {
    const state = decodeState(input);
    const again = encodeState(state);
    expectEqual(encodeState(decodeState(again)), again, "written twice");
    if (state.form === "history") return undefined;
    if (state.form === "latest") checkLatest(state);
    const other = decodeState(OTHERS[index % OTHERS.length] ?? again);
    const [there, back] = [join(state, other), join(other, state)];
    expectEqual(encodeAny(there), encodeAny(back), "joined the other way");
    expectEqual(encodeAny(join(there, state)), encodeAny(there), "joined once more");
    return undefined;
  },
};

const OTHERS = states(0);

function encodeAny(state: State): string {
  return encodeState(state).toHex();
}

function histories(): Uint8Array[] {
  return states(100)
    .map(decodeState)
    .flatMap((state) => (state.form === "history" ? [state.chunks] : []));
}

/** Everything that is done with a history: read, sent whole and in changes, compared. */
function useHistory(input: Uint8Array, isForged: boolean): Outcome {
  const document = HistoryDocument.load(input, NO_START);
  if (document === undefined) return "incomplete";
  try {
    const json = document.printJson();
    const heads = document.heads();
    if (!document.has(heads)) throw new Mismatch("it lacks its own heads");
    const parts = HistoryDocument.load(document.changesSince([]), NO_START);
    const again = HistoryDocument.load(document.save(), NO_START);
    // Who forges checksums can forge heads; they then name a document that nobody else has.
    if (!isForged) expectEqual(parts?.heads(), heads, "sent in changes");
    expectEqual(again?.printJson(), json, "saved and loaded");
    expectEqual(again?.heads(), heads, "saved and loaded");
    parts?.free();
    again?.free();
    return undefined;
  } finally {
    document.free();
  }
}

const history: FuzzTarget = {
  name: "history",
  share: 15,
  corpus: () => ({ seeds: histories(), tokens: [] }),
  run: (input) => useHistory(input, false),
};

/** With right checksums: what is inside is to be met, too. A few bytes can then stand for a million values. */
const forgedHistory: FuzzTarget = {
  name: "forged history",
  share: 5,
  limitMs: FORGED_MS_MAX,
  corpus: () => ({ seeds: histories(), tokens: [] }),
  run(input) {
    mendChecksums(input);
    return useHistory(input, true);
  },
};

const native: FuzzTarget = {
  name: "native message",
  share: 180,
  corpus: () => ({ seeds: NATIVE.map(encodeNative), tokens: [] }),
  run(input) {
    const frame = onlyFrame(input);
    if (frame === undefined) return "nothing";
    const message = decodeNative(frame);
    if (message === undefined) return "unknown type";
    const again = onlyFrame(encodeNative(message));
    expectEqual(again && decodeNative(again), message, "read again");
    return undefined;
  },
};

const guest: FuzzTarget = {
  name: "guest message",
  share: 120,
  corpus() {
    const tombstone = { ...TOMBSTONES[0] } as Tombstone;
    const messages = [
      encodeMessage({ kind: "delta", key: "a:1", sync: payload }),
      encodeMessage({ kind: "snapshot", key: "a:1", document: payload }),
      encodeMessage({ kind: "tombstone", tombstone }),
      encodeMessage({ kind: "tombstones", tombstones: TOMBSTONES }),
      encodeMessage({ kind: "tombstone-ack" }),
      encodeMessage({ kind: "batch", batch: BATCH }),
    ];
    // The type, then the payload: a frame's own bytes have a target of their own.
    return {
      seeds: messages.map((frame) => concatBytes([Uint8Array.of(frame.type), frame.payload])),
      tokens: [],
    };
  },
  run(input) {
    const frame = { key: "a:1", type: input[0] ?? 0, payload: input.subarray(1) };
    const message = decodeMessage(frame);
    const again = decodeMessage(encodeMessage(message));
    expectEqual(again, message, "read again");
    return message.kind === "other" ? "unknown type" : undefined;
  },
};

const authLength: FuzzTarget = {
  name: "authentication length",
  share: 30,
  corpus: () => ({ seeds: [Uint8Array.of(32, 0, 0, 0)], tokens: [] }),
  run(input) {
    const length = decodeAuthLength(input, RESPONSE_BYTES_MAX);
    if (length > RESPONSE_BYTES_MAX) throw new Mismatch(`a length of ${length} passed`);
    return undefined;
  },
};

export const WIRE_TARGETS: readonly FuzzTarget[] = [
  frameStream,
  native,
  guest,
  joinedStates,
  history,
  forgedHistory,
  authLength,
  codec({
    name: "batch",
    share: 80,
    seeds: () => [encodeBatch(BATCH), encodeBatch({ ...BATCH, entries: [] })],
    decode: decodeBatch,
    encode: encodeBatch,
    isCanonical: true,
  }),
  codec({
    name: "tombstone",
    share: 60,
    seeds: () => TOMBSTONES.map(encodeTombstone),
    decode: decodeTombstone,
    encode: encodeTombstone,
    isCanonical: false,
  }),
  codec({
    name: "tombstone batch",
    share: 50,
    seeds: () => [encodeTombstoneBatch(TOMBSTONES), encodeTombstoneBatch([])],
    decode: decodeTombstoneBatch,
    encode: encodeTombstoneBatch,
    isCanonical: false,
  }),
  codec({
    name: "heartbeat",
    share: 30,
    seeds: () => [encodeHeartbeat(0), encodeHeartbeat(1_700_000_000_000)],
    decode: decodeHeartbeat,
    encode: encodeHeartbeat,
    isCanonical: true,
  }),
  codec({
    name: "hello",
    share: 50,
    seeds: () => [HELLO],
    decode: decodeHello,
    encode: encodeHello,
    isCanonical: false,
  }),
  codec({
    name: "challenge",
    share: 30,
    seeds: () => [
      encodeChallenge({ formationId: "formation", nonce: new Uint8Array(32) }).subarray(4),
    ],
    decode: (bytes) => decodeChallenge(bytes.subarray(0, CHALLENGE_BYTES_MAX)),
    encode: (challenge) => encodeChallenge(challenge).subarray(4),
    isCanonical: false,
  }),
  codec({
    name: "response",
    share: 20,
    seeds: () => [new Uint8Array(32).fill(9)],
    decode: decodeResponse,
    encode: (response) => encodeResponse(response).subarray(4),
    isCanonical: false,
  }),
];
