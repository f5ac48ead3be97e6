// The daemon's log: lines to its output and to memory, by the filter of the settings or of an operator.
import { Fault } from "../base/faults.ts";
import { getLog, knownTargets, openLog, parseLogFilter } from "../base/log.ts";
import { type LogPage, type LogQuery, LogRing } from "../base/log-ring.ts";
import type { FilterView, LogControl } from "../broker/node-control.ts";
import type { Config } from "../config/settings.ts";
import type { Context, Output } from "./context.ts";

const log = getLog("peat_mesh_node");

/** A log that nobody reads is dropped from here on, and told of once somebody does. */
export const LOG_PENDING_BYTES_MAX = 8 * 1024 * 1024;
/** Of the lines that are kept to be asked for. */
const RING_BYTES = 1024 * 1024;
/** Numbers of lines that a process has for each ms until the next one may begin. */
const NUMBERS_PER_MS = 100;
const FILTER_CHARS_MAX = 4096;

/** Writes log lines; while too much waits to be read, drops them and counts. */
export function logWriter(stdout: Output): (line: string) => void {
  let droppedLines = 0;
  return (line) => {
    if (stdout.pendingBytes > LOG_PENDING_BYTES_MAX) {
      droppedLines += 1;
      return;
    }
    stdout.write(line);
    if (droppedLines === 0) return;
    const lines = droppedLines;
    droppedLines = 0;
    queueMicrotask(() => log.warn("Log lines were dropped while nobody read them", { lines }));
  };
}

type LogSettings = Pick<Config, "logFilter" | "logFormat">;

export class DaemonLog implements LogControl {
  readonly #ring = new LogRing(RING_BYTES, Date.now() * NUMBERS_PER_MS);
  readonly #write: (line: string) => void;
  readonly #colour: boolean;
  #settings: LogSettings;
  #ordered: string | undefined;

  /** Logs by these settings from now on, for the whole process. */
  constructor(settings: LogSettings, { stdout, environment }: Context) {
    this.#write = logWriter(stdout);
    this.#colour = stdout.isTerminal && (environment["NO_COLOR"] ?? "") === "";
    this.#settings = settings;
    this.#open();
  }

  /** Other settings, which end what was ordered. */
  reload(settings: LogSettings): void {
    this.#settings = settings;
    this.#ordered = undefined;
    this.#open();
  }

  get filter(): FilterView {
    const filter = this.#ordered ?? this.#settings.logFilter;
    const targets = knownTargets();
    const unknown = parseLogFilter(filter)
      .directives.map(({ prefix }) => prefix)
      .filter((prefix) => !targets.some((target) => target.startsWith(prefix)));
    return { filter, isOrdered: this.#ordered !== undefined, unknown };
  }

  orderFilter(text: string | null): void {
    if (text !== null) checkFilter(text);
    this.#ordered = text ?? undefined;
    this.#open();
    const { filter } = this.filter;
    if (text === null) log.info("Log filter is that of the settings again", { filter });
    else log.info("Log filter ordered until the next reload or restart", { filter });
  }

  read(query: LogQuery): LogPage {
    return this.#ring.read(query);
  }

  #open(): void {
    const { logFilter, logFormat } = this.#settings;
    openLog({
      filter: parseLogFilter(this.#ordered ?? logFilter),
      format: logFormat,
      colour: this.#colour,
      write: this.#write,
      keep: (line) => this.#ring.add(line),
    });
  }
}

/** Fault `invalid_argument`. */
function checkFilter(text: string): void {
  if (text.length > FILTER_CHARS_MAX) {
    throw new Fault("invalid_argument", `a filter has at most ${FILTER_CHARS_MAX} characters`);
  }
  const [wrong] = parseLogFilter(text).ignored;
  if (wrong !== undefined) {
    const shown = JSON.stringify(wrong.slice(0, 80));
    throw new Fault(
      "invalid_argument",
      `${shown} is none of: a level (error, warn, info, debug, trace, off), a target, target=level`,
    );
  }
}
