// Folders reached into by descriptors: what links and races can't do, and what paths may be.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { parseRelativePath, type RelativePath } from "../../../src/attachments/relative-path.ts";
import { SafeFolder } from "../../../src/attachments/safe-folder.ts";
import { systemCode } from "../../../src/base/faults.ts";
import { type TempFolder, tempFolder } from "../../support/temp-folder.ts";

let place: TempFolder;
let root: SafeFolder;

beforeEach(async () => {
  place = tempFolder();
  mkdirSync(place.file("root/sub"), { recursive: true });
  mkdirSync(place.file("outside"));
  writeFileSync(place.file("root/sub/file"), "inside");
  writeFileSync(place.file("outside/file"), "secret");
  root = await SafeFolder.open(place.file("root"));
});

afterEach(async () => {
  await root[Symbol.asyncDispose]();
  place[Symbol.dispose]();
});

function path(text: string): RelativePath {
  const parsed = parseRelativePath(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

/** What a file below the root holds; otherwise the system's word, or "no file". */
async function read(text: string): Promise<string> {
  try {
    await using folder = await root.parentOf(path(text));
    const file = await folder.openFile(path(text).at(-1) ?? "");
    if (file === undefined) return "no file";
    const content = await file.readFile("utf8");
    await file.close();
    return content;
  } catch (error) {
    return systemCode(error);
  }
}

describe("a path", () => {
  test.each(["a", "a/b/c", "..a", "a..", "a b", "ä/ö", ".hidden", "a\\b"])(
    "%j has parts",
    (text) => {
      expect(path(text)).toEqual(text.split("/") as [string]);
    },
  );

  test.each([
    ["", "empty"],
    ["/etc/passwd", "relative"],
    ["..", "neither"],
    ["a/../b", "neither"],
    ["a/./b", "neither"],
    ["a//b", "neither"],
    ["a/", "neither"],
    ["a\0b", "control"],
    ["a\nb", "control"],
    ["\ud800", "well-formed"],
    ["x".repeat(256), "255"],
    [`${"x/".repeat(32)}x`, "32 parts"],
    ["x".repeat(1025), "1024 bytes"],
  ])("%j is refused with the reason", (text, reason) => {
    expect(parseRelativePath(text)).toContain(reason);
  });
});

describe("a file", () => {
  test("is read below the folder", async () => {
    expect(await read("sub/file")).toBe("inside");
  });

  test("is not reached through links, wherever they are on the way", async () => {
    symlinkSync(place.file("outside"), place.file("root/link"));
    symlinkSync(place.file("outside/file"), place.file("root/sub/link"));
    symlinkSync("..", place.file("root/up"));
    symlinkSync("sub", place.file("root/within"));
    expect(await read("link/file")).toBe("ENOTDIR");
    expect(await read("sub/link")).toBe("ELOOP");
    expect(await read("up/outside")).toBe("ENOTDIR");
    expect(await read("within/file")).toBe("ENOTDIR");
  });

  test("is a regular one: a folder is none, and a pipe holds nobody", async () => {
    expect(Bun.spawnSync(["mkfifo", place.file("root/pipe")]).exitCode).toBe(0);
    expect(await read("sub")).toBe("no file");
    expect(await read("pipe")).toBe("no file");
  });

  test("is never one of outside, while somebody swaps a folder for a link all the time", async () => {
    const sub = place.file("root/sub");
    const aside = place.file("aside");
    let swaps = 0;
    let isOver = false;
    const swapping = (async () => {
      while (!isOver) {
        renameSync(sub, aside);
        symlinkSync(place.file("outside"), sub);
        await Bun.sleep(0);
        rmSync(sub);
        renameSync(aside, sub);
        swaps += 1;
        await Bun.sleep(0);
      }
    })();
    const seen = new Set<string>();
    for (let round = 0; round < 400; round += 1) seen.add(await read("sub/file"));
    isOver = true;
    await swapping;
    expect(swaps).toBeGreaterThan(0);
    expect(seen.has("secret")).toBe(false);
    expect(seen.has("inside")).toBe(true);
  });
});

describe("a delivery", () => {
  async function deliver(text: string): Promise<string> {
    try {
      await using incoming = await root.folder(".incoming", 0o700);
      const file = await incoming.openOwn("part");
      await file.write("new");
      await file.close();
      await using folder = await root.parentOf(path(text), 0o750);
      await folder.moveIn(path(text).at(-1) ?? "", { folder: incoming, name: "part" });
      return "delivered";
    } catch (error) {
      return systemCode(error);
    }
  }

  test("makes the folders of its path", async () => {
    expect(await deliver("a/b/c")).toBe("delivered");
    expect(readFileSync(place.file("root/a/b/c"), "utf8")).toBe("new");
    // Whatever the umask of a service is.
    expect(statSync(place.file("root/a/b")).mode & 0o777).toBe(0o750);
  });

  test("takes the place of a file, and of a link that it does not follow", async () => {
    symlinkSync(place.file("outside/file"), place.file("root/link"));
    expect(await deliver("sub/file")).toBe("delivered");
    expect(await deliver("link")).toBe("delivered");
    expect(readFileSync(place.file("root/link"), "utf8")).toBe("new");
    expect(readFileSync(place.file("outside/file"), "utf8")).toBe("secret");
  });

  test("does not leave the folder by a link in its path", async () => {
    symlinkSync(place.file("outside"), place.file("root/link"));
    expect(await deliver("link/new")).toBe("ENOTDIR");
    expect(existsSync(place.file("outside/new"))).toBe(false);
  });

  test("does not take the place of a folder", async () => {
    expect(await deliver("sub")).toBe("EISDIR");
  });

  test("does not write through a link that waits where the partial file is to be", async () => {
    mkdirSync(place.file("root/.incoming"));
    symlinkSync(place.file("outside/file"), place.file("root/.incoming/part"));
    expect(await deliver("x")).toBe("ELOOP");
    expect(readFileSync(place.file("outside/file"), "utf8")).toBe("secret");
  });
});

test("a folder knows how much may still be written to it", async () => {
  expect(await root.freeBytes()).toBeGreaterThan(0);
});
