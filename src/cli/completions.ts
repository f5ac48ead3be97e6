// Completions for bash, zsh and fish, printed from the tables of commands and settings: the words of each command,
// and the values of those options that have a few.
import { flagOf } from "../config/setting.ts";
import { SETTING_NAMES, settingOf } from "../config/settings.ts";
import { COMMON_OPTIONS, CONFIG_OPTION } from "./arguments.ts";
import type { Command } from "./command.ts";

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

/** Words that may follow a command; only `print` and `help` have such. */
function wordsOf(command: Command, commands: readonly Command[]): readonly string[] {
  if (command.name === "help") return commands.map(({ name }) => name);
  return /^[a-z0-9]+(?:\|[a-z0-9]+)+$/.test(command.usage) ? command.usage.split("|") : [];
}

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
        ? `mapfile -t COMPREPLY < <(compgen -f -- "$cur")`
        : `mapfile -t COMPREPLY < <(compgen -W '${values.join(" ")}' -- "$cur")`;
    return [`        --${flag}) ${reply}; return ;;`];
  });
  const byCommand = commands.map((command) => {
    const words = [flags(optionsOf(command)), ...wordsOf(command, commands)].join(" ");
    return `        ${command.name}) words='${words}' ;;`;
  });
  const names = commands.map(({ name }) => name).join(" ");
  return `# Completion of bash for ${PROGRAMS_WORDS}.
_peat_sidecar() {
    local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} word command='' words
    COMPREPLY=()
    case $prev in
${byValue.join("\n")}
    esac
    for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in -* | mesh-node) ;; *) command=$word; break ;; esac
    done
    case $command in
        '') words='${names} mesh-node --help --version' ;;
${byCommand.join("\n")}
        *) words='' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o filenames -F _peat_sidecar ${PROGRAMS_WORDS}
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

export function zshCompletion(commands: readonly Command[]): string {
  const described = commands.map(
    ({ name, sentence }) => `        ${single(`${name}:${firstSentence(sentence)}`)}`,
  );
  const cases = commands.map((command) => {
    const words = wordsOf(command, commands);
    const rest = words.length === 0 ? [] : [single(`1:word:(${words.join(" ")})`)];
    const options = [...optionsOf(command).map(zshOption), ...rest].join(" \\\n                ");
    return `            ${command.name})\n            _arguments \\\n                ${options}\n            ;;`;
  });
  return `#compdef ${PROGRAMS_WORDS}
# Completion of zsh for ${PROGRAMS_WORDS}.
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

export function fishCompletion(commands: readonly Command[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  const heads = commands.map(
    ({ name, sentence }) =>
      `    complete -c $program -n '__fish_use_subcommand' -a ${name} -d ${single(firstSentence(sentence))}`,
  );
  const rest = commands.flatMap((command) => {
    const condition = `__fish_seen_subcommand_from ${command.name}`;
    const words = wordsOf(command, commands);
    const added =
      words.length === 0
        ? []
        : [`    complete -c $program -n ${single(condition)} -a ${single(words.join(" "))}`];
    return [...optionsOf(command).map((option) => fishOption(condition, option)), ...added];
  });
  return `# Completion of fish for ${PROGRAMS_WORDS}: ${names}.
for program in ${PROGRAMS_WORDS}
    complete -c $program -f
${[...heads, ...rest].join("\n")}
end
`;
}
