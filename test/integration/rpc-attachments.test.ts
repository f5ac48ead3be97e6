// The four calls about files, as clients use them: every bad input, and two nodes between which a file goes.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { toHex } from "../../src/base/bytes.ts";
import {
  AttachmentPriority,
  type AttachmentProgress,
  DistributionStatus,
  type FileSpecSchema,
  type SendAttachmentsRequestSchema,
} from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";
import { describe as describeFile, FileNode, noise, together } from "../support/start-files.ts";
import { randomSecret } from "../support/start-node.ts";
import { type RpcWorld, startRpc } from "../support/start-rpc.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const { InvalidArgument, ResourceExhausted, FailedPrecondition, AlreadyExists, NotFound } = Code;
const { Unimplemented } = Code;
type Request = MessageInitShape<typeof SendAttachmentsRequestSchema>;

const ALL = { scope: { case: "allNodes", value: {} } } as const;
const list = (...nodeIds: string[]) =>
  ({ scope: { case: "nodeList", value: { nodeIds } } }) as const;

let folder: TempFolder;
let a: FileNode;
let b: FileNode;
let rpc: RpcWorld;
let good: MessageInitShape<typeof FileSpecSchema>;

beforeAll(async () => {
  folder = tempFolder();
  const secret = randomSecret();
  const settings = { attachmentMaxFileBytes: 2000, attachmentMaxBundleBytes: 3000 };
  a = await FileNode.start({ name: "a", secret, folder: folder.path, settings });
  b = await FileNode.start({ name: "b", secret, folder: folder.path, isSender: false });
  await together(a, b);
  rpc = await startRpc({ parts: { files: a.files } });
  const root = join(a.folder, "outbox");
  good = a.offer("good", noise(1000));
  a.offer("other", noise(1000, 2));
  mkdirSync(join(root, "folder"));
  writeFileSync(join(folder.path, "secret"), "secret");
  symlinkSync(join(folder.path, "secret"), join(root, "link"));
  symlinkSync(folder.path, join(root, "away"));
});

