import { describe, expect, test } from "bun:test";
import { waitFor } from "../../../scripts/support/waiting.ts";
import { Fault } from "../../../src/base/faults.ts";
import { getLog, openLog, parseLogFilter } from "../../../src/base/log.ts";
import type { Context, StopSignal } from "../../../src/cli/context.ts";
import { LOG_PENDING_BYTES_MAX, logWriter } from "../../../src/cli/daemon-log.ts";
import { type Reread, type Running, runNode } from "../../../src/cli/run.ts";
import { systemHost } from "../../../src/config/host.ts";
import { configOf, loadSettings } from "../../../src/config/load.ts";
import type { Config } from "../../../src/config/settings.ts";

function config(): Config {
  const read = configOf(
    loadSettings({
      program: "peat-mesh-node",
      flags: new Map(),
      environment: { HOSTNAME: "n", PEAT_FORMATION_SECRET: new Uint8Array(32).toBase64() },
      file: undefined,
      host: systemHost,
    }),
  );
  if (!read.ok) throw new Error("the settings of this test are good");
  return read.settings;
}

/** A node that a test starts; most are never told to reload. */
type Node = Omit<Running, "reload"> & Partial<Running>;

/** A daemon under test: its log, and the hand that sends it a signal. */
function daemon(start: () => Promise<Node>, reread?: Partial<Reread>) {
  const lines: string[] = [];
  let hangUp: () => void = () => undefined;
  const never: (signal: StopSignal) => void = () => undefined;
  let signal = never;
  const output = { isTerminal: false, pendingBytes: 0, write: () => undefined };
  const context: Context = {
    program: "peat-mesh-node",
    environment: {},
    stdout: output,
    stderr: output,
    host: systemHost,
    onStopSignal(listener) {
      signal = listener;
    },
    onReloadSignal(listener) {
      hangUp = listener;
    },
  };
  openLog({
    filter: parseLogFilter("trace"),
    format: "text",
    colour: false,
    write: (line) => lines.push(line.replace(/^\S+ +/, "").trimEnd()),
  });
  const started = async () => ({ reload: async () => undefined, ...(await start()) });
  const code = runNode(context, config(), started, {
    read: () => undefined,
    done: () => undefined,
    ...reread,
  });
  return { lines, code, signal: (name: StopSignal) => signal(name), hangUp: () => hangUp() };
}

const forever = new Promise<undefined>(() => undefined);

