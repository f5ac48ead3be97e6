// What is printed from the settings table: help, the markdown page, the environment file, man rows, a schema.
import { ENVIRONMENT_NAMES } from "./names.ts";
import { flagOf, type Group, PROGRAMS, type Program } from "./setting.ts";
import { SETTING_NAMES, type SettingName, settingOf } from "./settings.ts";

const WIDTH = 100;

/** Breaks text at blanks into lines of at most `width` columns. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function byGroup(): ReadonlyMap<Group, readonly SettingName[]> {
  const groups = new Map<Group, SettingName[]>();
  for (const name of SETTING_NAMES) {
    const { group } = settingOf(name);
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  return groups;
}

/** The default as a sentence's end: a value, how it is found, `required` or `unset`. */
function defaultText(name: SettingName, program: Program): string {
  const { fallback } = settingOf(name);
  switch (fallback.kind) {
    case "text":
      return fallback.texts[program];
    case "found":
      return fallback.told;
    case "none":
      return "unset";
    case "required":
      return "required";
  }
}

const LATER = "Accepted and checked, but without effect in this version.";
const RELOADS = "Taken at a reload (SIGHUP), too.";

function sentences(name: SettingName): string {
  const { help, effective, reloads } = settingOf(name);
  const further = [...(effective === false ? [LATER] : []), ...(reloads === true ? [RELOADS] : [])];
  return [help, ...further].join(" ");
}

function allNames(name: SettingName): readonly string[] {
  return [...ENVIRONMENT_NAMES].flatMap(([env, known]) => (known.setting === name ? [env] : []));
}

/** Flags of all settings by group, with variables and defaults, for a terminal. */
export function renderHelp(program: Program): string {
  const lines: string[] = [];
  for (const [group, names] of byGroup()) {
    lines.push(`${group}:`);
    for (const name of names) {
      const setting = settingOf(name);
      const placeholder = setting.kind.isSecret ? "PATH" : setting.kind.placeholder;
      lines.push(`  --${flagOf(name, setting)} ${placeholder}`);
      const text = `${sentences(name)} [${allNames(name).join(", ")}; default: ${defaultText(name, program)}]`;
      for (const line of wrap(text, WIDTH - 6)) lines.push(`      ${line}`);
    }
    lines.push("");
  }
  return lines.join("\n");
}

/** Text in a cell of a Markdown table. */
export const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
const code = (text: string) => `\`${text.replaceAll("|", "\\|")}\``;

function markdownDefault(name: SettingName): string {
  const { fallback } = settingOf(name);
  if (fallback.kind === "required") return "**required**";
  if (fallback.kind === "none") return "unset";
  if (fallback.kind === "found") return cell(fallback.told);
  const [node, sidecar] = PROGRAMS.map((program) => fallback.texts[program]);
  if (node === sidecar) return code(node ?? "");
  return `${code(node ?? "")} (peat-mesh-node), ${code(sidecar ?? "")} (peat-sidecar)`;
}

function markdownRow(name: SettingName): string {
  const setting = settingOf(name);
  const { chart, kind } = setting;
  const keys = chart === undefined || chart === name ? [name] : [name, chart];
  return `| ${[
    setting.env.map(code).join("<br>"),
    `${code(`--${flagOf(name, setting)}`)}`,
    keys.map(code).join("<br>"),
    markdownDefault(name),
    `${cell(sentences(name))} Value: ${cell(kind.rule)}.`,
  ].join(" | ")} |`;
}

const MARKDOWN_HEAD = `<!-- Generated from the settings table by \`bun run generate\`; changes by hand are lost. -->

# Settings

Each setting has a flag, one or more environment variables, and a key in the configuration file.
A flag beats the environment, the environment beats the file, the file beats the default.

- A variable that is set but empty counts as unset (\`RUST_LOG\` alone: set but empty logs failures only).
- Lists are comma lists; in the file they may be YAML lists. \`none\` is the empty list.
- Where several variables are named, they mean the same. Two of them with different values are a problem.
- A secret has no flag of its own, since others can read a command line. Its flag and the variable with
  \`_FILE\` behind its name take the path of a file that holds it; a newline at the file's end is ignored.
  When nothing else is given, a file named like the variable (\`peat-formation-secret\`) is used: systemd's credential,
  and under the name \`peat-sidecar\` one in \`/etc/credstore\` or \`/etc/peat-sidecar\`; \`peat-sidecar setup\` makes one.
- The configuration file is YAML: \`--config FILE\`, or \`/etc/peat-sidecar/config.yaml\` where it exists (only under the
  name \`peat-sidecar\`). Keys of the Helm chart's values are understood too (\`compaction.enabled\`).
- All that is wrong is told at once, one line each, and the program ends with exit code 78.
  An unknown \`PEAT_*\` variable is a warning, an unknown key of the file is a problem.
- \`peat-sidecar check\` reads everything as a start would and prints each setting with its origin.

The same executable has two names, \`peat-mesh-node\` and \`peat-sidecar\`, with some different defaults.
`;

