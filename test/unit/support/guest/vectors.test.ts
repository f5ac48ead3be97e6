// The guest emulator's own bytes against every recorded vector of the older release that concerns it.
import { describe, expect, test } from "bun:test";
import { initSyncState } from "@automerge/automerge";
import { GuestDocument, resetSyncState } from "../../../support/guest/document.ts";
import { encodeChallenge, respond } from "../../../support/guest/formation-auth.ts";
import {
  decodeBatch,
  encodeBatch,
  encodeFrame,
  FRAME,
  readFrame,
} from "../../../support/guest/frame.ts";
import {
  decodeSecret,
  deviceIdentity,
  endpointIdentity,
  formationHmacKey,
} from "../../../support/guest/identity.ts";
import type { GuestStream } from "../../../support/guest/link.ts";
import {
  decodeTombstone,
  decodeTombstones,
  encodeTombstone,
  type GuestDirection,
  type GuestTombstone,
  tombstoneFrame,
  tombstonesFrame,
} from "../../../support/guest/tombstone.ts";
import automerge from "../../../vectors/automerge.json" with { type: "json" };
import auth from "../../../vectors/formation-auth.json" with { type: "json" };
import frames from "../../../vectors/frames.json" with { type: "json" };
import identities from "../../../vectors/identity.json" with { type: "json" };

const toHex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex");
const fromHex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const secretOf = (name: string) =>
  decodeSecret(identities.secrets[name as keyof typeof identities.secrets]);

/** A stream that gives `bytes` one at a time and then ends. */
function streamOf(bytes: Uint8Array): GuestStream {
  let at = 0;
  return {
    write: () => Promise.reject(new Error("only for reading")),
    read: async () => {
      at += 1;
      return at > bytes.length ? undefined : bytes.slice(at - 1, at);
    },
    finish: async () => undefined,
    stop: async () => undefined,
  };
}

describe("identity", () => {
  for (const node of identities.nodes) {
    test(`of ${node.name} under secret ${node.secret} is the recorded one`, () => {
      const endpoint = endpointIdentity(secretOf(node.secret), node.name);
      expect(endpoint.id).toBe(node.endpointId);
      if (node.endpointSeed !== undefined) expect(toHex(endpoint.seed)).toBe(node.endpointSeed);
      const device = deviceIdentity(secretOf(node.secret), node.name);
      expect(device.deviceId).toBe(node.deviceId);
      if (node.deviceSeed !== undefined) expect(toHex(device.seed)).toBe(node.deviceSeed);
    });
  }

  test("a secret that is not strict base64 is refused", () => {
    for (const text of ["AAEC!", "AAE", "AAF="]) {
      expect(() => decodeSecret(text)).toThrow("Invalid base64");
    }
  });
});

describe("formation authentication", () => {
  test("the challenge is the recorded one", () => {
    expect(toHex(encodeChallenge(auth.formationId, fromHex(auth.nonce)))).toBe(auth.challengeFrame);
  });

  for (const answer of auth.answers) {
    test(`the answer under secret ${answer.secret} is the recorded one`, () => {
      const hmacKey = formationHmacKey(secretOf(answer.secret), auth.formationId);
      expect(toHex(hmacKey)).toBe(answer.hmacKey);
      const response = respond({ formationId: auth.formationId, hmacKey }, fromHex(auth.nonce));
      expect(toHex(response)).toBe(answer.response);
    });
  }
});

describe("frames", () => {
  test("a delta is the recorded bytes, both ways, however they arrive", async () => {
    const { key, payload, frame } = frames.delta;
    const delta = { key, type: FRAME.delta, payload: fromHex(payload) };
    expect(toHex(encodeFrame(delta))).toBe(frame);
    expect(toHex((await readFrame(streamOf(fromHex(frame))))?.payload)).toBe(payload);
    const read = await readFrame(streamOf(fromHex(`${frame}ffff`)));
    expect(read?.key).toBe(key);
    expect(read?.type).toBe(FRAME.delta);
  });

  test("a stream that ends inside a frame breaks it off, and one that ends before has none", async () => {
    const bytes = fromHex(frames.delta.frame);
    expect(await readFrame(streamOf(new Uint8Array(0)))).toBeUndefined();
    for (let length = 1; length < bytes.length; length += 1) {
      await expect(readFrame(streamOf(bytes.subarray(0, length)))).rejects.toThrow("early");
    }
  });

  test("a batch is the recorded bytes, both ways", () => {
    const { id, createdAtMs, ttl, entry, payload, frame } = frames.batch;
    const entries = [{ key: entry.key, type: entry.type, payload: fromHex(entry.payload) }];
    const batch = { id: BigInt(id), createdAtMs, ttl, entries };
    const bytes = encodeBatch(batch);
    expect(toHex(bytes)).toBe(payload);
    expect(toHex(encodeFrame({ key: "batch", type: FRAME.batch, payload: bytes }))).toBe(frame);
    expect(decodeBatch(fromHex(payload))).toEqual(batch);
  });

  test("a batch with one entry of an unknown type is refused whole", () => {
    const bytes = fromHex(frames.batch.payload);
    const typeAt = 21 + 2 + frames.batch.entry.key.length;
    for (const type of [0x03, 0x08, 0x09, 0x0a, 0xff]) {
      bytes[typeAt] = type;
      expect(() => decodeBatch(bytes)).toThrow("Unknown sync message type");
    }
  });
});

