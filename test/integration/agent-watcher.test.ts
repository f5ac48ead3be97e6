import { describe, expect, test } from "bun:test";
import type { AgentTls } from "../../src/agent/client.ts";
import { AgentWatcher } from "../../src/agent/watcher.ts";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { compareText } from "../../src/base/text.ts";
import type { Store } from "../../src/store/store.ts";
import { Pki } from "../support/cluster/pki.ts";
import {
  DEPLOYMENTS_PATH,
  FakeAgent,
  type FakeAgentOptions,
  PULLED_PATH,
  STATUS_PATH,
  startNoise,
} from "../support/fake-agent.ts";
import { openMemoryStore, put, read } from "../support/memory-store.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const NO_TLS: AgentTls = { client: undefined, ca: undefined };
const never = new AbortController().signal;

interface Watching {
  readonly store: Store;
  readonly watcher: AgentWatcher;
}

function watch(
  { target }: Pick<FakeAgent, "target">,
  options: { store?: Store; clock?: Clock; tls?: AgentTls } = {},
): Watching {
  const { clock = systemClock, tls = NO_TLS, store = openMemoryStore() } = options;
  const timing = { intervalSecs: 10, random: () => 0.5 };
  const watcher = new AgentWatcher({ store, clock, nodeName: "node-a", target, tls, ...timing });
  return { store, watcher };
}

const idsOf = (store: Store, collection: string) =>
  store.list(collection, { limit: 1000 }).map(({ id }) => id);

function nodeOf(store: Store): Record<string, unknown> {
  return JSON.parse(read(store, "nodes:node-a") ?? "{}") as Record<string, unknown>;
}

const openssl = Bun.which("openssl");

describe("an agent is followed", () => {
  const folder = tempFolder();
  const transports: readonly [string, FakeAgentOptions][] = [
    ["HTTP/1.1 on TCP", { protocol: "http/1.1" }],
    ["HTTP/2 in the clear on TCP", { protocol: "h2" }],
    ["HTTP/1.1 on a unix socket", { protocol: "http/1.1", path: folder.file("1.sock") }],
    ["HTTP/2 on a unix socket", { protocol: "h2", path: folder.file("2.sock") }],
  ];
  for (const [name, options] of transports) {
    test(`over ${name}`, async () => {
      await using agent = await FakeAgent.start(options);
      const { store, watcher } = watch(agent);
      await watcher.look(never);
      expect(watcher.state().kind).toBe("answering");
      expect(nodeOf(store)).toMatchObject({
        agent_id: "node-a",
        node_type: "uds-remote-agent",
        k8s_node_status: "Ready",
        run_mode: "service",
        stale: false,
      });
      expect(idsOf(store, "deployments")).toEqual(["node-a:core", "node-a:init"]);
      const pulled = read(store, "packages:node-a:core:0.34.0-amd64");
      expect(pulled).toContain('"total_bytes":9007199254740995');
      // The first call without TLS may have been made twice: once in each protocol.
      expect(agent.calls.map(({ method, path, body }) => `${method} ${path} ${body}`)).toEqual([
        `GET ${STATUS_PATH} `,
        `POST ${DEPLOYMENTS_PATH} {}`,
        `POST ${PULLED_PATH} {}`,
      ]);
      store.close();
    });
  }

  for (const protocol of ["http/1.1", "h2"] as const) {
    test.skipIf(openssl === null)(`over TLS with both certificates, ${protocol}`, async () => {
      using pems = tempFolder();
      const pki = new Pki(pems.path);
      const server = pki.issue("agent", { user: "agent", servedAs: ["IP:127.0.0.1"] });
      const { certificate: cert, key: clientKey } = pki.issue("node", { user: "node" });
      const tls = { ...server, clientCa: pki.ca.certificate };
      await using agent = await FakeAgent.start({ protocol, tls });
      const ca = pki.ca.certificate;
      const trusted = watch(agent, { tls: { client: { cert, key: clientKey }, ca } });
      await trusted.watcher.look(never);
      expect(trusted.watcher.state()).toMatchObject({ kind: "answering", problem: undefined });
      expect(idsOf(trusted.store, "deployments")).toHaveLength(2);

      const nameless = watch(agent, { tls: { client: undefined, ca } });
      await nameless.watcher.look(never);
      expect(nameless.watcher.state().kind).toBe("away");
      const trustless = watch(agent, { tls: { client: { cert, key: clientKey }, ca: undefined } });
      await trustless.watcher.look(never);
      expect(trustless.watcher.state().problem).toContain("certificate");
      const elsewhere = pki.issue("elsewhere", { user: "agent", servedAs: ["DNS:elsewhere"] });
      const others = { ...elsewhere, clientCa: pki.ca.certificate };
      await using impostor = await FakeAgent.start({ protocol, tls: others });
      const deceived = watch(impostor, { tls: { client: { cert, key: clientKey }, ca } });
      await deceived.watcher.look(never);
      expect(deceived.watcher.state().kind).toBe("away");
      expect(impostor.calls).toEqual([]);
      const fileless = watch(agent, { tls: { client: undefined, ca: pems.file("none.pem") } });
      await fileless.watcher.look(never);
      expect(fileless.watcher.state().problem).toContain("none.pem");
      for (const { store } of [trusted, nameless, trustless, deceived, fileless]) store.close();
    });
  }
});

