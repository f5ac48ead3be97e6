// What a member that has lost its mind sends: every frame of the dialect, damaged; and well-formed poison.
import type { DocumentKey } from "../../src/store/document-key.ts";
import { HistoryDocument } from "../../src/store/history.ts";
import { emptyObject, parseJsonObject } from "../../src/store/json.ts";
import type { StartId } from "../../src/store/stamp.ts";
import { encodeState, hashBytes, type State } from "../../src/store/state.ts";
import { Assemblies } from "../../src/sync/assembly.ts";
import { FrameDecoder } from "../../src/wire/frame.ts";
import {
  decodeNative,
  encodeNative,
  NATIVE_PAYLOAD_BYTES_MAX,
  type NativeMessage,
  NO_HASH,
} from "../../src/wire/native.ts";
import type { Random } from "../model/random.ts";
import { helloFrame } from "./stranger.ts";

const START = "9".repeat(32) as StartId;
const HASH = "0123456789abcdef".repeat(2);

function latest(more: Partial<Extract<State, { form: "latest" }>> = {}): Uint8Array {
  const stamp = { n: 1_800_000_000_000 * 1024, start: START };
  const fields = new Map([
    ["lat", { stamp, json: "47.5" }],
    ["name", { stamp, json: '"x"' }],
    ["gone", { stamp, json: undefined }],
  ]);
  return encodeState({ form: "latest", life: 0, born: 1, floor: stamp, fields, ...more });
}

function deleted(life: number): Uint8Array {
  return encodeState({
    form: "deleted",
    kind: "latest",
    life,
    born: 1,
    deletedAt: 1,
    by: "mad",
    reason: "",
  });
}

function states(entries: readonly { key: string; bytes: Uint8Array }[]): NativeMessage {
  return {
    type: "states",
    serial: 1,
    more: false,
    isEntrusted: false,
    entries: entries.map(({ key, bytes }) => ({ key, bytes, hash: hashBytes(bytes) })),
  };
}

/** A state in a single part. */
function chunk(key: string, bytes: Uint8Array): NativeMessage {
  const hash = hashBytes(bytes);
  return { type: "chunk", serial: 2, key, hash, total: bytes.length, offset: 0, bytes };
}

/** A history of one change. */
function history(): Uint8Array {
  const document = HistoryDocument.empty("1".repeat(32) as StartId);
  const chunks = document.write(emptyObject(), parseJsonObject('{"n":1,"text":"x"}'), 1);
  document.free();
  return encodeState({ form: "history", life: 0, born: 1, chunks: chunks ?? new Uint8Array() });
}

const MESSAGES: readonly NativeMessage[] = [
  states([
    { key: "tracks:mad-1", bytes: latest() },
    { key: "tracks:mad-2", bytes: deleted(1) },
    { key: "notes:mad-3", bytes: history() },
  ]),
  chunk("tracks:mad-4", latest()),
  { type: "ack", serial: 1 },
  { type: "compare", entries: [{ key: "tracks:good", hash: HASH, heads: ["ab".repeat(32)] }] },
  { type: "sums", horizon: 0, entries: [{ depth: 0, index: 0, count: 7, sum: HASH }] },
  {
    type: "leaves",
    horizon: 0,
    depth: 0,
    index: 0,
    entries: [{ key: "tracks:good", hash: NO_HASH }],
  },
  { type: "agreed", horizon: 0, count: 1, sum: HASH },
  { type: "neighbours", names: ["node-b", "node-z"] },
  { type: "ping", nonce: 7 },
  { type: "pong", nonce: 7 },
];

/** One frame of each type, undamaged. */
export const FRAMES: readonly { readonly name: string; readonly bytes: Uint8Array }[] = [
  { name: "hello", bytes: helloFrame("mad") },
  ...MESSAGES.map((message) => ({ name: message.type, bytes: encodeNative(message) })),
];

/** One to four edits: a byte changed, inserted, or taken out. */
export function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  const out = [...bytes];
  for (let edits = 1 + random.below(4); edits > 0; edits -= 1) {
    const at = random.below(out.length + 1);
    const kind = random.below(3);
    const byte = random.below(256);
    if (kind === 0) out[Math.min(at, out.length - 1)] = byte;
    else if (kind === 1) out.splice(at, 0, byte);
    else out.splice(at, 1);
  }
  return Uint8Array.from(out);
}

/** What a reader has to make of the bytes at the beginning of a stream: frames, the beginning of one, or neither. */
export function fateOf(bytes: Uint8Array): "taken" | "waits" | "refused" {
  const decoder = new FrameDecoder({ payloadBytesMax: NATIVE_PAYLOAD_BYTES_MAX, keyBytesMax: 0 });
  try {
    decoder.push(bytes);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      const message = decodeNative(frame);
      if (message?.type === "chunk") {
        new Assemblies().add({ ...message, key: message.key as DocumentKey });
      }
    }
  } catch {
    return "refused";
  }
  try {
    decoder.end();
    return "taken";
  } catch {
    return "waits";
  }
}

/** Frames that decode, with states after which the next local write could not be read again. */
export function poisons(): readonly { readonly key: string; readonly frame: Uint8Array }[] {
  const last = { n: Number.MAX_SAFE_INTEGER, start: START };
  const all = [
    { key: "tracks:last-stamp", bytes: latest({ floor: last, fields: new Map() }) },
    { key: "tracks:last-life", bytes: latest({ life: 0xffff_fffe }) },
    { key: "tracks:last-delete", bytes: deleted(0xffff_fffd) },
  ];
  return all.map(({ key, bytes }) => ({ key, frame: encodeNative(states([{ key, bytes }])) }));
}
