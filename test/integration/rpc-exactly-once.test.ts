// What a subscriber is told, counted by version: 64 writers, a peer that deletes, compaction without a pause, restarts
// of the client and of the server. Nothing twice, nothing out of order, nothing missing that the contract promises.
import { describe, expect, test } from "bun:test";
import type { Client } from "@connectrpc/connect";
import { waitFor } from "../../scripts/support/waiting.ts";
import {
  ChangeType,
  type DocumentChange,
  type PeatSidecar,
  StreamMark,
} from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import type { Store } from "../../src/store/store.ts";
import { openFileStore } from "../support/file-store.ts";
import { read } from "../support/memory-store.ts";
import { newNet, type RpcWorld, startRpc } from "../support/start-rpc.ts";
import { tempFolder } from "../support/temp-folder.ts";

const LIMIT_MS = 60_000;
const TEST_MS = 4 * LIMIT_MS;
/** Its documents have no history, so their renderings are compacted. */
const COLLECTION = "tracks";
const WRITERS = 64;
const VERSIONS = 20;
/** Of the peer's documents. */
const DELETED = "deleted";

type Version = number | typeof DELETED;
type Ledger = Map<string, Version[]>;

/** What differs from what each document's versions must have been, in words; nothing when all is exact. */
function differences(told: Ledger, expected: Ledger): string[] {
  const names = new Set([...told.keys(), ...expected.keys()]);
  return [...names].flatMap((name) => {
    const [is, must] = [told.get(name) ?? [], expected.get(name) ?? []];
    const twice = is.filter((version, index) => is.indexOf(version) !== index);
    const missing = must.filter((version) => !is.includes(version));
    const alien = is.filter((version) => !must.includes(version));
    const words = [
      ...twice.map((version) => `${name}: ${version} twice`),
      ...missing.map((version) => `${name}: ${version} missing`),
      ...alien.map((version) => `${name}: ${version} was not to come`),
    ];
    const isInOrder = is.join() === must.join();
    return words.length > 0 || isInOrder ? words : [`${name}: out of order: ${is}`];
  });
}

/** One client, which keeps its token over its own restarts and those of the node. */
class Subscriber {
  told: Ledger = new Map();
  #token = "";
  #gaps = 0;
  #abort = new AbortController();
  #reading = Promise.resolve();

  get gaps(): number {
    return this.#gaps;
  }

  get count(): number {
    return [...this.told.values()].reduce((sum, versions) => sum + versions.length, 0);
  }

  /** Resolves once the node tells it of changes. */
  async start(client: Client<typeof PeatSidecar>): Promise<void> {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const begun = Promise.withResolvers<void>();
    const isNew = this.#token === "";
    const resume = isNew ? { liveOnly: true } : { since: this.#token };
    const messages = client.subscribe({ collections: [COLLECTION], resume }, { signal });
    const read = async () => {
      for await (const message of messages) {
        this.#take(message);
        begun.resolve();
      }
    };
    this.#reading = read().catch((error: unknown) => {
      if (!signal.aborted) begun.reject(error);
    });
    // One that resumes is told nothing until something has changed.
    if (isNew) await begun.promise;
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }

  async has(count: number): Promise<void> {
    await waitFor(`${count} changes`, LIMIT_MS, () => this.count >= count || undefined, 2);
  }

  /** What was told since the last time. */
  takeAll(): Ledger {
    const { told } = this;
    this.told = new Map();
    return told;
  }

  #take({ docId, jsonData, changeType, position }: DocumentChange): void {
    this.#token = position?.token ?? this.#token;
    if (position?.mark === StreamMark.GAP) this.#gaps += 1;
    if (position?.mark !== StreamMark.UNSPECIFIED) return;
    const isDelete = changeType === ChangeType.DELETE;
    const version: Version = isDelete ? DELETED : JSON.parse(jsonData ?? "null").version;
    this.told.set(docId, [...(this.told.get(docId) ?? []), version]);
  }
}

/** Fewer than a node keeps for a subscriber that is behind: on a machine however slow, none is skipped. */
const BEHIND_MAX = 500;

/** All writers at once; each writes its versions one after another, and waits for who reads them. */
async function write(
  world: RpcWorld,
  from: number,
  to: number,
  reader?: Subscriber,
): Promise<void> {
  let written = 0;
  const keepsUp = () => reader === undefined || written - reader.count < BEHIND_MAX || undefined;
  const clients = Array.from({ length: 4 }, () => world.client({ protocol: "grpc" }));
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      const client = clients[writer % clients.length];
      for (let version = from; version <= to; version += 1) {
        const jsonData = JSON.stringify({ version, filler: "x".repeat(100) });
        await client?.putDocument({ collection: COLLECTION, docId: `w${writer}`, jsonData });
        written += 1;
        await waitFor("the reader", LIMIT_MS, keepsUp);
      }
    }),
  );
}

