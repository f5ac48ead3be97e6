// What a command is: a row for help, and a function from its call to an exit code.
import type { Loaded } from "../config/load.ts";
import type { Remark } from "../config/remark.ts";
import type { Arguments, OptionRow } from "./arguments.ts";
import { type Context, EXIT } from "./context.ts";

export interface Call extends Arguments {
  readonly context: Context;
  /** The settings by flags, environment and file, read once: a file of a secret may be a pipe, which is empty then. */
  settings(): Loaded;
  /** The settings as they are now, under this environment. */
  settingsUnder(environment: Context["environment"]): Loaded;
}

export interface Command {
  readonly name: string;
  /** One line for the overview. */
  readonly sentence: string;
  /** What follows the command's name in its usage line. */
  readonly usage: string;
  /** How many words it takes. */
  readonly wordsMin: number;
  readonly wordsMax: number;
  /** What the first word must be, of a command that does one of a few things. */
  readonly choices?: readonly string[];
  readonly options: readonly OptionRow[];
  readonly takesSettings: boolean;
  /** Arguments behind the program's name. */
  readonly examples: readonly string[];
  run(call: Call): Promise<number>;
}

/** Commands that belong together in the overview. */
export interface CommandGroup {
  readonly title: string;
  readonly commands: readonly Command[];
}

/**
 * Prints all problems, one line each, and the doubts that may explain them (a misspelt variable is
 * one problem's cause); the exit code of bad settings.
 */
export function refuse(
  { program, stderr }: Context,
  { problems, warnings }: { problems: readonly Remark[]; warnings: readonly Remark[] },
): number {
  const line = (text: string) => stderr.write(`${program}: ${text.replaceAll("\n", " ")}\n`);
  for (const { setting, text } of warnings) if (setting === undefined) line(`warning: ${text}`);
  for (const { text } of problems) line(text);
  return EXIT.settings;
}
