// Settings and commands of the whole program as a child process: run from source, or the compiled
// executable named by PEAT_TEST_EXECUTABLE.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../src/base/secret.ts";
import { keyIdOf } from "../../src/store/seal.ts";
import { openFileStore } from "../support/file-store.ts";

const SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ENDPOINT_ID = "58660eb0c6a63de2a32168399f7f94670f5a2862dc214dc4be14984734259f7e";
const ROOT = join(import.meta.dir, "../..");
const EXECUTABLE = process.env["PEAT_TEST_EXECUTABLE"];

const folder = mkdtempSync(join(tmpdir(), "peat-settings-"));
afterAll(() => rmSync(folder, { recursive: true }));

function commandOf(program: "peat-sidecar" | "peat-mesh-node"): readonly string[] {
  if (EXECUTABLE === undefined) {
    const main = [process.execPath, join(ROOT, "src/main.ts")];
    return program === "peat-mesh-node" ? [...main, "mesh-node"] : main;
  }
  const link = join(folder, program);
  try {
    symlinkSync(EXECUTABLE, link);
  } catch {
    // Made by an earlier test.
  }
  return [link];
}

function run(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  program: "peat-sidecar" | "peat-mesh-node" = "peat-mesh-node",
) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...commandOf(program), ...args], {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", ...environment },
    timeout: 20_000,
  });
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe("the program", () => {
  test("refuses to start without a secret: one line, exit 78, nothing on standard output", () => {
    const { code, stdout, stderr } = run([]);
    expect([code, stdout]).toEqual([78, ""]);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toStartWith("peat-mesh-node: PEAT_FORMATION_SECRET is required");
  });

  test("refuses to start with another key than the documents are encrypted by: exit 78, and which", () => {
    const dataDir = mkdtempSync(join(folder, "data-"));
    mkdirSync(join(dataDir, "automerge"));
    const key = new Uint8Array(32).fill(1);
    const encryption = { key: new Secret(key), previous: [] };
    openFileStore(join(dataDir, "automerge/peat.db"), { encryption }).store.close();
    const environment = {
      PEAT_FORMATION_SECRET: SECRET,
      PEAT_DATA_DIR: dataDir,
      PEAT_DISCOVERY: "none",
      PEAT_BROKER_PORT: "0",
      PEAT_IROH_BIND_PORT: "0",
    };
    for (const wrong of [{}, { PEAT_ENCRYPTION_KEY: SECRET }]) {
      const { code, stdout, stderr } = run([], { ...environment, ...wrong });
      expect(code).toBe(78);
      expect(stdout + stderr).toContain(`is encrypted by key ${keyIdOf(encryption.key)}`);
      expect(stdout + stderr).not.toContain(key.toBase64());
    }
  });

  test("tells all bad settings at once, whatever their source", () => {
    writeFileSync(join(folder, "bad.yaml"), "brokerPrt: 1\n");
    const args = ["run", "--config", "bad.yaml", "--iroh-bind-port", "x"];
    const { code, stderr } = run(args, { PEAT_LOG_FORMAT: "xml" });
    expect(code).toBe(78);
    expect(stderr.trimEnd().split("\n")).toHaveLength(4);
    for (const told of ["brokerPrt", "--iroh-bind-port", "PEAT_LOG_FORMAT", "FORMATION_SECRET"]) {
      expect(stderr).toContain(told);
    }
  });

  test("has the defaults of the name that it is called by", () => {
    const environment = { PEAT_FORMATION_SECRET: SECRET };
    const discovery = (program: "peat-sidecar" | "peat-mesh-node") =>
      JSON.parse(run(["check", "--json"], environment, program).stdout).settings.discovery.value;
    expect(discovery("peat-mesh-node")).toBe("kubernetes");
    expect(discovery("peat-sidecar")).toBe("mdns");
  });

  test("derives ids from a secret in a file, and never shows the secret", () => {
    writeFileSync(join(folder, "secret"), `${SECRET}\n`);
    const args = ["derive-id", "--name", "peat-mesh-1", "--formation-secret-file", "secret"];
    expect(run(args)).toEqual({ code: 0, stdout: `${ENDPOINT_ID}\n`, stderr: "" });
    const checked = run(["check"], { PEAT_FORMATION_SECRET_FILE: "secret" });
    expect(checked.code).toBe(0);
    expect(checked.stdout + checked.stderr).not.toContain(SECRET.slice(0, 12));
  });

  test.skipIf(EXECUTABLE === undefined)("reads no .env of the directory it is started in", () => {
    writeFileSync(join(folder, ".env"), `PEAT_FORMATION_SECRET=${SECRET}\n`);
    const { code } = run(["check"]);
    rmSync(join(folder, ".env"));
    expect(code).toBe(78);
  });

  test("writes all of an output that is larger than a pipe to a slow reader", async () => {
    const body = "0123456789abcdef".repeat(100_000);
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(body) });
    const command = [...commandOf("peat-sidecar"), "get", "/", `--broker-port=${server.port}`];
    const line = command.map((word) => `'${word}'`).join(" ");
    // Not spawnSync: the server answers in this process.
    const shell = Bun.spawn(["sh", "-c", `${line} | (sleep 0.5; wc -c)`], { stdout: "pipe" });
    expect(Number(await new Response(shell.stdout).text())).toBe(body.length + 1);
  });

  test("prints the committed page of settings", () => {
    const { stdout } = run(["print", "markdown"]);
    expect(stdout).toBe(readFileSync(join(ROOT, "docs/configuration.md"), "utf8"));
  });

  test("ends quietly when its reader has gone", () => {
    const [first = "", ...rest] = commandOf("peat-sidecar");
    const line = [first, ...rest, "print", "markdown"].map((word) => `'${word}'`).join(" ");
    const { stdout, stderr } = Bun.spawnSync(["sh", "-c", `${line} | head -n 1`]);
    expect(stdout.toString().split("\n")).toHaveLength(2);
    expect(stderr.toString()).toBe("");
  });

  test("misspelt commands and flags get a suggestion, exit 64", () => {
    const command = run(["chekc"]);
    expect(command.code).toBe(64);
    expect(command.stderr).toContain("did you mean check?");
    const flag = run(["--brokr-port", "1"]);
    expect(flag.code).toBe(64);
    expect(flag.stderr).toContain("did you mean --broker-port?");
  });

  test("says which version it is", () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const { code, stdout } = run(["--version"], {}, "peat-sidecar");
    expect(code).toBe(0);
    expect(stdout).toStartWith(`peat-sidecar ${version} (`);
  });

  test("health of a node that is not there is exit 1", () => {
    // Port 9 (discard) of an address of this host that nobody listens on.
    const { code, stderr } = run(["health", "--broker-addr", "127.77.77.77", "--broker-port", "9"]);
    expect(code).toBe(1);
    expect(stderr).toContain("no answer from http://127.77.77.77:9/api/v1/health");
  });
});
