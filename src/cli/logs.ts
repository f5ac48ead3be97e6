// `logs`: what the running node has said lately, what it goes on to say, and how much it says.
import { Fault } from "../base/faults.ts";
import { printFields } from "../base/log.ts";
import { LOG_LEVELS } from "../base/log-ring.ts";
import { API } from "../broker/api-path.ts";
import { Absence } from "./absence.ts";
import { field, listField, listIn, numberField, textField } from "./answer.ts";
import { choiceOf, type OptionRow, refuseOptions } from "./arguments.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { endOfWatching, pauseUntil } from "./interruption.ts";
import { askJson, withNode } from "./node.ts";
import { NODE_OPTIONS, type NodeClient } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { printCount } from "./quantities.ts";
import type { Tone } from "./style.ts";
import { safeText } from "./terminal-text.ts";

const LINES_OPTION: OptionRow = {
  name: "lines",
  short: "n",
  value: "COUNT",
  help: "So many of the newest lines (100).",
};
const FOLLOW_OPTION: OptionRow = {
  name: "follow",
  short: "f",
  help: "Go on with what is said from then on, until Ctrl-C; also over restarts of the node.",
};
const LEVEL_OPTION: OptionRow = {
  name: "level",
  value: LOG_LEVELS.join("|"),
  help: "Only lines of this level or graver.",
};
const RESET_OPTION: OptionRow = {
  name: "reset",
  help: "With `level`: log as the settings say again.",
};

const LOGS_PATH = `${API}/logs`;
const FILTER_PATH = `${API}/log-filter`;
/** The most that a node gives at once. */
const PAGE_LINES = 1000;
const LINES_MAX = 100_000;
const PAUSE_MS = 500;

const TONES: Readonly<Record<string, Tone>> = {
  error: "bad",
  warn: "warning",
  info: "good",
  debug: "dim",
  trace: "dim",
};

interface Page {
  readonly lines: readonly unknown[];
  readonly next: number;
  readonly dropped: number;
}

async function askPage(node: NodeClient, query: Record<string, string>): Promise<Page> {
  const path = `${LOGS_PATH}?${new URLSearchParams(query)}`;
  const answer = await askJson(node, { method: "GET", path });
  const lines = listIn(answer, "lines", "log lines");
  const next = numberField(answer, "next");
  if (next === undefined) {
    throw new Fault("wire_invalid", "the answer of the node does not say where its lines end");
  }
  return { lines, next, dropped: numberField(answer, "dropped") ?? 0 };
}

/** Milliseconds as the node prints them; whatever is no time as itself. */
function printTime(atMs: number): string {
  const time = new Date(atMs);
  return Number.isNaN(time.getTime()) ? String(atMs) : time.toISOString();
}

/** Of a node's making, hence of any shape. */
function printAnyFields(fields: unknown): string {
  if (typeof fields !== "object" || fields === null) return "";
  const entries = Object.entries(fields).map(([name, value]): [string, unknown] => {
    const isOwn = typeof value === "string" || Array.isArray(value);
    return [name, isOwn ? value : JSON.stringify(value)];
  });
  return printFields(Object.fromEntries(entries));
}

/** As the node itself prints it. */
function printLine(printer: Printer, line: unknown): string {
  if (printer.form !== "text") return printer.json(line);
  const { paint } = printer;
  const level = textField(line, "level") ?? "?";
  const at = printTime(numberField(line, "at_ms") ?? 0);
  const told = printAnyFields(field(line, "fields"));
  const words = safeText(`${textField(line, "message") ?? ""}${told}`);
  const label = paint(safeText(level).toUpperCase().padStart(5), TONES[level] ?? "plain");
  const target = paint(`${safeText(textField(line, "target") ?? "")}:`, "dim");
  return `${paint(at, "dim")} ${label} ${target} ${words}\n`;
}

function readCount(text: string | undefined): number {
  if (text === undefined) return 100;
  const count = /^[0-9]{1,6}$/.test(text) ? Number(text) : -1;
  if (count >= 0 && count <= LINES_MAX) return count;
  throw new Fault("invalid_argument", `--lines must be a number of lines, at most ${LINES_MAX}`);
}

function readLevel(options: Call["options"]): Record<string, string> {
  const level = choiceOf(options, LEVEL_OPTION, LOG_LEVELS);
  return level === undefined ? {} : { level };
}

