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
  /** May be given several times; `repeated` reads the values. */
  readonly repeats?: true;
  readonly help: string;
}

/** Between the values of a repeated option: no argument holds it. */
const REPEAT_MARK = "\0";

/** Every value of an option that may be given several times, in their order. */
export function repeated(options: Arguments["options"], { name }: OptionRow): readonly string[] {
  return options.get(name)?.split(REPEAT_MARK) ?? [];
}

const COUNT_MAX = 1_000_000_000;

/** The whole number, at least 1, that an option has; undefined without it. */
export function countOf(options: Arguments["options"], { name }: OptionRow): number | undefined {
  const text = options.get(name);
  if (text === undefined) return undefined;
  const count = /^[0-9]{1,10}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= COUNT_MAX) return count;
  throw new Fault("invalid_argument", `--${name} must be a number, at least 1`);
}

/** The milliseconds of an option in seconds, more than 0 and at most `secsMax`; undefined without it. */
export function millisecondsOf(
  options: Arguments["options"],
  { name }: OptionRow,
  secsMax: number,
): number | undefined {
  const text = options.get(name);
  if (text === undefined) return undefined;
  const seconds = /^[0-9]+(?:\.[0-9]+)?$/.test(text) ? Number(text) : 0;
  if (seconds > 0 && seconds <= secsMax) return seconds * 1000;
  throw new Fault(
    "invalid_argument",
    `--${name} must be seconds, more than 0 and at most ${secsMax}`,
  );
}

/** Which of `choices` an option has; undefined without it. */
export function choiceOf<T extends string>(
  options: Arguments["options"],
  { name }: OptionRow,
  choices: readonly T[],
): T | undefined {
  const text = options.get(name);
  if (text === undefined) return undefined;
  const chosen = choices.find((choice) => choice === text);
  if (chosen !== undefined) return chosen;
  const told = `--${name} must be one of ${choices.join(", ")}${suggestion(text, choices)}`;
  throw new Fault("invalid_argument", told);
}

const PARAMETER = "query parameter ";

/** What `parse` makes of an option's value; a fault of it names the option. */
export function asOption<T>({ name }: OptionRow, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    // The broker's parsers name their parameter, with the place in it.
    const isPlaced = error.message.startsWith(PARAMETER);
    const sentence = isPlaced ? error.message.slice(PARAMETER.length) : `${name}: ${error.message}`;
    throw new Fault("invalid_argument", `--${sentence}`, {}, error);
  }
}

/** Fault `invalid_argument` for options that only another form of the command has. */
export function refuseOptions(
  options: Arguments["options"],
  rows: readonly OptionRow[],
  { owner }: { readonly owner: string },
): void {
  const stray = rows.find(({ name }) => options.has(name));
  if (stray === undefined) return;
  throw new Fault("invalid_argument", `--${stray.name} belongs to ${owner}`);
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
  /** Between values, of what may be given several times. */
  readonly mark: string | undefined;
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
      const mark = kind.isList && !kind.isSecret ? "," : undefined;
      const isSwitch = kind.fileTypes.includes("boolean");
      known.set(flagOf(name, setting), { isSetting: true, isSwitch, mark });
    }
  }
  for (const { name, short, value, repeats } of options) {
    const mark = repeats === true ? REPEAT_MARK : undefined;
    const row = { isSetting: false, isSwitch: value === undefined, mark };
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
    const hint = isNextOption ? `; one that begins with - is given as ${token.rawName}=-…` : "";
    throw new Fault("invalid_argument", `${token.rawName} needs a value${hint}`);
  }
  return token.value;
}

/** A list may be given in parts; anything else given twice must agree with itself. */
function mergeValue(
  token: OptionToken,
  values: Map<string, string>,
  { value, mark }: { value: string; mark: string | undefined },
) {
  const before = values.get(token.name);
  if (before === undefined) values.set(token.name, value);
  else if (mark !== undefined) values.set(token.name, `${before}${mark}${value}`);
  else if (before !== value) {
    throw new Fault("invalid_argument", `${token.rawName} is given twice with different values`);
  }
}

/** What is meant by an option that does not exist: the flag of a variable that is called so, or the nearest one. */
function hintFor(
  { name, rawName }: { readonly name: string; readonly rawName: string },
  known: Iterable<string>,
  takesSettings: boolean,
): string {
  const variable = `PEAT_${name.replaceAll("-", "_").toUpperCase()}`;
  const meant = SETTING_NAMES.find((setting) => settingOf(setting).env.includes(variable));
  if (takesSettings && meant !== undefined) {
    return `; the flag of ${variable} is --${flagOf(meant, settingOf(meant))}`;
  }
  return suggestion(
    rawName,
    [...known].map((each) => `--${each}`),
  );
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
      const hint = hintFor(token, known.keys(), takesSettings);
      throw new Fault("invalid_argument", `there is no option ${token.rawName} here${hint}`);
    }
    const target = option.isSetting ? values.flags : values.options;
    mergeValue(token, target, { value: optionValue(token, option), mark: option.mark });
  }
  return { words, ...values };
}
