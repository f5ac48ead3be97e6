import { afterEach, describe, expect, test } from "bun:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { systemClock } from "../../../src/base/clock.ts";
import { Fault } from "../../../src/base/faults.ts";
import {
  ChangeType,
  type DocumentChangeSchema,
  StreamMark,
  SubscribeRequestSchema,
} from "../../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { FEED_CHANGES_MAX } from "../../../src/rpc/limits.ts";
import { Pace } from "../../../src/rpc/pace.ts";
import { subscribe } from "../../../src/rpc/subscribe.ts";
import type { Store } from "../../../src/store/store.ts";
import { openMemoryStore, put, remove } from "../../support/memory-store.ts";

const opened: Store[] = [];
// What one that is not closed still has to render would take the next tests' time.
afterEach(() => {
  for (const store of opened.splice(0)) store.close();
});

function open(): Store {
  const store = openMemoryStore();
  opened.push(store);
  return store;
}

type Message = MessageInitShape<typeof DocumentChangeSchema>;

/** One subscriber, whose messages are taken one by one. */
class Reader implements AsyncDisposable {
  readonly client = new AbortController();
  readonly node = new AbortController();
  readonly #messages: AsyncIterator<Message>;

  constructor(store: Store, request: MessageInitShape<typeof SubscribeRequestSchema>) {
    this.#messages = subscribe(
      create(SubscribeRequestSchema, request),
      { store, clock: systemClock, pace: new Pace(systemClock) },
      { signal: this.client.signal, stopping: this.node.signal },
    )[Symbol.asyncIterator]();
  }

  async message(): Promise<Message | undefined> {
    const { done, value } = await this.#messages.next();
    return done === true ? undefined : value;
  }

  /** The next so many messages, in a short form. */
  async next(count: number): Promise<string[]> {
    const told: string[] = [];
    while (told.length < count) {
      const message = await this.message();
      if (message === undefined) break;
      told.push(shown(message));
    }
    return told;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.abort();
    await this.#messages.return?.();
  }
}

/** `+notes/a {"n":1}`, `-notes/a`, `end of snapshot`, `gap of 5`. */
function shown({ collection, docId, changeType, jsonData, position }: Message): string {
  if (position?.mark === StreamMark.SNAPSHOT_END) return "end of snapshot";
  if (position?.mark === StreamMark.GAP) return `gap of ${position.missed}`;
  const name = `${collection}/${docId}`;
  return changeType === ChangeType.DELETE ? `-${name}` : `+${name} ${jsonData}`;
}

async function seeded(): Promise<Store> {
  const store = open();
  await put(store, "notes:b", { n: 1 });
  await put(store, "notes:a", { n: 1 });
  await put(store, "other:x", { n: 1 });
  await put(store, "gone:y", { n: 1 });
  await remove(store, "gone:y");
  return store;
}

describe("a subscriber is told", () => {
  test("the documents of its collections in the order it names them, then changes as they come", async () => {
    const store = await seeded();
    await using reader = new Reader(store, { collections: ["other", "notes", "gone", "other"] });
    expect(await reader.next(3)).toEqual([
      '+other/x {"n":1}',
      '+notes/a {"n":1}',
      '+notes/b {"n":1}',
    ]);
    await put(store, "notes:b", { n: 2 });
    await put(store, "unasked:z", { n: 1 });
    await remove(store, "notes:a");
    await put(store, "notes:a", { n: 3 });
    expect(await reader.next(3)).toEqual(['+notes/b {"n":2}', "-notes/a", '+notes/a {"n":3}']);
  });

  test("everything, when it names nothing", async () => {
    const store = await seeded();
    await using reader = new Reader(store, {});
    expect(await reader.next(3)).toEqual([
      '+notes/a {"n":1}',
      '+notes/b {"n":1}',
      '+other/x {"n":1}',
    ]);
    await put(store, "new:z", {});
    expect(await reader.next(1)).toEqual(["+new/z {}"]);
  });

  test("one delete once, and without a document", async () => {
    const store = await seeded();
    await using reader = new Reader(store, { collections: ["notes"] });
    await reader.next(2);
    await remove(store, "notes:a");
    const message = await reader.message();
    expect(message).toEqual({ collection: "notes", docId: "a", changeType: ChangeType.DELETE });
    await put(store, "notes:b", { n: 9 });
    expect(await reader.next(1)).toEqual(['+notes/b {"n":9}']);
  });

  test("only what its query wants, and every delete", async () => {
    const store = await seeded();
    const query = { q: { case: "gt", value: { field: "n", value: "1" } } } as const;
    await using reader = new Reader(store, { collections: ["notes"], query });
    await put(store, "notes:c", { n: 1 });
    const first = reader.next(2);
    await put(store, "notes:c", { n: 2 });
    await remove(store, "notes:a");
    expect(await first).toEqual(['+notes/c {"n":2}', "-notes/a"]);
  });

  test("nothing twice that is written while the documents are read", async () => {
    const store = open();
    const count = 300;
    for (let i = 0; i < count; i += 1) await put(store, `notes:${1000 + i}`, { version: 1 });
    await using reader = new Reader(store, { collections: ["notes"] });
    const told = await reader.next(100);
    // Some of these have been told in their first version, others not yet.
    await put(store, "notes:1000", { version: 2 });
    await put(store, "notes:1299", { version: 2 });
    await put(store, "notes:2000", { version: 1 });
    await remove(store, "notes:1001");
    await remove(store, "notes:1298");
    told.push(...(await reader.next(count - 100 - 2 + 5)));
    expect(new Set(told).size).toBe(told.length);
    expect(told.slice(-5)).toEqual([
      '+notes/1000 {"version":2}',
      '+notes/1299 {"version":2}',
      '+notes/2000 {"version":1}',
      "-notes/1001",
      "-notes/1298",
    ]);
    expect(told).not.toContain('+notes/1298 {"version":1}');
  });
});

