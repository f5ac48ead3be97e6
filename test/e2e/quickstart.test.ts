import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAirports } from "../../scripts/support/airports.ts";
import { projectDir } from "../../scripts/support/project.ts";

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "peat-quickstart-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function start(...args: readonly string[]) {
  return Bun.spawn([process.execPath, "scripts/quickstart.ts", ...args], {
    cwd: projectDir,
    env: { ...Bun.env, TMPDIR: folder },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** What was written until the text came, or to the end. */
async function outputUntil(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  text: string,
): Promise<string> {
  let output = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    output += chunk;
    if (output.includes(text)) break;
  }
  return output;
}

/** Folders of formations that were left behind in the temporary directory. */
async function leftovers(): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.startsWith("peat-"));
}

test("the data set has at least 5,000 records, each under an id of its own", async () => {
  const airports = await loadAirports();
  expect(airports.length).toBeGreaterThanOrEqual(5000);
  expect(new Set(airports.map((airport) => airport.id)).size).toBe(airports.length);
});

test("quickstart --once shows equal nodes, latencies and a recovery, and leaves nothing behind", async () => {
  const child = start("--once", "--records", "5000");
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect(`${stderr}${await child.exited}`).toBe("0");
  const hashes = [...stdout.matchAll(/sha256 ([0-9a-f]{64})/g)].map((match) => match[1]);
  // Three nodes and the source, then three nodes with what was written since.
  expect(hashes).toHaveLength(7);
  expect(new Set(hashes.slice(0, 4)).size).toBe(1);
  expect(new Set(hashes.slice(4)).size).toBe(1);
  expect(hashes[0]).not.toBe(hashes[4]);
  expect(stdout).toMatch(/node-2 {2}min [\d.]+ ms {2}median [\d.]+ ms {2}p99 [\d.]+ ms/);
  expect(stdout).toContain("node-2 has caught up");
  expect(stdout).toContain("Everything matched.");
  expect(await leftovers()).toEqual([]);
});

test("a quickstart runs on with a page per node; Ctrl-C ends it with status 0, and its nodes with it", async () => {
  const child = start("--records", "100");
  const stdout = await outputUntil(child.stdout, "Ctrl-C stops");
  const pids = [...stdout.matchAll(/pid (\d+)/g)].map((match) => Number(match[1]));
  expect(pids).toHaveLength(3);
  const pages = [...stdout.matchAll(/^ {2}node-\d {2}(http:\S+\/)$/gm)].map(([, url = ""]) => url);
  expect(pages).toHaveLength(3);
  for (const url of pages) expect(await (await fetch(url)).text()).toStartWith("<!doctype html>");
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow();
  expect(await leftovers()).toEqual([]);
});

test("Ctrl-C in the middle ends it with status 130, and leaves nothing behind", async () => {
  const child = start();
  await outputUntil(child.stdout, "Load ");
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  expect(await leftovers()).toEqual([]);
});
