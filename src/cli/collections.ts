// `collections`: which there are, and how many documents each has.
import { API } from "../broker/api-path.ts";
import { listIn, numberField, textField } from "./answer.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { askJson, withNode } from "./node.ts";
import { NODE_OPTIONS, type NodeClient } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { printCount } from "./quantities.ts";
import type { Column } from "./table.ts";

const COLUMNS: readonly Column[] = [
  { title: "COLLECTION", shrinksTo: 16 },
  { title: "DOCUMENTS", align: "right" },
];

export async function askCollections(node: NodeClient): Promise<readonly unknown[]> {
  const answer = await askJson(node, { method: "GET", path: `${API}/collections` });
  return listIn(answer, "collections");
}

function view(printer: Printer, collections: readonly unknown[]): string {
  if (collections.length === 0) return "there are no documents yet\n";
  const counts = collections.map((one) => numberField(one, "count") ?? 0);
  const rows = collections.map((one, at) => [
    { text: textField(one, "name") ?? "?", tone: "accent" as const },
    String(counts[at]),
  ]);
  const table = printer.table(COLUMNS).print(rows);
  if (printer.width === undefined) return table;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const summary = `${printCount(rows.length, "collection")}, ${printCount(total, "document")}`;
  return `${table}${printer.paint(summary, "dim")}\n`;
}

async function collectionsOf(call: Call): Promise<number> {
  const printer = new Printer(call);
  return await withNode(call, async (node) => {
    const collections = await askCollections(node);
    const isText = printer.form === "text";
    printer.write(isText ? view(printer, collections) : printer.jsonList(collections));
    return EXIT.ok;
  });
}

export const collectionsCommand: Command = {
  name: "collections",
  sentence: "Show the collections that have documents, and how many each has.",
  usage: "[--json | --ndjson] [--url URL] [--timeout SECONDS] [settings…]",
  wordsMin: 0,
  wordsMax: 0,
  options: [...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: ["collections", "collections --json"],
  run: collectionsOf,
};
