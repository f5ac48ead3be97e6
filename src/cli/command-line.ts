// From a command line to one command and its exit code; every fault ends here in one line.
import { Fault, messageOf, systemCode } from "../base/faults.ts";
import { fileProblem } from "../config/host.ts";
import { type ConfigFile, type Loaded, loadSettings } from "../config/load.ts";
import { suggestion } from "../config/nearest.ts";
import { type Arguments, COMMON_OPTIONS, CONFIG_OPTION, readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { COMMAND_GROUPS, findCommand } from "./commands.ts";
import { type Context, EXIT } from "./context.ts";
import { commandHelp, overview, versionText } from "./help.ts";
import { safeText } from "./terminal-text.ts";

/** Read without being asked for, under the host package's name, if it exists. */
const CONFIG_FILE = "/etc/peat-sidecar/config.yaml";

function readConfigFile(context: Context, given: string | undefined): ConfigFile | undefined {
  const path = given ?? (context.program === "peat-sidecar" ? CONFIG_FILE : undefined);
  if (path === undefined) return undefined;
  try {
    return { path, text: context.host.readText(path) };
  } catch (error) {
    const isMissing = systemCode(error) === "ENOENT";
    if (given === undefined && isMissing) return undefined;
    const where = given === undefined ? "configuration file" : "--config";
    return { path, problem: `${where}: ${fileProblem(path, error)}` };
  }
}

function readSettings(context: Context, { options, flags }: Arguments): Loaded {
  const { program, environment, host } = context;
  const file = readConfigFile(context, options.get(CONFIG_OPTION.name));
  return loadSettings({ program, flags, environment, file, host });
}

/** Fault `invalid_argument` unless the command takes that many words. */
function checkWords(command: Command, words: readonly string[]): void {
  const { name, usage, wordsMin, wordsMax, choices } = command;
  if (words.length < wordsMin) {
    throw new Fault(
      "invalid_argument",
      `${name} needs more; usage: ${name} ${usage.split(" [", 1)[0]}`,
    );
  }
  const extra = words[wordsMax];
  if (extra !== undefined) {
    throw new Fault("invalid_argument", `${name} can't use ${JSON.stringify(extra)}`);
  }
  const [first] = words;
  if (choices === undefined || first === undefined || choices.includes(first)) return;
  const hint = suggestion(first, choices);
  throw new Fault("invalid_argument", `${name} knows ${choices.join(", ")}, not ${first}${hint}`);
}

async function runCommandLine(context: Context, args: readonly string[]): Promise<number> {
  const [first] = args;
  const { program, stdout } = context;
  if (first === "--help" || first === "-h") {
    stdout.write(overview(program, COMMAND_GROUPS));
    return EXIT.ok;
  }
  if (first === "--version" || first === "-V") {
    stdout.write(versionText(program));
    return EXIT.ok;
  }
  const isNamed = first !== undefined && !first.startsWith("-");
  const command = findCommand(isNamed ? first : "run");
  const options = [
    ...command.options,
    ...COMMON_OPTIONS,
    ...(command.takesSettings ? [CONFIG_OPTION] : []),
  ];
  const read = readArguments(isNamed ? args.slice(1) : args, options, command.takesSettings);
  if (read.options.has("help")) {
    stdout.write(commandHelp(program, command));
    return EXIT.ok;
  }
  checkWords(command, read.words);
  const settingsUnder = (environment: Context["environment"]) =>
    readSettings({ ...context, environment }, read);
  let loaded: Loaded | undefined;
  const settings = () => {
    loaded ??= settingsUnder(context.environment);
    return loaded;
  };
  return await command.run({ ...read, context, settings, settingsUnder });
}

/** Runs what the command line asks for. A fault is one line on standard error; a bug is thrown on. */
export async function execute(context: Context, args: readonly string[]): Promise<number> {
  try {
    return await runCommandLine(context, args);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const { program, stderr } = context;
    stderr.write(`${program}: ${safeText(messageOf(error))}\n`);
    if (error.code === "invalid_argument") stderr.write(`See: ${program} --help\n`);
    return error.exitCode;
  }
}
