// How distributions are shown: as tables, as bars that move, as lines of what has changed.
import { listField, numberField, textField } from "./answer.ts";
import type { Context } from "./context.ts";
import type { Printer } from "./printer.ts";
import { printBar } from "./progress.ts";
import { printAge, printBytes } from "./quantities.ts";
import { canDraw, type Tone } from "./style.ts";
import { type Cell, type Column, cutText, type Row } from "./table.ts";
import { safeText } from "./terminal-text.ts";

const LIST_COLUMNS: readonly Column[] = [
  { title: "ID" },
  { title: "FILE", shrinksTo: 16 },
  { title: "SIZE", align: "right" },
  { title: "STATUS" },
  { title: "NODES", align: "right" },
  { title: "FROM", rank: 2 },
  { title: "STARTED", rank: 1 },
];

const NODE_COLUMNS: readonly Column[] = [
  { title: "FILE", shrinksTo: 16 },
  { title: "NODE", shrinksTo: 10 },
  { title: "STATUS" },
  { title: "RECEIVED", align: "right" },
  { title: "WHY", isNote: true },
];

const TONES: Readonly<Record<string, Tone>> = {
  completed: "good",
  in_progress: "accent",
  pending: "dim",
  failed: "bad",
  cancelled: "warning",
};

export const statusOf = (told: unknown): string => textField(told, "status") ?? "?";
const nameOf = (told: unknown): string => textField(told, "name") ?? "?";

function nodesOf(distribution: unknown): readonly unknown[] {
  return listField(distribution, "nodes");
}

export function isOver(told: unknown): boolean {
  return ["completed", "failed", "cancelled"].includes(statusOf(told));
}

/** Nodes that are not connected here have an id only. */
const nodeName = (node: unknown): string => textField(node, "name") ?? textField(node, "id") ?? "?";

function statusCell(told: unknown): Cell {
  const status = statusOf(told);
  return { text: status.replace("_", " "), tone: TONES[status] ?? "plain" };
}

export function viewList(printer: Printer, distributions: readonly unknown[]): string {
  if (distributions.length === 0) return "no files have been sent lately\n";
  const nowMs = Date.now();
  const rows = distributions.map((told): Row => {
    const nodes = nodesOf(told);
    const done = nodes.filter((node) => statusOf(node) === "completed").length;
    return [
      { text: textField(told, "id") ?? "?", tone: "accent" },
      nameOf(told),
      printBytes(numberField(told, "size_bytes") ?? 0),
      statusCell(told),
      `${done}/${nodes.length}`,
      textField(told, "sender") ?? "",
      printAge(numberField(told, "started_at_ms") ?? nowMs, nowMs),
    ];
  });
  return printer.table(LIST_COLUMNS).print(rows);
}

export function viewNodes(printer: Printer, distributions: readonly unknown[]): string {
  const rows = distributions.flatMap((told): Row[] => {
    const why = (one: unknown) => ({
      text: textField(one, "error") ?? "",
      tone: "warning" as const,
    });
    const nodes = nodesOf(told);
    if (nodes.length === 0) return [[nameOf(told), "(to nobody)", statusCell(told), "", why(told)]];
    return nodes.map((node) => [
      nameOf(told),
      { text: nodeName(node), tone: "accent" },
      statusCell(node),
      printBytes(numberField(node, "bytes") ?? 0),
      textField(node, "error") === undefined ? why(told) : why(node),
    ]);
  });
  return printer.table(NODE_COLUMNS).print(rows);
}

const UP = (lines: number): string => (lines === 0 ? "" : `\u001b[${lines}A`);
const CLEAR_LINE_END = "\u001b[K";
const NAME_CELLS_MAX = 24;
const STATUS_CELLS = 11;
const WIDTH_FALLBACK = 80;

