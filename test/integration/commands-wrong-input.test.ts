// Every command × wrong input, from the table of commands itself: whatever is added there is tried here.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { OptionRow } from "../../src/cli/arguments.ts";
import type { Command } from "../../src/cli/command.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { EXIT } from "../../src/cli/context.ts";
import { EXIT_CODES } from "../../src/cli/exit-codes.ts";
import { endlessServer, HOSTILE_ANSWERS, hostileServer } from "../support/hostile-broker.ts";
import { type Ran, runCommand } from "../support/run-command.ts";
import { startBroker, TOKEN } from "../support/start-broker.ts";
import { tempFolder } from "../support/temp-folder.ts";

const CODES: readonly number[] = EXIT_CODES.map(({ code }) => code);
const NOBODY = "http://127.0.0.1:9";
const USAGE = EXIT.usage;

/** Several commands each, on a machine with much else to do. */
setDefaultTimeout(60_000);

const folder = tempFolder();
// What the examples of `import` read.
writeFileSync(folder.file("_srv_tracks.ndjson"), '{"_id":"t1"}\n');
writeFileSync(folder.file("_srv_stations.csv"), "callsign,height\nHB9,5\n");
const startedIn = process.cwd();
afterAll(() => folder[Symbol.dispose]());

/** Words of an example as a shell has them; undefined where it needs more of a shell than quotes. */
function wordsOf(example: string): string[] | undefined {
  if (/[|<>]/.test(example.replaceAll(/'[^']*'/g, ""))) return undefined;
  const words = [...example.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, bare]) => quoted ?? bare ?? "",
  );
  if (words.includes("-")) return undefined;
  // Nothing outside of the test's folder is read or written.
  return words.map((word) =>
    /^\/(?!api\/)/.test(word) ? folder.file(word.replaceAll("/", "_")) : word,
  );
}

/** Every example of a command that can be run here. */
const invocations = ({ examples }: Command): string[][] =>
  examples.flatMap((example) => {
    const words = wordsOf(example);
    return words === undefined ? [] : [words];
  });

/** The same with a node at `url`, in place of those that an example names, and of the one of this machine. */
function asked({ options }: Command, words: readonly string[], url: string): string[] {
  const at = words.indexOf("--timeout");
  const kept = at === -1 ? words : words.toSpliced(at, 2);
  const moved = kept.map((word) => (/^https?:/.test(word) ? url : word));
  const isNamed = moved.includes("--url") || !options.some(({ name }) => name === "url");
  return isNamed ? moved : [...moved, "--url", url];
}

/** Runs it in an environment without anything; what goes on for ever is stopped at its first words. */
async function run(args: readonly string[]): Promise<Ran> {
  // What a command writes by an example of its own lands there, and no other run finds it.
  using own = tempFolder();
  process.chdir(own.path);
  let stop: () => void = () => undefined;
  try {
    return await runCommand(args, {
      environment: { PEAT_RUNTIME_DIR: folder.path, PEAT_BROKER_PORT: "9", HOSTNAME: "n" },
      onStopper: (stopper) => {
        stop = stopper;
      },
      onWrite: () => stop(),
    });
  } finally {
    process.chdir(startedIn);
  }
}

/** What a diagnosis finds stands on standard output. */
const isFinding = ([name = ""]: readonly string[], code: number) =>
  DIAGNOSES.includes(name) && code === EXIT.failed;

/** Rules for whatever happens: a documented code, whole sentences, nothing that a terminal obeys. */
function expectDecent({ code, stdout, stderr }: Ran, args: readonly string[]): void {
  const about = `${args.join(" ").slice(0, 200)}: ${code}: ${stderr.slice(0, 500)}`;
  expect(CODES, about).toContain(code);
  expect(code, about).not.toBe(EXIT.bug);
  expect(`${stdout}${stderr}`.replaceAll(/[\n\t]/g, ""), about).not.toMatch(/[\p{Cc}\u202e]/u);
  expect(stderr, about).not.toMatch(/^\s+at /m);
  expect(stderr.length, about).toBeLessThan(5000);
  if (code !== EXIT.ok && !isFinding(args, code)) {
    expect(stderr, about).toMatch(/^peat-sidecar: .+\n/);
  }
}

