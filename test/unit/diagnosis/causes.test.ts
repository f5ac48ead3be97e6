// From facts to causes and one verdict: each fact has its own cause and brings no other.
import { describe, expect, test } from "bun:test";
import type { CauseCode } from "../../../src/broker/diagnostics.ts";
import { causesOf, type DocumentFacts, standOf } from "../../../src/diagnosis/causes.ts";
import type { AwayFacts, GuestFacts, NativeFacts } from "../../../src/diagnosis/facts.ts";
import { verdictOf } from "../../../src/diagnosis/verdict.ts";
import type { Standing } from "../../../src/store/standing.ts";
import type { Report } from "../../../src/wire/inquiry.ts";
import { NO_HASH } from "../../../src/wire/native.ts";
import { key } from "../../support/memory-store.ts";

const NOW = 1_800_000_000_000;
const [HASH, OTHER] = ["ab".repeat(16), "cd".repeat(16)];

const alive: Standing = {
  kind: "alive",
  life: 0,
  hash: HASH,
  bytes: 64,
  changedAt: NOW,
  writtenAt: NOW,
  deletion: undefined,
};
const deleted: Standing = {
  ...alive,
  kind: "deleted",
  life: 1,
  deletion: { at: NOW, by: "node-c", reason: "landed" },
};

function report(changes: Partial<Report> = {}): Report {
  return {
    type: "report",
    nonce: 1,
    now: NOW,
    isDiskFull: false,
    isCatchingUp: false,
    isQueued: false,
    queued: 0,
    standing: "alive",
    life: 0,
    hash: HASH,
    changedAt: NOW,
    bytes: 64,
    deletedAt: 0,
    by: "",
    stuck: "",
    ...changes,
  };
}

const ABSENT = { standing: "absent", hash: NO_HASH, bytes: 0, changedAt: 0 } as const;

function native(changes: Partial<NativeFacts> = {}): NativeFacts {
  return {
    kind: "native",
    name: "node-b",
    version: "1.0.0",
    secretTag: "00112233",
    lastSeenMs: NOW,
    rttMs: 12,
    lagMs: 20,
    inSync: true,
    queued: 0,
    way: undefined,
    stuck: undefined,
    differing: [],
    isRuledOtherwise: false,
    isAnswered: true,
    report: report(),
    clockAheadMs: 3,
    ...changes,
  };
}

function away(changes: Partial<AwayFacts> = {}): AwayFacts {
  return {
    kind: "away",
    name: "node-b",
    isSought: true,
    sources: ["static"],
    hosts: ["10.0.0.2:11204"],
    attempts: 3,
    obstacle: "unreached",
    lastFailure: "timed out",
    parting: undefined,
    ...changes,
  };
}

const guest: GuestFacts = {
  kind: "guest",
  name: "node-g",
  lastSeenMs: NOW,
  rttMs: undefined,
  queued: 2,
  isLevel: false,
  stuck: undefined,
};

function judge(changes: Partial<DocumentFacts> = {}) {
  const facts: DocumentFacts = {
    key: key("tracks:1"),
    nodeName: "node-a",
    here: alive,
    isSyncing: true,
    isDiskFull: false,
    peers: [native()],
    ...changes,
  };
  const causes = causesOf(facts);
  const stands = facts.peers.map((peer) => standOf(facts.here, peer));
  return {
    causes,
    codes: causes.map(({ code }) => code),
    ...verdictOf(facts.here, stands, causes),
  };
}

describe("the verdict", () => {
  test("is equal where every peer has the same hash, and says on how many", () => {
    const three = judge({ peers: [native(), native({ name: "c" }), native({ name: "d" })] });
    expect(three).toMatchObject({
      verdict: "equal",
      message: "equal on this node and all 3 peers",
    });
    expect(judge()).toMatchObject({ message: "equal on this node and its only peer", causes: [] });
    expect(judge({ peers: [] }).message).toBe("equal on this node, which knows no peers");
  });

  test("names who differs and who can't be asked, with the reason of that peer", () => {
    const differs = judge({
      peers: [native({ report: report(ABSENT), way: "queued", queued: 9 })],
    });
    expect(differs.verdict).toBe("differs");
    expect(differs.message).toStartWith("alive here; differs on node-b: it waits for node-b");
    const unknown = judge({ here: deleted, peers: [away()] });
    expect(unknown.verdict).toBe("unknown");
    expect(unknown.message).toStartWith("deleted here; unknown on node-b: node-b does not answer");
  });

  test("is equal where one of both remembers the deletion for longer", () => {
    const forgotten = native({ report: report({ ...ABSENT, standing: "forgotten", life: 1 }) });
    const { verdict, codes } = judge({ here: deleted, peers: [forgotten] });
    expect([verdict, codes.join()]).toEqual(["equal", "deleted"]);
    expect(judge({ here: { kind: "absent" }, peers: [forgotten] }).verdict).toBe("equal");
    expect(judge({ peers: [forgotten] }).verdict).toBe("differs");
  });

  test("does not wait for a peer that nothing looks for, unless there is no other", () => {
    const gone = away({ name: "node-z", isSought: false });
    const beside = judge({ peers: [native(), gone] });
    expect(beside).toMatchObject({ verdict: "equal", codes: ["gone"] });
    expect(beside.message).toBe("equal on this node and its only peer");
    expect(judge({ peers: [gone] }).verdict).toBe("unknown");
  });

  test("is equal where it is deleted on all, with who did it; also where it never was", () => {
    const peers = [native({ report: report({ standing: "deleted", life: 1 }) })];
    const gone = judge({ here: deleted, peers });
    expect(gone).toMatchObject({ verdict: "equal", codes: ["deleted"] });
    expect(gone.message).toContain(
      "deleted on this node and its only peer: it was deleted by node-c",
    );
    const never = judge({ here: { kind: "absent" }, peers: [native({ report: report(ABSENT) })] });
    expect(never).toMatchObject({ verdict: "equal", codes: [] });
    expect(never.message).toStartWith("there is no such document");
  });
});