/** What of each node is told again only when it is another. */
function stateOf(told: unknown, node: unknown): string {
  const cells = [nameOf(told), nodeName(node), statusOf(node).replace("_", " ")];
  const bytes = printBytes(numberField(node, "bytes") ?? 0);
  const why = textField(node, "error");
  return [...cells, bytes, ...(why === undefined ? [] : [why])].map(safeText).join("  ");
}

/** Distributions on their way: a bar for each node on a terminal, else a line for each change of a node's state. */
export class Board {
  readonly #printer: Printer;
  readonly #context: Context;
  readonly #states = new Map<string, string>();
  readonly #isAble: boolean;
  #drawn = 0;

  constructor(printer: Printer, context: Context) {
    this.#printer = printer;
    this.#context = context;
    this.#isAble = canDraw(printer, context);
  }

  show(distributions: readonly unknown[]): void {
    const { form } = this.#printer;
    if (form === "ndjson") this.#showJson(distributions);
    else if (form === "text" && this.#isAble) this.#draw(distributions);
    else if (form === "text") this.#showLines(distributions);
  }

  #isNew(key: string, state: string): boolean {
    if (this.#states.get(key) === state) return false;
    this.#states.set(key, state);
    return true;
  }

  #showJson(distributions: readonly unknown[]): void {
    for (const told of distributions) {
      const line = this.#printer.json(told);
      if (this.#isNew(textField(told, "id") ?? "", line)) this.#printer.write(line);
    }
  }

  #showLines(distributions: readonly unknown[]): void {
    for (const told of distributions) {
      for (const node of nodesOf(told)) {
        const key = `${textField(told, "id")} ${textField(node, "id")}`;
        if (this.#isNew(key, statusOf(node))) this.#printer.write(`${stateOf(told, node)}\n`);
      }
    }
  }

  #draw(distributions: readonly unknown[]): void {
    const { stdout } = this.#context;
    const width = (stdout.columns ?? WIDTH_FALLBACK) - 1;
    const pairs = distributions.flatMap((told) => nodesOf(told).map((node) => ({ told, node })));
    const widest = (names: readonly string[]) =>
      Math.min(NAME_CELLS_MAX, Math.max(0, ...names.map((name) => Bun.stringWidth(name))));
    const widths = {
      file: widest(pairs.map(({ told }) => safeText(nameOf(told)))),
      node: widest(pairs.map(({ node }) => safeText(nodeName(node)))),
    };
    const all = pairs.map(({ told, node }) => this.#bar(told, node, widths));
    // What scrolls away can't be drawn over.
    const room = Math.max(1, (stdout.rows ?? all.length + 2) - 2);
    const left = all.length - room;
    const lines = left > 0 ? [...all.slice(0, room), `… ${left} more nodes`] : all;
    const text = lines.map((line) => `${cutText(line, width)}${CLEAR_LINE_END}\n`).join("");
    stdout.write(`${UP(this.#drawn)}${text}`);
    this.#drawn = lines.length;
  }

  #bar(told: unknown, node: unknown, widths: { file: number; node: number }): string {
    const { paint } = this.#printer;
    const total = numberField(told, "size_bytes") ?? 0;
    const bytes = numberField(node, "bytes") ?? 0;
    const isDone = statusOf(node) === "completed";
    const part = isDone || total === 0 ? Number(isDone) : Math.min(1, bytes / total);
    const { text, tone } = statusCell(node);
    const name = (title: string, cells: number) => {
      const cut = cutText(safeText(title), cells);
      return cut + " ".repeat(cells - Bun.stringWidth(cut));
    };
    const why = safeText(textField(node, "error") ?? "");
    const amount = `${printBytes(isDone ? total : bytes)} of ${printBytes(total)}`;
    const status = paint(safeText(text).padEnd(STATUS_CELLS), tone);
    return `${name(nameOf(told), widths.file)}  ${name(nodeName(node), widths.node)}  ${printBar(part, paint)} ${status} ${why === "" ? amount : why}`;
  }
}
