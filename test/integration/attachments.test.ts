// Files between nodes over real Iroh: they arrive whole, once, where they should, and everybody knows.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../scripts/support/waiting.ts";
import { FileNode, noise, together } from "../support/start-files.ts";
import { randomSecret } from "../support/start-node.ts";
import { tempFolder } from "../support/temp-folder.ts";

const KIB = 1024;
const LIMIT_MS = 60_000;

/** What this process has open below a folder: a handle that nobody closes ends it, once its garbage is collected. */
function openBelow(folder: string): string[] {
  const targetOf = (descriptor: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      // Of the listing itself.
      return "";
    }
  };
  return readdirSync("/proc/self/fd")
    .map(targetOf)
    .filter((target) => target.startsWith(folder));
}

describe("a file", () => {
  test.each([0, 1, 64 * KIB, 3 * 1024 * KIB + 17])(
    "of %i bytes arrives as it was, under its path",
    async (size) => {
      using folder = tempFolder();
      const secret = randomSecret();
      await using a = await FileNode.start({ name: "a", secret, folder: folder.path });
      await using b = await FileNode.start({ name: "b", secret, folder: folder.path });
      await together(a, b);
      const content = noise(size);
      const sent = await a.send([a.offer("maps/north.bin", content)]);
      const [distribution] = sent.distributions;
      if (distribution === undefined) throw new Error("nothing was sent");
      const done = await a.shows(distribution, "completed");
      expect([...done.nodes]).toEqual([[b.shortId, { status: "completed", bytes: size }]]);
      expect(b.received("maps/north.bin")).toEqual(content);
      expect(readdirSync(join(b.folder, "inbox/.peat-incoming"))).toEqual([]);
      // Nobody needs the copy any more.
      const copies = join(a.folder, "data/attachments");
      await waitFor("the copy to be gone", LIMIT_MS, () =>
        readdirSync(copies).length === 0 ? true : undefined,
      );
      await b.shows(distribution, "completed");
      expect(a.files.figures()).toMatchObject({ sending: { waiting: 0, transferring: 0 } });
      // Counted in the turn after the one that all hear it in.
      const { traffic, inbox } = await waitFor("the file to be counted", LIMIT_MS, () => {
        const figures = b.files.figures();
        return figures.inbox?.ended.completed === 1 ? figures : undefined;
      });
      expect(inbox?.ended.failed).toBe(0);
      expect(inbox?.pending).toEqual({ waiting: 0, transferring: 0, without_room: 0 });
      expect(traffic.receivedBytes).toBeGreaterThanOrEqual(size);
      expect(a.files.figures().traffic.sentBytes).toBeGreaterThanOrEqual(size);
    },
  );

  test("that everybody has received is not cancelled any more", async () => {
    using folder = tempFolder();
    const common = { secret: randomSecret(), folder: folder.path };
    await using a = await FileNode.start({ name: "a", ...common });
    await using b = await FileNode.start({ name: "b", ...common });
    await together(a, b);
    for (let n = 0; n < 8; n += 1) {
      const [distribution] = (await a.send([a.offer(`x${n}`, noise(10))])).distributions;
      if (distribution === undefined) throw new Error("nothing was sent");
      await a.shows(distribution, "completed");
      expect(await a.files.sender?.cancel(distribution.id)).toBe(false);
    }
  });

  test("goes to the listed nodes only, and to those that have an inbox", async () => {
    using folder = tempFolder();
    const secret = randomSecret();
    const common = { secret, folder: folder.path };
    await using a = await FileNode.start({ name: "a", ...common });
    await using b = await FileNode.start({ name: "b", ...common });
    await using c = await FileNode.start({ name: "c", ...common });
    await using d = await FileNode.start({ name: "d", ...common, isReceiver: false });
    await together(a, b, c, d);
    const content = noise(100 * KIB);
    const file = a.offer("one", content);
    const listed = await a.send([file], { scope: { kind: "list", nodeIds: ["c"] } });
    const all = await a.send([a.offer("all", content)]);
    for (const { distributions } of [listed, all]) {
      for (const distribution of distributions) await a.shows(distribution, "completed");
    }
    expect(listed.distributions[0]?.targets).toEqual([c.shortId]);
    expect(new Set(all.distributions[0]?.targets)).toEqual(new Set([b.shortId, c.shortId]));
    expect(c.received("one")).toEqual(content);
    expect(b.received("one")).toBeUndefined();
    expect(b.received("all")).toEqual(content);
    expect(existsSync(join(d.folder, "inbox"))).toBe(false);
    // Every node knows how it went, also one that takes no part.
    for (const { id } of all.distributions) await d.shows({ id }, "completed");
  });
});

