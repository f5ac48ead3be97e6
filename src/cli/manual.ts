// The manual pages, printed from the tables of commands and settings: (8) the daemon, (1) its commands, (5) its files.
import { buildInfo } from "../build-info.ts";
import { renderManRows, troff } from "../config/render.ts";
import { COMMON_OPTIONS, CONFIG_OPTION, type OptionRow } from "./arguments.ts";
import type { Command } from "./command.ts";
import { EXIT_CODES } from "./exit-codes.ts";

const EXIT_ROWS = EXIT_CODES.map(({ code, means }) => [String(code), means] as const);

const FILES: readonly (readonly [string, string])[] = [
  ["/etc/default/peat-sidecar", "Environment of the service; every setting with its default."],
  ["/etc/peat-sidecar/config.yaml", "Configuration file."],
  ["/etc/credstore/peat-formation-secret", "The formation secret, as setup writes it."],
  ["/var/lib/peat-sidecar", "Data; automerge/peat.db is the database."],
  ["/run/peat-sidecar/peat-sidecar.sock", "RPC socket; /run/peat-sidecar.sock is a link to it."],
  ["/run/peat-sidecar/token", "Token of writers over TCP, made at start unless one is set."],
];

const SIGNALS: readonly (readonly [string, string])[] = [
  ["SIGTERM, SIGINT", "Stop: what was acknowledged is on disk. A second one ends at once."],
  [
    "SIGHUP",
    "Read the settings again and take log level and format, static peers, the API token and certificates; systemctl reload brings the environment file, too. At a terminal: end.",
  ],
];

function head(section: number, title: string): string[] {
  const version = `peat\\-sidecar ${troff(buildInfo.version)}`;
  return [`.TH PEAT\\-SIDECAR ${section} "" "${version}" "${title}"`];
}

const paragraphs = (rows: readonly (readonly [string, string])[], font: "B" | "I") =>
  rows.flatMap(([name, text]) => [".TP", `.${font} ${troff(name)}`, troff(text)]);

const seeAlso = (...sections: readonly number[]) => [
  ".SH SEE ALSO",
  sections.map((n) => `.BR peat\\-sidecar (${n})`).join(",\n"),
  "",
];

/** Section 8: the daemon as administrators meet it. */
export function daemonPage(): string {
  return [
    ...head(8, "System administration"),
    ".SH NAME",
    "peat\\-sidecar, peat\\-mesh\\-node \\- documents kept equal on every node of a formation",
    ".SH SYNOPSIS",
    ".B peat\\-sidecar",
    "[run] [settings]",
    ".br",
    ".B peat\\-sidecar",
    ".I command",
    "[options]",
    ".SH DESCRIPTION",
    "A node keeps collections of JSON documents and exchanges every change with the other nodes",
    "that hold the same formation secret, directly and encrypted, through partitions and restarts.",
    "Under the name peat\\-mesh\\-node some settings have other defaults.",
    ".PP",
    "Applications on the host use the RPC socket or the HTTP broker on 127.0.0.1:8081. Members of",
    "the group peat\\-sidecar may use the socket and read the token with which the broker takes writes.",
    ".SH THE SERVICE",
    "The package brings peat\\-sidecar.service. It needs a formation secret:",
    ".PP",
    ".nf",
    "peat\\-sidecar setup",
    "systemctl status peat\\-sidecar",
    ".fi",
    ".PP",
    "Without a secret it says so in one line of the journal and stays stopped. It is ready when the",
    "node may be asked for documents, and is restarted when the loop that commits them has no turn",
    "for half a minute.",
    ".SH SIGNALS",
    ...paragraphs(SIGNALS, "B"),
    ".SH EXIT STATUS",
    ...paragraphs(EXIT_ROWS, "B"),
    ".SH FILES",
    ...paragraphs(FILES, "I"),
    ...seeAlso(1, 5),
  ].join("\n");
}

function optionRows(command: Command): readonly OptionRow[] {
  return [...command.options, ...(command.takesSettings ? [CONFIG_OPTION] : []), ...COMMON_OPTIONS];
}

function optionLines({ name, short, value, help }: OptionRow): string[] {
  const long = value === undefined ? `--${name}` : `--${name} ${value}`;
  const both = short === undefined ? long : `-${short}, ${long}`;
  return [".TP", `.B ${troff(both)}`, troff(help)];
}

/** Section 1: the commands. */
export function commandsPage(commands: readonly Command[]): string {
  const rows = commands.flatMap((command) => [
    `.SS ${troff(`${command.name} ${command.usage}`.trim())}`,
    troff(command.sentence),
    ...optionRows(command).flatMap(optionLines),
    ".PP",
    ".nf",
    ...command.examples.map((example) => troff(`    peat-sidecar ${example}`)),
    ".fi",
  ]);
  return [
    ...head(1, "User commands"),
    ".SH NAME",
    "peat\\-sidecar \\- commands for a node and its documents",
    ".SH SYNOPSIS",
    ".B peat\\-sidecar",
    ".I command",
    "[options]",
    ".SH DESCRIPTION",
    "Commands read the settings as the daemon does, except that /etc/default/peat\\-sidecar is the",
    "service's alone. Where a command takes settings, each is also a flag; see",
    ".BR peat\\-sidecar (5).",
    ".SH COMMANDS",
    ...rows,
    ".SH EXIT STATUS",
    ...paragraphs(EXIT_ROWS, "B"),
    ...seeAlso(5, 8),
  ].join("\n");
}

/** Section 5: the settings, in the environment file and the configuration file. */
export function settingsPage(): string {
  return [
    ...head(5, "File formats"),
    ".SH NAME",
    "peat\\-sidecar \\- settings, /etc/default/peat\\-sidecar and /etc/peat\\-sidecar/config.yaml",
    ".SH DESCRIPTION",
    "A flag beats the environment, the environment beats the configuration file, the file beats the",
    "default. The environment of the service is in /etc/default/peat\\-sidecar: one NAME=value a line.",
    "The configuration file is YAML; its keys are the flags in camel case (brokerPort).",
    ".PP",
    "A secret may be given by a file: NAME_FILE has its path. When nothing else is given, a file that",
    "is named like the variable (peat\\-formation\\-secret) is looked for among systemd's credentials,",
    "in /etc/credstore and in /etc/peat\\-sidecar.",
    ".PP",
    "All that is wrong is told at once, and the exit status is 78.",
    ".SH SETTINGS",
    renderManRows(),
    ".SH FILES",
    ...paragraphs(FILES.slice(0, 3), "I"),
    ...seeAlso(1, 8),
  ].join("\n");
}
