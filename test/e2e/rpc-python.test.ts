// Python's grpcio, which shares no code with Connect, calls the compiled executable over TCP and the unix socket.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ensureHostExecutable, executablePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import { freeTcpPort } from "../../scripts/support/ports.ts";
import { projectDir } from "../../scripts/support/project.ts";
import { findPythonGrpc } from "../../scripts/support/python-grpc.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { PeatSidecar } from "../../src/rpc/gen/peat/sidecar/v1/sidecar_pb.ts";

const LIMIT_MS = 120_000;
const DOCUMENTS = 50;
const VERSIONS = 100;
/** Changes that are written in each hundredth of a second: a thousand in a second. */
const CHANGES_PER_TICK = 10;
const TICK_MS = 10;
/** Fewer than a subscriber may be behind before versions are dropped for it: however slow, it must get all. */
const AHEAD_MAX = 500;

const found = await findPythonGrpc();
const python = "path" in found ? found.path : "";
const without = "missing" in found ? ` (${found.missing})` : "";

let formation: Formation;
let folder = "";
let socket = "";
let port = 0;

beforeAll(async () => {
  await ensureHostExecutable();
  folder = mkdtempSync(join(tmpdir(), "peat-python-"));
  socket = join(folder, "peat.sock");
  port = await freeTcpPort();
  const env = { PEAT_LISTEN: `unix://${socket},tcp://127.0.0.1:${port}` };
  formation = await Formation.prepare({ executable: executablePath, nodes: 1, env });
  await (await formation.start(0)).ready();
}, LIMIT_MS);
afterAll(async () => {
  await formation[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const TARGETS = [
  ["TCP", () => `127.0.0.1:${port}`],
  ["the unix socket", () => `unix:${socket}`],
] as const;

/** A run of the client; `lines` grows as it prints. */
class Client {
  readonly lines: Record<string, unknown>[] = [];
  /** Changes that it has told of. */
  received = 0;
  isLive = false;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly ended: Promise<void>;

  constructor(target: string, ...command: readonly string[]) {
    this.#child = Bun.spawn(
      [
        python,
        join(projectDir, "test/support/python/grpc_client.py"),
        ...[join(projectDir, "src/rpc/proto"), target, ...command],
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: LIMIT_MS },
    );
    this.ended = this.#read();
    this.ended.catch(() => undefined);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #take(line: Record<string, unknown>): void {
    this.lines.push(line);
    if (line["live"] === true) this.isLive = true;
    if (typeof line["received"] === "number") this.received = line["received"];
  }

  async #read(): Promise<void> {
    const errors = new Response(this.#child.stderr).text();
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#child.stdout) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) this.#take(JSON.parse(part));
    }
    if ((await this.#child.exited) !== 0) throw new Error(await errors);
  }
}

describe.skipIf(python === "")(`Python's grpcio${without}`, () => {
  for (const [name, target] of TARGETS) {
    test(
      `puts, gets, lists, deletes, is refused and asks for health over ${name}`,
      async () => {
        const client = new Client(target(), "calls");
        await client.ended;
        expect(client.lines).toEqual([
          {
            same: true,
            ids: ["a:b"],
            track: [true, true, false],
            gone: true,
            refused: { code: "INVALID_ARGUMENT", details: expect.stringMatching(/^collection: /) },
            unknown: { code: "UNIMPLEMENTED", details: expect.stringContaining("Nothing") },
            late: { code: "DEADLINE_EXCEEDED", details: expect.any(String) },
            health: 1,
            watched: 1,
            no_service: { code: "NOT_FOUND", details: expect.stringMatching(/^service: /) },
          },
        ]);
      },
      LIMIT_MS,
    );
  }

  test(
    "is told a thousand changes a second, or what the machine can write, over both at once: each version once, in order",
    async () => {
      const count = DOCUMENTS * VERSIONS;
      const clients = TARGETS.map(
        ([, target]) => new Client(target(), "subscribe", "fast", String(count)),
      );
      const failed = Promise.race(
        clients.map((c) => c.ended.then(() => new Promise<never>(() => undefined))),
      );
      try {
        await Promise.race([failed, writeWhileRead(clients, count)]);
        await Promise.all(clients.map((client) => client.ended));
      } finally {
        for (const client of clients) client.kill();
      }
      const order = Array.from({ length: VERSIONS }, (_, index) => index + 1);
      const whole = Object.fromEntries(
        Array.from({ length: DOCUMENTS }, (_, d) => [`${d}`, order]),
      );
      for (const client of clients) {
        expect(client.lines.at(-1)).toEqual({ versions: whole, gaps: 0 });
      }
    },
    LIMIT_MS,
  );
});

/** Writes the versions of all documents in turns, at the wanted pace as long as every client keeps up. */
async function writeWhileRead(clients: readonly Client[], count: number): Promise<void> {
  await waitFor("the streams", LIMIT_MS, () => clients.every((c) => c.isLive) || undefined);
  const baseUrl = `http://127.0.0.1:${port}`;
  const writer = createClient(PeatSidecar, createGrpcTransport({ baseUrl }));
  // Versions of one document are written one after the other.
  const writes = Array.from({ length: DOCUMENTS }, () => Promise.resolve());
  const startedMs = performance.now();
  for (let index = 0; index < count; index += 1) {
    const mayGoOn = () =>
      performance.now() >= startedMs + Math.floor(index / CHANGES_PER_TICK) * TICK_MS &&
      clients.every((client) => index - client.received < AHEAD_MAX);
    if (index % CHANGES_PER_TICK === 0) {
      await waitFor("the subscribers", LIMIT_MS, () => mayGoOn() || undefined, 1);
    }
    const document = index % DOCUMENTS;
    const jsonData = JSON.stringify({ version: Math.floor(index / DOCUMENTS) + 1 });
    const before = writes[document];
    const write = async () => {
      await before;
      await writer.putDocument({ collection: "fast", docId: `${document}`, jsonData });
    };
    writes[document] = write();
  }
  await Promise.all(writes);
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(
    `${count} changes in ${seconds.toFixed(1)} s, ${Math.round(count / seconds)} a second`,
  );
}
