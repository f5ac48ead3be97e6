// Files between nodes over real Iroh: they arrive whole, once, where they should, and everybody knows.
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../scripts/support/waiting.ts";
import { FileNode, noise, together } from "../support/start-files.ts";
import { randomSecret } from "../support/start-node.ts";
import { tempFolder } from "../support/temp-folder.ts";

const KIB = 1024;
const LIMIT_MS = 60_000;

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
    },
  );

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
