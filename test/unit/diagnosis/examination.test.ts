// What a node finds of itself and its peers: every trouble has one finding with a remedy, and health has none.
import { describe, expect, test } from "bun:test";
import { type ExaminedNode, examine } from "../../../src/diagnosis/examination.ts";
import type { AwayFacts, NativeFacts, PeerFacts } from "../../../src/diagnosis/facts.ts";

interface Trouble {
  readonly isSyncing?: boolean;
  readonly isDiskFull?: boolean;
  readonly stuck?: readonly string[];
  readonly refused?: number;
  readonly checks?: readonly { name: string; ready: boolean; message: string | null }[];
}

function node(trouble: Trouble = {}): ExaminedNode {
  return {
    version: "1.0.0",
    secretTag: "00112233",
    status: { readiness: () => trouble.checks ?? [] },
    coordinator: {
      orders: { isSyncing: trouble.isSyncing ?? true },
      refusedConnections: trouble.refused ?? 0,
      stuck: () => new Map((trouble.stuck ?? []).map((key) => [key, "too large"])),
    },
    store: { standings: { isDiskFull: trouble.isDiskFull ?? false } },
  };
}

function native(changes: Partial<NativeFacts> = {}): NativeFacts {
  return {
    kind: "native",
    name: "node-b",
    version: "1.0.0",
    secretTag: "00112233",
    lastSeenMs: 0,
    rttMs: 12,
    lagMs: 20,
    inSync: true,
    queued: 0,
    way: undefined,
    stuck: undefined,
    differing: [],
    isRuledOtherwise: false,
    isAnswered: false,
    report: undefined,
    clockAheadMs: undefined,
    ...changes,
  };
}

const away: AwayFacts = {
  kind: "away",
  name: "node-c",
  isSought: true,
  sources: ["static"],
  hosts: ["10.0.0.3:11204"],
  attempts: 1,
  obstacle: "unreached",
  lastFailure: undefined,
  parting: undefined,
};

function troubles(trouble: Trouble, peers: readonly PeerFacts[] = [native()]) {
  const found = examine(node(trouble), peers).filter(({ severity }) => severity !== "ok");
  for (const { remedy, message } of found) {
    expect([message.length > 10, (remedy ?? "").length > 8]).toEqual([true, true]);
  }
  return found.map(({ severity, code }) => `${severity} ${code}`);
}

test("a node that is well has nothing but good findings", () => {
  expect(troubles({})).toEqual([]);
  expect(examine(node(), [native()]).map(({ code }) => code)).toEqual([
    "sync_running",
    "commits",
    "ready",
    "connected",
  ]);
});

describe("each trouble is one finding:", () => {
  const cases: readonly [string, Trouble, readonly PeerFacts[], string][] = [
    ["sync is stopped", { isSyncing: false }, [away], "problem sync_stopped"],
    ["the disk is full", { isDiskFull: true }, [native()], "problem disk_full"],
    ["nobody is known", {}, [], "warning no_peers"],
    ["a peer is away", {}, [away], "problem unreachable"],
    ["another secret", {}, [{ ...away, obstacle: "stranger" }], "problem other_identity"],
    ["a peer has gone", {}, [{ ...away, isSought: false }], "warning gone"],
    ["strangers came", { refused: 3 }, [native()], "warning refused"],
    ["a document is stuck", { stuck: ["files:1"] }, [native()], "problem stuck"],
    ["many documents wait", {}, [native({ queued: 1_500 })], "warning queued"],
    ["a few wait for long", {}, [native({ queued: 5, lagMs: 60_000 })], "warning queued"],
    ["the queue is full", {}, [native({ queued: 50_000 })], "problem queued"],
    ["a clock is wrong", {}, [native({ clockAheadMs: 15_000 })], "warning clock"],
    ["another version", {}, [native({ version: "0.9.0" })], "warning versions"],
    ["a roll-over", {}, [native({ secretTag: "ffffffff" })], "warning secrets"],
    ["no answer", {}, [native({ isAnswered: true })], "warning no_answer"],
    [
      "not ready",
      { checks: [{ name: "caught_up", ready: false, message: "waiting for a first peer" }] },
      [native()],
      "problem caught_up",
    ],
    [
      "a double name",
      { checks: [{ name: "duplicate_name", ready: true, message: "two have one name" }] },
      [native()],
      "problem duplicate_name",
    ],
  ];
  for (const [what, trouble, peers, expected] of cases) {
    test(what, () => expect(troubles(trouble, peers)).toEqual([expected]));
  }

  test("of many stuck documents some are named and the rest counted", () => {
    const stuck = Array.from({ length: 9 }, (_, n) => `files:${n}`);
    const found = examine(node({ stuck }), [native()]).filter(({ code }) => code === "stuck");
    expect(found.length).toBe(6);
    expect(found.at(-1)?.message).toStartWith("4 more documents");
  });

  test("a clock within half a round trip of the limit is not called wrong", () => {
    expect(troubles({}, [native({ clockAheadMs: 12_000, rttMs: 6_000 })])).toEqual([]);
  });
});
