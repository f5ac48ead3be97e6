// Completions for bash, zsh and fish, printed from the tables of commands and settings: the words of each command,
// and the values of those options that have a few. Names of collections the node on this machine is asked for.
import { flagOf } from "../config/setting.ts";
import { SETTING_NAMES, settingOf } from "../config/settings.ts";
import { COMMON_OPTIONS, CONFIG_OPTION } from "./arguments.ts";
import type { Command } from "./command.ts";
import { EXIT_CODES_TOPIC } from "./exit-codes.ts";

const PROGRAMS_WORDS = "peat-sidecar peat-mesh-node";

interface Completed {
  readonly flag: string;
  readonly help: string;
  /** Undefined for a switch; else the words it may be, `file` for any path, none for what only a person knows. */
  readonly values: readonly string[] | "file" | undefined;
}

const firstSentence = (text: string) =>
  text.split(/(?<=[.;:])\s/, 1)[0]?.replace(/[.;:]$/, "") ?? "";

function valuesOf(placeholder: string): readonly string[] | "file" {
  if (/^(?:FILE|PATH)$/.test(placeholder)) return "file";
  return placeholder.includes("|") ? placeholder.split("|") : [];
}

const SETTING_FLAGS: readonly Completed[] = SETTING_NAMES.map((name) => {
  const setting = settingOf(name);
  const placeholder = setting.kind.isSecret ? "PATH" : setting.kind.placeholder;
  const flag = flagOf(name, setting);
  return { flag, help: firstSentence(setting.help), values: valuesOf(placeholder) };
});

function optionsOf(command: Command): readonly Completed[] {
  const own = [
    ...command.options,
    ...(command.takesSettings ? [CONFIG_OPTION] : []),
    ...COMMON_OPTIONS,
  ].map(({ name, value, help }) => ({
    flag: name,
    help: firstSentence(help),
    values: value === undefined ? undefined : valuesOf(value),
  }));
  return command.takesSettings ? [...own, ...SETTING_FLAGS] : own;
}

