// The support bundle, with and without a node: what is in it, who may read it, and that no secret of any setting is in
// it in any form.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { ensureHostExecutable, meshNodePath } from "../../scripts/support/executable.ts";
import { NodeProcess } from "../../scripts/support/node-process.ts";
import { freeTcpPort, freeUdpPort } from "../../scripts/support/ports.ts";
import { SETTING_NAMES, type SettingName, settingOf } from "../../src/config/settings.ts";
import { runCommand } from "../support/run-command.ts";
import { tempFolder } from "../support/temp-folder.ts";

const folder = tempFolder();
const ID = "callsign-of-nobody";

const key = () => randomBytes(32).toString("base64");
/** For each secret setting what it is set to; one that is new has to be planted, too. */
const PLANTED: Partial<Record<SettingName, readonly string[]>> = {
  formationSecret: [key()],
  formationSecretsAlso: [key(), key()],
  encryptionKey: [key()],
  encryptionKeysPrevious: [key()],
  natsUrl: ["nats://planted:planted-password@127.0.0.1:4222"],
  enrollmentTokens: [`enrol-${randomBytes(12).toString("hex")}`],
  apiToken: [`planted-${randomBytes(12).toString("hex")}`],
};

let node: NodeProcess;

/** As few are alike as there are ways to write one. */
function formsOf(text: string): string[] {
  const decoded = Buffer.from(text, "base64");
  return [Buffer.from(text), decoded].flatMap((bytes) => [
    bytes.toString("base64").replace(/=+$/, ""),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    bytes.toString("latin1"),
    bytes.toString("utf8"),
  ]);
}

async function unpack(path: string): Promise<Map<string, string>> {
  const files = await new Bun.Archive(readFileSync(path)).files();
  const texts = await Promise.all(
    [...files].map(
      async ([name, file]) => [name.replace(/^[^/]*\//, ""), await file.text()] as const,
    ),
  );
  return new Map(texts);
}

function expectNoSecrets(files: ReadonlyMap<string, string>, more: readonly string[] = []): void {
  const secrets = [...Object.values(PLANTED).flat(), "planted-password", ...more];
  for (const [name, text] of files) {
    const lower = text.toLowerCase();
    for (const secret of secrets) {
      for (const form of formsOf(secret).filter(({ length }) => length > 5)) {
        expect(text.includes(form) || lower.includes(form.toLowerCase()), `${name}: ${form}`).toBe(
          false,
        );
      }
    }
  }
}

beforeAll(async () => {
  await ensureHostExecutable();
  const secrets = SETTING_NAMES.filter((name) => settingOf(name).kind.isSecret);
  expect(new Set<string>(secrets)).toEqual(new Set(Object.keys(PLANTED)));
  const env = Object.fromEntries(
    secrets.map((name) => [settingOf(name).env[0], (PLANTED[name] ?? []).join(",")]),
  );
  const secretFile = folder.file("secret");
  writeFileSync(secretFile, `${PLANTED.formationSecret?.[0]}\n`, { mode: 0o600 });
  const { PEAT_FORMATION_SECRET: _, ...others } = env;
  node = await NodeProcess.start({
    executable: meshNodePath,
    name: "node-of-bundle",
    secretFile,
    dataDir: folder.file("data"),
    brokerPort: await freeTcpPort(),
    irohPort: await freeUdpPort(),
    peers: [],
    logFilter: "debug",
    // Where nobody expects it: what is shown of this setting shows the token.
    env: { ...others, PEAT_DISCOVERY_LABEL_SELECTOR: `app=${PLANTED.apiToken?.[0]}` },
  });
  await node.ready();
  await node.api.put("tracks", ID, { contents: "contents-of-a-document" });
}, 240_000);

afterAll(async () => {
  await node.stop();
  folder[Symbol.dispose]();
});

test("of a running node it holds what helps, and no secret, contents or ids", async () => {
  const path = folder.file("one.tar.gz");
  const ran = await runCommand(["bundle", path], { environment: node.environment });
  expect([ran.code, ran.stdout]).toEqual([0, `${path}\n`]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const files = await unpack(path);
  expect([...files.keys()]).toEqual(
    expect.arrayContaining([
      "README.txt",
      "version.json",
      "machine.json",
      "settings.json",
      "config.json",
      "doctor.txt",
      "doctor.json",
      "status.json",
      "peers.json",
      "collections.json",
      "metrics.txt",
      "logs.ndjson",
    ]),
  );
  expect([...files.keys()].filter((name) => name.includes("failed"))).toEqual([]);
  expect(files.get("status.json")).toContain("node-of-bundle");
  expect(files.get("collections.json")).toContain("tracks");
  expect(files.get("logs.ndjson")).toContain("Mesh started");
  for (const name of files.keys())
    expect(files.get("README.txt")).toContain(name === "README.txt" ? "" : name);
  for (const [name, text] of files) {
    expect(text.includes("contents-of-a-document"), name).toBe(false);
    expect(text.includes(ID), name).toBe(false);
  }
  expect(files.get("config.json")).toContain("app=[redacted]");
  expectNoSecrets(files);
}, 120_000);

test("a file that is there stays, unless --force says else", async () => {
  const path = folder.file("kept.tar.gz");
  writeFileSync(path, "mine", { mode: 0o644 });
  const refused = await runCommand(["bundle", path], { environment: node.environment });
  expect([refused.code, readFileSync(path, "utf8")]).toEqual([65, "mine"]);
  expect(refused.stderr).toContain("or --force");
  const forced = await runCommand(["bundle", path, "--force"], { environment: node.environment });
  expect(forced.code).toBe(0);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect((await unpack(path)).has("README.txt")).toBe(true);
}, 120_000);

test("without a node, and with settings that are wrong, there is one all the same; the token it finds is not in it", async () => {
  const token = randomBytes(32).toString("hex");
  using runtime = tempFolder();
  writeFileSync(runtime.file("token"), `${token}\n`, { mode: 0o640 });
  const environment = {
    ...node.environment,
    PEAT_RUNTIME_DIR: runtime.path,
    PEAT_BROKER_PORT: String(await freeTcpPort()),
    PEAT_IROH_BIND_PORT: token,
  };
  const path = folder.file("without.tar.gz");
  const ran = await runCommand(["bundle", path], { environment });
  expect(ran.code).toBe(0);
  expect(ran.stderr).toContain("the node did not answer");
  const files = await unpack(path);
  expect(files.has("status.json")).toBe(false);
  expect(files.get("doctor.txt")).toContain("PEAT_IROH_BIND_PORT");
  expect(files.get("doctor.txt")).toContain("[redacted]");
  expectNoSecrets(files, [token]);
}, 120_000);
