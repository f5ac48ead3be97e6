// `check`: reads the settings as a start would and prints them with their origins.
import { configOf } from "../config/load.ts";
import { SETTING_NAMES, type SettingName } from "../config/settings.ts";
import { type Call, type Command, refuse } from "./command.ts";
import { EXIT } from "./context.ts";
import { type Read, viewSetting } from "./running-settings.ts";

interface Line {
  readonly setting: SettingName;
  /** As it would be written in the environment; undefined when unset. */
  readonly value: string | undefined;
  readonly origin: string;
}

function lineOf(setting: SettingName, read: Read): Line {
  const { value, isSecret, isSet, origin } = viewSetting(setting, read);
  return { setting, value: isSecret && isSet ? "[secret]" : (value ?? undefined), origin };
}

function printText(lines: readonly Line[]): string {
  const shown = lines.map((line) => ({ ...line, value: line.value ?? "(unset)" }));
  const nameWidth = Math.max(...shown.map(({ setting }) => setting.length));
  // One long value must not push all origins off the screen.
  const valueWidth = Math.min(40, Math.max(...shown.map(({ value }) => value.length)));
  return shown
    .map(({ setting, value, origin }) => {
      return `${setting.padEnd(nameWidth)}  ${value.padEnd(valueWidth)}  ${origin}\n`;
    })
    .join("");
}

async function check(call: Call): Promise<number> {
  const { stdout, stderr, program } = call.context;
  const loaded = call.settings();
  const warnings = loaded.warnings.map(({ text }) => text);
  const isJson = call.options.has("json");
  const read = configOf(loaded);
  if (!read.ok) {
    const problems = read.problems.map(({ text }) => text);
    if (isJson)
      stdout.write(`${JSON.stringify({ ok: false, problems, warnings }, undefined, 2)}\n`);
    return refuse(call.context, read);
  }
  const lines = SETTING_NAMES.map((name) => lineOf(name, { loaded, config: read.settings }));
  if (isJson) {
    const settings = Object.fromEntries(
      lines.map(({ setting, value, origin }) => [setting, { value: value ?? null, origin }]),
    );
    stdout.write(`${JSON.stringify({ ok: true, program, settings, warnings }, undefined, 2)}\n`);
    return EXIT.ok;
  }
  stdout.write(printText(lines));
  for (const warning of warnings) stderr.write(`${program}: warning: ${warning}\n`);
  return EXIT.ok;
}

export const checkCommand: Command = {
  name: "check",
  sentence: "Read the settings without starting; print each with its origin.",
  usage: "[--json] [settings…]",
  wordsMin: 0,
  wordsMax: 0,
  options: [{ name: "json", help: "Print JSON." }],
  takesSettings: true,
  examples: ["check", "check --config /etc/peat-sidecar/config.yaml --json"],
  run: check,
};