/** Words that may follow a command. */
function wordsOf(command: Command, commands: readonly Command[]): readonly string[] {
  if (command.name === "help") return [...commands.map(({ name }) => name), EXIT_CODES_TOPIC];
  if (/^\[?SETTING\b/.test(command.usage)) return SETTING_NAMES;
  return command.choices ?? [];
}

/** What else the words of a command may be, by its usage. */
function openWordsOf({ usage }: Command): "document" | "collection" | "file" | undefined {
  const words = usage.split("[-", 1)[0] ?? "";
  if (words.includes("COLLECTION/ID")) return "document";
  if (words.includes("COLLECTION")) return "collection";
  return /\bFILE\b/.test(words) ? "file" : undefined;
}

const ASK_SECS = 1;

/**
 * Names of collections, one a line, by the program that stands in `program`. What shells expand is not among them,
 * whatever it is that answers.
 */
const askCollections = (program: string) =>
  `command "${program}" collections --ndjson --timeout ${ASK_SECS} 2>/dev/null | sed -n 's/.*"name":"\\([A-Za-z0-9._-]*\\)".*/\\1/p'`;

const flags = (options: readonly Completed[]) => options.map(({ flag }) => `--${flag}`).join(" ");

/** Each flag with a closed set of values once, whatever commands take it. */
function valueCases(commands: readonly Command[]): ReadonlyMap<string, Completed> {
  const cases = new Map<string, Completed>();
  for (const option of commands.flatMap(optionsOf)) cases.set(option.flag, option);
  return cases;
}

export function bashCompletion(commands: readonly Command[]): string {
  const byValue = [...valueCases(commands).values()].flatMap(({ flag, values }) => {
    if (values === undefined) return [];
    const reply =
      values === "file"
        ? `_peat_sidecar_files "$cur"`
        : `mapfile -t COMPREPLY < <(compgen -W '${values.join(" ")}' -- "$cur")`;
    return [`        --${flag}) ${reply}; return ;;`];
  });
  const byCommand = commands.map((command) => {
    const words = wordsOf(command, commands).join(" ");
    const open = openWordsOf(command) ?? "";
    return `        ${command.name}) flags='${flags(optionsOf(command))}' words='${words}' open='${open}' ;;`;
  });
  const names = commands.map(({ name }) => name).join(" ");
  return `# Completion of bash for ${PROGRAMS_WORDS}.
_peat_sidecar_collections() {
    ${askCollections(`\${COMP_WORDS[0]}`)}
}
_peat_sidecar_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -W "\${2-}" -- "$1"; compgen -f -- "$1")
}
_peat_sidecar() {
    local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} word command=''
    local flags='' words='' open=''
    COMPREPLY=()
    case $prev in
${byValue.join("\n")}
    esac
    for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in -* | mesh-node) ;; *) command=$word; break ;; esac
    done
    case $command in
        '') flags='--help --version' words='${names} mesh-node' ;;
${byCommand.join("\n")}
    esac
    case $open:$cur in
        *:-*) words=$flags ;;
        file:*) _peat_sidecar_files "$cur" "$words"; return ;;
        collection:*) words=$(_peat_sidecar_collections) ;;
        document:*/*) return ;;
        document:*)
            words=$(_peat_sidecar_collections | sed 's|$|/|')
            compopt -o nospace 2>/dev/null ;;
        *) words=\${words:-$flags} ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _peat_sidecar ${PROGRAMS_WORDS}
`;
}

const single = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
/** Inside of an option of _arguments, brackets and colons have a meaning. */
const zshText = (text: string) => text.replaceAll(/[\\[\]:]/g, (found) => `\\${found}`);

function zshOption({ flag, help, values }: Completed): string {
  const head = `--${flag}[${zshText(help)}]`;
  if (values === undefined) return single(head);
  if (values === "file") return single(`${head}:file:_files`);
  return single(values.length === 0 ? `${head}:value: ` : `${head}:value:(${values.join(" ")})`);
}

function zshWords(command: Command, commands: readonly Command[]): readonly string[] {
  const words = wordsOf(command, commands);
  const first = words.length === 0 ? [] : [single(`1:word:(${words.join(" ")})`)];
  const open = openWordsOf(command);
  if (open === undefined) return first;
  return [...first, single(open === "file" ? "*:file:_files" : `*:${open}:_peat_sidecar_${open}s`)];
}

export function zshCompletion(commands: readonly Command[]): string {
  const described = commands.map(
    ({ name, sentence }) => `        ${single(`${name}:${firstSentence(sentence)}`)}`,
  );
  const cases = commands.map((command) => {
    const options = [...optionsOf(command).map(zshOption), ...zshWords(command, commands)].join(
      " \\\n                ",
    );
    return `            ${command.name})\n            _arguments \\\n                ${options}\n            ;;`;
  });
  return `#compdef ${PROGRAMS_WORDS}
# Completion of zsh for ${PROGRAMS_WORDS}.
_peat_sidecar_names() {
    ${askCollections("$service")}
}
_peat_sidecar_collections() {
    local -a names=(\${(f)"$(_peat_sidecar_names)"})
    compadd -a names
}
_peat_sidecar_documents() {
    local -a names=(\${(f)"$(_peat_sidecar_names)"})
    compadd -S / -a names
}
_peat_sidecar() {
    local -a commands
    local state line
    commands=(
${described.join("\n")}
    )
    _arguments -C '--help[Help]' '--version[Version and commit]' '1: :->command' '*:: :->rest'
    case $state in
    command) _describe command commands ;;
    rest)
        case $line[1] in
${cases.join("\n")}
        esac
        ;;
    esac
}
_peat_sidecar "$@"
`;
}

function fishOption(condition: string, { flag, help, values }: Completed): string {
  const value =
    values === undefined ? "" : values === "file" ? " -r -F" : ` -x -a ${single(values.join(" "))}`;
  return `    complete -c $program -n ${single(condition)} -l ${flag}${value} -d ${single(help)}`;
}

function fishWords(command: Command, commands: readonly Command[]): readonly string[] {
  const words = wordsOf(command, commands);
  const first = words.length === 0 ? [] : [`-a ${single(words.join(" "))}`];
  const open = openWordsOf(command);
  if (open === undefined) return first;
  if (open === "file") return [...first, "-F"];
  const end = open === "document" ? "/" : "";
  return [...first, `-a '(__peat_sidecar_collections)${end}'`];
}

export function fishCompletion(commands: readonly Command[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  const heads = commands.map(
    ({ name, sentence }) =>
      `    complete -c $program -n '__fish_use_subcommand' -a ${name} -d ${single(firstSentence(sentence))}`,
  );
  const rest = commands.flatMap((command) => {
    const condition = `__fish_seen_subcommand_from ${command.name}`;
    return [
      ...optionsOf(command).map((option) => fishOption(condition, option)),
      ...fishWords(command, commands).map(
        (words) => `    complete -c $program -n ${single(condition)} ${words}`,
      ),
    ];
  });
  return `# Completion of fish for ${PROGRAMS_WORDS}: ${names}.
function __peat_sidecar_collections
    set -l program (commandline -opc)[1]
    ${askCollections("$program")}
end
for program in ${PROGRAMS_WORDS}
    complete -c $program -f
${[...heads, ...rest].join("\n")}
end
`;
}
