// Files between nodes when things go wrong: restarts on either side, wrong content, full disks, second thoughts.
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { waitFor } from "../../scripts/support/waiting.ts";
import { type Distribution, printDistribution } from "../../src/attachments/distribution.ts";
import type { Sent } from "../../src/attachments/sender.ts";
import { FileNode, type FileNodeOptions, noise, together } from "../support/start-files.ts";
import { LogLines, randomSecret } from "../support/start-node.ts";
import { tempFolder } from "../support/temp-folder.ts";

const MIB = 1024 * 1024;
const LIMIT_MS = 60_000;
const HASH_NAME = /^[0-9a-f]{64}$/;

/** Two nodes that have not met, and a way to start each again. */
class Pair implements AsyncDisposable {
  readonly folder = tempFolder();
  readonly #secret = randomSecret();
  readonly #nodes: FileNode[] = [];

  async start(name: string, given: Partial<FileNodeOptions> = {}): Promise<FileNode> {
    const node = await FileNode.start({
      name,
      secret: this.#secret,
      folder: this.folder.path,
      ...given,
    });
    this.#nodes.push(node);
    return node;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}

function only({ distributions }: Sent): Distribution {
  const [distribution] = distributions;
  if (distribution === undefined) throw new Error("nothing was sent");
  return distribution;
}

function partPath(node: FileNode, { id }: Distribution): string {
  return join(node.folder, "inbox/.peat-incoming", `${id}.part`);
}

async function partHas(node: FileNode, distribution: Distribution, bytes: number): Promise<void> {
  await waitFor(
    `${bytes} bytes of ${distribution.id}`,
    LIMIT_MS,
    () => {
      const path = partPath(node, distribution);
      return existsSync(path) && statSync(path).size >= bytes ? true : undefined;
    },
    1,
  );
}

function copyPath(node: FileNode): string {
  const folder = join(node.folder, "data/attachments");
  const name = readdirSync(folder).find((entry) => HASH_NAME.test(entry));
  if (name === undefined) throw new Error("there is no copy");
  return join(folder, name);
}

async function overwrite(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "r+");
  await file.write(bytes, 0, bytes.length, at);
  await file.close();
}

const to = (...nodeIds: string[]) => ({ scope: { kind: "list", nodeIds } }) as const;

describe("a fetch goes on where it was", () => {
  test("after a restart of the receiver", async () => {
    await using pair = new Pair();
    const a = await pair.start("a");
    const b = await pair.start("b");
    await together(a, b);
    const content = noise(24 * MIB);
    const distribution = only(await a.send([a.offer("big", content)]));
    await partHas(b, distribution, 4 * MIB);
    await b.stop();
    const had = Math.floor(statSync(partPath(b, distribution)).size / (64 * 1024)) * 64 * 1024;
    // What is there already can't be had any more: it must not be asked for.
    await overwrite(copyPath(a), 0, new Uint8Array(had));
    const again = await pair.start("b");
    await together(a, again);
    await a.shows(distribution, "completed");
    expect(again.received("big")).toEqual(content);
  });

  test("after a restart of the sender", async () => {
    await using pair = new Pair();
    const a = await pair.start("a");
    const b = await pair.start("b");
    await together(a, b);
    const content = noise(24 * MIB);
    const distribution = only(await a.send([a.offer("big", content)], { bundleId: "kept" }));
    await partHas(b, distribution, 4 * MIB);
    await a.stop();
    rmSync(join(a.folder, "outbox/big"));
    const again = await pair.start("a");
    await together(again, b);
    await again.shows(distribution, "completed");
    expect(b.received("big")).toEqual(content);
    // It knows its bundles, too.
    const same = again.files.sender?.bundles.get("kept");
    expect(same?.distributions.map(({ id }) => id)).toEqual([distribution.id]);
  });

  test("and a part that was damaged on the disk meanwhile is fetched anew", async () => {
    await using pair = new Pair();
    const a = await pair.start("a");
    const b = await pair.start("b");
    await together(a, b);
    const content = noise(16 * MIB);
    const distribution = only(await a.send([a.offer("big", content)]));
    await partHas(b, distribution, 4 * MIB);
    await b.stop();
    await overwrite(partPath(b, distribution), 2 * MIB + 7, Uint8Array.of(1, 2, 3, 4));
    const again = await pair.start("b");
    await together(a, again);
    await a.shows(distribution, "completed");
    expect(again.received("big")).toEqual(content);
  });
});

