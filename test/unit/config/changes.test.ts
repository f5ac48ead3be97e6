// Settings that a running node does not take.
import { expect, test } from "bun:test";
import { changesForRestart } from "../../../src/config/changes.ts";
import { systemHost } from "../../../src/config/host.ts";
import { configOf, loadSettings } from "../../../src/config/load.ts";
import type { Config } from "../../../src/config/settings.ts";

const SECRET = new Uint8Array(32).toBase64();
const OTHER = new Uint8Array(32).fill(1).toBase64();

function config(environment: Readonly<Record<string, string>> = {}): Config {
  const read = configOf(
    loadSettings({
      program: "peat-mesh-node",
      flags: new Map(),
      environment: {
        HOSTNAME: "n",
        PEAT_FORMATION_SECRET: SECRET,
        PEAT_DISCOVERY: "mdns",
        ...environment,
      },
      file: undefined,
      host: systemHost,
    }),
  );
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.settings;
}

test("what is taken at once waits for nothing: log, static peers and token", () => {
  const after = config({
    RUST_LOG: "trace",
    PEAT_LOG_FORMAT: "json",
    PEAT_STATIC_PEERS: "b@127.0.0.1:1",
    PEAT_API_TOKEN: "a-token-that-is-long-enough-for-it",
  });
  expect(after.discovery).toEqual(["mdns", "static"]);
  expect(changesForRestart(config(), after)).toEqual([]);
  expect(changesForRestart(after, config())).toEqual([]);
});

test("everything else that differs is named, secrets by what they hold", () => {
  expect(changesForRestart(config(), config())).toEqual([]);
  const after = config({
    PEAT_FORMATION_SECRET: OTHER,
    PEAT_BROKER_PORT: "1234",
    PEAT_DISCOVERY: "static",
    PEAT_SYNC_MODES: "notes=LatestOnly",
  });
  expect(changesForRestart(config(), after)).toEqual([
    "formationSecret",
    "discovery",
    "brokerPort",
    "syncModes",
  ]);
  const also = config({ PEAT_FORMATION_SECRET_ALSO: OTHER });
  expect(changesForRestart(config(), also)).toEqual(["formationSecretsAlso"]);
});
