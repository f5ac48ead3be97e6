// Documents shared with a guest: their messages byte for byte, and what is refused.
import { expect, test } from "bun:test";
import { decodeSyncMessage } from "@automerge/automerge";
import { toHex } from "../../../src/base/bytes.ts";
import {
  decodeSync,
  encodeAcknowledgement,
  GuestDocument,
  restingState,
  wakingState,
} from "../../../src/store/guest-document.ts";
import type { StartId } from "../../../src/store/stamp.ts";
import { faultCode } from "../../support/faults.ts";
import { startId } from "../../support/states.ts";
import vectors from "../../vectors/automerge.json" with { type: "json" };

const ACTOR = "00112233445566778899aabbccddeeff" as StartId;

/** The document of the vectors: one field, one change at time 0. */
function alpha(): GuestDocument {
  const document = GuestDocument.open(undefined, ACTOR);
  const backend = Uint8Array.fromHex(vectors.saved);
  document.apply(backend);
  return document;
}

test("messages are those of the older node's wire, byte for byte", () => {
  const document = alpha();
  expect(document.heads()).toEqual([vectors.head]);
  const first = document.generate(wakingState(undefined));
  expect(toHex(first.message ?? new Uint8Array())).toBe(vectors.firstMessage);
  expect(toHex(encodeAcknowledgement([vectors.head]))).toBe(vectors.announcementAfterReset);
  const other = alpha();
  const heard = other.receive(wakingState(undefined), first.message ?? new Uint8Array());
  const reply = other.generate(heard);
  expect(reply.message).not.toBeNull();
  // Once both know, one of them rests; from there it announces like the acknowledgement.
  const resting = restingState(other.receive(reply.state, encodeAcknowledgement([vectors.head])));
  const again = other.generate(wakingState(resting));
  expect(toHex(again.message ?? new Uint8Array())).toBe(vectors.announcementAfterReset);
  for (const each of [document, other]) each.free();
});

test("an acknowledgement ends an exchange: who receives it has nothing to say", () => {
  const document = alpha();
  const first = document.generate(wakingState(undefined));
  const state = document.receive(first.state, encodeAcknowledgement([vectors.head]));
  expect(document.generate(state).message).toBeNull();
  expect(decodeSyncMessage(encodeAcknowledgement([vectors.head])).changes).toEqual([]);
  document.free();
});

test("damaged bytes and missing changes are faults of whoever sent them", () => {
  const saved = Uint8Array.fromHex(vectors.saved);
  expect(faultCode(() => GuestDocument.open(saved.subarray(0, 60), ACTOR))).toBe("wire_invalid");
  expect(faultCode(() => GuestDocument.open(saved.with(40, 1), ACTOR))).toBe("wire_invalid");
  expect(faultCode(() => decodeSync(new Uint8Array(9)))).toBe("wire_invalid");
  const document = alpha();
  const since = document.heads();
  document.write(new Map([["n", 1]]), { message: "m", timeSecs: 0 });
  const [change] = document.changesSince(since);
  expect(faultCode(() => GuestDocument.open(change, startId("9")))).toBe("wire_invalid");
  document.free();
});