describe("content that is not what was announced", () => {
  test.each(["", ".tree"])("is never delivered, and the node fails (copy%s)", async (ending) => {
    await using pair = new Pair();
    using log = new LogLines();
    const a = await pair.start("a");
    const b = await pair.start("b");
    const content = noise(2 * MIB);
    const sent = await a.send([a.offer("wrong", content)], to("b"));
    const distribution = only(sent);
    await overwrite(
      copyPath(a) + ending,
      ending === "" ? MIB + 3 : 64,
      Uint8Array.of(0xff, 0, 0xff),
    );
    await together(a, b);
    const failed = await a.shows(distribution, "failed");
    expect(failed.nodes.get(b.shortId)?.error).toContain("not what was announced");
    expect(readdirSync(join(b.folder, "inbox"))).toEqual([".peat-incoming"]);
    expect(log.with("Peer sent content that is not what it announced")).toHaveLength(3);
    await waitFor("the partial file to be gone", LIMIT_MS, () =>
      existsSync(partPath(b, distribution)) ? undefined : true,
    );
  });
});

test("a distribution that is cancelled stops, and leaves nothing", async () => {
  await using pair = new Pair();
  const a = await pair.start("a");
  const b = await pair.start("b");
  await together(a, b);
  const distribution = only(await a.send([a.offer("big", noise(64 * MIB))]));
  await partHas(b, distribution, MIB);
  expect(await a.files.sender?.cancel(distribution.id)).toBe(true);
  await b.shows(distribution, "cancelled");
  await waitFor("partial file and copy to be gone", LIMIT_MS, () => {
    const copies = readdirSync(join(a.folder, "data/attachments"));
    return !existsSync(partPath(b, distribution)) && copies.length === 0 ? true : undefined;
  });
  expect(b.received("big")).toBeUndefined();
  expect(await a.files.sender?.cancel(distribution.id)).toBe(false);
});

describe("a delivery", () => {
  test("takes the place of a file, not of a folder, and follows no link", async () => {
    await using pair = new Pair();
    const a = await pair.start("a");
    const b = await pair.start("b");
    const inbox = join(b.folder, "inbox");
    mkdirSync(join(inbox, "folder"));
    mkdirSync(join(b.folder, "elsewhere"));
    symlinkSync(join(b.folder, "elsewhere"), join(inbox, "link"));
    writeFileSync(join(inbox, "old"), "old");
    await together(a, b);
    const content = noise(1000);
    const files = ["folder", "link", "link/x", "../up", "/etc/x", ".peat-incoming/x", "old", "a/b"];
    const sent = await a.send([
      ...files.slice(0, 8).map((displayName) => ({ ...a.offer("file", content), displayName })),
    ]);
    const shown = await Promise.all(
      sent.distributions.map(async ({ id, name }) => {
        const failures = ["folder", "link/x"];
        const found = await a.shows({ id }, failures.includes(name) ? "failed" : "completed");
        return found.nodes.get(b.shortId)?.error ?? "";
      }),
    );
    expect(shown[0]).toContain("can't be delivered");
    expect(shown[2]).toContain("can't be delivered");
    expect(readdirSync(join(b.folder, "elsewhere"))).toEqual([]);
    expect(lstatSync(join(inbox, "link")).isFile()).toBe(true);
    for (const path of ["old", "a/b"]) expect(b.received(path)).toEqual(content);
    for (const index of [3, 4, 5]) {
      const id = sent.distributions[index]?.id ?? "";
      expect(b.received(`${id}.bin`), files[index]).toEqual(content);
    }
    expect(existsSync(join(b.folder, "up"))).toBe(false);
  });

  test("of what is there already needs no second transfer", async () => {
    await using pair = new Pair();
    const a = await pair.start("a");
    const b = await pair.start("b");
    const content = noise(MIB);
    writeFileSync(join(b.folder, "inbox/same"), content);
    const inode = statSync(join(b.folder, "inbox/same")).ino;
    await together(a, b);
    await a.shows(only(await a.send([a.offer("same", content)])), "completed");
    expect(statSync(join(b.folder, "inbox/same")).ino).toBe(inode);
  });

  test("is open to whom the inbox is open to", async () => {
    await using pair = new Pair();
    const a = await pair.start("a");
    mkdirSync(join(pair.folder.path, "b/inbox"), { recursive: true, mode: 0o770 });
    Bun.spawnSync(["chmod", "0770", join(pair.folder.path, "b/inbox")]);
    const b = await pair.start("b");
    await together(a, b);
    await a.shows(only(await a.send([a.offer("x/y", noise(10))])), "completed");
    expect(statSync(join(b.folder, "inbox/x")).mode & 0o777).toBe(0o770);
    expect(statSync(join(b.folder, "inbox/x/y")).mode & 0o777).toBe(0o660);
  });
});

