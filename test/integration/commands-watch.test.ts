// `watch` against a broker over a store on a file: nothing lost, nothing twice, gaps told.
import { expect, test } from "bun:test";
import { waitFor } from "../../scripts/support/waiting.ts";
import { cutProxy } from "../support/cut-proxy.ts";
import { hostileServer } from "../support/hostile-broker.ts";
import { type Ran, type RunOptions, runCommand } from "../support/run-command.ts";
import { type BrokerWorld, startBroker } from "../support/start-broker.ts";

const DEADLINE_MS = 30_000;
/** Of a test, on a machine with much else to do. */
const LIMIT_MS = 90_000;

type Event = Record<string, unknown>;

interface Watching {
  /** Events so far, of a watch into a pipe. */
  readonly events: Event[];
  readonly text: () => string;
  stop(): void;
  readonly ended: Promise<Ran>;
}

function watch(args: readonly string[], options: RunOptions = {}): Watching {
  const events: Event[] = [];
  let text = "";
  let stop: () => void = () => undefined;
  const ended = runCommand(["watch", ...args], {
    ...options,
    onStopper: (stopper) => {
      stop = stopper;
    },
    onWrite: (written) => {
      text += written;
      if (options.columns === undefined) events.push(JSON.parse(written));
    },
  });
  return { events, text: () => text, stop: () => stop(), ended };
}

/** A watch tells only what comes after it: a document of its own is written until it shows. */
async function begun(world: BrokerWorld, watching: Watching): Promise<void> {
  let probes = 0;
  await waitFor("the watch to begin", DEADLINE_MS, async () => {
    probes += 1;
    await world.put(`/documents/begin/p${probes}`, "{}");
    return watching.text() === "" ? undefined : true;
  });
  await waitFor("the last of them", DEADLINE_MS, () =>
    watching.text().includes(`p${probes}`) ? true : undefined,
  );
}

const ids = (events: readonly Event[], collection: string) =>
  events.filter((event) => event["collection"] === collection).map((event) => event["doc_id"]);

const until = (watching: Watching, what: string, isTrue: () => boolean) =>
  Promise.race([
    waitFor(what, DEADLINE_MS, () => isTrue() || undefined),
    watching.ended.then((ran) => {
      throw new Error(`the watch ended: ${ran.code} ${ran.stderr}`);
    }),
  ]);

test(
  "a pipe gets a line of JSON for each change, with the document as it is",
  async () => {
    await using world = await startBroker();
    const watching = watch(["--url", world.broker.url]);
    await begun(world, watching);
    await world.put("/documents/tracks/t1", '{"speed":5.0,"note":"\\u009b"}');
    await world.ask("/documents/tracks/t1", { method: "DELETE" });
    await until(watching, "two changes", () => ids(watching.events, "tracks").length === 2);
    watching.stop();
    const { code, stdout, stderr } = await watching.ended;
    expect([code, stderr]).toEqual([0, ""]);
    const [created, deleted] = stdout.trimEnd().split("\n").slice(-2);
    expect(created).toContain('"action":"created"');
    expect(created).toContain('"document":{"_id":"t1","note":"\\u009b","speed":5.0}');
    expect(deleted).toContain('"document":null');
  },
  LIMIT_MS,
);

test(
  "through lost connections every change is told once and in order",
  async () => {
    await using world = await startBroker();
    await using proxy = await cutProxy(world.broker.port);
    const watching = watch(["tracks", "begin", "--url", proxy.url]);
    await begun(world, watching);
    const total = 400;
    for (let i = 0; i < total; i += 1) {
      await world.put(`/documents/tracks/t${i}`, `{"i":${i}}`);
      if (i % 80 === 40) proxy.cut();
    }
    await until(watching, "all changes", () => ids(watching.events, "tracks").length >= total);
    watching.stop();
    const { code, stderr } = await watching.ended;
    expect(code).toBe(0);
    expect(ids(watching.events, "tracks")).toEqual(
      Array.from({ length: total }, (_, i) => `t${i}`),
    );
    expect(stderr).toContain("; trying again\n");
    expect(stderr).toContain("the node is back");
  },
  LIMIT_MS,
);

test(
  "a reader that is slow gets everything too, and the node need not keep it",
  async () => {
    await using world = await startBroker();
    let isFull = false;
    const watching = watch(["tracks", "begin", "--url", world.broker.url], {
      pendingBytes: () => (isFull ? 64 * 1024 * 1024 : 0),
    });
    await begun(world, watching);
    isFull = true;
    const total = 50;
    for (let i = 0; i < total; i += 1) await world.put(`/documents/tracks/t${i}`, "{}");
    await until(watching, "a first change", () => ids(watching.events, "tracks").length > 0);
    const before = ids(watching.events, "tracks").length;
    expect(before).toBeLessThan(total);
    isFull = false;
    await until(watching, "all changes", () => ids(watching.events, "tracks").length >= total);
    watching.stop();
    await watching.ended;
    expect(ids(watching.events, "tracks")).toEqual(
      Array.from({ length: total }, (_, i) => `t${i}`),
    );
  },
  LIMIT_MS,
);

