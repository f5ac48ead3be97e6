// The control socket of a node: who may connect, what they may do, and what becomes of it when there is trouble.
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, lstatSync, mkdirSync, writeFileSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import { Fault } from "../../src/base/faults.ts";
import { openLog, parseLogFilter } from "../../src/base/log.ts";
import { openControl } from "../../src/node-listeners.ts";
import { NodeOperation } from "../../src/node-operation.ts";
import { put } from "../support/memory-store.ts";
import { type RunOptions, runCommand } from "../support/run-command.ts";
import { EventClient, startBroker } from "../support/start-broker.ts";
import { tempFolder } from "../support/temp-folder.ts";

const CLOSED = { access: { open: "none", reads: "token" } } as const;

function ask(socket: string, path: string, request: RequestInit = {}): Promise<Response> {
  return fetch(`http://localhost/api/v1${path}`, { ...request, unix: socket });
}

function operation(): NodeOperation {
  return new NodeOperation({
    desk: undefined as never,
    formation: { ownTag: "00112233" },
    program: "peat-sidecar",
    clock: systemClock,
    network: { id: "ab".repeat(32) as never, boundAddresses: [] },
    coordinator: { orders: undefined as never },
    databasePath: "/nowhere/peat.db",
  });
}

/** The lines that are logged while `work` runs. */
async function linesOf(work: () => Promise<unknown>): Promise<string[]> {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line.trimEnd());
  openLog({ filter: parseLogFilter("trace"), format: "text", colour: false, write });
  await work();
  openLog({ filter: parseLogFilter("off"), format: "text", colour: false, write: () => undefined });
  return lines;
}

/** Takes this process's rights to other users' files, until it ends. */
function asNobody(): Disposable {
  const groups = process.getgroups?.() ?? [];
  process.setgroups?.([]);
  process.setegid?.(65534);
  process.seteuid?.(65534);
  return {
    [Symbol.dispose]() {
      process.seteuid?.(0);
      process.setegid?.(0);
      process.setgroups?.(groups);
    },
  };
}

/** A command of this process's user against the node with that runtime directory, whatever settings this machine has. */
function run(runtimeDir: string, args: readonly string[], options: RunOptions = {}) {
  const environment = { PEAT_RUNTIME_DIR: runtimeDir, PEAT_BROKER_PORT: "9" };
  return runCommand([...args, "--config", "/dev/null"], {
    ...options,
    environment: { ...environment, ...options.environment },
  });
}

describe("the control socket", () => {
  test("is for owner and group, who may read and write everything without a token", async () => {
    using folder = tempFolder();
    await using world = await startBroker(CLOSED);
    const socket = folder.file("control.sock");
    await world.broker.openControl(socket);
    expect(lstatSync(socket).mode & 0o777).toBe(0o660);
    const put = { method: "PUT", body: '{"a":1}', headers: { "content-type": "application/json" } };
    expect((await ask(socket, "/documents/tracks/t1", put)).status).toBe(201);
    expect(await (await ask(socket, "/documents/tracks/t1")).json()).toMatchObject({
      document: { a: 1 },
    });
    expect((await ask(socket, "/status")).status).toBe(200);
    expect((await world.ask("/documents/tracks/t1")).status).toBe(401);
  });

  test("carries WebSockets, beside those of the TCP listener", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    const socket = folder.file("control.sock");
    await world.broker.openControl(socket);
    using near = await EventClient.open(`ws+unix://${socket}:/api/v1/ws?collections=tracks`);
    using far = await world.socket("?collections=tracks");
    await world.put("/documents/tracks/t1", '{"a":1}');
    for (const client of [near, far]) {
      expect((await client.events(1))[0]).toMatchObject({ type: "SyncEvent", doc_id: "t1" });
    }
  });

  test("is gone after the stop", async () => {
    using folder = tempFolder();
    const socket = folder.file("control.sock");
    {
      await using world = await startBroker();
      await world.broker.openControl(socket);
      expect(existsSync(socket)).toBe(true);
    }
    expect(existsSync(socket)).toBe(false);
  });

  test("is taken from a process that was killed", async () => {
    using folder = tempFolder();
    await using world = await startBroker();
    const socket = folder.file("control.sock");
    const script = `Bun.serve({ unix: ${JSON.stringify(socket)}, fetch: () => new Response() }); process.kill(process.pid, "SIGKILL")`;
    await Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "ignore", "ignore"] })
      .exited;
    expect(lstatSync(socket).isSocket()).toBe(true);
    await world.broker.openControl(socket);
    expect((await ask(socket, "/health")).status).toBe(200);
  });

  test("of a living node stays its own: a second one does not start, and is told what to set", async () => {
    using folder = tempFolder();
    await using first = await startBroker();
    await using second = await startBroker();
    const parts = { broker: first.broker, operation: operation() };
    await openControl({ runtimeDir: folder.path }, parts);
    const attempt = openControl({ runtimeDir: folder.path }, { ...parts, broker: second.broker });
    const fault = await attempt.catch((error: unknown) => error);
    if (!(fault instanceof Fault)) throw new Error("it was taken");
    expect(fault.code).toBe("address_unavailable");
    expect(fault.message).toMatch(/PEAT_RUNTIME_DIR: .*control\.sock is in use by another process/);
    expect((await ask(folder.file("control.sock"), "/health")).status).toBe(200);
  });

  test.each(["a path that is too long", "a file of that name", "a folder that takes no files"])(
    "is done without where there can be none (%s), and the log says so once",
    async (trouble) => {
      using folder = tempFolder();
      await using world = await startBroker();
      const long = folder.file("x".repeat(100));
      const places: Record<string, string> = {
        "a path that is too long": long,
        "a file of that name": folder.path,
        "a folder that takes no files": "/proc/self",
      };
      const runtimeDir = places[trouble] ?? "";
      mkdirSync(runtimeDir, { recursive: true });
      if (runtimeDir === folder.path) writeFileSync(folder.file("control.sock"), "precious");
      const parts = { broker: world.broker, operation: operation() };
      const lines = await linesOf(() => openControl({ runtimeDir }, parts));
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(/ INFO .*No control socket; commands ask the broker/);
      expect(parts.operation.process().listeners).toEqual([]);
      expect((await world.ask("/health")).status).toBe(200);
    },
  );
});