function expectUsage(ran: Ran, args: readonly string[], told: string | RegExp): void {
  expectDecent(ran, args);
  expect([ran.code, ran.stdout], args.join(" ")).toEqual([USAGE, ""]);
  const [sentence = "", pointer, end] = ran.stderr.split("\n");
  expect(sentence).toMatch(told);
  expect([pointer, end]).toEqual(["See: peat-sidecar --help", ""]);
}

const ownOptions = ({ options }: Command): readonly OptionRow[] => options;
const asksNode = ({ options }: Command) => options.some(({ value }) => value === "URL");
const NODE_COMMANDS = COMMANDS.filter(asksNode);
/** These are for when something is wrong: they do their work without a node, and say that there is none. */
const DIAGNOSES = ["doctor", "bundle"];
const isDiagnosis = ({ name }: Command) => DIAGNOSES.includes(name);

const misspelt = (name: string) => `${name[0]}${name.slice(2)}`;
const isName = (word: string) => COMMANDS.some(({ name }) => name === word);

/** A test that is there for commands to which it applies. */
const where = (applies: boolean): ((name: string, body: () => Promise<void>) => void) =>
  applies ? test : () => undefined;

/** What is nothing of that kind. */
const NONSENSE: Readonly<Record<string, string>> = {
  SECONDS: "soon",
  COUNT: "many",
  URL: "ftp://example",
  JSON: "{",
  ETAG: "a b",
  PATH: "a..b",
  PATHS: "a..b",
  CONDITION: "=5",
  FILE: "/nowhere/at/all",
};

