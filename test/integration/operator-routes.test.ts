// What operators ask and order over HTTP, on a real listener: answers, who may, and what is refused.
import { describe, expect, test } from "bun:test";
import { getLog, openLog, parseLogFilter } from "../../src/base/log.ts";
import { DaemonLog } from "../../src/cli/daemon-log.ts";
import { startBroker, TestControl, TOKEN } from "../support/start-broker.ts";

const AUTH = { authorization: `Bearer ${TOKEN}` };
const JSON_TYPE = { "content-type": "application/json" };

function order(body: string, headers: Record<string, string> = {}): RequestInit {
  return { method: "PUT", body, headers: { ...JSON_TYPE, ...AUTH, ...headers } };
}

describe("the node at a glance", () => {
  test("tells process, readiness, documents, peers and listeners in one answer", async () => {
    await using world = await startBroker();
    await world.put("/documents/tracks/t1", '{"a":1}');
    world.node.connect("node-b");
    world.node.connect("node-c");
    world.node.disconnect("node-c", "lost");
    world.node.checks = [{ name: "clock", ready: true, message: "ahead" }];
    const { status, text } = await world.ask("/status");
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({
      node_id: "node-a",
      version: "1.2.3",
      program: "peat-mesh-node",
      commit: "c0ffee",
      pid: process.pid,
      endpoint_id: "cd".repeat(32),
      started_at_ms: 1_800_000_000_000,
      rss_bytes: expect.any(Number),
      uptime_secs: expect.any(Number),
      ready: true,
      checks: [{ name: "clock", ready: true, message: "ahead" }],
      sync: { running: true },
      documents: 1,
      tombstones: 0,
      collections: 1,
      changes: 1,
      queued: 6,
      database_bytes: 4096,
      wal_bytes: 512,
      peers: { known: 2, connected: 1, in_sync: 0, relayed: 0 },
      listeners: [{ kind: "broker", address: "127.0.0.1:8081" }],
    });
  });

  test("is not ready while a check does not hold, and follows the rule of reads", async () => {
    await using world = await startBroker({ access: { reads: "token" } });
    world.node.checks = [{ name: "discovery", ready: false, message: "starting" }];
    expect((await world.ask("/status")).status).toBe(401);
    const { text } = await world.ask("/status", { headers: AUTH });
    expect(JSON.parse(text)).toMatchObject({ ready: false });
  });
});

/** A daemon's log whose printed lines nobody sees; the process's own again at the end. */
function daemonLog() {
  const stdout = { isTerminal: false, pendingBytes: 0, write: () => undefined };
  const context = { stdout, environment: {} } as never;
  const log = new DaemonLog({ logFilter: "info", logFormat: "text" }, context);
  const quiet = { filter: parseLogFilter("off"), format: "text", colour: false } as const;
  return Object.assign(log, {
    [Symbol.dispose]: () => openLog({ ...quiet, write: () => undefined }),
  });
}

const log = getLog("peat_mesh::operator_test");

describe("the log", () => {
  test("is read page by page by who has the token, and followed without a gap", async () => {
    using daemon = daemonLog();
    await using world = await startBroker({
      access: { open: "none" },
      control: new TestControl(daemon),
    });
    const read = async (query: string) => {
      const { status, text } = await world.ask(`/logs${query}`, { headers: AUTH });
      expect(status).toBe(200);
      return JSON.parse(text) as { lines: { message: string }[]; next: number; dropped: number };
    };
    const { next } = await read("");
    log.info("one", { peer: "a" });
    log.debug("not printed");
    log.warn("two");
    const page = await read(`?after=${next}&limit=1`);
    expect(page).toMatchObject({
      lines: [{ message: "one", level: "info", target: "peat_mesh::operator_test" }],
      dropped: 0,
    });
    const rest = await read(`?after=${page.next}`);
    expect(rest.lines.map(({ message }) => message)).toEqual(["two"]);
    expect((await read(`?after=${rest.next}`)).lines).toEqual([]);
    expect((await read("?level=warn&limit=1")).lines[0]?.message).toBe("two");
  });

  test.each([
    ["logs", "limit=0"],
    ["logs", "limit=1001"],
    ["logs", "after=-1"],
    ["logs", "after=9999999999999999999"],
    ["logs", "level=loud"],
    ["logs", "level=info&level=warn"],
  ])("refuses a query that makes no sense (%s?%s)", async (path, query) => {
    await using world = await startBroker();
    const { status, text } = await world.ask(`/${path}?${query}`);
    expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining("must be") });
  });

  test("has another filter by order, until the settings are read again", async () => {
    using daemon = daemonLog();
    await using world = await startBroker({ control: new TestControl(daemon) });
    expect(JSON.parse((await world.ask("/log-filter")).text)).toEqual({
      filter: "info",
      ordered: false,
      unknown: [],
    });
    const filter = "warn,peat_mesh::operator_test=debug,peat_mehs=trace";
    const ordered = await world.ask("/log-filter", order(JSON.stringify({ filter })));
    expect(JSON.parse(ordered.text)).toEqual({ filter, ordered: true, unknown: ["peat_mehs"] });
    log.debug("now printed");
    const { text } = await world.ask("/logs");
    expect(text).toContain("now printed");
    daemon.reload({ logFilter: "info", logFormat: "text" });
    log.debug("no more");
    expect((await world.ask("/log-filter")).text).toContain('"ordered":false');
    expect((await world.ask("/logs")).text).not.toContain("no more");
  });

  test.each([
    ["is none of", '{"filter":"info,peat mesh=debug"}'],
    ["is none of", '{"filter":"peat_mesh=loud"}'],
    ["at most 4096 characters", JSON.stringify({ filter: "a".repeat(5000) })],
    ["filter must be a text", '{"filter":7}'],
    ["filter must be a text", "{}"],
    ["no field", '{"filter":"info","level":"x"}'],
  ])("refuses a filter that makes no sense (%s)", async (sentence, body) => {
    using daemon = daemonLog();
    await using world = await startBroker({ control: new TestControl(daemon) });
    const { status, text } = await world.ask("/log-filter", order(body));
    expect({ status, text }).toEqual({ status: 400, text: expect.stringContaining(sentence) });
    expect(daemon.filter.isOrdered).toBe(false);
  });
});

