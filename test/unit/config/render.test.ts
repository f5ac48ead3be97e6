import { expect, test } from "bun:test";
import { readConfigFile } from "../../../src/config/file.ts";
import { loadSettings } from "../../../src/config/load.ts";
import {
  renderEnvironmentFile,
  renderHelp,
  renderManRows,
  renderMarkdown,
  renderSchema,
  troff,
  wrap,
} from "../../../src/config/render.ts";
import { flagOf } from "../../../src/config/setting.ts";
import { SETTING_NAMES, settingOf } from "../../../src/config/settings.ts";

test("every setting is in every printed form, by its first variable", () => {
  const forms = [
    renderHelp("peat-sidecar"),
    renderMarkdown(),
    renderEnvironmentFile(),
    renderManRows().replaceAll("\\-", "-"),
  ];
  for (const name of SETTING_NAMES) {
    const setting = settingOf(name);
    for (const form of forms) expect(form).toContain(setting.env[0]);
    expect(forms[0]).toContain(`--${flagOf(name, setting)} `);
  }
});

test("help shows the defaults of the program that it is for", () => {
  expect(renderHelp("peat-mesh-node")).toContain("default: /data]");
  expect(renderHelp("peat-sidecar")).toContain("default: /var/lib/peat-sidecar]");
});

test("help fits 100 columns", () => {
  for (const line of renderHelp("peat-sidecar").split("\n")) {
    expect(line.length).toBeLessThanOrEqual(100);
  }
});

/** Variables that the host package's unit sets by itself. */
function setByTheUnit(): Record<string, string> {
  return Object.fromEntries(
    SETTING_NAMES.map(settingOf).flatMap(({ env, packaged }) =>
      packaged === undefined ? [] : [[env[0], packaged]],
    ),
  );
}

test("the environment file with every # removed starts as if it were not there", () => {
  const environment: Record<string, string> = {};
  for (const line of renderEnvironmentFile().split("\n")) {
    const match = /^#([A-Z0-9_]+)=(.*)$/.exec(line);
    if (match?.[1] !== undefined) environment[match[1]] = match[2] ?? "";
  }
  expect(Object.keys(environment)).toHaveLength(SETTING_NAMES.length);
  const host = {
    hostName: () => "h",
    isWritableDirectory: () => false,
    readText: () => {
      throw new Error("missing");
    },
  };
  const load = (given: Record<string, string>) =>
    loadSettings({
      program: "peat-sidecar",
      flags: new Map(),
      environment: { ...given, PEAT_FORMATION_SECRET: new Uint8Array(32).toBase64() },
      file: undefined,
      host,
    });
  const full = load(environment);
  expect(full.problems).toEqual([]);
  expect(full.warnings).toEqual([]);
  expect(full.values).toEqual(load(setByTheUnit()).values);
});

test("the schema is JSON and knows the keys that the file may have", () => {
  const schema: { properties: Record<string, object> } = JSON.parse(renderSchema());
  const keys = Object.keys(schema.properties);
  expect(keys).toContain("brokerPort");
  expect(keys).toContain("formationSecretFile");
  for (const key of keys) {
    const { problems } = readConfigFile(JSON.stringify({ [key]: null }));
    expect(problems).toEqual([]);
  }
});

test("a table's cell can't be broken by its text", () => {
  for (const line of renderMarkdown().split("\n")) {
    if (!line.startsWith("| ")) continue;
    expect(line.replaceAll("\\|", "").split("|")).toHaveLength(7);
  }
});

test("words are wrapped at blanks and none is lost", () => {
  expect(wrap("aa bb cc", 5)).toEqual(["aa bb", "cc"]);
  expect(wrap("aaaaaaaa b", 4)).toEqual(["aaaaaaaa", "b"]);
});

test("troff gets no commands from texts", () => {
  expect(troff(".TH x-y\n'z\\")).toBe("\\&.TH x\\-y\n\\&'z\\e");
});
