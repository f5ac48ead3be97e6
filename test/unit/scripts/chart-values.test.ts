// The chart's table of values against the table of settings that it draws from.
import { describe, expect, test } from "bun:test";
import { renderVariables } from "../../../scripts/chart/render.ts";
import { schemaOf } from "../../../scripts/chart/value.ts";
import { CHART_ROWS, FREE_SETTINGS } from "../../../scripts/chart/values.ts";
import { SETTING_NAMES, settingOf } from "../../../src/config/settings.ts";

const paths = CHART_ROWS.map(({ path }) => path).filter((path) => path !== "");

describe("the chart's values", () => {
  test("have names of their own", () => {
    expect(new Set(paths).size).toBe(paths.length);
  });

  test("have a place for every setting that says where its place is", () => {
    for (const name of SETTING_NAMES) {
      const { chart } = settingOf(name);
      if (chart !== undefined) expect(paths).toContain(chart);
    }
  });

  test("give a variable to each setting at most once, and never a secret", () => {
    const variables = Bun.YAML.parse(renderVariables()) as { env: string }[]; // Written just now.
    const names = variables.map(({ env }) => env);
    expect(new Set(names).size).toBe(names.length);
    for (const name of SETTING_NAMES) {
      const { env, kind } = settingOf(name);
      if (kind.isSecret) expect(names).not.toContain(env[0]);
    }
  });

  test("have every setting that works, but for secrets and what the chart decides itself", () => {
    const missing = SETTING_NAMES.filter((name) => {
      const { chart, effective, kind } = settingOf(name);
      const isOffered = chart !== undefined || FREE_SETTINGS.includes(name);
      return !isOffered && effective !== false && !kind.isSecret;
    });
    expect(missing.sort()).toEqual([
      "dataDir",
      "listen",
      "nodeName",
      "runtimeDir",
      "tlsCert",
      "tlsKey",
    ]);
  });
});

describe("a setting's rule as the schema has it", () => {
  const matches = (name: (typeof SETTING_NAMES)[number], value: string) =>
    new RegExp(String(schemaOf(name)["pattern"])).test(value);

  test("accepts a list of its words, and no other word", () => {
    for (const good of ["kubernetes", "k8s", "mdns", "none", "", "kubernetes,static"]) {
      expect(matches("discovery", good)).toBe(true);
    }
    for (const bad of ["kubernets", "kubernetes,", "kubernetes;static", "KUBERNETES"]) {
      expect(matches("discovery", bad)).toBe(false);
    }
  });

  test("lets a value be absent where the setting may be", () => {
    expect(matches("clusterName", "")).toBe(true);
    expect(matches("clusterName", "alpha")).toBe(true);
    expect(matches("clusterName", "a/b")).toBe(false);
  });

  test("has no escape that only JavaScript knows", () => {
    for (const name of SETTING_NAMES) {
      const { pattern } = schemaOf(name);
      if (pattern !== undefined) expect(String(pattern)).not.toMatch(/\\[^dws.\\[\](){}?*+|^$-]/);
    }
    expect(matches("dataDir", "/data")).toBe(true);
    expect(matches("dataDir", "/da\nta")).toBe(false);
  });

  test("has a port that others can know", () => {
    expect(schemaOf("brokerPort")["minimum"]).toBe(1);
    expect(schemaOf("irohBindPort")["minimum"]).toBe(1);
  });
});