test(
  "--since goes on behind an event, --count ends after so many",
  async () => {
    await using world = await startBroker();
    const first = watch(["tracks", "begin", "--url", world.broker.url]);
    await begun(world, first);
    first.stop();
    await first.ended;
    const token = String(first.events.at(-1)?.["token"]);
    for (let i = 0; i < 5; i += 1) await world.put(`/documents/tracks/t${i}`, "{}");
    const second = watch(["tracks", "--since", token, "--count", "3", "--url", world.broker.url]);
    expect((await second.ended).code).toBe(0);
    expect(ids(second.events, "tracks")).toEqual(["t0", "t1", "t2"]);
  },
  LIMIT_MS,
);

test(
  "what a connection was too slow for is asked for again, and told once",
  async () => {
    const change = (id: string, token: string) => ({ type: "SyncEvent", doc_id: id, token });
    const position = { type: "Position", token: "p9" };
    const scripts = [
      [{ ...position, token: "p1" }, change("a", "t1"), { type: "Gap", missed: 3 }],
      [position, change("b", "t2"), { type: "Gap", missed: 1 }],
      [position, change("c", "t3")],
    ];
    const asked: (string | null)[] = [];
    await using server = Bun.serve({
      port: 0,
      fetch(request, self) {
        const { searchParams, pathname } = new URL(request.url);
        if (!pathname.endsWith("/ws")) return new Response("{}");
        asked.push(searchParams.get("since"));
        return self.upgrade(request) ? undefined : new Response(null, { status: 400 });
      },
      websocket: {
        open(socket) {
          for (const event of scripts.shift() ?? []) socket.send(JSON.stringify(event));
        },
        message: () => undefined,
      },
    });
    const watching = watch(["--count", "3", "--url", `http://127.0.0.1:${server.port}`]);
    expect((await watching.ended).code).toBe(0);
    expect(watching.events.map(({ doc_id }) => doc_id)).toEqual(["a", "b", "c"]);
    expect(asked).toEqual([null, "t1", "t2"]);
  },
  LIMIT_MS,
);

test(
  "what can't be told any more is a gap, and the watch goes on",
  async () => {
    await using world = await startBroker();
    const watching = watch(["--since", "1.nobody-knows-this", "--url", world.broker.url]);
    await until(watching, "the gap", () => watching.events.some(({ type }) => type === "Gap"));
    await begun(world, watching);
    await world.put("/documents/tracks/t1", "{}");
    await until(watching, "a change", () => ids(watching.events, "tracks").length > 0);
    watching.stop();
    const { code, stderr } = await watching.ended;
    expect(code).toBe(0);
    expect(stderr).toContain("could not be told: read the collection again");
  },
  LIMIT_MS,
);

test(
  "conditions choose among the changes",
  async () => {
    await using world = await startBroker();
    const where = ["--where", "speed>4"];
    const watching = watch(["tracks", "begin", ...where, "--url", world.broker.url]);
    await waitFor("the watch to begin", DEADLINE_MS, async () => {
      await world.put(`/documents/begin/${crypto.randomUUID()}`, '{"speed":9}');
      return watching.events.length > 0 || undefined;
    });
    await world.put("/documents/tracks/slow", '{"speed":1}');
    await world.put("/documents/tracks/fast", '{"speed":5}');
    await until(watching, "the fast one", () => ids(watching.events, "tracks").length > 0);
    watching.stop();
    await watching.ended;
    expect(ids(watching.events, "tracks")).toEqual(["fast"]);
  },
  LIMIT_MS,
);

test(
  "a terminal gets a line for each change that is no wider than it",
  async () => {
    await using world = await startBroker();
    const watching = watch(["--url", world.broker.url], { columns: 60 });
    await begun(world, watching);
    await world.put("/documents/tracks/t1", `{"a":"${"x".repeat(500)}"}`);
    await until(watching, "the change", () => watching.text().includes("tracks/t1"));
    watching.stop();
    const { code, stderr } = await watching.ended;
    expect(code).toBe(0);
    const line = Bun.stripANSI(watching.text()).trimEnd().split("\n").at(-1) ?? "";
    expect(line).toMatch(/^\d\d:\d\d:\d\d {2}created {2}tracks\/t1 {2}\{"_id":"t1","a":"x+…$/);
    expect(Bun.stringWidth(line)).toBe(60);
    expect(stderr).toMatch(/^peat-sidecar: to go on from here: --since \S+\n$/);
  },
  LIMIT_MS,
);

test(
  "a node that is not there, or refuses, ends it at once with the code for that",
  async () => {
    const nobody = await runCommand(["watch", "--url", "http://127.0.0.1:9"]);
    expect([nobody.code, nobody.stdout]).toEqual([75, ""]);
    await using world = await startBroker({ access: { reads: "token", open: "none" } });
    const refused = await runCommand(["watch", "--url", world.broker.url]);
    expect([refused.code, refused.stdout]).toEqual([77, ""]);
    expect(refused.stderr.split("\n")).toHaveLength(2);
  },
  LIMIT_MS,
);

test(
  "a node that says nothing does not keep who wants to stop",
  async () => {
    await using silent = await hostileServer("says nothing");
    let asked = 0;
    for (const command of [["watch"], ["peers", "--watch"], ["status", "--watch"]]) {
      let stop: () => void = () => undefined;
      const ended = runCommand([...command, "--url", silent.url, "--timeout", "600"], {
        onStopper: (stopper) => {
          stop = stopper;
        },
      });
      await waitFor("the question", DEADLINE_MS, () => silent.questions > asked || undefined);
      asked = silent.questions;
      stop();
      expect((await ended).code).toBe(0);
    }
  },
  LIMIT_MS,
);