describe("tombstones", () => {
  for (const recorded of frames.tombstones) {
    const tombstone: GuestTombstone = {
      collection: recorded.collection,
      documentId: recorded.documentId,
      deletedAtMs: recorded.deletedAtMs,
      lamport: BigInt(recorded.lamport),
      deletedBy: recorded.deletedBy,
      reason: recorded.reason,
      direction: recorded.direction as GuestDirection,
    };

    test(`of ${recorded.collection}:${recorded.documentId} are the recorded bytes, both ways`, () => {
      expect(toHex(encodeTombstone(tombstone))).toBe(recorded.payload);
      expect(decodeTombstone(fromHex(recorded.payload))).toEqual(tombstone);
      if (recorded.frame !== undefined) {
        expect(toHex(encodeFrame(tombstoneFrame(tombstone)))).toBe(recorded.frame);
      }
    });

    if (recorded.batchFrame !== undefined) {
      test(`of ${recorded.collection}:${recorded.documentId} as a table are the recorded bytes, both ways`, () => {
        expect(toHex(encodeFrame(tombstonesFrame([tombstone])))).toBe(recorded.batchFrame);
        expect(decodeTombstones(fromHex(recorded.batchPayload))).toEqual([tombstone]);
      });
    }
  }

  test("a direction beyond the fourth is refused", () => {
    const bytes = fromHex(frames.tombstones[0]?.payload ?? "");
    bytes[bytes.length - 1] = 4;
    expect(() => decodeTombstone(bytes)).toThrow("direction");
  });
});

describe("sync messages", () => {
  const written = () => {
    const document = GuestDocument.empty(automerge.actor);
    document.write(automerge.json, automerge.actor);
    return document;
  };

  test("a document written under a known actor is saved as the recorded bytes", () => {
    const document = written();
    expect(toHex(document.save())).toBe(automerge.saved);
    expect(document.heads()).toEqual([automerge.head]);
    expect(GuestDocument.load(fromHex(automerge.saved), "aa").jsonText()).toBe(automerge.json);
  });

  test("its first announcement and that of an empty document are the recorded bytes", () => {
    expect(toHex(written().generate(initSyncState()).message)).toBe(automerge.firstMessage);
    const empty = GuestDocument.empty("aa").generate(initSyncState());
    expect(toHex(empty.message)).toBe(automerge.messageOfEmptyDocument);
  });

  test("a new document takes four messages, and the side that resets announces the recorded bytes", () => {
    const sides = [
      { document: written(), state: initSyncState() },
      { document: GuestDocument.empty("bb"), state: initSyncState() },
    ];
    const firstBytes: number[] = [];
    let message: Uint8Array | undefined;
    for (let turn = 0; turn < 10; turn += 1) {
      const side = sides[turn % 2];
      if (side === undefined) break;
      if (message !== undefined) side.state = side.document.receive(side.state, message);
      const generated = side.document.generate(side.state);
      side.state = generated.state;
      message = generated.message;
      if (message === undefined) {
        const again = side.document.generate(resetSyncState(side.state));
        expect(toHex(again.message)).toBe(automerge.announcementAfterReset);
        break;
      }
      firstBytes.push(message[0] ?? 0);
    }
    expect(firstBytes).toEqual([0x42, 0x43, 0x43, 0x43]);
    expect(sides.map(({ document }) => document.jsonText())).toEqual([
      automerge.json,
      automerge.json,
    ]);
  });
});
