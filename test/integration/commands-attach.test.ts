// Files between nodes by command and over HTTP: real nodes on loopback, a broker beside one of them.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { waitFor } from "../../scripts/support/waiting.ts";
import { type RunOptions, runCommand } from "../support/run-command.ts";
import { type BrokerWorld, startBroker } from "../support/start-broker.ts";
import { FileNode, noise, together } from "../support/start-files.ts";
import { randomSecret } from "../support/start-node.ts";
import { tempFolder } from "../support/temp-folder.ts";

const LIMIT_MS = 60_000;
const KIB = 1024;

interface Pair extends AsyncDisposable {
  readonly a: FileNode;
  readonly b: FileNode;
  readonly world: BrokerWorld;
  /** A command of a user of a's machine. */
  run(args: readonly string[], options?: RunOptions): ReturnType<typeof runCommand>;
}

/** Two nodes that exchange files, with the broker and control socket of the first. */
async function pair(): Promise<Pair> {
  const folder = tempFolder();
  const common = { secret: randomSecret(), folder: folder.path };
  const a = await FileNode.start({ name: "a", ...common });
  const b = await FileNode.start({ name: "b", ...common });
  await together(a, b);
  const world = await startBroker({ store: a.node.store, files: a.files });
  const runtimeDir = folder.path;
  await world.broker.openControl(join(runtimeDir, "control.sock"));
  return {
    a,
    b,
    world,
    run: (args, options = {}) =>
      runCommand(args, { ...options, environment: { PEAT_RUNTIME_DIR: runtimeDir } }),
    [Symbol.asyncDispose]: async () => {
      await world[Symbol.asyncDispose]();
      await a[Symbol.asyncDispose]();
      await b[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

describe("attach", () => {
  test("sends a file by its path, follows it to its end, and shows it afterwards", async () => {
    await using both = await pair();
    const { a, b, run } = both;
    const content = noise(300 * KIB);
    a.offer("maps/north.bin", content);
    const path = join(a.folder, "outbox/maps/north.bin");
    const sent = await run(["attach", "send", path, "--watch", "--bundle", "maps-1"]);
    expect(sent).toMatchObject({ code: 0, stderr: "" });
    expect(sent.stdout).toMatch(/maps\/north\.bin {2}\S+ {2}completed {2}300 KiB\n$/);
    expect(b.received("maps/north.bin")).toEqual(content);
    const listed = await run(["attach", "list", "--json"]);
    const [told] = JSON.parse(listed.stdout);
    expect(told).toMatchObject({
      bundle_id: "maps-1",
      sender: "a",
      root_name: "out",
      relative_path: "maps/north.bin",
      size_bytes: 300 * KIB,
      status: "completed",
      nodes: [{ id: b.shortId, status: "completed", bytes: 300 * KIB, error: null }],
    });
    const table = await run(["attach"]);
    expect(table.stdout.split("\n")[1]).toMatch(/maps\/north\.bin +300 KiB +completed +1\/1 +a/);
    for (const id of ["maps-1", told.id]) {
      const status = await run(["attach", "status", id]);
      expect(status.stdout.split("\n")[1]).toMatch(/maps\/north\.bin +\S+ +completed +300 KiB/);
      expect((await run(["attach", "watch", id, "--ndjson"])).code).toBe(0);
    }
    expect((await run(["attach", "cancel", "maps-1"])).stdout).toContain("was over already");
  });

  test("draws a bar for each node on a terminal", async () => {
    await using both = await pair();
    both.a.offer("one", noise(10));
    both.a.offer("two", noise(20));
    const { code, stdout } = await both.run(["attach", "send", "out:one", "out:two", "--watch"], {
      columns: 120,
    });
    expect(code).toBe(0);
    const last = Bun.stripANSI(stdout).trimEnd().split("\n").slice(-2);
    expect(last).toHaveLength(2);
    for (const line of last) expect(line).toMatch(/━{24} completed +\d+ B of \d+ B$/);
  });

  test("draws what has changed in its place", async () => {
    let looks = 0;
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch() {
        looks += 1;
        const told = (status: string, bytes: number) => ({ id: "n", name: "b", status, bytes });
        const node = looks === 1 ? told("in_progress", 50) : told("completed", 100);
        const status = node.status;
        const file = { id: "d", name: "map", status, size_bytes: 100, nodes: [node] };
        return Response.json({ count: 1, distributions: [file] });
      },
    });
    const args = ["attach", "watch", "d", "--no-color", "--url", server.url.origin];
    const { code, stdout } = await runCommand(args, { columns: 120 });
    expect(code).toBe(0);
    const [first, then] = stdout.split("\u001b[1A");
    expect(first).toMatch(/^map {2}b {2}━{12}\S* +in progress 50 B of 100 B/);
    expect(then).toMatch(/^map {2}b {2}━{24} completed +100 B of 100 B/);
  });

  test("sends from below the roots only, and names them where it refuses", async () => {
    await using both = await pair();
    const { a, run } = both;
    const outside = await run(["attach", "send", "/etc/hostname"]);
    expect(outside.code).toBe(64);
    expect(outside.stderr).toContain(`out (${join(a.folder, "outbox")})`);
    expect((await run(["attach", "send", "out:../../secret"])).stderr).toContain(
      "neither . nor ..",
    );
    expect((await run(["attach", "send", "out:missing"])).stderr).toContain(
      "there is no such file",
    );
    const remote = ["attach", "send", "/x/y", "--url", both.world.broker.url];
    expect((await run(remote)).stderr).toContain("must be ROOT:PATH on another node");
    expect(a.files.sender?.bundles.all()).toEqual([]);
  });

  test("of a node that nobody has seen waits, can be stopped watching, and cancelled", async () => {
    await using both = await pair();
    const { a, run } = both;
    a.offer("one", noise(10));
    const stop: { signal?: () => void } = {};
    const watching = run(["attach", "send", "out:one", "--to", "0123456789", "--watch"], {
      onStopper: (signal) => {
        stop.signal = signal;
      },
      onWrite: (text) => {
        if (text.includes("pending")) stop.signal?.();
      },
    });
    expect((await watching).code).toBe(0);
    const [told] = JSON.parse((await run(["attach", "list", "--json"])).stdout);
    expect(told.nodes).toEqual([
      { id: "0123456789", name: null, status: "pending", bytes: 0, error: null },
    ]);
    const cancelled = await run(["attach", "cancel", told.id]);
    expect(cancelled).toMatchObject({ code: 0, stdout: `cancelled ${told.id}\n` });
    const over = await waitFor("it to be over", LIMIT_MS, async () => {
      const { code, stdout } = await run(["attach", "watch", told.id]);
      return code === 1 ? stdout : undefined;
    });
    expect(over).toContain("one");
  });

  test.each([
    [["attach", "send"], 64, "usage: attach send FILE"],
    [["attach", "watch"], 64, "usage: attach watch ID"],
    [["attach", "list", "x"], 64, "can't use"],
    [["attach", "list", "--to", "b"], 64, "belongs to attach send"],
    [["attach", "sned", "x"], 64, "send"],
    [["attach", "send", "out:one", "--priority", "critcal"], 64, "critical"],
    [["attach", "status", "nobody"], 66, "is unknown"],
    [["attach", "cancel", "../x"], 66, "is unknown"],
  ])("%p is refused with status %i", async (args, code, named) => {
    await using both = await pair();
    both.a.offer("one", noise(10));
    const ran = await both.run(args);
    expect({ code: ran.code, stderr: ran.stderr }).toEqual({
      code,
      stderr: expect.stringContaining(named),
    });
  });

  test("on a node that sends nothing says what to set", async () => {
    await using world = await startBroker();
    const url = ["--url", world.broker.url];
    const { code, stderr } = await runCommand(["attach", "send", "x:y", ...url]);
    expect([code, stderr]).toEqual([69, expect.stringContaining("PEAT_ATTACHMENT_ROOT")]);
    expect((await runCommand(["attach", ...url])).stdout).toBe("no files have been sent lately\n");
  });
});

describe("over HTTP", () => {
  const send = (world: BrokerWorld, body: unknown) =>
    world.ask("/attachments", {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });

  test.each([
    [{}, 400, "files: must be a list"],
    [{ files: [] }, 400, "files: names no file"],
    [{ files: "x" }, 400, "files: must be a list"],
    [{ files: ["x"] }, 400, "files[0] must be a JSON object"],
    [{ files: [{ root_name: "out" }] }, 400, "files[0].relative_path: is missing"],
    [{ files: [{ root_name: "out", relative_path: 7 }] }, 400, "must be a text"],
    [{ files: [{ root_name: "no", relative_path: "one" }] }, 400, 'no root \\"no\\", but out'],
    [{ files: [{ root_name: "out", relative_path: "/etc/passwd" }] }, 400, "must be relative"],
    [{ files: [{ root_name: "out", relative_path: "one", size: 1 }] }, 400, "no field"],
    [{ files: [{ root_name: "out", relative_path: "one", size_bytes: 10 }] }, 400, "sha256"],
    [
      {
        files: [{ root_name: "out", relative_path: "one", size_bytes: 9, sha256: "0".repeat(64) }],
      },
      400,
      "the file has 10",
    ],
    [{ files: Array(9).fill({ root_name: "out", relative_path: "one" }) }, 413, "at most 8"],
    [{ files: [], scope: {} }, 400, "must have one of"],
    [{ files: [], scope: { node_list: { node_ids: [1] } } }, 400, "node_ids[0]: must be a text"],
    [{ files: [], priority: "loud" }, 400, "priority: must be one of"],
    [{ files: [], bundle: "x" }, 400, "no field"],
    [{ files: [], bundle_id: "x".repeat(300_000) }, 413, "at most"],
  ])("an order that makes no sense is refused: %j", async (body, status, sentence) => {
    await using both = await pair();
    both.a.offer("one", noise(10));
    const answer = await send(both.world, body);
    expect({ status: answer.status, text: answer.text }).toEqual({
      status,
      text: expect.stringContaining(sentence),
    });
    expect(both.a.files.sender?.bundles.all()).toEqual([]);
  });

  test("sending needs the token, and roots are told to nobody without it", async () => {
    await using both = await pair();
    await using world = await startBroker({
      store: both.a.node.store,
      files: both.a.files,
      access: { open: "none" },
    });
    expect((await send(world, { files: [] })).status).toBe(401);
    expect((await world.ask("/attachment-roots")).status).toBe(401);
    expect((await world.ask("/attachments/x", { method: "DELETE" })).status).toBe(401);
    expect((await world.ask("/attachments")).text).toBe('{"distributions":[]}');
  });
});
