// Backups by the executable beside a node that writes: killed at any moment, on a full disk, through pipes.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import type { NodeProcess } from "../../scripts/support/node-process.ts";
import { forEachBounded, waitFor } from "../../scripts/support/waiting.ts";
import { tempFolder } from "../support/temp-folder.ts";

const LIMIT_MS = 60_000;
const TEST_MS = 240_000;

beforeAll(async () => {
  await ensureHostExecutable();
}, TEST_MS);

const disk = tempFolder();
const isMounted =
  Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1000k", "tmpfs", disk.path]).exitCode === 0;
afterAll(() => {
  if (isMounted) Bun.spawnSync(["umount", disk.path]);
  disk[Symbol.dispose]();
});

interface Ended {
  readonly code: number;
  readonly output: string;
}

/** The command beside `node`, with its settings; killed after `killMs`, if that is given. */
async function command(
  node: NodeProcess,
  args: readonly string[],
  { killMs, env = {} }: { killMs?: number; env?: Record<string, string> } = {},
): Promise<Ended> {
  const child = Bun.spawn([meshNodePath, ...args], {
    env: { ...node.environment, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const timer = killMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killMs);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const code = await child.exited;
  clearTimeout(timer);
  return { code, output: stdout + stderr };
}

/** A formation of one node that holds so many notes. */
async function filled(documents: number): Promise<Formation> {
  const formation = await Formation.prepare({ executable: meshNodePath, nodes: 1 });
  await formation.startAll();
  const { api } = formation.node(0);
  const numbers = Array.from({ length: documents }, (_, n) => n);
  const text = "x".repeat(300);
  await forEachBounded(numbers, 32, (n) => api.put("notes", `n${n}`, { n, text }));
  return formation;
}

/** Tries again while the node still holds its file for a copier that was killed. */
async function backUp(node: NodeProcess, file: string): Promise<Ended> {
  return await waitFor("a backup", LIMIT_MS, async () => {
    const made = await command(node, ["backup", file]);
    return made.output.includes("another backup") ? undefined : made;
  });
}

test(
  "a backup that is killed leaves nothing under its name, and the node as it was",
  async () => {
    using folder = tempFolder();
    await using formation = await filled(3000);
    const node = formation.node(0);
    let [killed, finished] = [0, 0];
    for (const killMs of [60, 200, 400, 600, 800, 1100, 1500]) {
      const file = folder.file(`${killMs}.peat-backup`);
      const { code } = await command(node, ["backup", file], { killMs });
      if (code === 0) finished += 1;
      else killed += 1;
      if (!existsSync(file)) continue;
      // Whatever has the name is good, also if the kill came right behind it.
      expect((await command(node, ["backup", "--verify", file])).code).toBe(0);
    }
    console.log(`${killed} killed, ${finished} finished`);
    expect(killed).toBeGreaterThan(0);
    const last = folder.file("last.peat-backup");
    const made = await backUp(node, last);
    expect([made.code, made.output]).toEqual([0, expect.stringContaining("3000 documents")]);
    await node.api.put("notes", "after", { n: 1 });
    expect((await node.api.summary()).documents).toBe(3001);
  },
  TEST_MS,
);

test(
  "every document that was acknowledged before a backup began is in it, whatever is written meanwhile",
  async () => {
    using folder = tempFolder();
    await using formation = await filled(2000);
    const node = formation.node(0);
    let isOver = false;
    let written = 0;
    const writing = forEachBounded(
      Array.from({ length: 8 }, (_, n) => n),
      8,
      async (lane) => {
        for (let n = 0; !isOver; n += 1) {
          await node.api.put("busy", `b${lane}-${n}`, { n, text: "y".repeat(500) });
          written += 1;
        }
      },
    );
    await waitFor("writes", LIMIT_MS, () => written > 100 || undefined);
    const before = written;
    const file = folder.file("a.peat-backup");
    const made = await command(node, ["backup", file, "--json"]);
    isOver = true;
    await writing;
    expect([made.code, made.output]).toEqual([0, expect.any(String)]);
    const { documents } = JSON.parse(made.output);
    expect(documents).toBeGreaterThanOrEqual(2000 + before);
    expect(documents).toBeLessThanOrEqual(2000 + written);
    const env = { PEAT_DATA_DIR: folder.file("restored") };
    expect((await command(node, ["restore", file], { env })).code).toBe(0);
    expect(readdirSync(folder.file("restored"))).toEqual(["automerge"]);
  },
  TEST_MS,
);

test(
  "a restore that is killed leaves the old directory, or the new one with the old one aside",
  async () => {
    using folder = tempFolder();
    await using formation = await filled(3000);
    const node = formation.node(0);
    const file = folder.file("a.peat-backup");
    expect((await command(node, ["backup", file])).code).toBe(0);
    await node.api.put("notes", "later", { n: 1 });
    await formation.stop(0);
    for (const killMs of [100, 300, 600, 900, 1200]) {
      await command(node, ["restore", file, "--force"], { killMs });
      const names = readdirSync(node.dataDir);
      const isThere = existsSync(join(node.dataDir, "automerge", "peat.db"));
      // Between two renames neither is there, and the old one is aside.
      expect(isThere || names.some((name) => name.startsWith("automerge.before-"))).toBe(true);
    }
    const done = await command(node, ["restore", file, "--force"]);
    expect([done.code, done.output]).toEqual([0, expect.stringContaining("3000 documents")]);
    await formation.start(0);
    const again = formation.node(0);
    await again.ready();
    expect((await again.api.summary()).documents).toBe(3000);
    expect(await again.api.get("notes", "later")).toBeUndefined();
  },
  TEST_MS,
);

test.skipIf(!isMounted)(
  "on a full disk a backup is refused, and leaves its room to others (needs mount)",
  async () => {
    await using formation = await filled(3000);
    const node = formation.node(0);
    const { code, output } = await command(node, ["backup", disk.file("a")]);
    expect([code, output]).toEqual([74, expect.stringContaining("free some space")]);
    expect(readdirSync(disk.path)).toEqual([]);
    using folder = tempFolder();
    const temp = ["--temp-dir", folder.path];
    const noRoom = await command(node, ["backup", disk.file("a"), ...temp]);
    // Compressed it may fit: then it is whole.
    expect(noRoom.code === 0 ? existsSync(disk.file("a")) : noRoom.code === 74).toBe(true);
    expect(readdirSync(folder.path)).toEqual([]);
  },
  TEST_MS,
);

test(
  "through pipes it is the same backup",
  async () => {
    using folder = tempFolder();
    await using formation = await filled(500);
    const node = formation.node(0);
    const place = { PEAT_DATA_DIR: folder.file("b") };
    const child = Bun.spawn(
      [
        "sh",
        "-c",
        '"$0" backup - | (export PEAT_DATA_DIR="$1"; "$0" restore -)',
        meshNodePath,
        place.PEAT_DATA_DIR,
      ],
      { env: node.environment, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect([await child.exited, stderr]).toEqual([0, expect.stringContaining("500 documents")]);
    expect(stdout).toContain("restored as of");
    expect(existsSync(folder.file("b/automerge/peat.db"))).toBe(true);
  },
  TEST_MS,
);
