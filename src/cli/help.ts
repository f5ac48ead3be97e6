// Help, manual page and version: printed from the tables of commands and settings.
import { buildInfo } from "../build-info.ts";
import { renderHelp, renderManRows, troff, wrap } from "../config/render.ts";
import type { Program } from "../config/setting.ts";
import { COMMON_OPTIONS, CONFIG_OPTION, type OptionRow } from "./arguments.ts";
import type { Command } from "./command.ts";

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
export function overview(program: Program, commands: readonly Command[]): string {
  const rows = commands.map(({ name, sentence }) => columns(name, sentence)).join("");
  return `${program}: documents that are kept equal on every node of a formation, over Iroh QUIC.

Usage: ${program} [command] [options]

Commands:
${rows}
Options:
${columns("-h, --help", "Help; behind a command, the help of that command.")}\
${columns("-V, --version", "Version and commit.")}
Example:
  export PEAT_FORMATION_SECRET=$(openssl rand -base64 32)
  export PEAT_DISCOVERY=mdns
  ${program} run --data-dir ./data

All settings with their flags, variables and defaults: ${program} help run
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

const EXIT_CODES: readonly (readonly [string, string])[] = [
  ["0", "Success, and the end after SIGTERM or SIGINT."],
  [
    "1",
    "health: not healthy or no answer; get, put, delete: the broker refused; probe-sync: not in time.",
  ],
  ["64", "The command line is wrong."],
  ["69", "An address can't be listened on."],
  ["70", "A defect of the program; the log has the details."],
  ["73", "The data directory can't be used."],
  ["74", "The disk failed or is full."],
  ["75", "Another process holds the data directory, or nobody answered."],
  ["78", "Settings are missing or wrong; each is named on standard error."],
];

/** The manual page, section 8. */
export function manualPage(commands: readonly Command[]): string {
  const rows = commands.flatMap(({ name, usage, sentence }) => [
    ".TP",
    `.B ${troff(`${name} ${usage}`.trim())}`,
    troff(sentence),
  ]);
  const codes = EXIT_CODES.flatMap(([code, text]) => [".TP", `.B ${code}`, troff(text)]);
  return [
    `.TH PEAT\\-SIDECAR 8 "" "peat\\-sidecar ${troff(buildInfo.version)}" "System administration"`,
    ".SH NAME",
    "peat\\-sidecar, peat\\-mesh\\-node \\- documents kept equal on every node of a formation",
    ".SH SYNOPSIS",
    ".B peat\\-sidecar",
    "[command] [options]",
    ".SH DESCRIPTION",
    "A node keeps collections of JSON documents and exchanges every change with the other nodes",
    "that hold the same formation secret, directly and encrypted, through partitions and restarts.",
    "Under the name peat\\-mesh\\-node some settings have other defaults.",
    ".SH COMMANDS",
    ...rows,
    ".SH SETTINGS",
    "A flag beats the environment, the environment beats the configuration file.",
    renderManRows(),
    ".SH EXIT STATUS",
    ...codes,
    ".SH FILES",
    ".TP",
    ".I /etc/peat\\-sidecar/config.yaml",
    "Configuration file.",
    ".TP",
    ".I /etc/default/peat\\-sidecar",
    "Environment of the systemd unit.",
    ".TP",
    ".I /var/lib/peat\\-sidecar",
    "Data.",
    "",
  ].join("\n");
}