/** The newest `count` lines, and where those that follow begin. */
async function newest(
  node: NodeClient,
  { count, level }: { readonly count: number; readonly level: Record<string, string> },
): Promise<{ readonly lines: readonly unknown[]; readonly next: number }> {
  if (count <= PAGE_LINES) {
    const { lines, next } = await askPage(node, { ...level, limit: String(Math.max(1, count)) });
    return { lines: count === 0 ? [] : lines, next };
  }
  const lines: unknown[] = [];
  let after = 0;
  while (true) {
    const page = await askPage(node, { ...level, limit: String(PAGE_LINES), after: String(after) });
    lines.push(...page.lines);
    lines.splice(0, lines.length - count);
    if (page.lines.length < PAGE_LINES) return { lines, next: page.next };
    if (page.next <= after) {
      throw new Fault("wire_invalid", "the node gives the same lines again and again");
    }
    after = page.next;
  }
}

function tell({ context: { program, stderr } }: Call, sentence: string): void {
  stderr.write(`${program}: ${sentence}\n`);
}

async function follow(
  call: Call,
  node: NodeClient,
  { printer, after, level }: { printer: Printer; after: number; level: Record<string, string> },
): Promise<void> {
  const over = endOfWatching(call.context);
  const absence = new Absence(call);
  let last = after;
  while (!over.aborted) {
    const query = { ...level, limit: String(PAGE_LINES), after: String(last) };
    const page = await absence.bridge(() => askPage(node, query));
    if (page !== undefined) {
      if (page.dropped > 0) tell(call, `${printCount(page.dropped, "line")} came and went unseen`);
      for (const line of page.lines) printer.write(printLine(printer, line));
      last = page.next;
      if (page.lines.length === PAGE_LINES) continue;
    }
    await pauseUntil(over, PAUSE_MS);
  }
}

async function showLogs(call: Call): Promise<number> {
  const { options } = call;
  refuseOptions(options, [RESET_OPTION], { owner: "logs level" });
  const printer = new Printer(call);
  const isFollowing = options.has(FOLLOW_OPTION.name);
  if (isFollowing && printer.form === "json") {
    throw new Fault("invalid_argument", "--follow has no end, and --json one value; use --ndjson");
  }
  const count = readCount(options.get(LINES_OPTION.name));
  const level = readLevel(options);
  return await withNode(call, async (node) => {
    const { lines, next } = await newest(node, { count, level });
    if (printer.form === "json") printer.write(printer.jsonList(lines));
    else for (const line of lines) printer.write(printLine(printer, line));
    if (isFollowing) await follow(call, node, { printer, after: next, level });
    return EXIT.ok;
  });
}

function viewFilter(call: Call, printer: Printer, answer: unknown): string {
  const filter = printer.paint(safeText(textField(answer, "filter") ?? ""), "strong");
  for (const target of listField(answer, "unknown")) {
    tell(call, `warning: nothing logs as ${safeText(String(target))} so far`);
  }
  const isOrdered = field(answer, "ordered") === true;
  return isOrdered ? `${filter} until the next reload or restart\n` : `${filter} by the settings\n`;
}

async function logLevel(call: Call): Promise<number> {
  const others = [FOLLOW_OPTION, LINES_OPTION, LEVEL_OPTION];
  refuseOptions(call.options, others, { owner: "logs without a word" });
  const printer = new Printer(call);
  const isReset = call.options.has(RESET_OPTION.name);
  const [, filter] = call.words;
  if (isReset && filter !== undefined) {
    throw new Fault("invalid_argument", "--reset and a filter exclude each other; choose one");
  }
  const isRead = !isReset && filter === undefined;
  return await withNode(call, async (node) => {
    const body = JSON.stringify({ filter: filter ?? null });
    const order = isRead ? { method: "GET" as const } : { method: "PUT" as const, body };
    const answer = await askJson(node, { ...order, path: FILTER_PATH });
    const isText = printer.form === "text";
    printer.write(isText ? viewFilter(call, printer, answer) : printer.json(answer));
    return EXIT.ok;
  });
}

export const logsCommand: Command = {
  name: "logs",
  sentence: "Show the newest log lines of the running node, follow them, or change what it logs.",
  usage:
    "[level [FILTER | --reset]] [--follow] [--lines COUNT] [--level LEVEL] [--ndjson] [settings…]",
  wordsMin: 0,
  wordsMax: 2,
  choices: ["level"],
  options: [
    FOLLOW_OPTION,
    LINES_OPTION,
    LEVEL_OPTION,
    RESET_OPTION,
    ...LIST_OPTIONS,
    ...NODE_OPTIONS,
  ],
  takesSettings: true,
  examples: [
    "logs",
    "logs --follow --level warn",
    "logs level",
    "logs level info,peat_mesh::peer_connector=debug",
    "logs level --reset",
  ],
  run: (call) => (call.words[0] === "level" ? logLevel(call) : showLogs(call)),
};
