// The client against a real broker: in Bun, in Node, and in a browser.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { projectDir } from "../../scripts/support/project.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { PeatClient, PeatError, type PeatEvent } from "../../src/client/client.ts";
import { SEEN, useClient } from "../support/client-scenario.ts";
import { put } from "../support/memory-store.ts";
import { startBroker, TOKEN } from "../support/start-broker.ts";
import { tempFolder } from "../support/temp-folder.ts";

const LIMIT_MS = 60_000;
const CLOSED = { access: { reads: "token", open: "none" } } as const;

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.catch((thrown: unknown) => thrown);
  return error instanceof PeatError ? error.code : `no PeatError but ${String(error)}`;
}

/** The next `count` events after the beginning, as ids or what else they say. */
async function take(events: AsyncGenerator<PeatEvent, void>, count: number): Promise<string[]> {
  const told: string[] = [];
  while (told.length < count) {
    const { value, done } = await events.next();
    if (done === true) return [...told, "end"];
    if (value.kind === "begin") continue;
    told.push(value.kind === "changed" ? value.id : value.kind);
  }
  return told;
}

test(
  "in Bun: writes, reads, follows, with a token where all is closed",
  async () => {
    await using world = await startBroker(CLOSED);
    expect(await useClient({ url: `${world.broker.url}/`, token: TOKEN })).toEqual(SEEN);
  },
  LIMIT_MS,
);

test(
  "a list goes through all pages, in the order and by the filter that are asked for",
  async () => {
    await using world = await startBroker();
    const peat = new PeatClient({ url: world.broker.url });
    for (let n = 0; n < 25; n += 1) await peat.put("tracks", `t${n}`, { n });
    const listed = async (options: Parameters<PeatClient["list"]>[1]) => {
      const numbers: unknown[] = [];
      for await (const { n } of peat.list<{ n: number }>("tracks", options)) numbers.push(n);
      return numbers;
    };
    expect((await listed({ pageSize: 4 })).length).toBe(25);
    const filter = { field: "n", gt: 19 };
    expect(await listed({ pageSize: 2, order: "-n", filter })).toEqual([24, 23, 22, 21, 20]);
    for await (const document of peat.list("nobody-wrote-it")) expect(document).toBeUndefined();
  },
  LIMIT_MS,
);

describe("a refusal", () => {
  test("has a code for programs and the node's sentence for people", async () => {
    await using world = await startBroker(CLOSED);
    const peat = new PeatClient({ url: world.broker.url, token: TOKEN });
    const stranger = new PeatClient({ url: world.broker.url });
    expect(await codeOf(stranger.get("tracks", "t1"))).toBe("unauthenticated");
    expect(await codeOf(peat.put("-", "t1", {}))).toBe("invalid_argument");
    expect(await codeOf(peat.delete("tracks", "t1"))).toBe("not_found");
    expect(await peat.get("tracks", "t1")).toBeUndefined();
    await peat.put("tracks", "t1", {}, { ifNoneMatch: "*" });
    expect(await codeOf(peat.put("tracks", "t1", {}, { ifNoneMatch: "*" }))).toBe(
      "precondition_failed",
    );
    const error: unknown = await stranger.get("tracks", "t1").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "PeatError", status: 401 });
    expect(String(error)).toContain("Authorization: Bearer");
  });

  test("of nobody there is unreachable", async () => {
    const peat = new PeatClient({ url: "http://127.0.0.1:1" });
    expect(await codeOf(peat.get("tracks", "t1"))).toBe("unreachable");
  });

  test(
    "ends a subscription that no second try would mend",
    async () => {
      await using world = await startBroker(CLOSED);
      const stranger = new PeatClient({ url: world.broker.url, token: "wrong" });
      expect(await codeOf(stranger.subscribe().next())).toBe("unauthenticated");
      const peat = new PeatClient({ url: world.broker.url, token: TOKEN });
      const wrong = peat.subscribe({ filter: { field: "n", near: 3 } });
      expect(await codeOf(wrong.next())).toBe("invalid_argument");
    },
    LIMIT_MS,
  );
});

