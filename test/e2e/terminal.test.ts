// The compiled executable at a real terminal and in pipes: a person sees tables, colours and bars, a program none of it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { ensureHostExecutable, executablePath } from "../../scripts/support/executable.ts";
import { Formation } from "../../scripts/support/formation.ts";
import { waitFor } from "../../scripts/support/waiting.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { Terminal, tmuxPath } from "../support/terminal.ts";

const DEADLINE_MS = 30_000;
const LIMIT_MS = 120_000;
const ESCAPE = "\u001b";

let formation: Formation;
let environment: Record<string, string>;

beforeAll(async () => {
  await ensureHostExecutable();
  formation = await Formation.prepare({
    executable: executablePath,
    nodes: 3,
    env: { PEAT_API_OPEN: "loopback" },
  });
  const nodes = [await formation.start(0), await formation.start(1)];
  for (const node of nodes) await node.ready();
  const [first] = nodes;
  if (first === undefined) throw new Error("no node was started");
  await first.connected(1);
  environment = {
    PATH: `${dirname(executablePath)}:${Bun.env["PATH"] ?? ""}`,
    HOME: formation.folder,
    LANG: "C.UTF-8",
    // As the guide says: found by the settings, through its control socket.
    PEAT_RUNTIME_DIR: first.dataDir,
  };
  await first.api.put("tracks", "t1", { status: "lost", note: "a".repeat(300), lat: 48.5 });
  await first.api.put("tracks", "日本", { status: "ok", note: "\u001b[2J\u009b2J", lat: 9 });
}, LIMIT_MS);
afterAll(() => formation[Symbol.asyncDispose]());

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: readonly string[]): Ran {
  const { exitCode, stdout, stderr } = Bun.spawnSync([executablePath, ...args], {
    // A terminal's name alone is no terminal.
    env: { ...environment, TERM: "xterm-256color" },
    stdin: "ignore",
    stderr: "pipe",
    timeout: DEADLINE_MS,
  });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

const widest = (screen: string): number =>
  Math.max(...screen.split("\n").map((line) => Bun.stringWidth(line)));

describe.skipIf(tmuxPath === null)("at a terminal (needs tmux)", () => {
  test(
    "peers fit 60, 80 and 200 columns, with what there is room for",
    async () => {
      await using terminal = await Terminal.open({ columns: 60, environment });
      const narrow = await terminal.run("peat-sidecar peers");
      expect(narrow).toMatch(/^NAME +STATE +PATH +RTT +LAG +QUEUED/m);
      expect(narrow).toMatch(/^node-1 +(?:in sync|syncing) +direct/m);
      expect(narrow).toMatch(/^node-2 +connecting/m);
      expect(narrow).toMatch(/^2 peers, 1 connected$/m);
      terminal.resize(80);
      const usual = await terminal.run("peat-sidecar peers");
      // Beside long times there is no room for the ids.
      expect(usual).toMatch(/^NAME +(?:ID +)?STATE .* QUEUED +LAST SEEN/m);
      terminal.resize(200);
      // The column is there for peers that were tried in vain: the first try takes its time.
      await waitFor("a failed connection to node-2", DEADLINE_MS, async () => {
        const rows: unknown = JSON.parse(run("peers", "--json").stdout);
        return (Array.isArray(rows) && rows.some((row) => row.last_failure !== null)) || undefined;
      });
      const wide = await terminal.run("peat-sidecar peers");
      expect(wide).toMatch(/^NAME +ID +STATE .* VERSION +WHY NOT CONNECTED$/m);
      expect(widest(narrow)).toBeLessThanOrEqual(60);
      expect(widest(usual)).toBeLessThanOrEqual(80);
    },
    LIMIT_MS,
  );

  test(
    "documents are cut to the line, wide characters keep the columns, and nothing is obeyed",
    async () => {
      await using terminal = await Terminal.open({ columns: 80, environment });
      const screen = await terminal.run("peat-sidecar list tracks --fields status,note,lat");
      const lines = screen.split("\n").filter((line) => line !== "");
      const heading = lines.find((line) => line.startsWith("ID")) ?? "";
      const rows = lines.filter((line) => /^(?:t1|日本)/.test(line));
      expect(rows).toHaveLength(2);
      expect(rows[0]).toContain("…");
      // "lat" begins in the same cell of each line.
      const cell = Bun.stringWidth(heading.slice(0, heading.indexOf("lat")));
      expect(rows.map((row) => Bun.stringWidth(row.replace(/(?:48\.5|9)\s*$/, "")))).toEqual([
        cell,
        cell,
      ]);
      expect(screen).toContain("exit code 0");
    },
    LIMIT_MS,
  );

  test(
    "there is colour, unless somebody does not want it",
    async () => {
      await using terminal = await Terminal.open({ columns: 100, environment });
      await terminal.run("peat-sidecar status");
      expect(terminal.colours()).toContain(`${ESCAPE}[32mready`);
      for (const line of ["peat-sidecar status --no-color", "NO_COLOR=1 peat-sidecar status"]) {
        const screen = await terminal.run(line);
        expect(screen).toMatch(/^node-0 {2}ready$/m);
        expect(terminal.colours()).not.toContain(`${ESCAPE}[32m`);
      }
    },
    LIMIT_MS,
  );

  const shells = {
    bash: ["source <(peat-sidecar print bash)"],
    zsh: [
      "mkdir -p ~/zsh && peat-sidecar print zsh > ~/zsh/_peat-sidecar && exec zsh -f",
      "fpath=(~/zsh $fpath); autoload -Uz compinit; compinit -u -D; PS1='peat-test> '",
    ],
  };
  for (const [shell, lines] of Object.entries(shells)) {
    test.skipIf(Bun.which(shell) === null)(
      `names of the node's collections, and files, are completed by ${shell} (needs ${shell})`,
      async () => {
        await using terminal = await Terminal.open({ columns: 100, environment });
        for (const line of lines) terminal.type(line);
        await terminal.run("cd ~; : > made.peat-backup");
        for (const [begun, whole] of [
          ["peat-sidecar list tra", "list tracks"],
          ["peat-sidecar get tra", "get tracks/"],
          ["peat-sidecar restore made.p", "restore made.peat-backup"],
        ] as const) {
          terminal.complete(begun);
          await terminal.until(whole, (screen) => screen.includes(whole));
          await terminal.drop();
        }
      },
      LIMIT_MS,
    );
  }

  test(
    "long work has a bar, which is gone afterwards",
    async () => {
      let page = 0;
      // Ten pages, each of which takes its time.
      using server = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        async fetch() {
          page += 1;
          await Bun.sleep(100);
          const documents = Array.from({ length: 100 }, (_, at) => ({ _id: `d${page}-${at}` }));
          return Response.json({
            count: 1000,
            documents,
            ...(page < 10 ? { next: `d${page}` } : {}),
          });
        },
      });
      await using terminal = await Terminal.open({ columns: 100, environment });
      const screen = await terminal.run(
        `peat-sidecar list d --ndjson --url ${server.url.origin} | wc -l`,
      );
      expect(screen).toMatch(/^1000$/m);
      expect(screen).not.toContain("━");
      const bytes = Buffer.from(terminal.record(), "latin1").toString("utf8");
      expect(bytes).toContain("━");
      expect(Bun.stripANSI(bytes)).toMatch(/d {2}━+─+ +\d+ % {2}\d+ of 1000, \d+\/s, .+ left/);
    },
    LIMIT_MS,
  );

  test(
    "peers --watch follows what happens and the size of the terminal, until Ctrl-C",
    async () => {
      await using terminal = await Terminal.open({ columns: 60, environment });
      terminal.type('clear; peat-sidecar peers --watch; echo "exit code $?"');
      await terminal.until("the first view", (screen) => /^node-2 +connecting/m.test(screen));
      await formation.start(2);
      await terminal.until("the third node", (screen) =>
        /^node-2 +(?:in sync|syncing)/m.test(screen),
      );
      terminal.resize(200);
      const wide = await terminal.until("a wider view", (screen) => /^NAME +ID /m.test(screen));
      // Drawn in place: one heading.
      expect(wide.match(/^NAME/gm)).toHaveLength(1);
      await formation.stop(2);
      await terminal.until("its end", (screen) => /^node-2 .*connecting/m.test(screen));
      terminal.interrupt();
      await terminal.until("the end", (screen) => screen.includes("exit code 0"));
    },
    LIMIT_MS,
  );

  test(
    "watch goes on through a restart of the node, tells each change once, and ends by Ctrl-C",
    async () => {
      await using terminal = await Terminal.open({ columns: 120, environment });
      terminal.type('clear; peat-sidecar watch trips; echo "exit code $?"');
      const first = formation.node(0);
      // A watch tells only what comes after it has begun.
      let probes = 0;
      await waitFor("the watch to begin", DEADLINE_MS, async () => {
        probes += 1;
        await first.api.put("trips", `begin-${probes}`, { n: probes });
        return terminal.screen().includes("created  trips/begin") || undefined;
      });
      await formation.stop(0);
      await terminal.until("the loss to be told", (screen) => screen.includes("trying again"));
      const again = await formation.start(0);
      await again.ready();
      await again.api.put("trips", "after", { n: 2 });
      await terminal.until("what came after", (screen) => screen.includes("trips/after"));
      terminal.interrupt();
      const screen = await terminal.until("the end", (text) => text.includes("exit code"));
      expect(screen).toContain("exit code 0");
      expect(screen).toContain("to go on from here: --since ");
      const told = [...screen.matchAll(/trips\/(\S+)/g)].map(([, id]) => id);
      expect(new Set(told).size).toBe(told.length);
    },
    LIMIT_MS,
  );
});

