// What a running node tells of its settings: those in force, and what a reload or restart would change.
import { expect, test } from "bun:test";
import { RunningSettings } from "../../../src/cli/running-settings.ts";
import { systemHost } from "../../../src/config/host.ts";
import { configOf, type Loaded, loadSettings } from "../../../src/config/load.ts";

const SECRET = new Uint8Array(32).fill(7).toBase64();
const TOKEN = "hush-hush-hush-hush";

function load(environment: Readonly<Record<string, string>> = {}): Loaded {
  return loadSettings({
    program: "peat-mesh-node",
    flags: new Map(),
    environment: { HOSTNAME: "n", PEAT_FORMATION_SECRET: SECRET, ...environment },
    file: undefined,
    host: systemHost,
  });
}

function read(loaded: Loaded) {
  const result = configOf(loaded);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return { loaded, config: result.settings };
}

function started(atStart: Record<string, string>, now: Record<string, string>) {
  return new RunningSettings(read(load(atStart)), () => load(now));
}

test("a setting has its value and where it is from; a secret only whether it is set", () => {
  const running = started({ PEAT_API_TOKEN: TOKEN }, {});
  const settings = running.inForce;
  const { waiting, problems } = running.diff();
  const find = (name: string) => settings.find((setting) => setting.name === name);
  expect(find("brokerPort")).toMatchObject({
    variable: "PEAT_BROKER_PORT",
    value: "8081",
    isSecret: false,
    origin: "default",
  });
  expect(find("apiToken")).toMatchObject({
    value: null,
    isSecret: true,
    isSet: true,
    origin: "environment PEAT_API_TOKEN",
  });
  for (const name of ["encryptionKey", "formationSecretsAlso"]) {
    expect(find(name)).toMatchObject({ value: null, isSet: false });
  }
  const text = JSON.stringify({ settings, waiting, problems });
  for (const secret of [SECRET, TOKEN]) expect(text).not.toContain(secret);
});

test("what differs now is told with what takes it, secrets without their values", () => {
  const now = { RUST_LOG: "trace", PEAT_BROKER_PORT: "1234", PEAT_API_TOKEN: TOKEN };
  const running = started({}, now);
  const { waiting } = running.diff();
  const settings = running.inForce;
  expect(waiting.map(({ name, takenBy, value }) => [name, takenBy, value])).toEqual([
    ["apiToken", "reload", null],
    ["logFilter", "reload", "trace"],
    ["brokerPort", "restart", "1234"],
  ]);
  expect(settings.find(({ name }) => name === "brokerPort")?.value).toBe("8081");
});

test("after a reload those that it takes are in force, and the others go on waiting", () => {
  const now = { RUST_LOG: "trace", PEAT_BROKER_PORT: "1234" };
  const running = started({}, now);
  running.reloaded(read(load(now)));
  const { inForce: settings } = running;
  const { waiting } = running.diff();
  expect(waiting.map(({ name }) => name)).toEqual(["brokerPort"]);
  expect(running.waitingForRestart).toEqual(["brokerPort"]);
  expect(settings.find(({ name }) => name === "logFilter")).toMatchObject({
    value: "trace",
    origin: "environment RUST_LOG",
  });
});

test("settings that are wrong now are problems, and nothing waits", () => {
  const running = started({}, { PEAT_BROKER_PORT: "none" });
  const { problems, waiting } = running.diff();
  const settings = running.inForce;
  expect(problems).toEqual([expect.stringContaining("PEAT_BROKER_PORT")]);
  expect(waiting).toEqual([]);
  expect(settings.length).toBeGreaterThan(20);
});
