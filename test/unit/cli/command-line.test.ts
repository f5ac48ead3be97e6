import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FAULTS } from "../../../src/base/faults.ts";
import { COMMANDS } from "../../../src/cli/commands.ts";
import { EXIT } from "../../../src/cli/context.ts";
import { EXIT_CODES } from "../../../src/cli/exit-codes.ts";
import { systemHost } from "../../../src/config/host.ts";
import type { Host, Program } from "../../../src/config/setting.ts";
import { runCommand } from "../../support/run-command.ts";

const SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const folder = mkdtempSync(join(tmpdir(), "peat-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

function run(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = { PEAT_FORMATION_SECRET: SECRET, HOSTNAME: "n" },
  program: Program = "peat-mesh-node",
) {
  return runCommand(args, { program, environment });
}

describe("help", () => {
  test("shows every command, and an example, on standard output", async () => {
    for (const args of [["--help"], ["-h"], ["help"]]) {
      const { code, stdout, stderr } = await run(args);
      expect([code, stderr]).toEqual([0, ""]);
      for (const { name } of COMMANDS) expect(stdout).toContain(`\n  ${name} `);
    }
  });

  test("of each command shows its usage and an example", async () => {
    for (const { name } of COMMANDS) {
      const { code, stdout } = await run([name, "--help"]);
      expect(code).toBe(0);
      expect(stdout).toContain(`Usage: peat-mesh-node ${name}`);
      expect(stdout).toMatch(/Examples:\n {2}peat-mesh-node /);
      expect((await run(["help", name])).stdout).toBe(stdout);
    }
  });

  test("of run lists all settings, with the defaults of the name it was called by", async () => {
    expect((await run(["help", "run"])).stdout).toContain("default: /data]");
    expect((await run(["help", "run"], {}, "peat-sidecar")).stdout).toContain(
      "/var/lib/peat-sidecar]",
    );
  });

  test("needs no settings to be good", async () => {
    expect((await run(["check", "--help"], { PEAT_BROKER_PORT: "x" })).code).toBe(0);
  });
});

describe("exit codes", () => {
  test("are all documented, each once", async () => {
    const faults = Object.values(FAULTS).map(({ exit }) => exit);
    const known = [...new Set([...faults, ...Object.values(EXIT)])].sort((a, b) => a - b);
    expect(EXIT_CODES.map(({ code }) => code as number)).toEqual(known);
    const { code, stdout } = await run(["help", "exit-codes"]);
    expect(code).toBe(0);
    for (const { code: exit } of EXIT_CODES)
      expect(stdout).toMatch(new RegExp(`^ +${exit} {2}`, "m"));
  });
});

describe("a wrong command line", () => {
  test.each([
    [["chekc"], "there is no command chekc; did you mean check?"],
    [["check", "--jsn"], "did you mean --json?"],
    [["check", "more"], 'check can\'t use "more"'],
    [["get"], "get needs more; usage: get COLLECTION/ID… | PATH"],
    [["get", "api"], '"api" must be COLLECTION/ID, such as tracks/t1'],
    [["get", "a b/c"], 'collection "a b" must be'],
    [["get", "/a b"], "a path of the broker must have no blanks"],
    [["put", "/a"], "a path of the broker is given as PATH and JSON"],
    [["put", "a/b", "{"], "JSON: it is not valid JSON"],
    [["patch", "a/b", "[]"], "JSON: the root of a document must be a JSON object"],
    [["put", "a/b", "{}", "--file", "x"], "JSON and --file exclude each other"],
    [["put", "a/b", "{}", "--if-match", "a b"], "--if-match must be a tag"],
    [["list", "a", "--json", "--ndjson"], "--json and --ndjson exclude each other"],
    [["list", "a", "--limit", "0"], "--limit must be a number"],
    [["query", "a", "--order", "-b"], "--order=-"],
    [["print", "manual"], "yaml, schema, markdown, commands, bash, zsh, fish, not manual"],
    [["print", "constructor"], "not constructor"],
    [["health", "--timeout", "0"], "--timeout must be seconds"],
    [["--formation-secret=AAAA"], "the flag of PEAT_FORMATION_SECRET is --formation-secret-file"],
    [["derive-id", "--name", "a b"], "node name"],
  ])("%p is one sentence and a pointer, exit 64", async (args, told) => {
    const { code, stdout, stderr } = await run(args);
    expect(code).toBe(64);
    expect(stdout).toBe("");
    const [sentence, pointer, end] = stderr.split("\n");
    expect(sentence).toStartWith("peat-mesh-node: ");
    expect(sentence).toContain(told);
    expect([pointer, end]).toEqual(["See: peat-mesh-node --help", ""]);
  });
});

describe("check", () => {
  test("prints each setting with its origin, and no secret", async () => {
    const file = join(folder, "check.yaml");
    writeFileSync(file, "rustLog: warn\n");
    const { code, stdout } = await run(["check", "--broker-port", "9", "--config", file]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^brokerPort +9 +flag --broker-port$/m);
    expect(stdout).toMatch(/^nodeName +n +HOSTNAME$/m);
    expect(stdout).toMatch(/^formationSecret +\[secret\] +environment PEAT_FORMATION_SECRET$/m);
    expect(stdout).toContain(`file ${file}: rustLog`);
    expect(stdout).not.toContain(SECRET);
  });

  test("prints the same as JSON", async () => {
    const { code, stdout } = await run(["check", "--json"]);
    const { ok, program, settings } = JSON.parse(stdout);
    expect([code, ok, program]).toEqual([0, true, "peat-mesh-node"]);
    expect(settings.brokerPort).toEqual({ value: "8081", origin: "default" });
    expect(settings.formationSecret.value).toBe("[secret]");
    expect(settings.tlsCert.value).toBeNull();
  });

  test("tells all problems, one line each, with exit 78", async () => {
    const bad = { PEAT_BROKER_PORT: "x", PEAT_DISCOVERY: "x", PEAT_BROKER_ADR: "x" };
    const { code, stdout, stderr } = await run(["check"], bad);
    expect([code, stdout]).toEqual([78, ""]);
    const lines = stderr.trimEnd().split("\n");
    expect(lines.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
      "peat-mesh-node: warning: PEAT_BROKER_ADR",
      "peat-mesh-node: PEAT_FORMATION_SECRET is",
      'peat-mesh-node: PEAT_DISCOVERY: "x"',
      'peat-mesh-node: PEAT_BROKER_PORT: "x"',
    ]);
    const json = JSON.parse((await run(["check", "--json"], bad)).stdout);
    expect([json.ok, json.problems.length]).toEqual([false, 3]);
  });

  test("a configuration file that is not there is a problem beside the others", async () => {
    const { code, stderr } = await run(["check", "--config", join(folder, "gone.yaml")], {});
    expect(code).toBe(78);
    expect(stderr).toContain('gone.yaml": there is no such file');
    expect(stderr).toContain("PEAT_FORMATION_SECRET is required");
  });
});

describe("a secret that comes by a pipe", () => {
  test.each([
    [["status"]],
    [["get", "notes/a"]],
    [["backup", join(folder, "made.peat-backup")]],
    [["bundle", join(folder, "made.tar.gz")]],
    [["doctor"]],
    [["check"]],
  ])("is read once by %p", async (args) => {
    const path = join(folder, "piped-secret");
    let reads = 0;
    const host: Host = {
      ...systemHost,
      readText(file) {
        if (file !== path) return systemHost.readText(file);
        reads += 1;
        return reads === 1 ? SECRET : "";
      },
    };
    const settings = ["--data-dir", folder, "--broker-port", "1", "--formation-secret-file", path];
    const { stderr } = await runCommand([...args, ...settings], {
      environment: { HOSTNAME: "n" },
      host,
    });
    expect(stderr).not.toContain("formation-secret-file");
    expect(reads).toBe(1);
  });
});

describe("derive-id", () => {
  // Identity vectors of peat-mesh 0.6.0 (secret 00..1f).
  test("prints the endpoint id of a name and nothing else", async () => {
    const { code, stdout } = await run(["derive-id", "--name", "peat-mesh-1"]);
    expect(code).toBe(0);
    expect(stdout).toBe("58660eb0c6a63de2a32168399f7f94670f5a2862dc214dc4be14984734259f7e\n");
  });

  test("prints all ids as JSON, by default of this node", async () => {
    const environment = { PEAT_FORMATION_SECRET: SECRET, HOSTNAME: "peat-mesh-0" };
    const { stdout } = await run(["derive-id", "--json"], environment);
    expect(JSON.parse(stdout)).toEqual({
      node_id: "peat-mesh-0",
      endpoint_id: "23d1c8b3e6861d693c7f446bfa73b58f8877c21db60ee32497bf9974c655b3de",
      device_id: "91cd54000bc001cbdd3aadafbc7b8b6e",
      device_public_key: "63e75b76642f46a74fdfb5acebce28fe1f8f352a0a17ee27cc33723bdc403bc4",
    });
  });

  test("is not hindered by settings that it does not need", async () => {
    const environment = { PEAT_FORMATION_SECRET: SECRET, PEAT_BROKER_PORT: "x" };
    expect((await run(["derive-id", "--name", "a"], environment)).code).toBe(0);
  });

  test("without a secret it is a problem of settings", async () => {
    const { code, stderr } = await run(["derive-id", "--name", "a"], {});
    expect(code).toBe(78);
    expect(stderr).toContain("PEAT_FORMATION_SECRET is required");
  });
});