describe("a look", () => {
  test("that finds nothing new writes nothing, a hundred times over", async () => {
    await using agent = await FakeAgent.start({ protocol: "h2" });
    const { store, watcher } = watch(agent);
    await watcher.look(never);
    const before = { position: store.position(), root: store.summary().rootHash };
    let commits = 0;
    store.onCommit((committed) => {
      commits += committed.length;
    });
    for (let n = 0; n < 100; n += 1) await watcher.look(never);
    expect(commits).toBe(0);
    expect({ position: store.position(), root: store.summary().rootHash }).toEqual(before);
    expect(agent.calls).toHaveLength(303);
    store.close();
  });

  test("writes what has changed, and deletes what is gone", async () => {
    await using agent = await FakeAgent.start({ protocol: "http/1.1" });
    const { store, watcher } = watch(agent);
    await put(store, "deployments:node-b:theirs", { agent_id: "node-b" });
    await put(store, "deployments:node-a:aside", { agent_id: "somebody" });
    await watcher.look(never);
    const keys: string[] = [];
    store.onCommit((committed) => keys.push(...committed.map((one) => one.key)));
    agent.answers.set(DEPLOYMENTS_PATH, { packages: [{ name: "init", version: "v0.49.0" }] });
    await watcher.look(never);
    expect(keys.toSorted(compareText)).toEqual([
      "deployments:node-a:core",
      "deployments:node-a:init",
    ]);
    expect(read(store, "deployments:node-a:core")).toBeUndefined();
    expect(read(store, "deployments:node-a:init")).toContain('"version":"v0.49.0"');
    expect(idsOf(store, "deployments")).toEqual(["node-a:aside", "node-a:init", "node-b:theirs"]);
    store.close();
  });

  test("goes on after a call that fails, and takes nothing from it for gone", async () => {
    await using agent = await FakeAgent.start({ protocol: "h2" });
    const { store, watcher } = watch(agent);
    await watcher.look(never);
    const ways = [
      ["refuse", "answered 503"],
      ["garbage", "is no text"],
      ["endless", "is larger than"],
    ] as const;
    for (const [way, problem] of ways) {
      agent.ways.set(DEPLOYMENTS_PATH, way);
      await watcher.look(never);
      expect(watcher.state().kind).toBe("partly");
      expect(watcher.state().problem).toContain("ListPackages");
      expect(watcher.state().problem).toContain(problem);
    }
    expect(idsOf(store, "deployments")).toHaveLength(2);
    expect(nodeOf(store)).toMatchObject({ stale: true, stale_parts: ["deployments"] });
    agent.ways.clear();
    await watcher.look(never);
    expect(watcher.state().kind).toBe("answering");
    expect(nodeOf(store)).toMatchObject({ stale: false, stale_parts: [] });
    store.close();
  });

  test("leaves out what no document may be named, and writes the rest once", async () => {
    await using agent = await FakeAgent.start({ protocol: "h2" });
    const { store, watcher } = watch(agent);
    const packages = [{ name: "a\u0007b" }, { name: "x".repeat(600) }, { name: "good" }, {}];
    agent.answers.set(DEPLOYMENTS_PATH, { packages });
    await watcher.look(never);
    const position = store.position();
    await watcher.look(never);
    expect(idsOf(store, "deployments")).toEqual(["node-a:good", "node-a:unknown"]);
    expect(store.position()).toBe(position);
    expect(watcher.state().kind).toBe("answering");
    store.close();
  });

  for (const protocol of ["http/1.1", "h2"] as const) {
    test(`gives up a call that hangs, ${protocol}`, async () => {
      const clock = new VirtualClock();
      await using agent = await FakeAgent.start({ protocol });
      const { store, watcher } = watch(agent, { clock });
      await watcher.look(never);
      agent.ways.set(STATUS_PATH, "hang");
      const called = agent.nextCall();
      const look = watcher.look(never);
      await called;
      await clock.advance(5_000);
      await look;
      expect(watcher.state()).toMatchObject({ kind: "partly" });
      expect(watcher.state().problem).toContain("in time");
      store.close();
    });
  }

  test("ends at once when the node stops", async () => {
    await using agent = await FakeAgent.start({ protocol: "h2" });
    const { store, watcher } = watch(agent);
    agent.ways.set(STATUS_PATH, "hang");
    const stop = new AbortController();
    const called = agent.nextCall();
    const running = watcher.run(stop.signal);
    await called;
    stop.abort();
    await running;
    expect(idsOf(store, "deployments")).toEqual([]);
    store.close();
  });

  test.each([
    ["zeros", new Uint8Array(4096)],
    ["the frames of no protocol", new Uint8Array(4096).fill(0xaa)],
    ["an endless header", Buffer.from(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(200_000)}`)],
    ["nothing", new Uint8Array(0)],
  ])("is not led astray by a server that says %s", async (_, bytes) => {
    await using noise = await startNoise(bytes);
    const target = { kind: "http", host: "127.0.0.1", port: noise.port, basePath: "" } as const;
    const { store, watcher } = watch({ target });
    await watcher.look(never);
    expect(watcher.state().kind).toBe("away");
    expect(idsOf(store, "nodes")).toEqual([]);
    store.close();
  });
});

describe("an agent that is away", () => {
  test("leaves its documents, which are stale after three looks, until it is back", async () => {
    const clock = new VirtualClock();
    const store = openMemoryStore();
    const first = await FakeAgent.start({ protocol: "h2" });
    const { watcher } = watch(first, { store, clock });
    await watcher.look(never);
    const { port } = first;
    const lastSeen = nodeOf(store)["last_seen"];
    await first[Symbol.asyncDispose]();
    await clock.advance(10_000);
    for (let n = 0; n < 2; n += 1) await watcher.look(never);
    expect(nodeOf(store)).toMatchObject({ stale: false });
    await watcher.look(never);
    const parts = ["nodes", "deployments", "packages"];
    const stale = { stale: true, stale_parts: parts, last_seen: lastSeen, version: "1.4.0" };
    expect(nodeOf(store)).toMatchObject(stale);
    expect(idsOf(store, "deployments")).toHaveLength(2);
    const position = store.position();
    await watcher.look(never);
    expect(store.position()).toBe(position);

    // What was stale before a restart of the node is stale after it.
    const later = watch({ target: watcherTarget(port) }, { store, clock });
    await later.watcher.look(never);
    expect(store.position()).toBe(position);

    // It comes back, speaking the other protocol.
    await using _second = await FakeAgent.start({ protocol: "http/1.1", port });
    await watcher.look(never);
    await watcher.look(never);
    expect(watcher.state().kind).toBe("answering");
    expect(nodeOf(store)).toMatchObject({ stale: false, stale_parts: [] });
    store.close();
  });

  test("is looked for ever less often, with jitter, up to two minutes", async () => {
    const clock = new VirtualClock();
    const store = openMemoryStore();
    const { watcher } = watch({ target: watcherTarget(1) }, { store, clock });
    const looks: number[] = [];
    const look = watcher.look.bind(watcher);
    watcher.look = async (signal) => {
      looks.push(clock.monotonic());
      await look(signal);
    };
    const stop = new AbortController();
    const running = watcher.run(stop.signal);
    // Real sockets take real turns of the loop, in which this clock stands still.
    while (looks.length < 9) {
      await clock.advance(500);
      await Bun.sleep(1);
    }
    stop.abort();
    await running;
    const pauses = looks.slice(1).map((at, n) => Math.round((at - (looks[n] ?? 0)) / 10_000));
    expect(pauses).toEqual([1, 1, 2, 4, 8, 12, 12, 12]);
    store.close();
  });
});

function watcherTarget(port: number) {
  return { kind: "http", host: "127.0.0.1", port, basePath: "" } as const;
}
