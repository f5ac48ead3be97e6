// `history`: how a document came to be: its changes, who wrote each field last, or its deletion.
import { field, listField, numberField, textField } from "./answer.ts";
import { countOf, type OptionRow } from "./arguments.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { parseDocumentName } from "./document-name.ts";
import { askJson, withNode } from "./node.ts";
import { NODE_OPTIONS } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { printBytes, printCount } from "./quantities.ts";
import { cutText } from "./table.ts";
import { safeText } from "./terminal-text.ts";

const LIMIT_OPTION: OptionRow = {
  name: "limit",
  value: "COUNT",
  help: "Most changes, the newest first; 20 unless given.",
};

const SHORT_ID_CHARS = 8;

/** Times of changes are kept to the second. */
function printTime(atMs: number | undefined): string {
  const isTime = atMs !== undefined && atMs > 0 && Math.abs(atMs) < 8.64e15;
  return isTime ? new Date(atMs).toISOString().replace(/\.\d+Z$/, "Z") : "time not known";
}

/** A node's name, else the start of a process, of which no name is known. */
function printWriter(value: unknown, idName: "actor" | "start"): string {
  return (
    textField(value, "node") ?? `start ${(textField(value, idName) ?? "").slice(0, SHORT_ID_CHARS)}`
  );
}

class HistoryText {
  readonly #printer: Printer;

  constructor(printer: Printer) {
    this.#printer = printer;
  }

  print(history: unknown): string {
    const fields = listField(history, "fields");
    // A rendering is this node's own, whoever wrote what it shows.
    const hasWriters = textField(history, "source") === "document";
    return [
      this.#about(history),
      fields.length === 0 ? "" : `\n${this.#fields(fields)}`,
      ...listField(history, "changes").map((change) => `\n${this.#change(change, hasWriters)}`),
      this.#left(history),
    ].join("");
  }

  #about(history: unknown): string {
    const { paint } = this.#printer;
    const name = `${textField(history, "collection")}/${textField(history, "doc_id")}`;
    const deleted = field(history, "deleted");
    const told =
      typeof deleted === "object" && deleted !== null
        ? this.#deletion(deleted)
        : `created ${printTime(numberField(history, "born_ms"))}`;
    return `${paint(safeText(name), "strong")}  ${told}\n`;
  }

  #deletion(deleted: object): string {
    const [by, reason] = [textField(deleted, "by") ?? "", textField(deleted, "reason") ?? ""];
    const told = `deleted ${printTime(numberField(deleted, "at_ms"))}${by === "" ? "" : ` by ${by}`}`;
    return this.#printer.paint(safeText(reason === "" ? told : `${told}: ${reason}`), "bad");
  }

  #fields(fields: readonly unknown[]): string {
    const table = this.#printer.table([
      { title: "FIELD", shrinksTo: 12 },
      { title: "WRITTEN" },
      { title: "BY", rank: 1 },
    ]);
    return table.print(
      fields.map((one) => [
        textField(one, "name") ?? "",
        `${printTime(numberField(one, "at_ms"))}${field(one, "removed") === true ? ", removed" : ""}`,
        printWriter(one, "start"),
      ]),
    );
  }

  #change(change: unknown, hasWriter: boolean): string {
    const { paint } = this.#printer;
    const head = [
      paint(printTime(numberField(change, "at_ms")), "strong"),
      ...(hasWriter ? [paint(safeText(printWriter(change, "actor")), "accent")] : []),
      paint(printBytes(numberField(change, "bytes") ?? 0), "dim"),
      paint(safeText((textField(change, "hash") ?? "").slice(0, SHORT_ID_CHARS)), "dim"),
    ].join("  ");
    const left = numberField(change, "edits_left") ?? 0;
    const more = left === 0 ? "" : `    ${paint(`and ${left} more`, "dim")}\n`;
    return `${head}\n${listField(change, "edits")
      .map((edit) => this.#edit(edit))
      .join("")}${more}`;
  }

  #edit(edit: unknown): string {
    const { paint, width } = this.#printer;
    const path = safeText(textField(edit, "path") ?? "");
    const room = Math.max(20, ((width ?? 1000) - path.length) / 2 - 6);
    const show = (value: string) => cutText(safeText(value), room);
    const [before, after] = [textField(edit, "before"), textField(edit, "after")];
    const parts = [
      before === undefined ? "" : paint(show(before), "bad"),
      after === undefined ? paint("removed", "dim") : paint(show(after), "good"),
    ].filter((part) => part !== "");
    return `    ${path}  ${parts.join(" → ")}\n`;
  }

  #left(history: unknown): string {
    const { paint } = this.#printer;
    const total = numberField(history, "change_count");
    if (total === undefined && textField(history, "source") !== undefined) {
      return `\n${paint("its changes are more bytes than a node reads", "warning")}\n`;
    }
    const left = (total ?? 0) - listField(history, "changes").length;
    if (left <= 0) return "";
    return `\n${paint(`${printCount(left, "earlier change")} not shown; see --limit`, "dim")}\n`;
  }
}

async function historyOf(call: Call): Promise<number> {
  const { path } = parseDocumentName(call.words[0] ?? "");
  const printer = new Printer(call);
  const limit = countOf(call.options, LIMIT_OPTION);
  const query = limit === undefined ? "" : `?limit=${limit}`;
  return await withNode(call, async (node) => {
    const history = await askJson(node, { method: "GET", path: `${path}/history${query}` });
    const text = new HistoryText(printer);
    printer.write(printer.form === "text" ? text.print(history) : printer.json(history));
    return EXIT.ok;
  });
}

export const historyCommand: Command = {
  name: "history",
  sentence: "Show how a document came to be: its changes, who wrote its fields, its deletion.",
  usage: "COLLECTION/ID [--limit COUNT] [--json | --ndjson] [--url URL] [settings…]",
  wordsMin: 1,
  wordsMax: 1,
  options: [LIMIT_OPTION, ...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: ["history orders/o1", "history tracks/t1 --limit 5 --json"],
  run: historyOf,
};
