import { describe, expect, test } from "bun:test";
import type { Clock } from "../../../src/base/clock.ts";
import { BoundedQueue } from "../../../src/base/queue.ts";
import {
  type EventSocket,
  EventStream,
  printChange,
  printPeerNews,
  printTopology,
} from "../../../src/broker/events.ts";
import { parseNodeName } from "../../../src/identity/peer.ts";
import type { Change, Subscription } from "../../../src/store/store.ts";
import { key } from "../../support/memory-store.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const STALL_MS = 30_000;

function change(seq: number, before: Change["before"] = "alive", deleted = false): Change {
  const document = {
    key: key(`tracks:t${seq}`),
    collection: "tracks",
    id: `t${seq}`,
    json: deleted ? "null" : `{"seq":${seq}.0}`,
    hash: "ab".repeat(16),
    seq,
    deleted,
  };
  return { seq, token: `store-${seq}`, document, before };
}

/** A client that takes messages until it is told to stand still, and then one more. */
class Client implements EventSocket {
  readonly told: string[] = [];
  isStanding = false;
  buffered = 0;
  closed: string | undefined;

  sendText(text: string): number {
    this.told.push(text);
    if (!this.isStanding) return text.length;
    this.buffered += text.length;
    return -1;
  }

  getBufferedAmount(): number {
    return this.buffered;
  }

  close(code: number, reason: string): void {
    this.closed = `${code} ${reason}`;
  }
}

interface WorldOptions {
  readonly capacity?: number;
  readonly lostSince?: boolean;
  readonly withPosition?: boolean;
  /** How much time seems to have passed whenever somebody looks at the clock. */
  readonly msPerLook?: number;
}

function world(options: WorldOptions = {}) {
  const clock = new VirtualClock();
  let lookedMs = 0;
  const ticking: Clock = {
    ...clock.skewed(() => 0),
    monotonic: () => {
      lookedMs += options.msPerLook ?? 0;
      return clock.monotonic() + lookedMs;
    },
  };
  const client = new Client();
  const queue = new BoundedQueue<Change>(options.capacity ?? 4);
  const subscription: Subscription = {
    take: () => queue.take(),
    close: () => queue.close(),
    lostSince: options.lostSince ?? false,
    position: "store-0",
    seq: 0,
  };
  const gaps: (number | null)[] = [];
  const stream = new EventStream({
    socket: client,
    subscription,
    clock: ticking,
    print: (item) => String(item.seq),
    withPosition: options.withPosition ?? false,
    stallMs: STALL_MS,
    onGap: (missed) => gaps.push(missed),
  });
  const done = stream.run();
  return { clock, client, queue, stream, gaps, done };
}

