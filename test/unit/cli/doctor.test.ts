// What `doctor` makes of files, settings and addresses on this machine: each fault is found, with a remedy, and what is
// sound is said to be.
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { examineFiles, type FileFacts } from "../../../src/cli/doctor/files.ts";
import type { Found } from "../../../src/cli/doctor/finding.ts";
import { examineStorage } from "../../../src/cli/doctor/machine.ts";
import { examineNetwork } from "../../../src/cli/doctor/network.ts";
import { printFindings } from "../../../src/cli/doctor.ts";
import { parseNodeName } from "../../../src/identity/peer.ts";
import { certificateMissing, makeCertificate } from "../../support/certificate.ts";
import { runCommand } from "../../support/run-command.ts";
import { tempFolder } from "../../support/temp-folder.ts";

const brief = (found: readonly Found[]) => found.map(({ severity, code }) => `${severity} ${code}`);

function files(values: FileFacts["values"], more: Partial<FileFacts> = {}): Found[] {
  return examineFiles({
    values,
    secretFiles: new Map(),
    nowMs: Date.now(),
    isPod: false,
    ...more,
  });
}

describe("files", () => {
  test("a data directory that others may look into, and one that is not there", () => {
    using folder = tempFolder();
    const dataDir = folder.file("data");
    expect(brief(files({ dataDir }))).toEqual(["warning data_dir_missing"]);
    mkdirSync(dataDir, { mode: 0o750 });
    expect(brief(files({ dataDir }))).toEqual(["ok data_dir"]);
    chmodSync(dataDir, 0o755);
    expect(brief(files({ dataDir }))).toEqual(["warning data_dir_open"]);
    writeFileSync(folder.file("file"), "");
    expect(brief(files({ dataDir: folder.file("file") }))).toEqual(["problem data_dir"]);
  });

  test("a token, a control socket and a secret that everybody may use", () => {
    using folder = tempFolder();
    const path = folder.file("token");
    const secretFiles = new Map([["PEAT_FORMATION_SECRET_FILE", path]]);
    writeFileSync(path, "x");
    chmodSync(path, 0o640);
    const look = () => brief(files({ runtimeDir: folder.path }, { secretFiles }));
    expect(look()).toEqual(["ok token", "ok secret_file"]);
    chmodSync(path, 0o644);
    expect(look()).toEqual(["problem token", "problem secret_file"]);
    const gone = new Map([["PEAT_API_TOKEN_FILE", folder.file("none")]]);
    expect(brief(files({}, { secretFiles: gone }))).toEqual(["warning secret_file_unknown"]);
  });

  test("what Kubernetes mounts for everybody is nobody else's in a pod", () => {
    using folder = tempFolder();
    const [dataDir, tlsKey] = [folder.file("data"), folder.file("tls.key")];
    const secretFiles = new Map([["PEAT_FORMATION_SECRET_FILE", tlsKey]]);
    mkdirSync(dataDir);
    writeFileSync(tlsKey, "x");
    chmodSync(dataDir, 0o777);
    chmodSync(tlsKey, 0o644);
    const values = { dataDir, tlsKey, tlsCert: folder.file("none") };
    const look = (isPod: boolean) => brief(files(values, { secretFiles, isPod }));
    expect(look(false)).toEqual([
      "warning data_dir_open",
      "problem secret_file",
      "problem tls_key",
      "problem tls",
    ]);
    expect(look(true)).toEqual(["ok data_dir", "ok secret_file", "problem tls"]);
  });

  const name = `a certificate that holds, ends soon, has ended, or is none (${certificateMissing ?? "openssl"})`;
  test.skipIf(certificateMissing !== undefined)(name, () => {
    using folder = tempFolder();
    const { cert: tlsCert, key: tlsKey } = makeCertificate(folder);
    chmodSync(tlsKey, 0o600);
    const at = (days: number) => ({ nowMs: Date.now() + days * 86_400_000 });
    const until = (days: number) => brief(files({ tlsCert, tlsKey }, at(days)));
    expect(until(-30)).toEqual(["ok tls"]);
    expect(until(0)).toEqual(["warning tls_expiring"]);
    expect(until(365_000)).toEqual(["problem tls_expired"]);
    chmodSync(tlsKey, 0o644);
    expect(until(365_000)).toEqual(["problem tls_key", "problem tls_expired"]);
    writeFileSync(tlsCert, "no certificate");
    expect(until(0)).toEqual(["problem tls_key", "problem tls"]);
  });
});

