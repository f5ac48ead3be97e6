// The files of the packages against the program that they are for.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectDir } from "../../../scripts/support/project.ts";
import { credentialName } from "../../../src/config/credentials.ts";
import { SETTING_NAMES, settingOf } from "../../../src/config/settings.ts";

const read = (path: string) => readFileSync(join(projectDir, path), "utf8");
const unit = read("systemd/peat-sidecar.service");
const values = (key: string) =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map((match) => match[1] ?? "");

describe("the unit", () => {
  test("has the fields that the deployment issue names", () => {
    for (const line of [
      "After=network-online.target",
      "Wants=network-online.target",
      "EnvironmentFile=-/etc/default/peat-sidecar",
      "ExecStart=/usr/bin/peat-sidecar",
      "Restart=on-failure",
      "RestartSec=5",
      "WantedBy=multi-user.target",
    ]) {
      expect(unit).toContain(`\n${line}\n`);
    }
    expect(values("Description")[0]).toStartWith("Peat Sidecar");
  });

  test("leaves the just-in-time compiler alone", () => {
    expect(values("MemoryDenyWriteExecute")).toEqual([]);
  });

  test("loads a credential for every secret that has an effect, without a path", () => {
    const secrets = SETTING_NAMES.map(settingOf).filter(({ kind }) => kind.isSecret);
    const names = secrets.map(({ env }) => credentialName(env[0]));
    const loaded = values("LoadCredential");
    expect(loaded).toContain("peat-formation-secret");
    for (const name of loaded) expect(names).toContain(name);
    for (const { env, effective } of secrets) {
      if (effective !== false) expect(loaded).toContain(credentialName(env[0]));
    }
  });

  test("sets what the settings table says that it sets", () => {
    const packaged = SETTING_NAMES.map(settingOf).flatMap(({ env, packaged: text }) =>
      text === undefined ? [] : [`${env[0]}=${text}`],
    );
    expect(values("Environment")).toEqual(packaged);
  });

  test("is notified by the program alone, and clears what would make it another program", () => {
    expect(values("Type")).toEqual(["notify"]);
    expect(values("NotifyAccess")).toEqual(["main"]);
    expect(values("RestartPreventExitStatus")).toEqual(["78"]);
    expect(values("UnsetEnvironment")).toEqual(["BUN_OPTIONS BUN_BE_BUN NODE_OPTIONS"]);
  });

  test("gives a stop more time than all of its steps have", () => {
    // CLOSE_MS_MAX of the scope, and what a start that is under way is waited for.
    expect(Number(values("TimeoutStopSec")[0]) * 1000).toBeGreaterThan(2 * (1_700 + 1_500));
  });
});

describe("nfpm.yaml", () => {
  const config = read("packaging/nfpm.yaml");

  test("names scripts that are there, and all of them", () => {
    const found = config.matchAll(/^ +\w+: packaging\/((?:deb|rpm)\/\w+)$/gm);
    const named = new Set([...found].map((m) => m[1] ?? ""));
    named.delete("deb/copyright");
    const there = ["deb", "rpm"].flatMap((kind) =>
      readdirSync(join(projectDir, "packaging", kind))
        .filter((name) => !["copyright", "lintian-overrides", "rpmlint.toml"].includes(name))
        .map((name) => `${kind}/${name}`),
    );
    expect(named).toEqual(new Set(there));
  });

  test("makes the settings the administrator's: never replaced, not for others to read", () => {
    for (const path of ["/etc/default/peat-sidecar", "/etc/peat-sidecar/config.yaml"]) {
      const entries = config.split("\n  - ").filter((entry) => entry.includes(`dst: ${path}\n`));
      expect(entries).toHaveLength(2);
      for (const entry of entries) {
        expect(entry).toContain("type: config|noreplace");
        expect(entry).toContain("mode: 0640");
      }
    }
  });
});