/** docs/configuration.md. */
export function renderMarkdown(): string {
  const parts = [MARKDOWN_HEAD];
  for (const [group, names] of byGroup()) {
    parts.push(
      `## ${group}\n`,
      "| Variable | Flag | File key | Default | Meaning |",
      "|---|---|---|---|---|",
      ...names.map(markdownRow),
      "",
    );
  }
  return parts.join("\n");
}

/** What holds on a host with the package; empty where nothing does, or it depends on the host. */
function packagedText(name: SettingName): string {
  const { fallback, packaged } = settingOf(name);
  return packaged ?? (fallback.kind === "text" ? fallback.texts["peat-sidecar"] : "");
}

/** The example configuration file of the host package: every setting, commented out. */
export function renderConfigFile(): string {
  const lines = [
    "# Settings of peat-sidecar; all of them are described in peat-sidecar(5). Remove the # before a line",
    "# to change it; what /etc/default/peat-sidecar says comes first. Then: systemctl restart peat-sidecar.",
    "",
  ];
  for (const [group, names] of byGroup()) {
    lines.push(`## ${group}`);
    for (const name of names) {
      const { kind } = settingOf(name);
      const text = packagedText(name);
      const isBare = kind.fileTypes.some((type) => type === "number" || type === "boolean");
      const value = text === "" || isBare ? text : JSON.stringify(text);
      lines.push(kind.isSecret ? `#${name}File:` : `#${name}: ${value}`.trimEnd());
    }
    lines.push("");
  }
  return lines.join("\n");
}

/** The default environment file of the host package: every setting, commented out. */
export function renderEnvironmentFile(): string {
  const lines = [
    "# Settings of peat-sidecar, read by its systemd unit. Remove the # before a line to change it.",
    "# After a change: systemctl restart peat-sidecar. To see what holds: peat-sidecar check.",
    "",
  ];
  for (const [group, names] of byGroup()) {
    lines.push(`## ${group}`, "");
    for (const name of names) {
      const { env, fallback } = settingOf(name);
      for (const line of wrap(sentences(name), WIDTH - 2)) lines.push(`# ${line}`);
      const isFound = fallback.kind === "found";
      if (isFound)
        for (const line of wrap(`Default: ${fallback.told}.`, WIDTH - 2)) lines.push(`# ${line}`);
      lines.push(`#${env[0]}=${packagedText(name)}`, "");
    }
  }
  return lines.join("\n");
}

/** Text as troff prints it verbatim. */
export function troff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");
}

/** One `.TP` paragraph for each setting, below a `.SS` for each group. */
export function renderManRows(): string {
  const lines: string[] = [];
  for (const [group, names] of byGroup()) {
    lines.push(`.SS ${troff(group)}`);
    for (const name of names) {
      const setting = settingOf(name);
      const flag = `--${flagOf(name, setting)}`;
      lines.push(".TP", `.BR ${[flag, ...setting.env].map((n) => `"${troff(n)}"`).join(' ", " ')}`);
      lines.push(troff(sentences(name)));
      lines.push(`Default: ${troff(defaultText(name, "peat-sidecar"))}.`);
    }
  }
  return lines.join("\n");
}

/** JSON Schema of the configuration file, by property names. */
export function renderSchema(): string {
  const properties: Record<string, unknown> = {};
  for (const name of SETTING_NAMES) {
    const { kind } = settingOf(name);
    const description = sentences(name);
    properties[name] = { ...kind.schema, description };
    if (!kind.isSecret) continue;
    properties[`${name}File`] = { type: "string", description: `File that holds ${name}.` };
  }
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "peat-sidecar configuration file",
    type: "object",
    additionalProperties: false,
    properties,
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
