// Completions as shells use them: bash is asked for its answers, the others for the syntax at least.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "../../../src/cli/completions.ts";
import { tempFolder } from "../../support/temp-folder.ts";

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
  const run = Bun.spawnSync(["bash", "--norc", "-u", script], { stderr: "pipe" });
  expect(run.stderr.toString()).toBe("");
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

for (const [shell, render] of [
  ["zsh", zshCompletion],
  ["fish", fishCompletion],
] as const) {
  const missing = Bun.which(shell) === null;
  test.skipIf(missing)(`${shell} understands its file (needs ${shell})`, () => {
    expect(complaints(shell, render(COMMANDS))).toBe("");
  });
}