function every(prefix: string, versions: readonly Version[]): [string, Version[]][] {
  return Array.from({ length: WRITERS }, (_, index) => [`${prefix}${index}`, [...versions]]);
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Compacts again and again until it is ended, which tells how many renderings became smaller. */
function compactOn(store: Store) {
  const ending = new AbortController();
  const { signal } = ending;
  let compacted = 0;
  const running = (async () => {
    while (!signal.aborted) {
      const { count } = await store.renderings.compact({
        collections: [COLLECTION],
        thresholdBytes: 0,
        signal,
      });
      compacted += count;
      await Bun.sleep(1);
    }
  })();
  return {
    count: () => compacted,
    async end() {
      ending.abort();
      await running;
    },
  };
}

/** Documents of the peer's are on both nodes. */
async function shareDocuments(a: RpcWorld, b: RpcWorld, prefix: string): Promise<void> {
  for (let i = 0; i < WRITERS; i += 1) {
    const docId = `${prefix}${i}`;
    await a.client().putDocument({ collection: COLLECTION, docId, jsonData: '{"version":1}' });
  }
  const last = `${COLLECTION}:${prefix}${WRITERS - 1}`;
  await waitFor("the peer to have them", LIMIT_MS, () => read(b.store, last), 5);
}

async function deleteAll(b: RpcWorld, prefix: string): Promise<void> {
  for (let i = 0; i < WRITERS; i += 1) {
    await b.client().deleteDocument({ collection: COLLECTION, docId: `${prefix}${i}` });
  }
}

test(
  "a subscriber is told each version once and in order, also over its own restart and the node's",
  async () => {
    using folder = tempFolder();
    const path = folder.file("peat.db");
    const net = newNet();
    const first = openFileStore(path).store;
    const a = await startRpc({ net, number: 1, store: first });
    const b = await startRpc({ net, number: 2 });
    await a.client().connectPeer({ endpointId: b.peerId, addresses: [b.peerAddress] });
    const subscriber = new Subscriber();
    await subscriber.start(a.client({ protocol: "grpc" }));
    const compaction = compactOn(first);

    // Together: 64 writers, and a peer that deletes what it was given.
    await shareDocuments(a, b, "p");
    await Promise.all([write(a, 1, VERSIONS, subscriber), deleteAll(b, "p")]);
    await subscriber.has(WRITERS * (VERSIONS + 2));
    // Renderings are made beside the writing and behind it: a quick disk leaves little time for two of one document.
    await waitFor("a compaction", LIMIT_MS, () => compaction.count() > 0 || undefined);
    expect(
      differences(
        subscriber.takeAll(),
        new Map([...every("w", range(1, VERSIONS)), ...every("p", [1, DELETED])]),
      ),
    ).toEqual([]);

    // The client is away: of what changed meanwhile it is told the newest version, once.
    await shareDocuments(a, b, "q");
    await subscriber.has(WRITERS);
    await subscriber.stop();
    subscriber.takeAll();
    await Promise.all([write(a, 101, 105), deleteAll(b, "q")]);
    const isGone = () => read(first, `${COLLECTION}:q${WRITERS - 1}`) === undefined || undefined;
    await waitFor("the deletes", LIMIT_MS, isGone);
    await subscriber.start(a.client({ protocol: "connect" }));
    await subscriber.has(2 * WRITERS);
    await write(a, 106, 107);
    await subscriber.has(4 * WRITERS);
    expect(
      differences(
        subscriber.takeAll(),
        new Map([...every("w", [105, 106, 107]), ...every("q", [DELETED])]),
      ),
    ).toEqual([]);

    // The node restarts, after writes that the client has not heard of.
    await subscriber.stop();
    await write(a, 201, 202);
    await compaction.end();
    await a[Symbol.asyncDispose]();
    first.close();
    const second = openFileStore(path).store;
    const again = await startRpc({ net, number: 1, store: second });
    await subscriber.start(again.client({ protocol: "grpc-web" }));
    await subscriber.has(WRITERS);
    await write(again, 203, 205);
    await subscriber.has(4 * WRITERS);
    expect(differences(subscriber.takeAll(), new Map(every("w", [202, 203, 204, 205])))).toEqual(
      [],
    );
    console.log(`${compaction.count()} renderings compacted beside`);
    expect(subscriber.gaps).toBe(0);

    await subscriber.stop();
    await again[Symbol.asyncDispose]();
    second.close();
    await b[Symbol.asyncDispose]();
  },
  TEST_MS,
);

test(
  "a client that restarts again and again beside the writers is told nothing twice, and the newest of all",
  async () => {
    await using world = await startRpc();
    const subscriber = new Subscriber();
    await subscriber.start(world.client({ protocol: "grpc" }));
    const writing = write(world, 1, 5 * VERSIONS);
    let isWriting = true;
    const ended = writing.finally(() => {
      isWriting = false;
    });
    let restarts = 0;
    for (; isWriting; restarts += 1) {
      const before = subscriber.count;
      await waitFor(
        "changes",
        LIMIT_MS,
        () => subscriber.count > before || !isWriting || undefined,
        1,
      );
      await subscriber.stop();
      await subscriber.start(world.client({ protocol: "grpc" }));
    }
    await ended;
    const last = 5 * VERSIONS;
    const isWhole = () =>
      range(0, WRITERS - 1).every((w) => subscriber.told.get(`w${w}`)?.at(-1) === last) ||
      undefined;
    await waitFor("the newest versions", LIMIT_MS, isWhole);
    await subscriber.stop();
    for (const versions of subscriber.told.values()) {
      const numbers = versions.map(Number);
      expect(numbers).toEqual([...new Set(numbers)].sort((x, y) => x - y));
    }
    console.log(`${restarts} restarts, ${subscriber.count} of ${WRITERS * last} versions told`);
    expect(restarts).toBeGreaterThan(1);
  },
  TEST_MS,
);

describe("the count finds", () => {
  const must: Ledger = new Map([["a", [1, 2, DELETED]]]);
  test.each([
    ["a duplicate", [1, 2, 2, DELETED], "a: 2 twice"],
    ["a gap", [1, DELETED], "a: 2 missing"],
    ["a delete that did not come", [1, 2], "a: deleted missing"],
    ["what was not to come", [1, 2, DELETED, 3], "a: 3 was not to come"],
    ["another order", [2, 1, DELETED], "a: out of order: 2,1,deleted"],
  ] as const)("%s", (_, is, words) => {
    expect(differences(new Map([["a", [...is]]]), must)).toEqual([words]);
    expect(differences(must, must)).toEqual([]);
  });
});