describe("a copy is served", () => {
  test("to the nodes that are to have it, while they are", async () => {
    await using pair = new Pair();
    const a = await pair.start("a");
    const sent = await a.send([a.offer("x", noise(10))], to("b"));
    const { hash } = only(sent);
    const { sender } = a.files;
    const names = a.name;
    const opened = await sender?.open("b" as typeof names, hash);
    expect(opened?.shape.size).toBe(10);
    await opened?.[Symbol.asyncDispose]();
    expect(await sender?.open("c" as typeof names, hash)).toBeUndefined();
    expect(await sender?.open("b" as typeof names, "0".repeat(64))).toBeUndefined();
    await sender?.cancel(only(sent).id);
    await a.shows(only(sent), "cancelled");
    expect(await sender?.open("b" as typeof names, hash)).toBeUndefined();
  });
});

describe("what can't be received", () => {
  test("fails: a file that is too large there, a node without an inbox, one that never comes", async () => {
    await using pair = new Pair();
    const settings = { attachmentDiscoveryGraceSecs: 1 };
    const a = await pair.start("a", { settings });
    const b = await pair.start("b", { settings: { attachmentMaxFileBytes: 100 } });
    const c = await pair.start("c", { isReceiver: false });
    await together(a, b, c);
    const file = a.offer("x", noise(101));
    const ids = [b.shortId, c.shortId, "0123456789"];
    const failed = await a.shows(only(await a.send([file], to(...ids))), "failed");
    const errors = ids.map((id) => failed.nodes.get(id)?.error);
    expect(errors[0]).toContain("more than the 100");
    expect(errors[1]).toContain("no inbox");
    expect(errors[2]).toContain("not connected within 1 s");
  });

  test("in time fails, and is forgotten later", async () => {
    await using pair = new Pair();
    const settings = { attachmentDiscoveryGraceSecs: 3600, attachmentHandleRetentionSecs: 1 };
    const a = await pair.start("a", { settings });
    const sent = only(await a.send([a.offer("x", noise(1))], to("b")));
    const failed = await a.shows(sent, "failed");
    expect([...failed.nodes.values()][0]?.error).toContain("within 1 s");
    await a.stop();
    const again = await pair.start("a", { settings });
    await waitFor("it to be forgotten", LIMIT_MS, () =>
      again.find(sent.id) === undefined ? true : undefined,
    );
  });
});

test("a bundle of which a crash has left a part fails after the restart", async () => {
  await using pair = new Pair();
  const a = await pair.start("a");
  const sent = only(await a.send([a.offer("x", noise(1))], to("b")));
  const part = { ...sent, id: "half", bundleId: "half", fileCount: 2 };
  await a.node.put("file_distributions:half", printDistribution(part));
  await a.stop();
  const again = await pair.start("a");
  const failed = await again.shows({ id: "half" }, "failed");
  expect(failed.error).toContain("stopped");
  expect(again.find(sent.id)?.verdict).toBe("distributing");
});