describe("the daemon", () => {
  test("stops what it started after a signal, and says so in the older node's words", async () => {
    let isStopped = false;
    const stop = async () => {
      isStopped = true;
      getLog("peat_mesh::x").info("a step of the stop");
    };
    const { lines, code, signal } = daemon(async () => ({ ended: forever, stop }));
    await Promise.resolve();
    signal("SIGTERM");
    expect(await code).toBe(0);
    expect(isStopped).toBe(true);
    expect(lines).toEqual([
      "INFO peat_mesh_node: Received SIGTERM",
      "INFO peat_mesh_node: Shutting down...",
      "INFO peat_mesh::x: a step of the stop",
      "INFO peat_mesh_node: peat-mesh-node stopped",
    ]);
  });

  test("a start that fails is one line at error level, with the fault's exit code", async () => {
    const fault = new Fault("storage_locked", "another process holds /data");
    const { lines, code } = daemon(() => Promise.reject(fault));
    expect(await code).toBe(75);
    expect(lines).toEqual([
      "ERROR peat_mesh_node: Start failed code=storage_locked reason=another process holds /data",
    ]);
  });

  test("what is no fault is a bug, with its stack in the one line", async () => {
    const { lines, code } = daemon(() => Promise.reject(new TypeError("x is undefined")));
    expect(await code).toBe(70);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("reason=x is undefined");
    expect(lines[0]).toContain("run.test.ts");
  });

  test("a node that ends by itself ends the process with the fault's exit code", async () => {
    const fault = new Fault("storage_failed", "the disk is gone");
    const node = { ended: Promise.resolve(fault), stop: async () => undefined };
    const { lines, code } = daemon(async () => node);
    expect(await code).toBe(74);
    expect(lines[0]).toContain("Node failed code=storage_failed reason=the disk is gone");
  });

  test("a signal during the start stops the node once it has started", async () => {
    const { promise, resolve } = Promise.withResolvers<Node>();
    let isStopped = false;
    const { lines, code, signal } = daemon(() => promise);
    signal("SIGINT");
    const stop = async () => {
      isStopped = true;
    };
    resolve({ ended: forever, stop });
    expect(await code).toBe(0);
    expect(isStopped).toBe(true);
    expect(lines[0]).toBe("INFO peat_mesh_node: Received SIGINT");
  });

  test("a stop that fails is told and seen in the exit code", async () => {
    const stop = () => Promise.reject(new Fault("storage_failed", "the last commit failed"));
    const { lines, code, signal } = daemon(async () => ({ ended: forever, stop }));
    await Promise.resolve();
    signal("SIGTERM");
    expect(await code).toBe(74);
    expect(lines.join("\n")).toContain("ERROR peat_mesh_node: Stop failed code=storage_failed");
  });

  test("takes its settings anew at SIGHUP, one time after the other, and told of once each", async () => {
    const { promise, resolve } = Promise.withResolvers<Node>();
    const stop = async () => undefined;
    const said: string[] = [];
    const held = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let reloads = 0;
    const reread = {
      read: () => {
        said.push("read");
        return config();
      },
      done: () => said.push("done"),
    };
    const { lines, code, signal, hangUp } = daemon(() => promise, reread);
    // During the start: it is not lost.
    hangUp();
    const reload = async (read: () => Config | undefined) => {
      read();
      const turn = held[reloads];
      reloads += 1;
      await turn?.promise;
    };
    resolve({ ended: forever, stop, reload });
    await waitFor("the first reload", 25_000, () => reloads === 1 || undefined, 1);
    for (let n = 0; n < 3; n += 1) hangUp();
    expect([reloads, said]).toEqual([1, ["read"]]);
    held[0]?.resolve();
    await waitFor("the second reload", 25_000, () => reloads === 2 || undefined, 1);
    held[1]?.resolve();
    await waitFor("the end of it", 25_000, () => said.length === 4 || undefined, 1);
    signal("SIGTERM");
    expect(await code).toBe(0);
    expect([reloads, said]).toEqual([2, ["read", "done", "read", "done"]]);
    expect(lines.filter((line) => line.endsWith("Settings reloaded"))).toHaveLength(2);
  });

  test("goes on when settings can't be taken, and whoever waits for them is told why", async () => {
    const stop = async () => undefined;
    const told = Promise.withResolvers<unknown>();
    const fault = new Fault("settings_invalid", "no token can be made");
    const { code, signal, hangUp } = daemon(
      async () => ({ ended: forever, stop, reload: () => Promise.reject(fault) }),
      { done: told.resolve },
    );
    hangUp();
    expect(await told.promise).toBe(fault);
    signal("SIGTERM");
    expect(await code).toBe(0);
  });
});

test("log lines that nobody reads are dropped, and told of when somebody does", async () => {
  const lines: string[] = [];
  const output = { isTerminal: false, pendingBytes: 0, write: (text: string) => lines.push(text) };
  const write = logWriter(output);
  openLog({ filter: parseLogFilter("info"), format: "text", colour: false, write });
  const log = getLog("peat_mesh::x");
  output.pendingBytes = LOG_PENDING_BYTES_MAX + 1;
  log.info("one");
  log.info("two");
  expect(lines).toEqual([]);
  output.pendingBytes = 0;
  log.info("three");
  await Promise.resolve();
  expect(lines.map((line) => line.replace(/^.*: /, "").trimEnd())).toEqual([
    "three",
    "Log lines were dropped while nobody read them lines=2",
  ]);
});
