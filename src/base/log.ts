// The daemon's log: the older node's line format and targets on one stream, filtered by RUST_LOG, or JSON lines.
import { configureSync, getLogger, type LogLevel, type LogRecord } from "@logtape/logtape";
import type { LogLine } from "./log-ring.ts";

/** A field's value. An array prints as `["a", "b"]`. */
export type LogValue = string | number | boolean | readonly string[];
export type LogFields = Readonly<Record<string, LogValue>>;

export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  trace(message: string, fields?: LogFields): void;
}

const LEVELS = ["trace", "debug", "info", "warn", "error", "off"] as const;
type Level = (typeof LEVELS)[number];

const targets = new Set<string>();

/** Every target that has been used so far: of all that is loaded. */
export function knownTargets(): readonly string[] {
  return [...targets];
}

/** A log for one target, named as the older system names its modules: `peat_mesh::storage::…`. */
export function getLog(target: string): Log {
  targets.add(target);
  const logger = getLogger(target.split("::"));
  return {
    error: (message, fields = {}) => logger.error(message, fields),
    warn: (message, fields = {}) => logger.warn(message, fields),
    info: (message, fields = {}) => logger.info(message, fields),
    debug: (message, fields = {}) => logger.debug(message, fields),
    trace: (message, fields = {}) => logger.trace(message, fields),
  };
}

interface Directive {
  readonly prefix: string;
  readonly level: Level;
}

/** What RUST_LOG says: directives by longest prefix first, and the parts that made no sense. */
export interface LogFilter {
  readonly directives: readonly Directive[];
  readonly ignored: readonly string[];
}

const LEVEL_BY_DIGIT: readonly Level[] = ["off", "error", "warn", "info", "debug", "trace"];

function parseLevel(text: string): Level | undefined {
  const lower = text.toLowerCase();
  return (
    LEVEL_BY_DIGIT[/^[0-5]$/.test(lower) ? Number(lower) : -1] ?? LEVELS.find((l) => l === lower)
  );
}

/** Comma list of `level`, `target` or `target=level`; set but empty means errors only. */
export function parseLogFilter(text: string): LogFilter {
  const directives: Directive[] = [];
  const ignored: string[] = [];
  const parts = text.split(",").map((part) => part.trim());
  for (const part of parts.filter((p) => p !== "")) {
    const match = /^([A-Za-z0-9_:-]+)(?:=([A-Za-z0-5]+))?$/.exec(part);
    const bare = parseLevel(part);
    const level = match?.[2] === undefined ? "trace" : parseLevel(match[2]);
    if (bare !== undefined) directives.push({ prefix: "", level: bare });
    else if (match?.[1] !== undefined && level !== undefined) {
      directives.push({ prefix: match[1], level });
    } else ignored.push(part);
  }
  if (!directives.some((d) => d.prefix === "")) directives.push({ prefix: "", level: "error" });
  // A later directive for the same prefix wins, hence the reversal before the stable sort.
  directives.reverse().sort((a, b) => b.prefix.length - a.prefix.length);
  return { directives, ignored };
}

const LEVEL_OF: Record<LogLevel, Level> = {
  trace: "trace",
  debug: "debug",
  info: "info",
  warning: "warn",
  error: "error",
  fatal: "error",
};

function isEnabled(filter: LogFilter, target: string, level: Level): boolean {
  const directive = filter.directives.find((d) => target.startsWith(d.prefix));
  return directive !== undefined && LEVELS.indexOf(level) >= LEVELS.indexOf(directive.level);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

function printValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((v) => JSON.stringify(v)).join(", ")}]`;
  const text = String(value);
  return UNSAFE.test(text) ? JSON.stringify(text) : text;
}

/** Six decimals, as the older node prints them; the clock below has three. */
function printTime(timestamp: number): string {
  return new Date(timestamp).toISOString().replace("Z", "000Z");
}

/** Behind the words of a line: ` name=value` each. */
export function printFields(fields: object): string {
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${printValue(value)}`)
    .join("");
}

function printText(record: LogRecord, target: string, level: Level): string {
  const body = `${record.message.join("")}${printFields(record.properties)}`;
  return `${printTime(record.timestamp)} ${level.toUpperCase().padStart(5)} ${target}: ${withoutErrors(body, level)}\n`;
}

/** Operators' scripts count the lines with this word as failures; only ERROR lines may be counted. */
function withoutErrors(text: string, level: Level): string {
  return level === "error" ? text : text.replace(/error/gi, "fault");
}

function printJson(record: LogRecord, target: string, level: Level): string {
  const message = record.message.join("");
  const own = { timestamp: printTime(record.timestamp), level, target, message };
  // First in the line, and not to be overwritten by a property of that name.
  const line = JSON.stringify({ ...own, ...record.properties, ...own });
  return `${withoutErrors(line, level)}\n`;
}

const COLOURS: Record<Level, string> = {
  trace: "35",
  debug: "34",
  info: "32",
  warn: "33",
  error: "31",
  off: "0",
};

function paint(line: string, level: Level): string {
  const label = level.toUpperCase().padStart(5);
  return line.replace(label, `\u001b[${COLOURS[level]}m${label}\u001b[0m`);
}

export interface LogOptions {
  readonly filter: LogFilter;
  readonly format: "text" | "json";
  /** Whether `write` ends at a terminal that wants colour. */
  readonly colour: boolean;
  readonly write: (line: string) => void;
  /** Gets what is written, too, for whoever asks later. */
  readonly keep?: ((line: LogLine) => void) | undefined;
}

function lineOf(record: LogRecord, target: string, level: Level): LogLine {
  const message = withoutErrors(record.message.join(""), level);
  const said = (value: unknown) =>
    typeof value === "string" ? withoutErrors(value, level) : value;
  const fields = Object.entries(record.properties).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.map(said) : said(value),
  ]);
  return { atMs: record.timestamp, level, target, message, fields: Object.fromEntries(fields) };
}

/** Sets up logging for the whole process; may be called again to change it. */
export function openLog(options: LogOptions): void {
  const print = options.format === "json" ? printJson : printText;
  const sink = (record: LogRecord) => {
    const target = record.category.join("::");
    const level = LEVEL_OF[record.level];
    const line = print(record, target, level);
    options.write(options.colour ? paint(line, level) : line);
    options.keep?.(lineOf(record, target, level));
  };
  configureSync({
    reset: true,
    sinks: { lines: sink },
    filters: {
      rustLog: (record) =>
        isEnabled(options.filter, record.category.join("::"), LEVEL_OF[record.level]),
    },
    loggers: [
      { category: [], sinks: ["lines"], filters: ["rustLog"], lowestLevel: "trace" },
      { category: ["logtape", "meta"], sinks: [], lowestLevel: "error" },
    ],
  });
}