describe("an event stream", () => {
  test("begins without a greeting, and tells changes in their order", async () => {
    const { clock, client, queue } = world();
    await clock.advance(0);
    expect(client.told).toEqual([]);
    for (const seq of [1, 2, 3]) queue.push(change(seq));
    await clock.advance(0);
    expect(client.told).toEqual(["1", "2", "3"]);
  });

  test("begins with its position where that was asked for, then with what is lost", async () => {
    const { clock, client, gaps } = world({ withPosition: true, lostSince: true });
    await clock.advance(0);
    expect(client.told).toEqual([
      '{"type":"Position","token":"store-0"}',
      '{"type":"Gap","missed":null}',
    ]);
    expect(gaps).toEqual([null]);
  });

  test("keeps at most its capacity for a client that stands still, and tells it what it missed", async () => {
    const { clock, client, queue, stream, gaps } = world({ capacity: 4 });
    client.isStanding = true;
    for (let seq = 1; seq <= 10; seq += 1) {
      queue.push(change(seq));
      await clock.advance(0);
    }
    expect(client.told).toEqual(["1"]);
    expect(queue.length).toBe(4);
    client.isStanding = false;
    stream.drained();
    await clock.advance(0);
    expect(client.told).toEqual(["1", "2", "3", "4", "5", '{"type":"Gap","missed":5}']);
    expect(gaps).toEqual([5]);
    queue.push(change(11));
    await clock.advance(0);
    expect(client.told.at(-1)).toBe("11");
  });

  test("counts news that a client could not take as missed, and goes on after telling so", async () => {
    const { clock, client, queue, stream } = world();
    client.isStanding = true;
    stream.offer("first");
    stream.offer("second");
    stream.offer("third");
    queue.push(change(1));
    await clock.advance(0);
    expect(client.told).toEqual(["first"]);
    client.isStanding = false;
    stream.drained();
    await clock.advance(0);
    expect(client.told).toEqual(["first", '{"type":"Gap","missed":2}', "1"]);
  });

  test("waits for another drain when the told gap fills the socket again", async () => {
    const { clock, client, queue, stream } = world();
    client.isStanding = true;
    stream.offer("first");
    stream.offer("second");
    queue.push(change(1));
    stream.drained();
    await clock.advance(0);
    expect(client.told).toEqual(["first", '{"type":"Gap","missed":1}']);
    client.isStanding = false;
    stream.drained();
    await clock.advance(0);
    expect(client.told.at(-1)).toBe("1");
  });

  test("closes a client that takes nothing for the whole stall time", async () => {
    const { clock, client, queue, done } = world();
    client.isStanding = true;
    queue.push(change(1));
    await clock.advance(STALL_MS - 1);
    expect(client.closed).toBeUndefined();
    await clock.advance(1);
    expect(client.closed).toBe("1013 too slow");
    await done;
  });

  test("keeps a client that is slow but takes something", async () => {
    const { clock, client, queue, stream } = world();
    client.isStanding = true;
    queue.push(change(1234));
    for (let step = 0; step < 3; step += 1) {
      await clock.advance(STALL_MS - 1);
      client.buffered -= 1;
      await clock.advance(1);
    }
    expect(client.closed).toBeUndefined();
    stream.drained();
    await clock.advance(10 * STALL_MS);
    expect(client.closed).toBeUndefined();
  });

  test("lets others have their turn during a long backlog", async () => {
    const { clock, client, queue } = world({ capacity: 1000, msPerLook: 5 });
    for (let seq = 1; seq <= 200; seq += 1) queue.push(change(seq));
    // Microtasks alone don't get through it: a turn of the event loop has to be given.
    await new Promise((resolve) => setImmediate(resolve));
    expect(client.told.length).toBe(64);
    await clock.advance(1);
    expect(client.told.length).toBe(200);
  });

  test("goes on at once while little time has passed: a commit of hundreds is no backlog", async () => {
    const { client, queue } = world({ capacity: 1000 });
    for (let seq = 1; seq <= 600; seq += 1) queue.push(change(seq));
    await new Promise((resolve) => setImmediate(resolve));
    expect(client.told.length).toBe(600);
  });

  test("ends with its last words, and with its subscription", async () => {
    const { client, queue, stream, done } = world();
    stream.end(1001, "node is stopping", "bye");
    await done;
    expect(client.told).toEqual(["bye"]);
    expect(client.closed).toBe("1001 node is stopping");
    queue.push(change(1));
    expect(queue.length).toBe(0);
    stream.offer("later");
    expect(client.told).toEqual(["bye"]);
  });
});

describe("an event", () => {
  test("of a document has the older node's keys first, then token and ETag", () => {
    expect(printChange(change(7), false)).toBe(
      `{"type":"SyncEvent","collection":"tracks","doc_id":"t7","action":"updated","token":"store-7","etag":"\\"${"ab".repeat(16)}\\""}`,
    );
  });

  test("has the document with its _id, number for number, where it was asked for", () => {
    expect(printChange(change(7), true)).toEndWith(`,"document":{"_id":"t7","seq":7.0}}`);
    expect(printChange(change(7, "alive", true), true)).toEndWith(`,"document":null}`);
  });

  test.each([
    ["absent", false, "created"],
    ["deleted", false, "created"],
    ["alive", false, "updated"],
    ["unknown", false, "updated"],
    ["alive", true, "deleted"],
    ["unknown", true, "deleted"],
  ] as const)("of a document that was %s, deleted %p, is %s", (before, deleted, action) => {
    expect(JSON.parse(printChange(change(1, before, deleted), false)).action).toBe(action);
  });

  test("of a peer or the topology has the older node's keys in their order", () => {
    const name = parseNodeName("node-b");
    expect(printPeerNews({ kind: "connected", name })).toBe(
      '{"type":"PeerConnected","peer_id":"node-b"}',
    );
    expect(printPeerNews({ kind: "disconnected", name, reason: "lost" })).toBe(
      '{"type":"PeerDisconnected","peer_id":"node-b","reason":"lost"}',
    );
    expect(printTopology("member", 2)).toBe(
      '{"type":"TopologyChanged","new_role":"member","peer_count":2}',
    );
  });
});