describe("settings and log", () => {
  test("need the token also where reads are open, and the refusal says how", async () => {
    await using world = await startBroker({ access: { open: "none" } });
    for (const path of ["/logs", "/log-filter", "/config"]) {
      const { status, text } = await world.ask(path);
      expect({ path, status }).toEqual({ path, status: 401 });
      expect(text).toContain("PEAT_API_TOKEN");
      expect((await world.ask(path, { headers: AUTH })).status).toBe(200);
      // The same path by another spelling is another path, or guarded all the same.
      for (const odd of [path.replace("o", "%6f"), `${path}/`, `${path}?x`, `/.${path}`]) {
        expect({ odd, status: (await world.ask(odd)).status }).not.toMatchObject({ status: 200 });
      }
    }
  });

  test("tell of secrets only whether they are set", async () => {
    const control = new TestControl();
    const setting = { name: "apiToken", variable: "PEAT_API_TOKEN", value: null } as const;
    const secret = { ...setting, isSecret: true, isSet: true, origin: "environment X" };
    control.report = {
      settings: [secret],
      waiting: [{ ...secret, takenBy: "reload" }],
      problems: ["p"],
    };
    await using world = await startBroker({ control });
    const shape = { ...setting, is_secret: true, is_set: true, origin: "environment X" };
    expect(JSON.parse((await world.ask("/config")).text)).toEqual({ settings: [shape] });
    expect((await world.ask("/config?diff=maybe")).status).toBe(400);
    expect(JSON.parse((await world.ask("/config?diff=true")).text)).toEqual({
      settings: [shape],
      waiting: [{ ...shape, taken_by: "reload" }],
      problems: ["p"],
    });
  });
});

describe("the switch of sync", () => {
  test("is read like documents, and turned by who may write", async () => {
    await using world = await startBroker({ access: { open: "none" } });
    expect((await world.ask("/sync")).text).toBe('{"running":true}');
    const refused = await world.ask("/sync", order('{"running":false}', { authorization: "" }));
    expect(refused.status).toBe(401);
    expect(refused.text).toContain("PEAT_API_TOKEN");
    expect((await world.ask("/sync")).text).toBe('{"running":true}');
    const stopped = await world.ask("/sync", order('{"running":false}'));
    expect(stopped).toMatchObject({ status: 200, text: '{"running":false}' });
    expect((await world.ask("/sync", order('{"running":false}'))).status).toBe(200);
    expect((await world.ask("/sync")).text).toBe('{"running":false}');
    expect((await world.ask("/sync", order('{"running":true}'))).text).toBe('{"running":true}');
  });

  test.each([
    ["running must be true or false", '{"running":"yes"}', 400],
    ["running must be true or false", "{}", 400],
    ["no field", '{"running":true,"force":1}', 400],
    ["must be a JSON object", "[true]", 400],
    ["must be a JSON object", "null", 400],
    ["is not JSON", '{"running":tru', 400],
    ["is empty", "", 400],
    ["at most 16384 bytes", `{"running":true,"x":"${"y".repeat(20_000)}"}`, 413],
  ])("refuses what makes no sense (%s)", async (sentence, body, expected) => {
    await using world = await startBroker();
    const { status, text } = await world.ask("/sync", order(body));
    expect({ status, text }).toEqual({ status: expected, text: expect.stringContaining(sentence) });
    expect((await world.ask("/sync")).text).toBe('{"running":true}');
  });

  test("refuses other types than JSON, and other methods", async () => {
    await using world = await startBroker();
    const typed = await world.ask("/sync", order("running=true", { "content-type": "text/plain" }));
    expect(typed.status).toBe(415);
    const posted = await world.ask("/sync", { method: "POST", headers: AUTH });
    expect(posted.status).toBe(405);
    expect(posted.headers.get("allow")).toBe("GET, HEAD, PUT, OPTIONS");
  });
});
