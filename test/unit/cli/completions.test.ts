// Completions as shells use them: bash is asked for its answers, the others for the syntax at least.
import { describe, expect, test } from "bun:test";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "../../../src/cli/completions.ts";
import { type TempFolder, tempFolder } from "../../support/temp-folder.ts";

/** A program of our name whose node has these collections, in a folder for PATH. */
function fakeProgram(folder: TempFolder): string {
  const lines = ["tracks", "trips", "notes", "$(touch pwned)", 'a"b'].map(
    (name) => `${JSON.stringify({ count: 1, name })}\n`,
  );
  writeFileSync(folder.file("answer"), lines.join(""));
  const script = `#!/bin/sh\n[ "$*" = 'collections --ndjson --timeout 1' ] && cat '${folder.file("answer")}'\n`;
  writeFileSync(folder.file("peat-sidecar"), script);
  chmodSync(folder.file("peat-sidecar"), 0o755);
  return `${folder.path}:${Bun.env["PATH"]}`;
}

/** What bash offers behind these words; the last one is being typed. */
function offered(...words: readonly string[]): string[] {
  using folder = tempFolder();
  const script = folder.file("completion");
  const quoted = ["peat-sidecar", ...words].map((word) => `'${word}'`).join(" ");
  const body = `${bashCompletion(COMMANDS)}
COMP_WORDS=(${quoted}); COMP_CWORD=${words.length}
_peat_sidecar
printf '%s\\n' "\${COMPREPLY[@]}"
`;
  writeFileSync(script, body);
  writeFileSync(folder.file("a.peat-backup"), "");
  const env = { PATH: fakeProgram(folder) };
  const options = { cwd: folder.path, env, stderr: "pipe" as const };
  const run = Bun.spawnSync(["bash", "--norc", "-u", script], options);
  expect(run.stderr.toString()).toBe("");
  expect(readdirSync(folder.path)).not.toContain("pwned");
  return run.stdout
    .toString()
    .split("\n")
    .filter((line) => line !== "");
}

function complaints(shell: string, text: string): string {
  using folder = tempFolder();
  const script = folder.file("completion");
  writeFileSync(script, text);
  return Bun.spawnSync([shell, "-n", script], { stderr: "pipe" }).stderr.toString();
}

describe("bash", () => {
  test("offers every command, and those that begin so", () => {
    for (const { name } of COMMANDS) expect(offered("")).toContain(name);
    expect(offered("der")).toEqual(["derive-id"]);
    expect(offered("mesh-node", "der")).toEqual(["derive-id"]);
  });

  test("offers a command's own options and the settings that it takes", () => {
    expect(offered("derive-id", "--na")).toContain("--name");
    expect(offered("run", "--broker-p")).toEqual(["--broker-port"]);
    expect(offered("version", "--broker-p")).toEqual([]);
  });

  test("offers the values of what has a few", () => {
    expect(offered("run", "--log-format", "")).toEqual(["text", "json"]);
    expect(offered("print", "f")).toEqual(["fish"]);
    expect(offered("help", "setu")).toEqual(["setup"]);
  });
});

describe("names of collections", () => {
  test("are offered by bash, and run by nobody", () => {
    expect(offered("list", "tr")).toEqual(["tracks", "trips"]);
    expect(offered("query", "")).toEqual(["tracks", "trips", "notes"]);
    expect(offered("get", "no")).toEqual(["notes/"]);
    expect(offered("get", "notes/")).toEqual([]);
    expect(offered("list", "--fie")).toEqual(["--fields"]);
  });

  test.skipIf(Bun.which("fish") === null)("are offered by fish (needs fish)", () => {
    using folder = tempFolder();
    const env = { PATH: fakeProgram(folder), HOME: folder.path };
    writeFileSync(folder.file("completion"), fishCompletion(COMMANDS));
    const words = (line: string) => {
      const script = `source ${folder.file("completion")}; complete -C ${JSON.stringify(line)}`;
      const run = Bun.spawnSync(["fish", "--no-config", "-c", script], {
        cwd: folder.path,
        env,
        stderr: "pipe",
      });
      // Behind a tab comes what it is for.
      return run.stdout
        .toString()
        .split("\n")
        .map((offer) => offer.split("\t", 1)[0]);
    };
    expect(words("peat-sidecar list tr")).toEqual(expect.arrayContaining(["tracks", "trips"]));
    expect(words("peat-sidecar get no")).toContain("notes/");
    expect(words("peat-sidecar restore comp")).toContain("completion");
    expect(words("peat-sidecar list comp")).not.toContain("completion");
    expect(readdirSync(folder.path)).not.toContain("pwned");
  });
});

test("files are offered by bash where a command takes some, behind its own words", () => {
  expect(offered("restore", "a.")).toEqual(["a.peat-backup"]);
  expect(offered("attach", "se")).toEqual(["send"]);
  expect(offered("attach", "send", "a.")).toEqual(["a.peat-backup"]);
  expect(offered("list", "--config", "a.")).toEqual(["a.peat-backup"]);
});

for (const [shell, render] of [
  ["zsh", zshCompletion],
  ["fish", fishCompletion],
] as const) {
  const missing = Bun.which(shell) === null;
  test.skipIf(missing)(`${shell} understands its file (needs ${shell})`, () => {
    expect(complaints(shell, render(COMMANDS))).toBe("");
  });
}
