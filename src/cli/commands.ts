// The table of commands.
import { assert } from "../base/assert.ts";
import { Fault } from "../base/faults.ts";
import { suggestion } from "../config/nearest.ts";
import {
  renderConfigFile,
  renderEnvironmentFile,
  renderMarkdown,
  renderSchema,
} from "../config/render.ts";
import { attachCommand } from "./attach.ts";
import { backupCommand } from "./backup.ts";
import { bundleCommand } from "./bundle.ts";
import { checkCommand } from "./check.ts";
import { collectionsCommand } from "./collections.ts";
import type { Call, Command, CommandGroup } from "./command.ts";
import { renderCommands } from "./commands-page.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "./completions.ts";
import { configCommand } from "./config.ts";
import { type Context, EXIT } from "./context.ts";
import { deriveIdCommand } from "./derive-id.ts";
import { doctorCommand } from "./doctor.ts";
import { EXIT_CODES_TOPIC, exitCodesText } from "./exit-codes.ts";
import { explainCommand } from "./explain.ts";
import { exportCommand } from "./export.ts";
import { getCommand } from "./get.ts";
import { healthCommand } from "./health.ts";
import { commandHelp, overview, versionText } from "./help.ts";
import { historyCommand } from "./history.ts";
import { importCommand } from "./import.ts";
import { listCommand, queryCommand } from "./list.ts";
import { logsCommand } from "./logs.ts";
import { commandsPage, daemonPage, settingsPage } from "./manual.ts";
import { peersCommand } from "./peers.ts";
import { probeSyncCommand } from "./probe-sync.ts";
import { reloadCommand } from "./reload.ts";
import { restoreCommand } from "./restore.ts";
import { runCommand } from "./run.ts";
import { deletedCommand, discardCommand, orphansCommand, recoverCommand } from "./set-aside.ts";
import { setupCommand } from "./setup.ts";
import { statusCommand } from "./status.ts";
import { syncCommand } from "./sync.ts";
import { watchCommand } from "./watch.ts";
import { deleteCommand, patchCommand, putCommand } from "./write.ts";

const PRINTED: Readonly<Record<string, (context: Context) => string>> = {
  help: ({ program }) => commandHelp(program, runCommand),
  man: daemonPage,
  man1: () => commandsPage(COMMANDS),
  man5: settingsPage,
  env: renderEnvironmentFile,
  yaml: renderConfigFile,
  schema: renderSchema,
  markdown: renderMarkdown,
  commands: () => renderCommands(COMMAND_GROUPS),
  bash: () => bashCompletion(COMMANDS),
  zsh: () => zshCompletion(COMMANDS),
  fish: () => fishCompletion(COMMANDS),
};

async function print({ context, words }: Call): Promise<number> {
  const render = PRINTED[words[0] ?? ""];
  // The choices of the command are the table's names.
  assert(render !== undefined, "print without a renderer");
  context.stdout.write(render(context));
  return EXIT.ok;
}

const printCommand: Command = {
  name: "print",
  sentence: "Print help, manual pages, files of settings, their schema, or a shell's completions.",
  usage: Object.keys(PRINTED).join("|"),
  wordsMin: 1,
  wordsMax: 1,
  choices: Object.keys(PRINTED),
  options: [],
  takesSettings: false,
  examples: [
    "print env > /etc/default/peat-sidecar",
    "print schema",
    "print bash > /etc/bash_completion.d/peat-sidecar",
  ],
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
  sentence: "Show this overview, all about one command, or the exit codes.",
  usage: `[COMMAND | ${EXIT_CODES_TOPIC}]`,
  wordsMin: 0,
  wordsMax: 1,
  options: [],
  takesSettings: false,
  examples: ["help", "help run", `help ${EXIT_CODES_TOPIC}`],
  async run({ context, words }) {
    const { program, stdout } = context;
    const [word] = words;
    if (word === undefined) stdout.write(overview(program, COMMAND_GROUPS));
    else if (word === EXIT_CODES_TOPIC) stdout.write(exitCodesText());
    else stdout.write(commandHelp(program, findCommand(word)));
    return EXIT.ok;
  },
};

/** As the overview shows them. A command stands in one group. */
export const COMMAND_GROUPS: readonly CommandGroup[] = [
  {
    title: "Documents",
    commands: [
      getCommand,
      putCommand,
      patchCommand,
      deleteCommand,
      listCommand,
      queryCommand,
      watchCommand,
      historyCommand,
      collectionsCommand,
    ],
  },
  { title: "Mesh", commands: [peersCommand, syncCommand, attachCommand, probeSyncCommand] },
  {
    title: "Diagnosis",
    commands: [
      statusCommand,
      explainCommand,
      doctorCommand,
      bundleCommand,
      healthCommand,
      logsCommand,
      configCommand,
    ],
  },
  {
    title: "Data",
    commands: [
      backupCommand,
      restoreCommand,
      exportCommand,
      importCommand,
      deletedCommand,
      orphansCommand,
      recoverCommand,
      discardCommand,
    ],
  },
  { title: "Daemon", commands: [runCommand, reloadCommand] },
  { title: "Set-up", commands: [setupCommand, checkCommand, deriveIdCommand] },
  { title: "About", commands: [helpCommand, versionCommand, printCommand] },
];

export const COMMANDS: readonly Command[] = COMMAND_GROUPS.flatMap(({ commands }) => commands);

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