describe("each cause stands alone:", () => {
  const behind = report({ hash: OTHER });
  const one = (changes: Partial<NativeFacts>) => ({
    peers: [native({ report: behind, ...changes })],
  });
  const cases: readonly [string, Partial<DocumentFacts>, CauseCode][] = [
    ["nobody answers", { peers: [away()] }, "unreachable"],
    ["another secret", { peers: [away({ obstacle: "stranger" })] }, "other_identity"],
    ["no address", { peers: [away({ obstacle: "unresolved" })] }, "unresolved"],
    ["stopped there", { peers: [away({ obstacle: "stopped" })] }, "sync_stopped"],
    ["stopped here", { isSyncing: false, peers: [away({ obstacle: "held" })] }, "sync_stopped"],
    ["kept away there", { peers: [away({ obstacle: "unwanted" })] }, "kept_away"],
    ["kept away here", { peers: [away({ obstacle: "held" })] }, "kept_away"],
    ["a double name", { peers: [away({ obstacle: "duplicate" })] }, "duplicate_name"],
    ["not looked for", { peers: [away({ isSought: false })] }, "gone"],
    ["a full disk here", { isDiskFull: true }, "disk_full"],
    [
      "a full disk there",
      one({ report: { ...behind, isDiskFull: true }, way: "sent" }),
      "disk_full",
    ],
    [
      "a full disk here, for which documents wait there",
      { isDiskFull: true, ...one({ report: { ...behind, isQueued: true, queued: 24 } }) },
      "disk_full",
    ],
    ["a queue", one({ way: "queued", queued: 900 }), "queued"],
    ["on its way", one({ way: "sent" }), "queued"],
    ["a queue there", one({ report: { ...behind, isQueued: true } }), "queued"],
    ["stuck here", one({ stuck: "too large", way: "queued" }), "stuck"],
    ["stuck there", one({ report: { ...behind, stuck: "too large" } }), "stuck"],
    ["other rules", one({ isRuledOtherwise: true }), "rules_differ"],
    ["deleted there", one({ report: report({ standing: "deleted", life: 1 }) }), "deleted"],
    ["set aside there", one({ report: report({ ...ABSENT, standing: "aside" }) }), "set_aside"],
    ["damaged there", one({ report: report({ ...ABSENT, standing: "damaged" }) }), "damaged"],
    ["expired there", one({ report: report({ standing: "expired" }) }), "expired"],
    ["catching up", one({ queued: 5 }), "catching_up"],
    ["not compared yet", one({}), "comparing"],
    ["no answer", one({ report: undefined }), "no_answer"],
    ["an older peer", one({ report: undefined, isAnswered: false }), "older_version"],
    ["a guest", { peers: [guest] }, "guest"],
    ["a guest's refusal", { peers: [{ ...guest, stuck: "damaged" }] }, "stuck"],
    ["deleted here", { here: deleted, peers: [] }, "deleted"],
    ["set aside here", { here: { kind: "aside" }, peers: [] }, "set_aside"],
    ["damaged here", { here: { kind: "damaged" }, peers: [] }, "damaged"],
    ["expired here", { here: { ...alive, kind: "expired" }, peers: [] }, "expired"],
  ];
  for (const [what, facts, code] of cases) {
    test(what, () => {
      const { codes, causes } = judge(facts);
      expect(codes).toEqual([code]);
      expect(causes[0]?.message.length).toBeGreaterThan(10);
      expect(causes[0]?.remedy?.length ?? 0).toBeGreaterThan(8);
    });
  }

  test("a clock that is minutes wrong is told beside the other causes", () => {
    const { codes } = judge(one({ way: "queued", clockAheadMs: 400_000 }));
    expect(codes).toEqual(["queued", "clock"]);
    expect(judge(one({ way: "queued", clockAheadMs: -400_000 })).causes[1]?.message).toContain(
      "7 min behind",
    );
  });
});
