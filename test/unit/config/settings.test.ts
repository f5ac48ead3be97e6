import { describe, expect, test } from "bun:test";
import { ENVIRONMENT_NAMES, FILE_KEYS } from "../../../src/config/names.ts";
import { editDistance, nearest } from "../../../src/config/nearest.ts";
import { flagOf } from "../../../src/config/setting.ts";
import { SETTING_NAMES, type SettingName, settingOf } from "../../../src/config/settings.ts";

// The variables of the peat-mesh-node deployment guide with their defaults, and the chart's keys.
const GUIDE: readonly (readonly [string, string | undefined, string | undefined])[] = [
  ["PEAT_FORMATION_SECRET", undefined, "formationSecret"],
  ["PEAT_DISCOVERY", "kubernetes", "discoveryMode"],
  ["PEAT_DATA_DIR", "/data", undefined],
  ["PEAT_BROKER_PORT", "8081", "brokerPort"],
  ["PEAT_IROH_BIND_PORT", "11204", "irohBindPort"],
  ["PEAT_IROH_RELAY_URLS", "none", "irohRelayUrls"],
  ["PEAT_COMPACTION_ENABLED", "false", "compaction.enabled"],
  ["PEAT_COMPACTION_INTERVAL_SECS", "300", "compaction.intervalSecs"],
  ["PEAT_COMPACTION_THRESHOLD_BYTES", "65536", "compaction.thresholdBytes"],
  ["PEAT_COMPACTION_COLLECTIONS", "none", "compaction.collections"],
  ["RUST_LOG", "info,peat_mesh=debug", "rustLog"],
];

describe("the table", () => {
  test.each(GUIDE)("%s is the guide's, with its default and its chart key", (env, text, chart) => {
    const known = ENVIRONMENT_NAMES.get(env);
    const setting = settingOf(known?.setting as SettingName);
    expect(setting.env[0]).toBe(env);
    expect(setting.chart).toBe(chart as string);
    const { fallback } = setting;
    expect(fallback.kind === "text" ? fallback.texts["peat-mesh-node"] : undefined).toBe(
      text as string,
    );
  });

  test("no two settings share a variable, a flag or a key", () => {
    const variables = SETTING_NAMES.flatMap((name) => settingOf(name).env);
    expect(new Set(variables).size).toBe(variables.length);
    const flags = SETTING_NAMES.map((name) => flagOf(name, settingOf(name)));
    expect(new Set(flags).size).toBe(flags.length);
    const keys = SETTING_NAMES.flatMap((name) => [name, settingOf(name).chart ?? name]);
    expect(new Set(keys).size).toBe(FILE_KEYS.size - secretCount());
  });

  test("a secret can't be given on the command line, only its file", () => {
    for (const name of SETTING_NAMES) {
      const setting = settingOf(name);
      expect(flagOf(name, setting).endsWith("-file")).toBe(setting.kind.isSecret);
    }
  });

  test("help is whole sentences", () => {
    for (const name of SETTING_NAMES) expect(settingOf(name).help).toMatch(/^[A-Z].*[.)]$/);
  });
});

function secretCount(): number {
  return SETTING_NAMES.flatMap((name) => {
    const { kind, chart } = settingOf(name);
    return kind.isSecret ? new Set([name, chart ?? name]).size : [];
  }).reduce((sum, count) => sum + count, 0);
}

describe("the nearest word", () => {
  test.each([
    ["", "", 0],
    ["abc", "abc", 0],
    ["abc", "", 3],
    ["prot", "port", 1],
    ["kitten", "sitting", 3],
  ])("%p and %p are %p edits apart", (from, to, edits) => {
    expect(editDistance(from, to)).toBe(edits);
    expect(editDistance(to, from)).toBe(edits);
  });

  test("is suggested when it is near, and nothing is when nothing is", () => {
    expect(nearest("chekc", ["check", "health"])).toBe("check");
    expect(nearest("frobnicate", ["check", "health"])).toBeUndefined();
    expect(nearest("x".repeat(100_000), ["check"])).toBeUndefined();
  });
});
