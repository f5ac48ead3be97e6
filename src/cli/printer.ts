// How a command shows its result: tables and colour for people, JSON for programs. Every command that lists
// something has these options.
import { setTimeout as pause } from "node:timers/promises";
import { Fault } from "../base/faults.ts";
import type { OptionRow } from "./arguments.ts";
import type { Call } from "./command.ts";
import { printExact } from "./exact-json.ts";
import { type Paint, paintFor } from "./style.ts";
import { type Column, Table } from "./table.ts";

const JSON_OPTION: OptionRow = { name: "json", help: "Print one JSON value, for programs." };

const NDJSON_OPTION: OptionRow = {
  name: "ndjson",
  help: "Print a JSON value a line, each as soon as it is known.",
};

const NO_COLOR_OPTION: OptionRow = {
  name: "no-color",
  help: "No colours; NO_COLOR in the environment says the same.",
};

/** Of a command that shows a list. */
export const LIST_OPTIONS: readonly OptionRow[] = [JSON_OPTION, NDJSON_OPTION, NO_COLOR_OPTION];
/** Of a command that goes on for as long as one likes. */
export const STREAM_OPTIONS: readonly OptionRow[] = [NDJSON_OPTION, NO_COLOR_OPTION];

export type Form = "text" | "json" | "ndjson";

const INDENT = 2;

/** What standard output has not taken yet: beyond, whoever writes should wait. */
const PENDING_BYTES_MAX = 8 * 1024 * 1024;
const PENDING_LOOK_MS = 50;

export class Printer {
  readonly form: Form;
  readonly paint: Paint;
  readonly #call: Call;

  /** Fault `invalid_argument` for --json and --ndjson together. */
  constructor(call: Call) {
    const { context, options } = call;
    const isJson = options.has(JSON_OPTION.name);
    const isNdjson = options.has(NDJSON_OPTION.name);
    if (isJson && isNdjson) {
      throw new Fault("invalid_argument", "--json and --ndjson exclude each other; choose one");
    }
    this.form = isJson ? "json" : isNdjson ? "ndjson" : "text";
    this.paint = paintFor(context.stdout, context, { isPlain: options.has(NO_COLOR_OPTION.name) });
    this.#call = call;
  }

  get isTerminal(): boolean {
    return this.#call.context.stdout.isTerminal;
  }

  /** Cells of a line; undefined in a pipe. */
  get width(): number | undefined {
    const { stdout } = this.#call.context;
    return stdout.isTerminal ? stdout.columns : undefined;
  }

  write(text: string): void {
    this.#call.context.stdout.write(text);
  }

  /** Standard output has enough to do for now. */
  get isBehind(): boolean {
    return this.#call.context.stdout.pendingBytes >= PENDING_BYTES_MAX;
  }

  /** Resolves when it has taken most of that, or never will. */
  async drained(): Promise<void> {
    const { stdout } = this.#call.context;
    if (!this.isBehind) return;
    while (stdout.pendingBytes > PENDING_BYTES_MAX / 2 && stdout.closed?.aborted !== true) {
      await pause(PENDING_LOOK_MS);
    }
  }

  /** One value: over several lines as --json, one line as --ndjson. */
  json(value: unknown): string {
    return `${printExact(value, this.form === "ndjson" ? {} : { indent: INDENT })}\n`;
  }

  /** Values of which all are known: an array as --json, one a line as --ndjson. */
  jsonList(values: readonly unknown[]): string {
    return this.form === "ndjson"
      ? values.map((value) => this.json(value)).join("")
      : this.json(values);
  }

  table(columns: readonly Column[]): Table {
    return new Table(columns, { paint: this.paint, width: this.width });
  }
}
