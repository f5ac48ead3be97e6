import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lstat, mkdir, mkdtemp, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ensureHostExecutable,
  executablePath,
  meshNodePath,
} from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import { commitOfCheckout, projectDir, readPackageJson } from "../../scripts/support/project.ts";
import { waitFor } from "../../scripts/support/waiting.ts";

const SECRET = Buffer.alloc(32, 7).toString("base64");
/** It takes some 200 ms; whoever waits for a peer or a deadline needs longer than this. */
const STOP_MS_MAX = 15_000;
let folder = "";

beforeAll(async () => {
  await ensureHostExecutable();
  folder = await mkdtemp(join(tmpdir(), "peat-executable-"));
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  command: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<Finished> {
  const child = Bun.spawn([...command], {
    cwd: options.cwd ?? folder,
    env: { PATH: Bun.env["PATH"] ?? "", HOME: folder, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 20_000,
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

describe("the executable", () => {
  test("has its version and commit built in, and two names", async () => {
    const { version } = await readPackageJson();
    for (const path of [executablePath, meshNodePath]) {
      const { code, stdout } = await run([path, "--version"]);
      expect(code).toBe(0);
      expect(stdout).toContain(version);
      expect(stdout).toContain(commitOfCheckout());
    }
    expect((await lstat(meshNodePath)).isSymbolicLink()).toBe(true);
    expect(await readlink(meshNodePath)).toBe("peat-sidecar");
  });

  test("knows nothing of the place where it was built, so that it works without it", async () => {
    const bytes = Buffer.from(await Bun.file(executablePath).bytes());
    // What it looks like when it does: code of a library that names the folder it was compiled from.
    expect(bytes.includes(join(projectDir, "node_modules"))).toBe(false);
    expect(bytes.includes("automerge_wasm_bg-")).toBe(true);
  });

  test("takes its defaults from the name it was called by", async () => {
    const env = { PEAT_FORMATION_SECRET: SECRET };
    const asMeshNode = await run([meshNodePath, "check"], { env });
    const asCommand = await run([executablePath, "mesh-node", "check"], { env });
    const asSidecar = await run([executablePath, "check"], { env });
    expect(asMeshNode.stdout).toContain("kubernetes");
    expect(asCommand.stdout).toBe(asMeshNode.stdout);
    expect(asSidecar.stdout).toContain("/var/lib/peat-sidecar");
    expect(asSidecar.stdout).not.toContain("kubernetes");
  });

  test("obeys no .env and no bunfig.toml of its working directory", async () => {
    const cwd = join(folder, "hostile");
    await mkdir(cwd, { recursive: true });
    await writeFile(join(cwd, "preload.ts"), 'console.log("PRELOADED");');
    await writeFile(join(cwd, "bunfig.toml"), 'preload = ["./preload.ts"]');
    await writeFile(join(cwd, ".env"), "PEAT_NODE_ID=from-dot-env");
    await writeFile(join(cwd, "package.json"), '{"version":"9.9.9"}');
    const { stdout, stderr } = await run([executablePath, "check"], {
      cwd,
      env: { PEAT_FORMATION_SECRET: SECRET },
    });
    expect(stdout.length).toBeGreaterThan(100);
    expect(stdout + stderr).not.toContain("PRELOADED");
    expect(stdout + stderr).not.toContain("from-dot-env");
    expect(stdout + stderr).not.toContain("9.9.9");
  });

  test("reports every bad setting at once, with exit status 78, and no secret", async () => {
    const { code, stdout, stderr } = await run([meshNodePath], {
      env: {
        PEAT_FORMATION_SECRET: "bm90LXNlY3JldA==!",
        PEAT_BROKER_PORT: "eighty",
        PEAT_DISCOVERY: "carrier-pigeon",
      },
    });
    expect(code).toBe(78);
    const text = stdout + stderr;
    expect(text).toContain("PEAT_FORMATION_SECRET");
    expect(text).toContain("PEAT_BROKER_PORT");
    expect(text).toContain("PEAT_DISCOVERY");
    expect(text).not.toContain("bm90LXNlY3JldA");
  });

  test("refuses a command that it does not know with exit status 64", async () => {
    const { code, stderr } = await run([executablePath, "frobnicate"]);
    expect(code).toBe(64);
    expect(stderr).toContain("frobnicate");
  });

  test("derives an identity without loading the native library or touching a disk", async () => {
    const { code, stdout } = await run([executablePath, "derive-id", "--name", "peat-mesh-0"], {
      env: { PEAT_FORMATION_SECRET: SECRET, TMPDIR: "/nonexistent" },
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[0-9a-f]{64}\n$/);
  });
});

describe("a node without its QUIC addon", () => {
  test("says which file can't be loaded and how to mend it, and must not be restarted", async () => {
    const dataDir = join(folder, "no-addon");
    const { code, stdout } = await run([meshNodePath, "--data-dir", dataDir], {
      env: {
        PEAT_FORMATION_SECRET: SECRET,
        PEAT_DISCOVERY: "static",
        NAPI_RS_NATIVE_LIBRARY_PATH: "/nonexistent/iroh.node",
      },
    });
    expect(stdout).toContain("addon_unusable");
    expect(stdout).toContain("/nonexistent/iroh.node");
    expect(stdout).toContain("NAPI_RS_NATIVE_LIBRARY_PATH");
    expect(code).toBe(78);
  });
});

describe("a running node", () => {
  test("is ready, healthy, and stops on SIGTERM with exit status 0, waiting for nobody", async () => {
    await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1 });
    const node = await formation.start(0);
    await node.ready();
    const health = await run([executablePath, "health"], {
      env: { PEAT_BROKER_PORT: new URL(node.api.url).port },
    });
    expect(health.code).toBe(0);
    const startedMs = performance.now();
    expect(await node.stop()).toBe(0);
    expect(performance.now() - startedMs).toBeLessThan(STOP_MS_MAX);
    expect(node.logTail()).toContain("peat-mesh-node stopped");
    expect(await node.api.isReady()).toBe(false);
  });

  test("keeps every acknowledged document through SIGKILL", async () => {
    await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1 });
    const node = await formation.start(0);
    await node.ready();
    await node.api.put("kept", "a", { speed: 3, name: "first" });
    await node.api.put("kept", "a", { speed: 4, name: "second" });
    await formation.kill(0);
    const again = await formation.start(0);
    await again.ready();
    expect(await again.api.get("kept", "a")).toMatchObject({ speed: 4, name: "second" });
  });

  test("gives a document to its peers, and what they missed once they are back", async () => {
    await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 3 });
    await formation.startAll();
    await formation.node(0).api.put("tracks", "one", { speed: 1 });
    const arrived = await waitFor("the document on node-2", 60_000, () =>
      formation.node(2).api.get("tracks", "one"),
    );
    expect(arrived).toMatchObject({ speed: 1 });
    await formation.kill(2);
    await formation.node(1).api.put("tracks", "two", { speed: 2 });
    await (await formation.start(2)).ready();
    await formation.equal(2, 60_000);
    expect(await formation.node(2).api.get("tracks", "two")).toMatchObject({ speed: 2 });
  });

  test("refuses the data directory of another that is running", async () => {
    await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1 });
    const node = await formation.start(0);
    await node.ready();
    const second = await run([meshNodePath], {
      env: {
        PEAT_FORMATION_SECRET: SECRET,
        PEAT_DATA_DIR: node.dataDir,
        PEAT_DISCOVERY: "static",
        PEAT_BROKER_PORT: "0",
        PEAT_IROH_BIND_PORT: "0",
      },
    });
    expect(second.code).toBe(75);
    expect(second.stdout + second.stderr).toContain(node.dataDir);
    expect(await node.api.isReady()).toBe(true);
  });
});