test("the disk of a directory that is not there yet is that of the one above it", () => {
  using folder = tempFolder();
  const [room] = examineStorage({ dataDir: folder.file("a/b/c") });
  expect(room?.message).toContain("are free on the disk of");
});

describe("network", () => {
  const peer = (name: string, host: string, port: number) => ({
    identity: { kind: "name" as const, name: parseNodeName(name) },
    hosts: [{ host, port }],
  });
  const nobody = { away: new Map(), connected: new Set<string>(), isRunning: true };

  test("a peer whose port nobody has, unless the node is connected to it", async () => {
    const staticPeers = [peer("node-b", "127.0.0.1", 9)];
    const found = await examineNetwork({ ...nobody, values: { staticPeers } });
    expect(brief(found)).toEqual(["problem unreachable"]);
    const connected = new Set(["node-b"]);
    expect(await examineNetwork({ ...nobody, connected, values: { staticPeers } })).toEqual([]);
  });

  test("a peer that the node looks for in vain is asked as well, whoever found it, and once", async () => {
    const place = { host: "127.0.0.1", port: 9 };
    const away = new Map([["node-c", place]]);
    const [found] = await examineNetwork({ ...nobody, away, values: {} });
    expect(found).toMatchObject({ severity: "problem", code: "unreachable" });
    expect(found?.message).toContain("node-c: nobody listens at 127.0.0.1:9");
    const staticPeers = [peer("node-c", place.host, place.port)];
    expect(await examineNetwork({ ...nobody, away, values: { staticPeers } })).toHaveLength(1);
  });

  test("a relay and an agent that take no connection", async () => {
    const values = {
      irohRelayUrls: ["http://127.0.0.1:9"],
      agentAddr: { kind: "unix" as const, path: "/nowhere/agent.sock" },
    };
    const found = await examineNetwork({ ...nobody, values });
    expect(brief(found)).toEqual(["problem relay", "warning agent"]);
  });

  test("a port that another process has, where no node runs", async () => {
    using server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: () => undefined },
    });
    const values = { brokerAddr: "127.0.0.1", brokerPort: server.port };
    const found = await examineNetwork({ ...nobody, isRunning: false, values });
    expect(brief(found)).toEqual(["problem port"]);
    expect(found[0]?.message).toContain("another process has it");
  });
});

describe("the command", () => {
  test("finds bad settings and no node, and says so with exit status 1", async () => {
    using folder = tempFolder();
    const environment = {
      PEAT_DATA_DIR: folder.path,
      PEAT_RUNTIME_DIR: folder.path,
      PEAT_BROKER_PORT: "9",
      PEAT_IROH_BIND_PORT: "0",
      PEAT_DISCOVERY: "none",
      PEAT_LISTEN: "none",
      HOSTNAME: "n",
    };
    const bad = await runCommand(["doctor", "--json"], { environment });
    expect([bad.code, bad.stderr]).toEqual([1, ""]);
    const { findings } = JSON.parse(bad.stdout) as { findings: (Found & { group: string })[] };
    expect(findings.filter(({ group }) => group === "node").map(({ code }) => code)).toEqual([
      "not_running",
    ]);
    const problem = findings.find(({ severity }) => severity === "problem");
    expect(problem?.message).toContain("PEAT_FORMATION_SECRET");
    const secret = Buffer.alloc(32, 7).toString("base64");
    const good = await runCommand(["doctor"], {
      environment: { ...environment, PEAT_FORMATION_SECRET: secret },
    });
    expect(good.code).toBe(0);
    expect(good.stdout).toContain("settings\n  ok       all settings are valid");
    expect(good.stdout).not.toContain(secret);
  });

  test("prints the worst of each group first, and nothing that a terminal obeys", () => {
    const text = printFindings(
      [
        { group: "peers", severity: "ok", code: "a", message: "fine", remedy: null },
        { group: "peers", severity: "problem", code: "b", message: "evil\u001b[2J", remedy: "do" },
        { group: "else", severity: "warning", code: "c", message: "later", remedy: null },
      ],
      { paint: (plain) => plain },
    );
    expect(text.split("\n")).toEqual([
      "peers",
      "  problem  evil\ufffd[2J",
      "           do",
      "  ok       fine",
      "else",
      "  warning  later",
      "1 problem, 1 warning",
      "",
    ]);
  });
});
