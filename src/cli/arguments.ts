// The command line read: which command, its options and words, the settings' flags; or what is wrong with it.
import { parseArgs } from "node:util";
import { Fault } from "../base/faults.ts";
import { suggestion } from "../config/nearest.ts";
import { flagOf } from "../config/setting.ts";
import { SETTING_NAMES, settingOf } from "../config/settings.ts";

/** An option of one command, besides the settings' flags. */
export interface OptionRow {
  readonly name: string;
  readonly short?: string;
  /** What stands for the value in help; an option without one is a switch. */
  readonly value?: string;
  readonly help: string;
}

export interface Arguments {
  readonly words: readonly string[];
  /** Switches have the value `true`. */
  readonly options: ReadonlyMap<string, string>;
  /** Settings given as flags, by name without dashes. */
  readonly flags: ReadonlyMap<string, string>;
}

interface Known {
  readonly isSetting: boolean;
  readonly isSwitch: boolean;
  readonly isList: boolean;
  readonly short?: string;
}

export const COMMON_OPTIONS: readonly OptionRow[] = [
  { name: "help", short: "h", help: "Show this help." },
];

export const CONFIG_OPTION: OptionRow = {
  name: "config",
  value: "FILE",
  help: "Configuration file (YAML).",
};

function knownOptions(options: readonly OptionRow[], takesSettings: boolean): Map<string, Known> {
  const known = new Map<string, Known>();
  if (takesSettings) {
    for (const name of SETTING_NAMES) {
      const setting = settingOf(name);
      const { kind } = setting;
      // A secret's flag is one path, even where the secret is a list.
      const isList = kind.isList && !kind.isSecret;
      const isSwitch = kind.fileTypes.includes("boolean");
      known.set(flagOf(name, setting), { isSetting: true, isSwitch, isList });
    }
  }
  for (const { name, short, value } of options) {
    const row = { isSetting: false, isSwitch: value === undefined, isList: false };
    known.set(name, short === undefined ? row : { ...row, short });
  }
  return known;
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

/** The value of one option; a switch alone is `true`. */
function optionValue(token: OptionToken, option: Known): string {
  if (option.isSwitch) {
    if (token.value !== undefined && !option.isSetting) {
      throw new Fault("invalid_argument", `${token.rawName} takes no value`);
    }
    return token.value ?? "true";
  }
  // A lone - is a value: standard input.
  const isNextOption = token.inlineValue !== true && /^-./.test(token.value ?? "");
  if (token.value === undefined || isNextOption) {
    throw new Fault("invalid_argument", `${token.rawName} needs a value`);
  }
  return token.value;
}

/** A list may be given in parts; anything else given twice must agree with itself. */
function mergeValue(
  token: OptionToken,
  values: Map<string, string>,
  value: string,
  isList: boolean,
) {
  const before = values.get(token.name);
  if (before === undefined) values.set(token.name, value);
  else if (isList) values.set(token.name, `${before},${value}`);
  else if (before !== value) {
    throw new Fault("invalid_argument", `${token.rawName} is given twice with different values`);
  }
}

/** Fault `invalid_argument` for an unknown option (with the nearest known one) or a missing value. */
export function readArguments(
  args: readonly string[],
  options: readonly OptionRow[],
  takesSettings: boolean,
): Arguments {
  const known = knownOptions(options, takesSettings);
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      [...known].map(([name, { isSwitch, short }]) => {
        const type = isSwitch ? ("boolean" as const) : ("string" as const);
        return [name, short === undefined ? { type } : { type, short }];
      }),
    ),
  });
  const words: string[] = [];
  const values = { options: new Map<string, string>(), flags: new Map<string, string>() };
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const option = known.get(token.name);
    if (option === undefined) {
      const names = [...known.keys()].map((name) => `--${name}`);
      const hint = suggestion(token.rawName, names);
      throw new Fault("invalid_argument", `there is no option ${token.rawName} here${hint}`);
    }
    const target = option.isSetting ? values.flags : values.options;
    mergeValue(token, target, optionValue(token, option), option.isList);
  }
  return { words, ...values };
}