afterAll(async () => {
  await rpc[Symbol.asyncDispose]();
  await a[Symbol.asyncDispose]();
  await b[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

async function failureOf(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("it was answered");
}

const file = (changed: MessageInitShape<typeof FileSpecSchema>) => () => ({
  files: [{ ...good, ...changed }],
  scope: ALL,
});
const HASH = new Uint8Array(32);

const CASES: readonly (readonly [string, () => Request, Code, string])[] = [
  ["no file", () => ({ scope: ALL }), InvalidArgument, "files: "],
  ["too many", () => ({ files: Array(9).fill(good), scope: ALL }), ResourceExhausted, "files: "],
  ["too much", () => ({ files: Array(4).fill(good), scope: ALL }), ResourceExhausted, "files: "],
  [
    "sizes whose sum no number holds",
    () => ({ files: Array(2).fill({ ...good, sizeBytes: 2n ** 64n - 1n }), scope: ALL }),
    ResourceExhausted,
    "files: ",
  ],
  ["no scope", () => ({ files: [good] }), InvalidArgument, "scope: "],
  ["a scope of no kind", () => ({ files: [good], scope: {} }), InvalidArgument, "scope: "],
  [
    "a list of nobody",
    () => ({ files: [good], scope: list() }),
    InvalidArgument,
    "scope.node_list.node_ids: ",
  ],
  [
    "a list of too many",
    () => ({ files: [good], scope: list(...Array(17).fill("b")) }),
    ResourceExhausted,
    "scope.node_list.node_ids: ",
  ],
  [
    "a node by a name that is none",
    () => ({ files: [good], scope: list("b", "a b") }),
    InvalidArgument,
    "scope.node_list.node_ids[1]: ",
  ],
  [
    "this node",
    () => ({ files: [good], scope: list("a") }),
    InvalidArgument,
    "scope.node_list.node_ids[0]: ",
  ],
  [
    "a formation",
    () => ({ files: [good], scope: { scope: { case: "formation", value: {} } } }),
    FailedPrecondition,
    "scope.formation: ",
  ],
  [
    "who is capable",
    () => ({ files: [good], scope: { scope: { case: "capable", value: {} } } }),
    FailedPrecondition,
    "scope.capable: ",
  ],
  [
    "an unknown priority",
    () => ({ files: [good], scope: ALL, priority: 6 }),
    InvalidArgument,
    "priority: ",
  ],
  [
    "a bundle id that no log can show",
    () => ({ files: [good], scope: ALL, bundleId: "a\nb" }),
    InvalidArgument,
    "bundle_id: ",
  ],
  ["a short sha256", file({ sha256: HASH.slice(1) }), InvalidArgument, "files[0].sha256: "],
  ["no sha256", file({ sha256: new Uint8Array() }), InvalidArgument, "files[0].sha256: "],
  ["another sha256", file({ sha256: HASH }), InvalidArgument, "files[0].sha256: "],
  ["an unknown root", file({ rootName: "etc" }), InvalidArgument, "files[0].root_name: "],
  ["no path", file({ relativePath: "" }), InvalidArgument, "files[0].relative_path: "],
  [
    "an absolute path",
    file({ relativePath: "/etc/passwd" }),
    InvalidArgument,
    "files[0].relative_path: ",
  ],
  [
    "a path that leads up",
    file({ relativePath: "../secret" }),
    InvalidArgument,
    "files[0].relative_path: ",
  ],
  [
    "one that leads up later",
    file({ relativePath: "folder/../../secret" }),
    InvalidArgument,
    "files[0].relative_path: ",
  ],
  [
    "a path with a zero byte",
    file({ relativePath: "good\0" }),
    InvalidArgument,
    "files[0].relative_path: ",
  ],
  ["a link", file({ relativePath: "link" }), InvalidArgument, "files[0].relative_path: "],
  [
    "a path through a link",
    file({ relativePath: "away/secret" }),
    InvalidArgument,
    "files[0].relative_path: ",
  ],
  [
    "a file that is not there",
    file({ relativePath: "none" }),
    InvalidArgument,
    "files[0].relative_path: ",
  ],
  ["a folder", file({ relativePath: "folder" }), InvalidArgument, "files[0].relative_path: "],
  ["another size", file({ sizeBytes: 999n }), InvalidArgument, "files[0].size_bytes: "],
  ["a file over the limit", file({ sizeBytes: 2001n }), ResourceExhausted, "files[0].size_bytes: "],
  [
    "a content type of two lines",
    file({ contentType: "a\nb" }),
    InvalidArgument,
    "files[0].content_type: ",
  ],
  [
    "a name without end",
    file({ displayName: "x".repeat(1025) }),
    InvalidArgument,
    "files[0].display_name: ",
  ],
];

describe("SendAttachments refuses", () => {
  test.each(CASES)("%s", async (_, request, code, sentence) => {
    const error = await failureOf(rpc.client().sendAttachments(request()));
    expect([error.code, error.rawMessage.slice(0, sentence.length)]).toEqual([code, sentence]);
  });

  test("and keeps nothing of what it refuses", async () => {
    const files = [good, { ...describeFile("other", noise(1000, 2)), sha256: HASH }];
    const error = await failureOf(
      rpc.client().sendAttachments({ files, scope: ALL, bundleId: "x" }),
    );
    expect(error.rawMessage).toStartWith("files[1].sha256: ");
    const watched = rpc.client().subscribeAttachmentBundle({ bundleId: "x" });
    expect((await failureOf(Array.fromAsync(watched))).code).toBe(NotFound);
    expect(a.node.store.count("file_distributions")).toBe(0);
  });
});

test.each(["", "none", "../x", "a b", "x".repeat(600)])("%j is no distribution", async (id) => {
  const client = rpc.client();
  const asked = failureOf(client.getAttachmentDistribution({ distributionId: id }));
  expect((await asked).code).toBe(NotFound);
  const cancelled = failureOf(client.cancelAttachmentDistribution({ distributionId: id }));
  expect((await cancelled).code).toBe(NotFound);
});

describe("a node without roots", () => {
  test("sends nothing, in the older sidecar's words, and knows what others send", async () => {
    await using other = await startRpc({ parts: { files: b.files } });
    const client = other.client();
    const error = await failureOf(client.sendAttachments({ files: [good], scope: ALL }));
    expect(error.code).toBe(Unimplemented);
    expect(error.rawMessage).toBe("SendAttachments requires --attachment-root to be configured");
    const asked = failureOf(client.getAttachmentDistribution({ distributionId: "none" }));
    expect((await asked).code).toBe(NotFound);
  });
});

describe("a bundle", () => {
  test("is told from its beginning to its end, to everybody who asks", async () => {
    const client = rpc.client();
    const bundleId = "told";
    const sent = await client.sendAttachments({
      files: [good, describeFile("other", noise(1000, 2))],
      scope: ALL,
      bundleId,
      priority: AttachmentPriority.CRITICAL,
    });
    expect(sent.bundleId).toBe(bundleId);
    expect(sent.handles.map(({ fileIndex }) => fileIndex)).toEqual([0, 1]);
    const watch = async () => {
      const frames: AttachmentProgress[] = [];
      for await (const frame of client.subscribeAttachmentBundle({ bundleId })) frames.push(frame);
      return frames;
    };
    const both = await Promise.all([watch(), watch()]);
    for (const frames of [...both, await watch()]) {
      const last = new Map(frames.map((frame) => [frame.distributionId, frame]));
      expect(new Set(last.keys())).toEqual(
        new Set(sent.handles.map(({ distributionId }) => distributionId)),
      );
      for (const { status, bytesTransferred, bytesTotal } of last.values()) {
        expect(status).toBe(DistributionStatus.COMPLETED);
        expect([bytesTransferred, bytesTotal]).toEqual([1000n, 1000n]);
      }
    }
    const [first] = sent.handles;
    const got = await client.getAttachmentDistribution({
      distributionId: first?.distributionId ?? "",
    });
    expect(got.perNode).toMatchObject([
      { nodeId: b.shortId, status: DistributionStatus.COMPLETED, bytesTransferred: 1000n },
    ]);
    expect(b.received("good")).toEqual(noise(1000));
    const late = await client.cancelAttachmentDistribution({
      distributionId: first?.distributionId ?? "",
    });
    expect(late.wasCancelled).toBe(false);
  });

  test("sent again under its id is the same one, and other files are refused", async () => {
    const client = rpc.client();
    const request = { files: [good], scope: ALL, bundleId: "twice" };
    const [once, twice] = await Promise.all([
      client.sendAttachments(request),
      client.sendAttachments(request),
    ]);
    const thrice = await client.sendAttachments(request);
    expect(twice.handles).toEqual(once.handles);
    expect(thrice.handles).toEqual(once.handles);
    const files = [describeFile("other", noise(1000, 2))];
    const error = await failureOf(client.sendAttachments({ ...request, files }));
    expect(error.code).toBe(AlreadyExists);
    expect(error.rawMessage).toStartWith("bundle_id: ");
    expect(toHex(Uint8Array.fromHex(once.handles[0]?.blobToken ?? ""))).toHaveLength(64);
  });
});

test("a node that has not sent a distribution does not cancel it", async () => {
  const sent = await a.send([a.offer("mine", noise(10))], {
    scope: { kind: "list", nodeIds: ["nobody"] },
  });
  const id = sent.distributions[0]?.id ?? "";
  await b.shows({ id }, "pending");
  expect(
    (await rpc.client().cancelAttachmentDistribution({ distributionId: id })).wasCancelled,
  ).toBe(true);
  await b.shows({ id }, "cancelled");
  expect(
    (await rpc.client().cancelAttachmentDistribution({ distributionId: id })).wasCancelled,
  ).toBe(false);
});
