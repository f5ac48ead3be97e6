// The operators' commands, run against a broker whose switches a test holds.
import { describe, expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { LogRing } from "../../src/base/log-ring.ts";
import type { LogControl } from "../../src/broker/node-control.ts";
import { runAgainst } from "../support/run-command.ts";
import { startBroker, TestControl } from "../support/start-broker.ts";

const LIMIT_MS = 20_000;
const FIRST = 5000;

/** A log whose lines and filter a test makes. */
class TestLog implements LogControl {
  readonly ring = new LogRing(1024 * 1024, FIRST);
  ordered: string | undefined;

  get filter() {
    const filter = this.ordered ?? "info";
    const unknown = filter.includes("nobody") ? ["nobody"] : [];
    return { filter, isOrdered: this.ordered !== undefined, unknown };
  }

  orderFilter(text: string | null): void {
    this.ordered = text ?? undefined;
  }

  read(query: Parameters<LogRing["read"]>[0]) {
    return this.ring.read(query);
  }

  say(message: string, level = "info", fields: Record<string, unknown> = {}): void {
    this.ring.add({ atMs: 1_800_000_000_000, level, target: "peat_mesh::x", message, fields });
  }
}

async function withLog() {
  const log = new TestLog();
  const control = new TestControl(log);
  const world = await startBroker({ control });
  return { log, control, world, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

describe("collections", () => {
  test("are told with their counts", async () => {
    await using world = await startBroker();
    expect((await runAgainst(world, ["collections"])).stdout).toBe("there are no documents yet\n");
    await world.put("/documents/tracks/t1", "{}");
    await world.put("/documents/tracks/t2", "{}");
    await world.put("/documents/notes/n1", "{}");
    const { code, stdout } = await runAgainst(world, ["collections"]);
    expect([code, stdout]).toEqual([
      0,
      "COLLECTION  DOCUMENTS\nnotes               1\ntracks              2\n",
    ]);
    const { stdout: json } = await runAgainst(world, ["collections", "--ndjson"]);
    expect(json).toBe('{"count":1,"name":"notes"}\n{"count":2,"name":"tracks"}\n');
  });
});

describe("sync", () => {
  test("is told, stopped and started", async () => {
    await using world = await startBroker();
    expect((await runAgainst(world, ["sync"])).stdout).toBe("sync is running\n");
    const stopped = await runAgainst(world, ["sync", "stop"]);
    expect(stopped.stdout).toStartWith("sync is stopped: no peer is connected until");
    expect((await runAgainst(world, ["sync", "status", "--ndjson"])).stdout).toBe(
      '{"running":false}\n',
    );
    expect((await runAgainst(world, ["sync", "start"])).stdout).toBe("sync is running\n");
  });

  test("knows its words, and who may", async () => {
    await using world = await startBroker({ access: { open: "none" } });
    const misspelt = await runAgainst(world, ["sync", "stpo"]);
    expect(misspelt.code).toBe(64);
    expect(misspelt.stderr).toContain("stop");
    const refused = await runAgainst(world, ["sync", "stop"]);
    expect(refused.code).toBe(77);
    expect(refused.stderr).toContain("PEAT_API_TOKEN");
    expect((await runAgainst(world, ["sync"])).stdout).toBe("sync is running\n");
  });
});

describe("logs", () => {
  test("shows the newest lines as the node prints them, made safe for a terminal", async () => {
    await using parts = await withLog();
    const { log, world } = parts;
    log.say("old");
    log.say("Peer connected", "info", { peer: "a b", hosts: ["x"], n: 3 });
    log.say("bad \u001b[2J news", "warn");
    const { code, stdout } = await runAgainst(world, ["logs", "-n", "2"]);
    expect(code).toBe(0);
    expect(stdout).toBe(
      '2027-01-15T08:00:00.000Z  INFO peat_mesh::x: Peer connected peer=a b hosts=["x"] n=3\n' +
        "2027-01-15T08:00:00.000Z  WARN peat_mesh::x: bad \ufffd[2J news\n",
    );
    const graver = await runAgainst(world, ["logs", "--level", "warn", "--ndjson"]);
    expect(graver.stdout.trimEnd().split("\n")).toHaveLength(1);
    expect(JSON.parse(graver.stdout)).toMatchObject({ n: FIRST + 2, level: "warn" });
  });

  test("takes as many pages as it needs", async () => {
    await using parts = await withLog();
    for (let n = 0; n < 1500; n += 1) parts.log.say(`line ${n}`);
    const { stdout } = await runAgainst(parts.world, ["logs", "--lines", "1200", "--json"]);
    const lines = JSON.parse(stdout).map(({ message }: { message: string }) => message);
    expect(lines).toHaveLength(1200);
    expect([lines.at(0), lines.at(-1)]).toEqual(["line 300", "line 1499"]);
  });

  test("--follow goes on, also past a node that is away, until the stop signal", async () => {
    await using parts = await withLog();
    const { log, world } = parts;
    log.say("before");
    const printed: string[] = [];
    const stop: { signal?: () => void } = {};
    const running = runAgainst(world, ["logs", "--follow", "-n", "1"], {
      onWrite: (text) => printed.push(text),
      onStopper: (signal) => {
        stop.signal = signal;
      },
    });
    const shows = (text: string) =>
      waitFor(text, LIMIT_MS, () => printed.join("").includes(text) || undefined);
    await shows("before");
    log.say("after");
    await shows("after");
    stop.signal?.();
    expect(await running).toMatchObject({ code: 0, stderr: "" });
    expect(printed.join("").match(/before/g)).toHaveLength(1);
  });

  test("--follow tells of lines that were dropped in between", async () => {
    const log = new TestLog();
    const control = new TestControl(log);
    await using world = await startBroker({ control });
    log.say("first");
    const first = log.ring.read({ limit: 1, level: "trace" });
    log.say("second");
    const second = log.ring.read({ limit: 1, level: "trace" });
    const answers = [first, { ...second, dropped: 8 }];
    Object.assign(log, { read: () => answers.shift() ?? { ...second, lines: [] } });
    const stop: { signal?: () => void } = {};
    const running = runAgainst(world, ["logs", "--follow"], {
      onWrite: (text) => {
        if (text.includes("second")) stop.signal?.();
      },
      onStopper: (signal) => {
        stop.signal = signal;
      },
    });
    const { code, stderr } = await running;
    expect(code).toBe(0);
    expect(stderr).toBe("peat-sidecar: 8 lines came and went unseen\n");
  });

  test.each([
    [["logs", "--follow", "--json"], "--ndjson"],
    [["logs", "--lines", "-3"], "--lines"],
    [["logs", "--level", "wran"], "warn"],
    [["logs", "levle"], "level"],
    [["logs", "level", "info", "--reset"], "exclude"],
    [["logs", "--reset"], "belongs to logs level"],
    [["logs", "level", "--follow"], "belongs to logs"],
  ])("%p is a wrong command line", async (args, named) => {
    await using world = await startBroker();
    const { code, stderr } = await runAgainst(world, args);
    expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining(named) });
  });

  test("level shows, sets and resets what is logged, and warns of what nothing logs as", async () => {
    await using parts = await withLog();
    const { log, world } = parts;
    expect((await runAgainst(world, ["logs", "level"])).stdout).toBe("info by the settings\n");
    const ordered = await runAgainst(world, ["logs", "level", "info,nobody=debug"]);
    expect(ordered.stdout).toBe("info,nobody=debug until the next reload or restart\n");
    expect(ordered.stderr).toContain("nothing logs as nobody");
    expect(log.ordered).toBe("info,nobody=debug");
    const reset = await runAgainst(world, ["logs", "level", "--reset"]);
    expect(reset.stdout).toBe("info by the settings\n");
    expect(log.ordered).toBeUndefined();
  });
});

describe("config", () => {
  const port = {
    name: "brokerPort",
    variable: "PEAT_BROKER_PORT",
    value: "8081",
    isSecret: false,
    isSet: true,
    origin: "default",
  };
  const token = {
    ...port,
    name: "apiToken",
    variable: "PEAT_API_TOKEN",
    value: null,
    isSecret: true,
    origin: "environment PEAT_API_TOKEN",
  };

  async function withConfig(report: Partial<TestControl["report"]> = {}) {
    const control = new TestControl();
    control.report = { settings: [port, token], waiting: [], problems: [], ...report };
    return await startBroker({ control });
  }

  test("shows what is in force with its origin, of secrets only that they are set", async () => {
    await using world = await withConfig();
    const { code, stdout } = await runAgainst(world, ["config"]);
    expect([code, stdout.split("\n").map((line) => line.split(/ {2,}/))]).toEqual([
      0,
      [
        ["SETTING", "VALUE", "ORIGIN"],
        ["brokerPort", "8081", "default"],
        ["apiToken", "(secret)", "environment PEAT_API_TOKEN"],
        [""],
      ],
    ]);
    const one = await runAgainst(world, ["config", "PEAT_API_TOKEN", "--json"]);
    expect(JSON.parse(one.stdout)).toMatchObject([{ name: "apiToken", is_set: true }]);
    const misspelt = await runAgainst(world, ["config", "brokerPrt"]);
    expect(misspelt.code).toBe(64);
    expect(misspelt.stderr).toContain("brokerPort");
  });

  test("--diff tells what the node does not do yet, and what takes it, with exit status 1", async () => {
    await using level = await withConfig();
    expect(await runAgainst(level, ["config", "--diff"])).toMatchObject({
      code: 0,
      stdout: "the node does all that its settings say now\n",
    });
    const now = { ...port, value: "9000", origin: "file config.yaml", takenBy: "restart" } as const;
    await using world = await withConfig({ waiting: [now] });
    const { code, stdout } = await runAgainst(world, ["config", "--diff"]);
    expect(code).toBe(1);
    expect(stdout.split("\n")[1]?.split(/ {2,}/)).toEqual([
      "brokerPort",
      "8081",
      "9000",
      "file config.yaml",
      "restart",
    ]);
  });

  test("--diff tells of settings that are wrong now, with their exit status", async () => {
    await using world = await withConfig({ problems: ["PEAT_BROKER_PORT: must be a port"] });
    const { code, stderr } = await runAgainst(world, ["config", "--diff"]);
    expect([code, stderr]).toEqual([78, "peat-sidecar: PEAT_BROKER_PORT: must be a port\n"]);
  });
});