describe("in a pipe", () => {
  test.each([
    [["status"]],
    [["peers"]],
    [["list", "tracks"]],
    [["query", "tracks", "--where", "status=lost"]],
    [["get", "tracks/t1"]],
    [["collections"]],
    [["deleted"]],
    [["help"]],
    [["help", "run"]],
  ])("%p has no escape sequence", (args) => {
    const { code, stdout, stderr } = run(...args);
    expect([code, stderr]).toEqual([0, ""]);
    expect(`${stdout}${stderr}`).not.toContain(ESCAPE);
    expect(`${stdout}${stderr}`).not.toMatch(/[\u0080-\u009f]/);
  });

  test("a table has the columns that a terminal shows, and all that is in them", () => {
    const { stdout } = run("list", "tracks", "--fields", "note,status");
    expect(stdout).toMatch(/^ID +note +status\n/);
    expect(stdout).toContain("a".repeat(200));
  });

  test("a reader that has seen enough ends a command quietly", () => {
    const script = `'${executablePath}' list tracks --ndjson | head -c 1; echo " $\{PIPESTATUS[0]}"`;
    const { stdout, stderr } = Bun.spawnSync(["bash", "-c", script], {
      env: environment,
      stderr: "pipe",
    });
    expect([stdout.toString(), stderr.toString()]).toEqual(["{ 0\n", ""]);
  });

  test(
    "watch ends when its reader has gone",
    async () => {
      const script = `'${executablePath}' watch | head -n 1; echo "\${PIPESTATUS[0]}"`;
      const child = Bun.spawn(["bash", "-c", script], {
        env: environment,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const output = new Response(child.stdout).text();
      const node = formation.node(0);
      let writes = 0;
      await waitFor("watch to end", DEADLINE_MS, async () => {
        writes += 1;
        await node.api.put("ends", `e${writes}`, {});
        return child.exitCode ?? undefined;
      });
      const [event = "", status] = (await output).trimEnd().split("\n");
      expect(JSON.parse(event)).toMatchObject({ type: "SyncEvent" });
      expect([status, await new Response(child.stderr).text()]).toEqual(["0", ""]);
    },
    LIMIT_MS,
  );
});

describe("a full disk behind standard output", () => {
  const full = (...args: readonly string[]) => {
    const descriptor = openSync("/dev/full", "w");
    try {
      const { exitCode, stderr } = Bun.spawnSync([executablePath, ...args], {
        env: environment,
        stdin: "ignore",
        stdout: descriptor,
        stderr: "pipe",
        timeout: DEADLINE_MS,
      });
      return { code: exitCode, stderr: stderr.toString() };
    } finally {
      closeSync(descriptor);
    }
  };

  test.each(COMMANDS.map(({ name }) => [name]))("is told by the help of %s", (name) => {
    const { code, stderr } = full(name, "--help");
    expect(code).toBe(74);
    expect(stderr).toMatch(/^peat-sidecar: can't write to standard output: ENOSPC[^\n]+\n$/);
  });

  test.each([
    [["get", "tracks/t1"]],
    [["list", "tracks"]],
    [["list", "tracks", "--json"]],
    [["peers", "--watch"]],
    [["status"]],
  ])("is told by %p", (args) => {
    const { code, stderr } = full(...args);
    expect(code).toBe(74);
    expect(stderr).toMatch(/^peat-sidecar: can't write to standard output: ENOSPC[^\n]+\n$/);
  });
});