describe("a command", () => {
  test("asks by the socket, and needs neither port nor token for it", async () => {
    using folder = tempFolder();
    await using world = await startBroker(CLOSED);
    await world.broker.openControl(folder.file("control.sock"));
    const put = await run(folder.path, ["put", "/api/v1/documents/tracks/t1", '{"a":1}']);
    expect(put).toMatchObject({ code: 0, stderr: "" });
    const { stdout } = await run(folder.path, ["get", "/api/v1/documents/tracks/t1"]);
    expect(JSON.parse(stdout)).toMatchObject({ document: { a: 1 } });
  });

  test("asks the broker where it is told which, or where nobody listens at the socket", async () => {
    using folder = tempFolder();
    await using world = await startBroker({ access: { open: "none" } });
    await world.broker.openControl(folder.file("control.sock"));
    const asked = await run(folder.path, ["get", "/api/v1/node", "--broker-port", "9"]);
    expect(asked.stderr).toContain("no answer from http://127.0.0.1:9/api/v1/node");
    writeFileSync(folder.file("wrong"), "wrong-token\n");
    const wrong = [world.broker.url, "--token-file", folder.file("wrong")];
    const path = "/api/v1/documents/tracks/t1";
    expect((await run(folder.path, ["put", path, "{}", "--url", ...wrong])).stdout).toContain(
      "401",
    );
    const right = [world.broker.url, "--token", "a-token-of-the-test"];
    expect((await run(folder.path, ["put", path, "{}", "--url", ...right])).code).toBe(0);
    using empty = tempFolder();
    const nobody = await run(empty.path, ["get", "/api/v1/node"]);
    expect(nobody).toMatchObject({ code: 75, stderr: expect.stringContaining("127.0.0.1:9") });
  });

  test("watches by the socket, too", async () => {
    using folder = tempFolder();
    await using world = await startBroker(CLOSED);
    await world.broker.openControl(folder.file("control.sock"));
    const seen: string[] = [];
    const stop: { signal?: () => void } = {};
    const watching = run(folder.path, ["watch", "tracks", "--ndjson"], {
      onWrite: (text) => {
        seen.push(text);
        if (text.includes("t1")) stop.signal?.();
      },
      onStopper: (signal) => {
        stop.signal = signal;
      },
    });
    const writer = setInterval(() => void put(world.store, "tracks:t1", { at: Date.now() }), 20);
    try {
      expect(await watching).toMatchObject({ code: 0, stderr: "" });
    } finally {
      clearInterval(writer);
    }
    expect(seen.join("")).toContain('"t1"');
  });

  test("that brings a token file which can't be read, or two tokens, says so", async () => {
    using folder = tempFolder();
    const missing = folder.file("missing");
    const { code, stderr } = await run(folder.path, ["get", "/x", "--token-file", missing]);
    expect(code).toBe(64);
    expect(stderr).toContain("--token-file: can't read");
    expect(stderr).toContain("no such file");
    const both = await run(folder.path, ["get", "/x", "--token-file", missing, "--token", "x"]);
    expect([both.code, both.stderr]).toEqual([64, expect.stringContaining("exclude each other")]);
  });

  test.skipIf(process.getuid?.() !== 0)(
    "of a user who may not open the socket is told so when the broker wants a token (needs root)",
    async () => {
      using folder = tempFolder();
      chmodSync(folder.path, 0o755);
      await using world = await startBroker(CLOSED);
      await world.broker.openControl(folder.file("control.sock"));
      using _stranger = asNobody();
      const { code, stderr } = await run(folder.path, ["get", "/api/v1/node"], {
        environment: { PEAT_BROKER_PORT: String(world.broker.port) },
      });
      expect(code).toBe(1);
      expect(stderr).toContain("control.sock is for its owner and group");
    },
  );
});
