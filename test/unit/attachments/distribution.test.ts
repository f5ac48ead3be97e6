// Documents of distributions: what is written is read, what is not ours is passed over, and how they add up.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  bytesTransferred,
  byUrgency,
  type Distribution,
  type NodeState,
  printDistribution,
  printEnd,
  printNode,
  progressOf,
  readDistribution,
  verdictOf,
} from "../../../src/attachments/distribution.ts";

const A = "aaaaaaaaaa";
const B = "bbbbbbbbbb";

function distribution(given: Partial<Distribution> = {}): Distribution {
  return {
    id: "d-1",
    bundleId: "b-1",
    fileIndex: 0,
    fileCount: 2,
    sender: "node-a",
    hash: "0f".repeat(32),
    size: 100,
    sha256: "1e".repeat(32),
    name: "maps/north.mbtiles",
    priority: "routine",
    source: { root: "maps", path: "north.mbtiles" },
    targets: [A, B],
    startedAt: 1_800_000_000_000,
    verdict: "distributing",
    nodes: new Map(),
    ...given,
  };
}

const completed: NodeState = { status: "completed", bytes: 100 };
const failed: NodeState = { status: "failed", bytes: 7, error: "no room" };
const transferring: NodeState = { status: "transferring", bytes: 40 };

function reread(told: Distribution, ...patches: object[]): Distribution | undefined {
  const fields = Object.assign({}, printDistribution(told), ...patches);
  return readDistribution(told.id, JSON.stringify(fields));
}

describe("a document", () => {
  test("is read as it was written", () => {
    const told = distribution({ contentType: "text/plain", verdict: "failed", error: "x" });
    expect(reread(told)).toEqual(told);
    expect(reread(distribution({ targets: [], size: 0 }))?.size).toBe(0);
  });

  test("has what each node says of itself", () => {
    const read = reread(distribution(), printNode(A, failed), printNode(B, completed));
    expect(read?.nodes).toEqual(
      new Map([
        [A, failed],
        [B, completed],
      ]),
    );
  });

  test("does not count what nodes say that are no targets, or more bytes than there are", () => {
    const read = reread(
      distribution({ targets: [A] }),
      printNode(B, completed),
      printNode(A, { status: "transferring", bytes: 101 }),
    );
    expect(read?.nodes).toEqual(new Map([[A, { status: "transferring", bytes: 0 }]]));
  });

  test("of another layout is passed over", () => {
    expect(readDistribution("d-1", "{}")).toBeUndefined();
    expect(readDistribution("d-1", '{"metadata":"AAAA","node_statuses":{}}')).toBeUndefined();
    expect(readDistribution("d-2", JSON.stringify(printDistribution(distribution())))).toBe(
      undefined,
    );
  });

  const bad: readonly (readonly [string, unknown])[] = [
    ["blob_hash", "0F".repeat(32)],
    ["blob_hash", "../../etc/passwd"],
    ["blob_size", -1],
    ["blob_size", 1.5],
    ["blob_size", 2 ** 53],
    ["blob_size", "100"],
    ["target_nodes", "aaaaaaaaaa"],
    ["target_nodes", ["AAAAAAAAAA"]],
    ["target_nodes", [7]],
    ["target_nodes", Array.from({ length: 4097 }, () => A)],
    ["status", "done"],
    ["priority", 3],
    ["sender", null],
    ["blob_metadata", []],
    ["blob_metadata", { name: "x".repeat(5000) }],
    ["source", { root: 1, path: "x" }],
    ["started_at", -5],
  ];
  test.each(bad)("with %s %j is passed over", (field, value) => {
    expect(reread(distribution(), { [field]: value })).toBeUndefined();
  });

  test("of any JSON at all is read or passed over", () => {
    fc.assert(
      fc.property(fc.json(), fc.object(), (json, patch) => {
        readDistribution("d-1", json);
        reread(distribution(), patch);
      }),
    );
  });
});

describe("a distribution", () => {
  const withNodes = (a?: NodeState, b?: NodeState) => {
    const nodes = new Map<string, NodeState>();
    if (a !== undefined) nodes.set(A, a);
    if (b !== undefined) nodes.set(B, b);
    return distribution({ nodes });
  };

  test.each([
    [undefined, undefined, "pending"],
    [transferring, undefined, "in_progress"],
    [completed, undefined, "in_progress"],
    [failed, transferring, "in_progress"],
    [completed, completed, "completed"],
    [failed, completed, "failed"],
    [failed, failed, "failed"],
  ] as const)("whose nodes are %j and %j is %s", (a, b, progress) => {
    expect(progressOf(withNodes(a, b))).toBe(progress);
  });

  test("to nobody is completed", () => {
    expect(verdictOf(distribution({ targets: [] }))).toBe("completed");
  });

  test("that its sender has ended stays as he says", () => {
    const cancelled = { ...withNodes(completed, failed), verdict: "cancelled" } as const;
    expect(progressOf(cancelled)).toBe("cancelled");
    expect(printEnd({ verdict: "cancelled", endedAt: 5 })).toEqual({
      status: "cancelled",
      completed_at: 5,
    });
  });

  test("has the bytes of all its nodes", () => {
    expect(bytesTransferred(withNodes(completed, transferring))).toBe(140);
  });

  test("goes before less urgent ones, older ones first", () => {
    const late = distribution({ id: "late", startedAt: 2 });
    const early = distribution({ id: "early", startedAt: 1 });
    const urgent = distribution({ id: "urgent", startedAt: 3, priority: "critical" });
    const bulk = distribution({ id: "bulk", startedAt: 0, priority: "bulk" });
    const second = distribution({ id: "second", startedAt: 1, fileIndex: 1 });
    const order = [late, bulk, second, early, urgent].sort(byUrgency).map(({ id }) => id);
    expect(order).toEqual(["urgent", "early", "second", "late", "bulk"]);
  });
});
