// The table of commands.
import { Fault } from "../base/faults.ts";
import { suggestion } from "../config/nearest.ts";
import {
  renderConfigFile,
  renderEnvironmentFile,
  renderMarkdown,
  renderSchema,
} from "../config/render.ts";
import { checkCommand } from "./check.ts";
import type { Call, Command } from "./command.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "./completions.ts";
import { type Context, EXIT } from "./context.ts";
import { deriveIdCommand } from "./derive-id.ts";
import { commandHelp, overview, versionText } from "./help.ts";
import { commandsPage, daemonPage, settingsPage } from "./manual.ts";
import { deleteCommand, getCommand, healthCommand, putCommand } from "./probe.ts";
import { probeSyncCommand } from "./probe-sync.ts";
import { reloadCommand } from "./reload.ts";
import { runCommand } from "./run.ts";
import { deletedCommand, discardCommand, orphansCommand, restoreCommand } from "./set-aside.ts";
import { setupCommand } from "./setup.ts";

const PRINTED: Readonly<Record<string, (context: Context) => string>> = {
  help: ({ program }) => commandHelp(program, runCommand),
  man: daemonPage,
  man1: () => commandsPage(COMMANDS),
  man5: settingsPage,
  env: renderEnvironmentFile,
  yaml: renderConfigFile,
  schema: renderSchema,
  markdown: renderMarkdown,
  bash: () => bashCompletion(COMMANDS),
  zsh: () => zshCompletion(COMMANDS),
  fish: () => fishCompletion(COMMANDS),
};

async function print({ context, words }: Call): Promise<number> {
  const what = words[0] ?? "";
  const render = Object.hasOwn(PRINTED, what) ? PRINTED[what] : undefined;
  if (render === undefined) {
    const known = Object.keys(PRINTED);
    const hint = suggestion(what, known);
    throw new Fault("invalid_argument", `print knows ${known.join(", ")}, not ${what}${hint}`);
  }
  context.stdout.write(render(context));
  return EXIT.ok;
}

const printCommand: Command = {
  name: "print",
  sentence: "Print help, manual pages, files of settings, their schema, or a shell's completions.",
  usage: "help|man|man1|man5|env|yaml|schema|markdown|bash|zsh|fish",
  wordsMin: 1,
  wordsMax: 1,
  options: [],
  takesSettings: false,
  examples: ["print env > /etc/default/peat-sidecar", "print schema"],
  run: print,
};

const versionCommand: Command = {
  name: "version",
  sentence: "Print version and commit.",
  usage: "",
  wordsMin: 0,
  wordsMax: 0,
  options: [],
  takesSettings: false,
  examples: ["version"],
  async run({ context }) {
    context.stdout.write(versionText(context.program));
    return EXIT.ok;
  },
};

const helpCommand: Command = {
  name: "help",
  sentence: "Show this overview, or all about one command.",
  usage: "[command]",
  wordsMin: 0,
  wordsMax: 1,
  options: [],
  takesSettings: false,
  examples: ["help", "help run"],
  async run({ context, words }) {
    const { program, stdout } = context;
    const [word] = words;
    const text =
      word === undefined ? overview(program, COMMANDS) : commandHelp(program, findCommand(word));
    stdout.write(text);
    return EXIT.ok;
  },
};

export const COMMANDS: readonly Command[] = [
  runCommand,
  setupCommand,
  checkCommand,
  reloadCommand,
  deriveIdCommand,
  healthCommand,
  getCommand,
  putCommand,
  deleteCommand,
  probeSyncCommand,
  deletedCommand,
  orphansCommand,
  restoreCommand,
  discardCommand,
  printCommand,
  versionCommand,
  helpCommand,
];

/** Fault `invalid_argument` for a command that does not exist, with the nearest one. */
export function findCommand(word: string): Command {
  const command = COMMANDS.find(({ name }) => name === word);
  if (command !== undefined) return command;
  const hint = suggestion(
    word,
    COMMANDS.map(({ name }) => name),
  );
  throw new Fault("invalid_argument", `there is no command ${word}${hint}`);
}