describe.each(COMMANDS.map((command) => [command.name, command] as const))(
  "%s",
  (name, command) => {
    test("refuses an option that nobody has", async () => {
      const args = [name, "--zzzzzzzzzzzz"];
      expectUsage(await run(args), args, /there is no option --zzzzzzzzzzzz here/);
    });

    test("suggests what was meant by a misspelt option", async () => {
      for (const option of ownOptions(command).filter((one) => one.name.length > 3)) {
        const args = [name, `--${misspelt(option.name)}=x`];
        expectUsage(await run(args), args, /did you mean --[a-z]/);
      }
    });

    where(name.length > 3 && !isName(misspelt(name)))(
      "is suggested when it is misspelt",
      async () => {
        const args = [misspelt(name)];
        expectUsage(await run(args), args, /there is no command \S+; did you mean [a-z-]+\?$/);
      },
    );

    where(command.wordsMax <= 20)("refuses a word too many, by itself", async () => {
      const first = command.choices?.[0] ?? "a";
      const args = [name, ...Array.from({ length: command.wordsMax }, () => first), "too-much"];
      expectUsage(await run(args), args, /can't use "too-much"/);
    });

    where(command.wordsMin > 0)("says what it needs", async () => {
      const args = [name];
      expectUsage(await run(args), args, `${name} needs more; usage: ${name} `);
    });

    where(command.choices !== undefined)("suggests one of its words", async () => {
      const first = command.choices?.find((word) => word.length > 3) ?? "";
      const args = [name, misspelt(first)];
      expectUsage(await run(args), args, /did you mean/);
    });

    test("refuses an option without its value, with two, and a switch with one", async () => {
      for (const { name: option, value, repeats } of ownOptions(command)) {
        const bare = [name, `--${option}`];
        if (value === undefined) {
          const args = [name, `--${option}=yes`];
          expectUsage(await run(args), args, `--${option} takes no value`);
        } else {
          expectUsage(await run(bare), bare, `--${option} needs a value`);
          const twice = [name, `--${option}=a`, `--${option}=b`];
          if (repeats !== true) expectUsage(await run(twice), twice, `--${option} is given twice`);
        }
      }
    });

    where(command.takesSettings && asksNode(command) && !isDiagnosis(command))(
      "names a setting that makes no sense, with 78",
      async () => {
        for (const words of invocations(command).slice(0, 1)) {
          const args = [...words, "--broker-port", "seven"];
          const ran = await run(args);
          expectDecent(ran, args);
          expect([ran.code, ran.stdout]).toEqual([EXIT.settings, ""]);
          expect(ran.stderr).toContain("--broker-port");
        }
      },
    );
  },
);

describe.each(NODE_COMMANDS.map((command) => [command.name, command] as const))(
  "%s, which asks a node,",
  (_name, command) => {
    const [usual = []] = invocations(command);

    test("has an example that can be tried", () => {
      expect(usual[0]).toBe(command.name);
    });

    test("refuses values that make no sense before anybody is asked", async () => {
      for (const { name: option, value = "" } of ownOptions(command)) {
        const nonsense = NONSENSE[value];
        if (nonsense === undefined || usual.includes(`--${option}`)) continue;
        const args = [...asked(command, usual, NOBODY), `--${option}=${nonsense}`];
        // Two different values are another problem.
        if (option === "url") args.splice(args.indexOf("--url"), 2);
        const ran = await run(args);
        expectDecent(ran, args);
        expect([ran.code, ran.stdout], args.join(" ")).toEqual([USAGE, ""]);
      }
    });

    where(/^\[?COLLECTION/.test(command.usage))("refuses bad names of documents", async () => {
      const bad = command.usage.startsWith("COLLECTION/ID")
        ? ["a b/c", "-/x", "tracks/", "tracks/..", "tracks", `t/${"x".repeat(600)}`, "t/\u0007"]
        : ["a b", "ü", "x".repeat(200), ""];
      for (const word of bad) {
        const args = [command.name, "--url", NOBODY, "--", word];
        const ran = await run(args);
        expectDecent(ran, args);
        expect([ran.code, ran.stdout], args.join(" ")).toEqual([USAGE, ""]);
      }
    });

    test("says where nobody answers", async () => {
      for (const words of invocations(command)) {
        const args = asked(command, words, NOBODY);
        args.push("--timeout", "2");
        const ran = await run(args);
        expectDecent(ran, args);
        if (ran.code === USAGE) continue;
        if (isDiagnosis(command)) {
          expect(`${ran.stdout}${ran.stderr}`).toMatch(/node/);
          continue;
        }
        expect(ran.stdout).toBe("");
        expect([75, EXIT.failed]).toContain(ran.code);
        expect(ran.stderr).toContain("127.0.0.1:9");
        expect(ran.stderr.trimEnd().split("\n")).toHaveLength(1);
      }
    });

    test.each(Object.keys(HOSTILE_ANSWERS))("stays decent where somebody %s", async (answer) => {
      await using server = await hostileServer(answer);
      for (const words of invocations(command)) {
        const args = [...asked(command, words, server.url), "--timeout", "0.3"];
        const ran = await run(args);
        expectDecent(ran, args);
        const isJson = words.includes("--json");
        if (isJson && ran.stdout !== "") expect(() => JSON.parse(ran.stdout)).not.toThrow();
        const isNdjson = words.includes("--ndjson");
        if (isNdjson)
          for (const line of ran.stdout.trimEnd().split("\n").filter(Boolean)) JSON.parse(line);
      }
    });
  },
);

test("a wrong token is told by every command that needs one", async () => {
  await using world = await startBroker({
    access: { reads: "token", open: "none", isTokenConfigured: true },
  });
  const put = { method: "PUT", body: "{}", headers: { authorization: `Bearer ${TOKEN}` } };
  await world.ask("/documents/tracks/t1", put);
  for (const command of NODE_COMMANDS.filter(({ options }) =>
    options.some((o) => o.name === "token"),
  )) {
    if (isDiagnosis(command)) continue;
    const [words = []] = invocations(command);
    const args = [...asked(command, words, world.broker.url), "--token", "not-the-token"];
    const ran = await run(args);
    expectDecent(ran, args);
    // What reads a file first may end there.
    if (ran.code === USAGE) continue;
    expect([77, EXIT.failed], args.join(" ")).toContain(ran.code);
    expect(ran.stderr, args.join(" ")).toMatch(/token|401/);
  }
});

test("an answer without end is given up", async () => {
  await using server = await endlessServer(400 * 1024 * 1024);
  const args = ["list", "tracks", "--url", server.url];
  const ran = await run(args);
  expectDecent(ran, args);
  expect(ran.stderr).toContain("too large");
}, 60_000);

test("an answer that is printed as it is has nothing on a terminal that it would obey", async () => {
  const body = '{"a":"\u001b]0;x\u0007\u009b2J\u202e"}\n';
  await using server = Bun.serve({ port: 0, fetch: () => new Response(body) });
  const args = ["get", "/metrics", "--url", `http://127.0.0.1:${server.port}`];
  const { stdout } = await runCommand(args, { columns: 80 });
  expect(stdout).toBe('{"a":"\\u001b]0;x\\u0007\\u009b2J\\u202e"}\n');
  expect((await runCommand(args)).stdout).toBe(body);
});
