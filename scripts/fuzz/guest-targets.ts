// What an older node sends: sync messages, whole documents, deletions, and the marks in its changes.
import { toUtf8 } from "../../src/base/bytes.ts";
import {
  decodeSync,
  encodeAcknowledgement,
  GuestDocument,
  wakingState,
} from "../../src/store/guest-document.ts";
import { readGuestHistory } from "../../src/store/guest-history.ts";
import { parseStampMessage, printStampMessage } from "../../src/store/guest-stamps.ts";
import { NO_START } from "../../src/store/stamp.ts";
import { decodeState, encodeState, printLatest } from "../../src/store/state.ts";
import { fromTombstone } from "../../src/sync/guest-tombstones.ts";
import { decodeTombstone, encodeTombstone } from "../../src/wire/tombstone.ts";
import { HistoryPool, randomState, startId } from "../../test/support/states.ts";
import { Random } from "../model/random.ts";
import { FORGED_MS_MAX, mendChecksums } from "./checksums.ts";
import { expectEqual, type FuzzTarget, Mismatch, type Outcome } from "./target.ts";

const HEADS = ["01".repeat(32), "fe".repeat(32)];

function documents(): Uint8Array[] {
  const random = new Random(3);
  const pool = new HistoryPool(random, 8);
  return Array.from({ length: 12 }, () => pool.pick(random));
}

function withDocument<T>(chunks: Uint8Array, use: (document: GuestDocument) => T): T {
  const document = GuestDocument.open(chunks, NO_START);
  try {
    return use(document);
  } finally {
    document.free();
  }
}

/** What a node says first of a document to one that has nothing, and that one's answer. */
function messages(): Uint8Array[] {
  return documents().flatMap((chunks) => {
    return withDocument(chunks, (document) => {
      const empty = GuestDocument.open(undefined, startId("1"));
      const asked = empty.generate(wakingState(undefined)).message;
      const state = wakingState(undefined);
      const told = document.generate(
        asked === null ? state : document.receive(state, asked),
      ).message;
      empty.free();
      return [asked, told].filter((message) => message !== null);
    });
  });
}

const syncMessage: FuzzTarget = {
  name: "guest sync message",
  share: 20,
  corpus: () => ({ seeds: [encodeAcknowledgement(HEADS), ...messages()], tokens: [] }),
  run(input) {
    decodeSync(input);
    const document = GuestDocument.open(undefined, startId("1"));
    try {
      const state = document.receive(wakingState(undefined), input);
      document.generate(state);
      if (document.isComplete && document.heads().length > 0) {
        withDocument(document.save(), (again) =>
          expectEqual(again.heads(), document.heads(), "saved"),
        );
      }
    } finally {
      document.free();
    }
    return undefined;
  },
};

function readDocument(input: Uint8Array): Outcome {
  return withDocument(input, (document) => {
    const since = { since: [], present: undefined };
    const state = readGuestHistory(document, since);
    if (state === undefined) return "nothing";
    const bytes = encodeState(state);
    expectEqual(encodeState(decodeState(bytes)), bytes, "written again");
    JSON.parse(printLatest(state));
    const again = withDocument(document.save(), (saved) => readGuestHistory(saved, since));
    expectEqual(again && encodeState(again), bytes, "saved and read");
    return undefined;
  });
}

const guestDocument: FuzzTarget = {
  name: "guest document",
  share: 10,
  corpus: () => ({ seeds: documents(), tokens: [] }),
  run: readDocument,
};

const forgedDocument: FuzzTarget = {
  name: "forged guest document",
  share: 5,
  limitMs: FORGED_MS_MAX,
  corpus: () => ({ seeds: documents(), tokens: [] }),
  run(input) {
    mendChecksums(input);
    return readDocument(input);
  },
};

const stampMessage: FuzzTarget = {
  name: "stamp message",
  share: 20,
  corpus: () => ({
    seeds: [
      "peat1 1844674407 000102030405060708090a0b0c0d0e0f",
      `peat1 7 ${"ab".repeat(16)} 2`,
    ].map(toUtf8),
    tokens: [" ", "peat1", "-1", "1e9", "9007199254740993", "4294967296"].map(toUtf8),
  }),
  run(input) {
    const text = new TextDecoder().decode(input);
    const mark = parseStampMessage(text);
    if (mark === undefined) return "no stamp";
    const again = parseStampMessage(printStampMessage(mark));
    expectEqual(again, mark, "printed and read");
    return undefined;
  },
};

const states = (() => {
  const random = new Random(4);
  const pool = new HistoryPool(random, 4);
  return Array.from({ length: 16 }, () => randomState(random, pool, 30));
})();

const tombstone: FuzzTarget = {
  name: "guest tombstone",
  share: 20,
  corpus: () => ({
    seeds: [0n, 2n].map((lamport) =>
      encodeTombstone({
        collection: "tracks",
        documentId: "1",
        deletedAtMs: 1_700_000_000_000,
        lamport,
        deletedBy: "node-a",
        reason: "old",
        direction: "bidirectional",
      }),
    ),
    tokens: [],
  }),
  run(input, index) {
    const present = index % 4 === 0 ? undefined : states[index % states.length];
    const state = fromTombstone(decodeTombstone(input), present, "latest");
    if (state === undefined) return undefined;
    const bytes = encodeState(state);
    expectEqual(encodeState(decodeState(bytes)), bytes, "written again");
    if (state.life < (present?.life ?? 0))
      throw new Mismatch(`life ${state.life} is an earlier one`);
    return undefined;
  },
};

export const GUEST_TARGETS: readonly FuzzTarget[] = [
  syncMessage,
  guestDocument,
  forgedDocument,
  stampMessage,
  tombstone,
];
