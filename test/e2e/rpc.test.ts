// The RPC listeners of the compiled executable, called by programs that share no code with it: curl and grpcurl.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureHostExecutable, executablePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import { grpcurl } from "../../scripts/support/go-program.ts";
import type { NodeProcess } from "../../scripts/support/node-process.ts";
import { freeTcpPort } from "../../scripts/support/ports.ts";
import { waitFor } from "../../scripts/support/waiting.ts";

const LIMIT_MS = 20_000;
const STOP_MS_MAX = 15_000;
const SERVICE = "peat.sidecar.v1.PeatSidecar";

const found = await grpcurl.find();
const grpcurlPath = "path" in found ? found.path : "";
const withoutGrpcurl = "missing" in found ? ` (${found.missing})` : "";

let formation: Formation;
let node: NodeProcess;
let folder = "";
let socket = "";
let port = 0;

beforeAll(async () => {
  await ensureHostExecutable();
  folder = mkdtempSync(join(tmpdir(), "peat-rpc-"));
  socket = join(folder, "run", "peat.sock");
  port = await freeTcpPort();
  const env = {
    PEAT_LISTEN: `unix://${socket},tcp://127.0.0.1:${port}`,
    PEAT_API_OPEN: "loopback",
  };
  formation = await Formation.prepare({ executable: executablePath, nodes: 1, env });
  node = await formation.start(0);
  await node.ready();
});
afterAll(async () => {
  await formation[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(...command: readonly string[]): Promise<Answer> {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: LIMIT_MS,
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

/** Where a client finds the two listeners, in the words of the program. */
const CURL = [
  ["HTTP/1.1 on TCP", () => [], () => `http://127.0.0.1:${port}`],
  ["h2c on TCP", () => ["--http2-prior-knowledge"], () => `http://127.0.0.1:${port}`],
  ["HTTP/1.1 on the unix socket", () => ["--unix-socket", socket], () => "http://localhost"],
  [
    "h2c on the unix socket",
    () => ["--http2-prior-knowledge", "--unix-socket", socket],
    () => "http://localhost",
  ],
] as const;

describe("curl", () => {
  for (const [name, options, base] of CURL) {
    test(`puts, gets and deletes over ${name}`, async () => {
      const call = async (method: string, body: object) => {
        const { stdout } = await run(
          ...["curl", "-sS", "--compressed", ...options()],
          ...["-H", "content-type: application/json", "-d", JSON.stringify(body)],
          `${base()}/${SERVICE}/${method}`,
        );
        return JSON.parse(stdout);
      };
      const name_ = { collection: "notes", docId: name };
      const text = "long ".repeat(1000);
      expect(await call("PutDocument", { ...name_, jsonData: JSON.stringify({ text }) })).toEqual(
        {},
      );
      expect(await call("GetDocument", name_)).toEqual({ jsonData: JSON.stringify({ text }) });
      expect(await call("DeleteDocument", name_)).toEqual({});
      expect(await call("GetDocument", name_)).toEqual({});
      expect(await call("GetDocument", {})).toMatchObject({ code: "invalid_argument" });
    });
  }
});

const GRPCURL = [
  ["TCP", () => [`127.0.0.1:${port}`]],
  ["the unix socket", () => ["-unix", "-authority", "localhost", socket]],
] as const;

describe.skipIf(grpcurlPath === "")(`grpcurl${withoutGrpcurl}`, () => {
  for (const [name, target] of GRPCURL) {
    const call = (options: readonly string[], ...method: readonly string[]) =>
      run(grpcurlPath, "-plaintext", ...options, ...target(), ...method);

    test(`learns the services by reflection over ${name}`, async () => {
      const { stdout } = await call([], "list");
      expect(stdout.trim().split("\n")).toEqual([
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        SERVICE,
      ]);
      const { stdout: method } = await call([], "describe", `${SERVICE}.PutDocument`);
      expect(method).toContain("rpc PutDocument ( .peat.sidecar.v1.PutDocumentRequest )");
      const { stderr } = await call([], "describe", "no.such.Symbol");
      expect(stderr).toContain("no.such.Symbol");
    });

    test(`puts, gets, lists and is refused over ${name}`, async () => {
      const track = { track: { id: "t", latitude: 1.5, category: "TRACK_CATEGORY_AIR" } };
      expect(await call(["-d", JSON.stringify(track)], `${SERVICE}/PutTrack`)).toMatchObject({
        code: 0,
      });
      const { stdout } = await call([], `${SERVICE}/GetTracks`);
      expect(JSON.parse(stdout)).toEqual({
        tracks: [{ id: "t", latitude: 1.5, category: "TRACK_CATEGORY_AIR" }],
      });
      const status = JSON.parse((await call([], `${SERVICE}/GetStatus`)).stdout);
      expect(status).toMatchObject({ nodeId: node.name, syncActive: true });
      const { stderr } = await call(["-d", '{"collection":"a b"}'], `${SERVICE}/ListDocuments`);
      expect(stderr).toContain("InvalidArgument");
      expect(stderr).toContain("collection: ");
      const health = await call([], "grpc.health.v1.Health/Check");
      expect(JSON.parse(health.stdout)).toEqual({ status: "SERVING" });
      const { stderr: late } = await call(["-max-time", "2"], `${SERVICE}/Subscribe`);
      expect(late).toContain("DeadlineExceeded");
    });

    test(`is told documents and changes over ${name}`, async () => {
      await node.api.put("feed", "a", { n: 1 });
      const child = Bun.spawn(
        [
          grpcurlPath,
          "-plaintext",
          "-d",
          '{"collections":["feed"]}',
          ...target(),
          `${SERVICE}/Subscribe`,
        ],
        { stdin: "ignore", stdout: "pipe", stderr: "ignore" },
      );
      try {
        let told = "";
        const reading = (async () => {
          for await (const chunk of child.stdout) told += new TextDecoder().decode(chunk);
        })();
        const tells = (text: string) =>
          waitFor(text, LIMIT_MS, () => told.includes(text) || undefined);
        await tells('"docId": "a"');
        await node.api.put("feed", name.length.toString(), { n: 2 });
        await tells(`"docId": "${name.length}"`);
        child.kill();
        await reading;
      } finally {
        child.kill("SIGKILL");
      }
    });
  }
});

test("a node that is not to sync from the start says so", async () => {
  const own = join(folder, "quiet.sock");
  const quiet = await formation.start(0, {
    name: "quiet",
    dataDir: join(folder, "quiet"),
    brokerPort: await freeTcpPort(),
    irohPort: 0,
    env: { PEAT_LISTEN: `unix://${own}`, PEAT_AUTO_SYNC: "false" },
  });
  await waitFor("its socket", LIMIT_MS, () => existsSync(own) || undefined);
  const { stdout } = await run(
    ...["curl", "-sS", "--unix-socket", own, "-H", "content-type: application/json"],
    ...["-d", "{}", `http://localhost/${SERVICE}/GetSyncStats`],
  );
  expect(JSON.parse(stdout)).toEqual({});
  expect(await quiet.stop()).toBe(0);
});

describe("the unix socket", () => {
  test("is for owner and group, and for one node at a time", async () => {
    expect(statSync(socket).mode & 0o777).toBe(0o660);
    const dataDir = join(folder, "other");
    const second = await formation.start(0, {
      name: "other",
      dataDir,
      brokerPort: 0,
      irohPort: 0,
      env: { PEAT_LISTEN: `unix://${socket}` },
    });
    await expect(second.failed).rejects.toThrow("is in use by another process");
  });
});

// The last test: it ends the node.
test("a node with open streams stops quickly with status 0, tells them, and leaves no socket", async () => {
  const child = Bun.spawn(
    [
      ...["curl", "-sSN", "--unix-socket", socket, "-H", "content-type: application/connect+json"],
      ...["--data-binary", "@-", `http://localhost/${SERVICE}/Subscribe`],
    ],
    {
      stdin: new Blob(["\0\0\0\0\u000d", '{"resume":{}}']),
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  let told = "";
  const reading = (async () => {
    for await (const chunk of child.stdout) told += new TextDecoder().decode(chunk);
  })();
  await waitFor("the stream", LIMIT_MS, () => told.includes("SNAPSHOT_END") || undefined);
  const startedMs = performance.now();
  expect(await node.stop()).toBe(0);
  expect(performance.now() - startedMs).toBeLessThan(STOP_MS_MAX);
  await reading;
  expect(await child.exited).toBe(0);
  expect(told).toContain('"code":"unavailable"');
  expect(existsSync(socket)).toBe(false);
});
