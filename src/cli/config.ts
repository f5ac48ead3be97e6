// `config`: the settings that the running node goes by, each with its origin, and what it would do otherwise if it
// read them now.
import { Fault } from "../base/faults.ts";
import { API } from "../broker/api-path.ts";
import { suggestion } from "../config/nearest.ts";
import { field, listIn, textField } from "./answer.ts";
import type { OptionRow } from "./arguments.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { askJson, withNode } from "./node.ts";
import { NODE_OPTIONS } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import type { Cell, Column } from "./table.ts";
import { safeText } from "./terminal-text.ts";

const DIFF_OPTION: OptionRow = {
  name: "diff",
  help: "Only settings that would be others if the node read its files now, and what takes them; exit status 1 if there are any. A file that systemd reads for it counts from systemctl reload on.",
};
const NAMES_MAX = 100;

const COLUMNS: readonly Column[] = [
  { title: "SETTING" },
  { title: "VALUE", shrinksTo: 12 },
  { title: "ORIGIN", shrinksTo: 12 },
];

const DIFF_COLUMNS: readonly Column[] = [
  { title: "SETTING" },
  { title: "IN FORCE", shrinksTo: 10 },
  { title: "NOW", shrinksTo: 10 },
  { title: "ORIGIN", shrinksTo: 12, rank: 1 },
  { title: "TAKEN BY" },
];

interface Report {
  readonly settings: readonly unknown[];
  readonly waiting: readonly unknown[];
  readonly problems: readonly string[];
}

function readReport(answer: unknown, isDiff: boolean): Report {
  const settings = listIn(answer, "settings");
  if (!isDiff) return { settings, waiting: [], problems: [] };
  const problems = listIn(answer, "problems").map((text) => safeText(String(text)));
  return { settings, waiting: listIn(answer, "waiting", "waiting settings"), problems };
}

const nameOf = (setting: unknown): string => textField(setting, "name") ?? "?";

function valueCell(setting: unknown): Cell | string {
  const value = textField(setting, "value");
  if (value !== undefined) return value;
  return { text: field(setting, "is_set") === true ? "(secret)" : "(unset)", tone: "dim" };
}

/** Those that are named, by setting or variable. Fault `invalid_argument` for a name that is none. */
function chosen(settings: readonly unknown[], words: readonly string[]): readonly unknown[] {
  if (words.length === 0) return settings;
  const namesOf = (setting: unknown) => [nameOf(setting), textField(setting, "variable") ?? ""];
  const known = settings.flatMap(namesOf);
  const stranger = words.find((word) => !known.includes(word));
  if (stranger !== undefined) {
    const hint = suggestion(stranger, known);
    throw new Fault("invalid_argument", `there is no setting ${stranger}${hint}`);
  }
  return settings.filter((setting) => namesOf(setting).some((name) => words.includes(name)));
}

function view(printer: Printer, settings: readonly unknown[]): string {
  const rows = settings.map((setting) => [
    { text: nameOf(setting), tone: "accent" as const },
    valueCell(setting),
    { text: textField(setting, "origin") ?? "", tone: "dim" as const },
  ]);
  return printer.table(COLUMNS).print(rows);
}

function viewDiff(printer: Printer, { settings, waiting }: Report): string {
  if (waiting.length === 0) return "the node does all that its settings say now\n";
  const rows = waiting.map((setting) => {
    const before = settings.find((one) => nameOf(one) === nameOf(setting));
    return [
      { text: nameOf(setting), tone: "accent" as const },
      valueCell(before),
      valueCell(setting),
      { text: textField(setting, "origin") ?? "", tone: "dim" as const },
      { text: textField(setting, "taken_by") ?? "", tone: "warning" as const },
    ];
  });
  return printer.table(DIFF_COLUMNS).print(rows);
}

function showDiff(call: Call, printer: Printer, report: Report): number {
  const { waiting, problems } = report;
  const { program, stderr } = call.context;
  if (printer.form === "text") {
    if (problems.length === 0) printer.write(viewDiff(printer, report));
  } else printer.write(printer.jsonList(waiting));
  for (const problem of problems) stderr.write(`${program}: ${problem}\n`);
  if (problems.length > 0) return EXIT.settings;
  return waiting.length === 0 ? EXIT.ok : EXIT.failed;
}

async function config(call: Call): Promise<number> {
  const printer = new Printer(call);
  return await withNode(call, async (node) => {
    const isDiff = call.options.has(DIFF_OPTION.name);
    const path = `${API}/config${isDiff ? "?diff=true" : ""}`;
    const report = readReport(await askJson(node, { method: "GET", path }), isDiff);
    const settings = chosen(report.settings, call.words);
    if (isDiff) {
      const names = new Set(settings.map(nameOf));
      const waiting = report.waiting.filter((setting) => names.has(nameOf(setting)));
      return showDiff(call, printer, { ...report, waiting });
    }
    printer.write(printer.form === "text" ? view(printer, settings) : printer.jsonList(settings));
    return EXIT.ok;
  });
}

export const configCommand: Command = {
  name: "config",
  sentence: "Show the settings that the running node goes by, and where each is from.",
  usage: "[SETTING…] [--diff] [--json | --ndjson] [--url URL] [settings…]",
  wordsMin: 0,
  wordsMax: NAMES_MAX,
  options: [DIFF_OPTION, ...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: ["config", "config brokerPort PEAT_STATIC_PEERS", "config --diff", "config --json"],
  run: config,
};