describe("a subscription", () => {
  test(
    "goes on where it was when the node has been away, with what changed meanwhile",
    async () => {
      await using world = await startBroker();
      const { port, url } = world.broker;
      const peat = new PeatClient({ url });
      const events = peat.subscribe({ since: world.store.position() });
      await peat.put("tracks", "before", {});
      expect(await take(events, 1)).toEqual(["before"]);
      const awaited = take(events, 3);
      await world.broker.close();
      for (const id of ["away-1", "away-2"]) await put(world.store, `tracks:${id}`, {});
      expect(await codeOf(peat.get("tracks", "away-1"))).toBe("unreachable");
      await using back = await startBroker({ store: world.store, port });
      await new PeatClient({ url: back.broker.url }).put("tracks", "after", {});
      expect(await awaited).toEqual(["away-1", "away-2", "after"]);
      await events.return();
    },
    LIMIT_MS,
  );

  test(
    "leaves out no document for a reader that is slow, and keeps little for it",
    async () => {
      await using world = await startBroker({ limits: { eventsMax: 16 } });
      const events = new PeatClient({ url: world.broker.url }).subscribe({
        since: world.store.position(),
      });
      const count = 4_000;
      const ids = Array.from({ length: count }, (_, n) => `t${n}`);
      await put(world.store, "tracks:t0", {});
      expect(await take(events, 1)).toEqual(["t0"]);
      await Promise.all(ids.slice(1).map((id) => put(world.store, `tracks:${id}`, {})));
      const told = new Set(await take(events, count - 1));
      expect(told.size).toBe(count - 1);
      await events.return();
    },
    LIMIT_MS,
  );

  test(
    "asks again for what it was not told, though the node was further when they last spoke",
    async () => {
      const asked: (string | null)[] = [];
      await using server = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch: (request, self) => {
          asked.push(new URL(request.url).searchParams.get("since"));
          return self.upgrade(request) ? undefined : new Response(null, { status: 400 });
        },
        websocket: {
          open: (socket) => {
            socket.send('{"type":"Position","token":"newest"}');
            socket.send("no JSON at all");
            socket.close();
          },
          message: () => undefined,
        },
      });
      const ending = new AbortController();
      const { signal } = ending;
      const events = new PeatClient({ url: server.url.href }).subscribe({ since: "mine", signal });
      expect((await events.next()).value).toEqual({ kind: "begin", position: "mine" });
      const next = events.next();
      await waitFor("three connections", LIMIT_MS, () => asked.length >= 3 || undefined);
      ending.abort();
      expect(await next).toMatchObject({ done: true });
      expect(new Set(asked)).toEqual(new Set(["mine"]));
    },
    LIMIT_MS,
  );

  test(
    "is told when nobody knows any more what changed since",
    async () => {
      await using world = await startBroker();
      const peat = new PeatClient({ url: world.broker.url });
      const events = peat.subscribe({ since: "of-another-node" });
      expect(await take(events, 1)).toEqual(["lost"]);
      await peat.put("tracks", "later", {});
      expect(await take(events, 1)).toEqual(["later"]);
      await events.return();
    },
    LIMIT_MS,
  );
});

/** The scenario and the client as one module for `target`. */
async function bundle(target: "node" | "browser", folder: string): Promise<string> {
  const entrypoints = [join(projectDir, "test/support/client-scenario.ts")];
  const { outputs } = await Bun.build({ entrypoints, outdir: folder, target, format: "esm" });
  return outputs[0]?.path ?? "";
}

const node = Bun.which("node");
const withoutNode = node === null ? "needs the program node" : undefined;

test.skipIf(withoutNode !== undefined)(
  `in Node, which may need the package ws (${withoutNode ?? "node"})`,
  async () => {
    using folder = tempFolder();
    await using world = await startBroker(CLOSED);
    const scenario = await bundle("node", folder.path);
    const program = folder.file("program.mjs");
    const options = { url: world.broker.url, token: TOKEN };
    await Bun.write(
      program,
      `import { createRequire } from "node:module";
       import { useClient } from ${JSON.stringify(scenario)};
       const webSocket = createRequire(${JSON.stringify(`${projectDir}/package.json`)})("ws");
       console.log(JSON.stringify(await useClient({ ...${JSON.stringify(options)}, webSocket })));
       process.exit();`,
    );
    const child = Bun.spawn([node ?? "node", program], { stdout: "pipe", timeout: LIMIT_MS });
    expect(JSON.parse(await child.stdout.text())).toEqual(SEEN);
  },
  LIMIT_MS,
);

const chromium = Bun.which("chromium");
const withoutBrowser = chromium === null ? "needs the program chromium" : undefined;

test.skipIf(withoutBrowser !== undefined)(
  `in a browser, on a page of another origin (${withoutBrowser ?? "chromium"})`,
  async () => {
    using folder = tempFolder();
    const scenario = Bun.file(await bundle("browser", folder.path));
    const { promise: seen, resolve } = Promise.withResolvers<unknown>();
    const corsOrigins: string[] = [];
    await using world = await startBroker({ access: { ...CLOSED.access, corsOrigins } });
    const options = JSON.stringify({ url: world.broker.url, token: TOKEN });
    const page = `<script type="module">
      import { useClient } from "/scenario.js";
      const seen = await useClient(${options}).catch(String);
      await fetch("/seen", { method: "POST", body: JSON.stringify(seen) });
    </script>`;
    await using site = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      routes: {
        "/": new Response(page, { headers: { "content-type": "text/html" } }),
        "/scenario.js": () => new Response(scenario),
        "/seen": async (request) => {
          resolve(await request.json());
          return new Response();
        },
      },
    });
    corsOrigins.push(site.url.origin);
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
    const browser = Bun.spawn(
      [
        chromium ?? "chromium",
        ...flags,
        `--user-data-dir=${folder.file("profile")}`,
        site.url.href,
      ],
      { stdout: "ignore", stderr: "ignore", timeout: LIMIT_MS },
    );
    try {
      expect(await seen).toEqual(SEEN);
    } finally {
      browser.kill();
      await browser.exited;
    }
  },
  LIMIT_MS,
);