test("what can't be copied or is not whole leaves no file open", async () => {
  using folder = tempFolder();
  await using a = await FileNode.start({ name: "a", secret: randomSecret(), folder: folder.path });
  const copies = join(a.folder, "data/attachments");
  const before = openBelow(copies);
  mkdirSync(join(copies, "1.part.tree"));
  await expect(a.send([a.offer("x", noise(10))])).rejects.toMatchObject({ code: "storage_failed" });
  expect(openBelow(copies)).toEqual(before);
  const scope = { kind: "list", nodeIds: ["b"] } as const;
  const [distribution] = (await a.send([a.offer("y", noise(10))], { scope })).distributions;
  const hash = distribution?.hash ?? "";
  rmSync(join(copies, `${hash}.tree`));
  mkdirSync(join(copies, `${hash}.tree`));
  expect(await a.files.sender?.open("b" as typeof a.name, hash)).toBeUndefined();
  expect(openBelow(copies)).toEqual(before);
});

test("a node goes on sending when one that it received from is away, and after its own restart", async () => {
  using folder = tempFolder();
  const secret = randomSecret();
  const common = { secret, folder: folder.path };
  await using a = await FileNode.start({ name: "a", ...common });
  await using b = await FileNode.start({ name: "b", ...common });
  await using c = await FileNode.start({ name: "c", ...common });
  await together(a, b, c);
  const content = noise(200 * KIB);
  const [first] = (await a.send([a.offer("one", content)])).distributions;
  await a.shows({ id: first?.id ?? "" }, "completed");
  await a.stop();
  await b.stop();
  await using again = await FileNode.start({ name: "b", ...common });
  await together(again, c);
  const [second] = (await again.send([again.offer("two", content)])).distributions;
  await again.shows({ id: second?.id ?? "" }, "completed");
  expect(c.received("two")).toEqual(content);
});

test("several receivers have a file and a later document, none of them last by far", async () => {
  using folder = tempFolder();
  const secret = randomSecret();
  const common = { secret, folder: folder.path };
  await using a = await FileNode.start({ name: "a", ...common });
  await using b = await FileNode.start({ name: "b", ...common });
  await using c = await FileNode.start({ name: "c", ...common });
  await using d = await FileNode.start({ name: "d", ...common });
  await together(a, b, c, d);
  const content = noise(4 * 1024 * KIB);
  const [sent] = (await a.send([a.offer("big", content)])).distributions;
  await a.node.put("notes:later", { text: "meanwhile" });
  for (const node of [b, c, d]) await node.node.shows("notes:later", '{"text":"meanwhile"}');
  const done = await a.shows({ id: sent?.id ?? "" }, "completed");
  expect([...done.nodes.values()].map(({ status }) => status)).toEqual(Array(3).fill("completed"));
  for (const node of [b, c, d]) expect(node.received("big")).toEqual(content);
});

describe("settings that can't be met are told at the start", () => {
  const cases = [
    ["a root that is not there", { attachmentRoots: [{ name: "x", path: "/nowhere" }] }],
    ["a root that is a file", { attachmentRoots: [{ name: "x", path: "/proc/version" }] }],
    [
      "two roots of one name",
      {
        attachmentRoots: [
          { name: "x", path: "/" },
          { name: "x", path: "/tmp" },
        ],
      },
    ],
    ["an inbox that is a file", { attachmentInbox: "/proc/version" }],
    ["an inbox that can't be made", { attachmentInbox: "/proc/nowhere/inbox" }],
  ] as const;
  test.each(cases)("%s", async (_, settings) => {
    using folder = tempFolder();
    const starting = FileNode.start({
      name: "a",
      secret: randomSecret(),
      folder: folder.path,
      settings,
    });
    const name = "attachmentInbox" in settings ? "PEAT_ATTACHMENT_INBOX" : "PEAT_ATTACHMENT_ROOT";
    await expect(starting).rejects.toMatchObject({
      code: "settings_invalid",
      message: expect.stringContaining(name),
    });
    expect(openBelow(folder.path)).toEqual([]);
  });
});