describe("a subscriber that asks for positions", () => {
  test("is told the end of the documents, and resumes after any change without loss or repetition", async () => {
    const store = await seeded();
    const tokens: string[] = [];
    {
      await using reader = new Reader(store, { collections: ["notes"], resume: {} });
      expect(await reader.next(2)).toHaveLength(2);
      const end = await reader.message();
      expect(shown(end ?? {})).toBe("end of snapshot");
      tokens.push(end?.position?.token ?? "");
      await put(store, "notes:a", { n: 2 });
      await put(store, "notes:c", { n: 3 });
      for (let i = 0; i < 2; i += 1) tokens.push((await reader.message())?.position?.token ?? "");
    }
    await remove(store, "notes:b");
    const rest = [['+notes/a {"n":2}'], ['+notes/c {"n":3}'], []];
    for (const [index, since] of tokens.entries()) {
      await using reader = new Reader(store, { collections: ["notes"], resume: { since } });
      const expected = [...rest.slice(index).flat(), "-notes/b"];
      expect(await reader.next(expected.length)).toEqual(expected);
    }
  });

  test("may have changes only", async () => {
    const store = await seeded();
    await using reader = new Reader(store, { resume: { liveOnly: true } });
    expect(await reader.next(1)).toEqual(["end of snapshot"]);
    await put(store, "notes:d", {});
    expect(await reader.next(1)).toEqual(["+notes/d {}"]);
  });

  test("is refused a position that this store does not know", async () => {
    const store = await seeded();
    const other = await seeded();
    const since = other.position();
    for (const token of [since, "nonsense", "x".repeat(10_000)]) {
      await using reader = new Reader(store, { resume: { since: token } });
      const fault = await reader.message().catch((error: unknown) => error);
      expect(fault).toBeInstanceOf(Fault);
      expect(fault).toMatchObject({ code: "position_unknown" });
      expect(String(fault)).toContain("resume.since");
    }
  });
});

describe("a subscriber that is too slow", () => {
  async function flood(store: Store, rounds: number): Promise<void> {
    for (let n = 1; n <= rounds; n += 1) {
      await Promise.all(["a", "b", "c"].map((id) => put(store, `tracks:${id}`, { n })));
    }
    await remove(store, "tracks:c");
  }

  test("misses versions, but neither the newest one nor a delete", async () => {
    const store = open();
    await using reader = new Reader(store, { collections: ["tracks"] });
    const first = reader.next(1);
    await flood(store, FEED_CHANGES_MAX);
    const last = new Map<string, string>();
    let messages = (await first).length;
    while (last.get("c") !== "-tracks/c") {
      const [text = ""] = await reader.next(1);
      messages += 1;
      last.set(/tracks\/(.)/.exec(text)?.[1] ?? "", text);
    }
    expect(last.get("a")).toBe(`+tracks/a {"n":${FEED_CHANGES_MAX}}`);
    expect(last.get("b")).toBe(`+tracks/b {"n":${FEED_CHANGES_MAX}}`);
    expect(messages).toBeLessThan(FEED_CHANGES_MAX + 10);
  }, 60_000);

  test("is told of its gap, if it asks for positions, and resumes from there", async () => {
    const store = open();
    await using reader = new Reader(store, { collections: ["tracks"], resume: {} });
    expect(await reader.next(1)).toEqual(["end of snapshot"]);
    await flood(store, FEED_CHANGES_MAX);
    const told = await reader.next(FEED_CHANGES_MAX + 4);
    const gaps = told.filter((text) => text.startsWith("gap"));
    expect(gaps).toEqual([`gap of ${3 * FEED_CHANGES_MAX + 1 - FEED_CHANGES_MAX}`]);
    expect(told.indexOf(gaps[0] ?? "")).toBe(FEED_CHANGES_MAX);
    expect(new Set(told.slice(-3))).toEqual(
      new Set([
        `+tracks/a {"n":${FEED_CHANGES_MAX}}`,
        `+tracks/b {"n":${FEED_CHANGES_MAX}}`,
        "-tracks/c",
      ]),
    );
  }, 60_000);
});

describe("a subscription ends", () => {
  test("quietly when its client goes, also while it waits", async () => {
    const store = open();
    const reader = new Reader(store, {});
    const next = reader.message();
    reader.client.abort();
    expect(await next).toBeUndefined();
  });

  test("with a reason when the node stops", async () => {
    const store = await seeded();
    const reader = new Reader(store, { collections: ["notes"] });
    await reader.next(2);
    const next = reader.message();
    reader.node.abort();
    await expect(next).rejects.toMatchObject({ code: "not_ready" });
  });

  test("before it begins when a collection has no possible name, or too many are named", async () => {
    const store = open();
    for (const [collections, problem] of [
      [["a", ""], "collections[1]: "],
      [["a b"], "collections[0]: "],
      [Array.from({ length: 257 }, (_, i) => `c${i}`), "collections: names 257"],
    ] as const) {
      await using reader = new Reader(store, { collections: [...collections] });
      const fault = await reader.message().catch((error: unknown) => error);
      expect(fault).toMatchObject({ code: "invalid_argument" });
      expect(String(fault)).toContain(problem);
    }
  });
});
