// Operators' commands of the executable against nodes of the executable: by the control socket, with nothing but the
// settings that the node has.
import { beforeAll, expect, test } from "bun:test";
import { lstatSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import type { NodeProcess } from "../../scripts/support/node-process.ts";
import { waitFor } from "../../scripts/support/waiting.ts";

const LIMIT_MS = 60_000;
const TEST_MS = 240_000;
/** Nobody writes over TCP without the token, and no command here has it. */
const CLOSED = { PEAT_API_OPEN: "none", PEAT_BROKER_READS: "token" };

beforeAll(async () => {
  await ensureHostExecutable();
}, TEST_MS);

/** A command of somebody on that node's machine, who knows its runtime directory only. */
async function run(node: Pick<NodeProcess, "dataDir">, ...args: readonly string[]) {
  const env = { PATH: Bun.env["PATH"] ?? "", PEAT_RUNTIME_DIR: node.dataDir };
  const child = Bun.spawn([meshNodePath, ...args], { env, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}

async function json(node: NodeProcess, ...args: readonly string[]) {
  const { code, stdout, stderr } = await run(node, ...args, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** Adds what comes, as text, until it ends. */
async function collect(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  into: string[],
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) into.push(text);
}

test(
  "sync stopped: what is written stays here; started again: the peer has it",
  async () => {
    await using formation = await Formation.prepare({
      executable: meshNodePath,
      nodes: 2,
      env: CLOSED,
    });
    await Promise.all([formation.start(0), formation.start(1)]);
    const [a, b] = [formation.node(0), formation.node(1)];
    const inSync = (count: number) =>
      waitFor(`${count} peers in sync`, LIMIT_MS, async () => {
        const { peers } = await json(a, "status");
        return (peers.connected === count && peers.in_sync === count) || undefined;
      });
    await waitFor("both to answer", LIMIT_MS, async () => {
      const answers = await Promise.all([run(a, "sync"), run(b, "sync")]);
      return answers.every(({ code }) => code === 0) || undefined;
    });
    await inSync(1);
    expect((await run(a, "sync", "stop")).stdout).toStartWith("sync is stopped");
    await inSync(0);
    const put = ["put", "tracks/t1", '{"speed":5}'];
    expect(await run(a, ...put)).toMatchObject({ code: 0, stderr: "" });
    // The other one goes on dialling: it is refused each time.
    await waitFor("a refused connection", LIMIT_MS, async () => {
      const [peer] = await json(b, "peers");
      return (peer.connected === false && peer.last_failure !== null) || undefined;
    });
    expect((await run(b, "get", "tracks/t1")).code).toBe(66);
    const status = await json(a, "status");
    expect(status).toMatchObject({ sync: { running: false }, documents: 1 });
    expect((await run(a, "sync", "start")).stdout).toBe("sync is running\n");
    await waitFor("the document on the peer", LIMIT_MS, async () => {
      return (await run(b, "get", "tracks/t1")).code === 0 || undefined;
    });
    await inSync(1);
  },
  TEST_MS,
);

test(
  "a node tells of itself, its log and its settings by its socket",
  async () => {
    await using formation = await Formation.prepare({
      executable: meshNodePath,
      nodes: 1,
      env: CLOSED,
      logFilter: "info",
    });
    const tokenFile = join(formation.folder, "api-token");
    writeFileSync(tokenFile, "the-first-token-of-this-test\n");
    const { env } = formation.settings(0);
    const node = await formation.start(0, { env: { ...env, PEAT_API_TOKEN_FILE: tokenFile } });
    const socket = join(node.dataDir, "control.sock");
    await node.ready();
    expect(lstatSync(socket).mode & 0o777).toBe(0o660);
    const status = await json(node, "status");
    expect(status).toMatchObject({ node_id: "node-0", pid: node.pid, program: "peat-mesh-node" });
    const kinds = new Set(status.listeners.map(({ kind }: { kind: string }) => kind));
    expect(kinds).toEqual(new Set(["broker", "control", "iroh"]));
    expect(status.listeners).toContainEqual({ kind: "control", address: socket });

    const lines = await json(node, "logs", "--lines", "1000");
    const words = lines.map(({ message }: { message: string }) => message);
    expect(words).toContain("Starting peat-mesh-node");
    expect(words).toContain("Control socket listening");
    expect((await run(node, "logs", "level", "debug")).code).toBe(0);
    expect((await json(node, "logs", "level")).filter).toBe("debug");

    expect(await run(node, "config", "--diff")).toMatchObject({ code: 0 });
    const [secret, filter] = await json(node, "config", "apiToken", "logFilter");
    expect(secret).toMatchObject({ is_secret: true, is_set: true, value: null });
    expect(secret.origin).toContain("PEAT_API_TOKEN_FILE");
    expect(filter).toMatchObject({ value: "debug", origin: "ordered by an operator" });
    writeFileSync(tokenFile, "the-second-token-of-this-test\n");
    const differing = await run(node, "config", "--diff", "--json");
    expect(differing.code).toBe(1);
    expect(JSON.parse(differing.stdout)).toMatchObject([{ name: "apiToken", taken_by: "reload" }]);
    expect(differing.stdout).not.toContain("second-token");
    process.kill(node.pid, "SIGHUP");
    await waitFor("the settings to be taken", LIMIT_MS, async () => {
      const { code } = await run(node, "config", "--diff");
      return code === 0 || undefined;
    });
    // What was ordered ends with the reload.
    expect((await json(node, "logs", "level")).filter).toBe("info");
  },
  TEST_MS,
);

test(
  "whoever follows the log hears the next process of the node, too, from its first line on",
  async () => {
    await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 1 });
    const node = await formation.start(0);
    await node.ready();
    const follower = Bun.spawn([meshNodePath, "logs", "--follow", "--ndjson", "--lines", "1"], {
      env: { PATH: Bun.env["PATH"] ?? "", PEAT_RUNTIME_DIR: node.dataDir },
      stdout: "pipe",
      stderr: "pipe",
    });
    const heard: string[] = [];
    const reading = collect(follower.stdout, heard);
    const told: string[] = [];
    const telling = collect(follower.stderr, told);
    const hears = (text: string, said = heard) =>
      waitFor(text, LIMIT_MS, () => said.join("").includes(text) || undefined);
    await hears('"message"');
    await formation.stop(0);
    // A restart may be over between two questions of the follower, which has nothing to tell then.
    await hears("trying again", told);
    await formation.start(0);
    await hears('"message":"Starting peat-mesh-node"');
    follower.kill("SIGINT");
    await Promise.all([reading, telling]);
    expect(await follower.exited).toBe(0);
    expect(told.join("")).toMatch(/^peat-mesh-node: no answer from .*; trying again\n$/);
  },
  TEST_MS,
);

test(
  "a second node in the same runtime directory does not start, and the first goes on",
  async () => {
    await using formation = await Formation.prepare({ executable: meshNodePath, nodes: 2 });
    const first = await formation.start(0);
    await first.ready();
    const { dataDir, secretFile, brokerPort, irohPort } = formation.settings(1);
    const env = {
      ...first.environment,
      PEAT_NODE_ID: "node-1",
      PEAT_FORMATION_SECRET_FILE: secretFile,
      PEAT_DATA_DIR: dataDir,
      PEAT_BROKER_PORT: String(brokerPort),
      PEAT_IROH_BIND_PORT: String(irohPort),
    };
    const second = Bun.spawn([meshNodePath], { env, stdout: "pipe", stderr: "pipe" });
    const text = await second.stdout.text();
    expect(await second.exited).toBe(69);
    expect(text).toMatch(/PEAT_RUNTIME_DIR: .*control\.sock is in use by another process/);
    expect((await run(first, "sync")).code).toBe(0);
  },
  TEST_MS,
);
