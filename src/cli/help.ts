// Help and version: printed from the tables of commands and settings.
import { buildInfo } from "../build-info.ts";
import { renderHelp, wrap } from "../config/render.ts";
import type { Program } from "../config/setting.ts";
import { COMMON_OPTIONS, CONFIG_OPTION, type OptionRow } from "./arguments.ts";
import type { Command, CommandGroup } from "./command.ts";

const WIDTH = 100;
const INDENT = 18;

export function versionText(program: Program): string {
  return `${program} ${buildInfo.version} (${buildInfo.commit})\n`;
}

function optionHead({ name, short, value }: OptionRow): string {
  const long = value === undefined ? `--${name}` : `--${name} ${value}`;
  return short === undefined ? long : `-${short}, ${long}`;
}

/** Two columns; a head too long for its column has the line to itself. */
function columns(head: string, text: string): string {
  const lines = wrap(text, WIDTH - INDENT - 4);
  const rest = lines.map((line) => `${" ".repeat(INDENT + 4)}${line}\n`);
  if (head.length > INDENT) return `  ${head}\n${rest.join("")}`;
  return `  ${head.padEnd(INDENT)}  ${lines[0] ?? ""}\n${rest.slice(1).join("")}`;
}

/** The overview: what the program is, its commands, and a first start. */
export function overview(program: Program, groups: readonly CommandGroup[]): string {
  const rows = groups.map(({ title, commands }) => {
    return `${title}:\n${commands.map(({ name, sentence }) => columns(name, sentence)).join("")}\n`;
  });
  return `${program}: documents that are kept equal on every node of a formation, over Iroh QUIC.

Usage: ${program} [command] [options]

${rows.join("")}Options:
${columns("-h, --help", "Help; behind a command, the help of that command.")}\
${columns("-V, --version", "Version and commit.")}
Example:
  export PEAT_FORMATION_SECRET=$(openssl rand -base64 32)
  export PEAT_DISCOVERY=mdns
  ${program} run --data-dir ./data

All settings with their flags, variables and defaults: ${program} help run
Exit codes: ${program} help exit-codes
`;
}

/** All that one command takes; the settings are listed in full for `run` only. */
export function commandHelp(program: Program, command: Command): string {
  const options = [
    ...command.options,
    ...(command.takesSettings ? [CONFIG_OPTION] : []),
    ...COMMON_OPTIONS,
  ];
  const optionRows = options.map((option) => columns(optionHead(option), option.help)).join("");
  const examples = command.examples.map((example) => `  ${program} ${example}\n`).join("");
  let settings = "";
  if (command.name === "run") settings = `\nSettings:\n\n${renderHelp(program)}`;
  else if (command.takesSettings) {
    settings = `\nSettings are read as a start reads them; their flags are the same: ${program} help run\n`;
  }
  return `${command.sentence}

Usage: ${program} ${command.name} ${command.usage}

Options:
${optionRows}
Examples:
${examples}${settings}`;
}