describe("an outbox", () => {
  test("sends what appears, each version once, also across restarts", async () => {
    await using pair = new Pair();
    const settings = { attachmentOutboxWatch: true };
    const a = await pair.start("a", { settings });
    const b = await pair.start("b", { isSender: false });
    await together(a, b);
    a.offer("first", noise(1000));
    a.offer(".hidden", noise(1000));
    symlinkSync("first", join(a.folder, "outbox/link"));
    await waitFor("the file to arrive", LIMIT_MS, () => b.received("first"));
    a.offer("deep/second", noise(2000));
    await waitFor("the second to arrive", LIMIT_MS, () => b.received("deep/second"));
    const count = () => a.node.store.count("file_distributions");
    expect(count()).toBe(2);
    await a.stop();
    const again = await pair.start("a", { settings });
    await together(again, b);
    again.offer("third", noise(3000));
    await waitFor("the third to arrive", LIMIT_MS, () => b.received("third"));
    // Whoever came to the third has passed the others.
    expect(again.node.store.count("file_distributions")).toBe(3);
    again.offer("first", noise(1000, 5));
    await waitFor("the new version", LIMIT_MS, () => {
      const got = b.received("first");
      return got !== undefined && Bun.deepEquals(got, noise(1000, 5)) ? true : undefined;
    });
    expect(readdirSync(join(b.folder, "inbox")).toSorted((x, y) => (x < y ? -1 : 1))).toEqual([
      ".peat-incoming",
      "deep",
      "first",
      "third",
    ]);
  });
});

const canMount =
  Bun.spawnSync([
    "sh",
    "-c",
    "[ $(id -u) = 0 ] && d=$(mktemp -d) && mount -t tmpfs none $d && umount $d && rmdir $d",
  ]).exitCode === 0;

/** A disk of so many bytes at a path, until disposed. */
function smallDisk(path: string, size: string): AsyncDisposable {
  mkdirSync(path, { recursive: true });
  const mounting = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${size}`, "none", path]);
  expect(mounting.exitCode).toBe(0);
  return {
    [Symbol.asyncDispose]: async () => {
      Bun.spawnSync(["umount", "-l", path]);
    },
  };
}

describe("a full disk", () => {
  test.skipIf(!canMount)(
    "of the inbox holds a file up until it has room (needs mount)",
    async () => {
      await using pair = new Pair();
      using log = new LogLines();
      const inbox = join(pair.folder.path, "b/inbox");
      await using _ = smallDisk(inbox, "20m");
      const a = await pair.start("a");
      const b = await pair.start("b");
      await together(a, b);
      const content = noise(16 * MIB);
      const distribution = only(await a.send([a.offer("big", content)]));
      await partHas(b, distribution, 2 * MIB);
      // Somebody else takes the rest while it arrives.
      const junk = join(inbox, "junk");
      expect(() => writeFileSync(junk, new Uint8Array(19 * MIB))).toThrow("ENOSPC");
      await log.shows("No room for a file");
      rmSync(junk);
      await a.shows(distribution, "completed");
      expect(b.received("big")).toEqual(content);
      await b.stop();
    },
  );

  test.skipIf(!canMount)("of the data directory refuses a bundle (needs mount)", async () => {
    await using pair = new Pair();
    const data = join(pair.folder.path, "a/data/attachments");
    await using _ = smallDisk(data, "2m");
    const a = await pair.start("a");
    const sending = a.send([a.offer("big", noise(4 * MIB))], to("b"));
    await expect(sending).rejects.toMatchObject({ code: "storage_full" });
    expect(readdirSync(data)).toEqual([]);
    expect(await a.send([a.offer("small", noise(MIB))], to("b"))).toBeDefined();
    await a.stop();
  });
});
