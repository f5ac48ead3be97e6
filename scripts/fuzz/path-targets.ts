// Whole paths that a stranger's or a member's bytes take: the hello of a connection, the join of a state, a local write.

import { toUtf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { Fault } from "../../src/base/faults.ts";
import { Secret } from "../../src/base/secret.ts";
import { Formation } from "../../src/identity/formation.ts";
import { parseNodeName } from "../../src/identity/peer.ts";
import type { ByteStream, Link, LinkEnd } from "../../src/net/link.ts";
import { greet } from "../../src/net/membership.ts";
import { type DocumentKey, documentKey } from "../../src/store/document-key.ts";
import { decodeState, encodeState } from "../../src/store/state.ts";
import type { Store } from "../../src/store/store.ts";
import { encodeFrame } from "../../src/wire/frame.ts";
import { encodeHello, FRAME_HELLO_TYPE, type Hello } from "../../src/wire/hello.ts";
import { openMemoryStore } from "../../test/support/memory-store.ts";
import { HistoryPool, randomState } from "../../test/support/states.ts";
import { Random } from "../model/random.ts";
import { expectEqual, type FuzzTarget, Mismatch, type Outcome } from "./target.ts";

const formation = new Formation([new Secret(new Uint8Array(32).fill(7))]);
const peerName = parseNodeName("node-b");
const [peer] = formation.endpointIds(peerName);

const HELLO: Hello = {
  name: peerName,
  version: "1.2.3",
  start: "07".repeat(16),
  policies: "00".repeat(16),
  features: 0,
};

/** A link whose peer sends these bytes, and leaves. */
function linkThatSays(bytes: Uint8Array, pieceBytes: number): Link & { closed: string[] } {
  let at = 0;
  const left = Promise.withResolvers<LinkEnd>();
  const stream: ByteStream = {
    write: () => Promise.resolve(),
    read: (bytesMax) => {
      const piece = bytes.subarray(at, at + Math.min(bytesMax, pieceBytes));
      at += piece.length;
      if (piece.length === 0) left.resolve({ by: "peer", code: 0, reason: "" });
      return Promise.resolve(piece.length === 0 ? undefined : piece);
    },
    finish: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
  let streams = 1;
  const closed: string[] = [];
  return {
    remoteId: peer?.id ?? formation.endpointIds(peerName)[0]?.id ?? ("" as never),
    alpn: "cap/automerge/2",
    direction: "incoming",
    openStream: () => Promise.resolve(stream),
    acceptStream: () => {
      streams -= 1;
      return Promise.resolve(streams < 0 ? undefined : stream);
    },
    close: (_code, reason) => closed.push(reason),
    ended: left.promise,
    path: () => ({ kind: "unknown", address: undefined, rttMs: undefined }),
    traffic: () => undefined,
    closed,
  };
}

const helloPath: FuzzTarget = {
  name: "hello path",
  share: 25,
  corpus: () => ({
    seeds: [encodeFrame({ key: "", type: FRAME_HELLO_TYPE, payload: encodeHello(HELLO) })],
    tokens: ["node-a", "node-b", "\u0000"].map(toUtf8),
  }),
  async run(input, index): Promise<Outcome> {
    const link = linkThatSays(input, 1 + (index % 9));
    try {
      const member = await greet(link, HELLO, { formation, clock: systemClock });
      expectEqual(member.name, peerName, "a member by another name");
      expectEqual(link.closed, [], "a member's link");
      return undefined;
    } catch (error) {
      if (error instanceof Fault) expectEqual(link.closed, ["formation auth failed"], "refused");
      throw error;
    }
  },
};

/** So many inputs share a store: what one leaves is what the next one meets. */
const INPUTS_PER_STORE = 256;

/** Gives each run of inputs a store of its own. */
class StorePool {
  #store: Store | undefined;
  #run = -1;

  at(index: number): Store {
    const run = Math.floor(index / INPUTS_PER_STORE);
    if (run !== this.#run || this.#store === undefined) {
      this.#store?.close();
      this.#run = run;
      this.#store = openMemoryStore();
    }
    return this.#store;
  }
}

const KEYS = ["tracks:1", "notes:1", "beacons:1", "files:1"].map((text) => {
  const [collection = "", id = ""] = text.split(":");
  return documentKey(collection, id);
});

function keyAt(byte: number | undefined): DocumentKey {
  return KEYS[(byte ?? 0) % KEYS.length] ?? documentKey("notes", "1");
}

/** What readers and peers are given of a document is whole, whatever was written before. */
function checkDocument(store: Store, key: DocumentKey): void {
  const found = store.get(key);
  if (found !== undefined) JSON.parse(found.json);
  const sent = store.stateFor(key);
  if (sent === undefined) return;
  expectEqual(encodeState(decodeState(sent.bytes)), sent.bytes, "a stored state written again");
  expectEqual(store.hashOf(key), sent.hash, "its hash");
}

const mergeStores = new StorePool();

const merge: FuzzTarget = {
  name: "state of a peer into the store",
  share: 25,
  corpus() {
    const random = new Random(2);
    const pool = new HistoryPool(random, 6);
    const seeds = Array.from({ length: 24 }, (_, i) => {
      const state = encodeState(randomState(random, pool, 40));
      const input = new Uint8Array(state.length + 1);
      input[0] = i;
      input.set(state, 1);
      return input;
    });
    return { seeds, tokens: [] };
  },
  async run(input, index) {
    const store = mergeStores.at(index);
    const key = keyAt(input[0]);
    const incoming = { key, bytes: input.slice(1), hash: "ab".repeat(16) };
    const { kind } = await store.merge(incoming, "node-b");
    checkDocument(store, key);
    if (kind === "incomplete") return undefined;
    // What is there now includes it: once more changes nothing.
    const before = store.hashOf(key);
    await store.merge(incoming, "node-b");
    expectEqual(store.hashOf(key), before, "joined once more");
    return undefined;
  },
};

const writeStores = new StorePool();
const OPERATIONS = ["put", "patch"] as const;

const write: FuzzTarget = {
  name: "local write into the store",
  share: 25,
  corpus() {
    const bodies = [
      '{"a":1,"b":{"c":[1,2,{"d":null}]}}',
      '{"a":null,"ü":"𝄞"}',
      '{"x":1.0,"y":-0}',
      "{}",
    ];
    return {
      seeds: bodies.flatMap((body, i) =>
        [0, 1, 2, 3].map((key) => toUtf8(`${key}${i % 2}${body}`)),
      ),
      tokens: ["null", '"a":', "[[[[", '{"a":{', "1e400", "\\u0000", "9223372036854775808"].map(
        toUtf8,
      ),
    };
  },
  async run(input, index) {
    const store = writeStores.at(index);
    const key = keyAt(input[0]);
    const kind = OPERATIONS[(input[1] ?? 0) % OPERATIONS.length] ?? "put";
    const body = new TextDecoder().decode(input.subarray(2));
    const { document } = await store.write({ key, operation: { kind, body } });
    if (store.get(key)?.json !== document.json) throw new Mismatch("it reads otherwise");
    checkDocument(store, key);
    return undefined;
  },
};

const tokenStores = new StorePool();

const resumeToken: FuzzTarget = {
  name: "resume token",
  share: 15,
  corpus: () => ({
    seeds: ["-0", "-1", "x-1", "-"].map(toUtf8),
    tokens: ["-", "9", "99999999999999999", "\u0000"].map(toUtf8),
  }),
  run(input, index) {
    const store = tokenStores.at(index);
    const since = `${store.storeId}${new TextDecoder().decode(input)}`;
    const feed = store.subscribe({ capacity: 1, since });
    feed.close();
    const isKnown = /^[^-]*-0{1,15}$/.test(since) && since.startsWith(`${store.storeId}-`);
    expectEqual(feed.lostSince, !isKnown, "a token of nothing yet");
    return undefined;
  },
};

export const PATH_TARGETS: readonly FuzzTarget[] = [helloPath, merge, write, resumeToken];
