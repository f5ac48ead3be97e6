// `deleted`, `orphans`, `recover` and `discard`: what the node on this machine keeps beside its documents.
import { Fault } from "../base/faults.ts";
import { listIn, numberField, textField } from "./answer.ts";
import type { BrokerMethod } from "./broker-client.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { eachOf } from "./each-of.ts";
import { askGood, askJson, withNode } from "./node.ts";
import { NODE_OPTIONS } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { printAge, printBytes } from "./quantities.ts";
import type { Column, Row } from "./table.ts";

const LIST_PATH = "/api/v1/set-aside";
const PAGE_ENTRIES = 500;

const COLUMNS: readonly Column[] = [
  { title: "NUMBER", align: "right" },
  { title: "SINCE" },
  { title: "BYTES", align: "right", rank: 1 },
  { title: "DOCUMENT", shrinksTo: 20 },
];

const NONE = {
  deleted:
    "no contents of deleted documents are kept: of collections with soft_delete in PEAT_DELETION_POLICIES they are",
  orphan: "no documents are set aside",
} as const;

interface Page {
  readonly entries: readonly unknown[];
  readonly next: number | undefined;
}

/** Fault `wire_invalid` for an answer that is none of a node's. */
function parsePage(answer: unknown): Page {
  return { entries: listIn(answer, "entries"), next: numberField(answer, "next") };
}

/** A moment that JavaScript can show; a node has no other ones. */
function printMoment(atMs: number | undefined, isTerminal: boolean): string {
  const at = new Date(atMs ?? Number.NaN);
  if (Number.isNaN(at.getTime())) return "?";
  return isTerminal ? printAge(at.getTime(), Date.now()) : at.toISOString();
}

function toRow(entry: unknown, isTerminal: boolean): Row {
  const bytes = numberField(entry, "bytes");
  return [
    String(numberField(entry, "id") ?? "?"),
    printMoment(numberField(entry, "at_ms"), isTerminal),
    bytes === undefined ? "?" : isTerminal ? printBytes(bytes) : String(bytes),
    `${textField(entry, "collection") ?? "?"}/${textField(entry, "doc_id") ?? "?"}`,
  ];
}

async function list(call: Call, why: "deleted" | "orphan"): Promise<number> {
  const printer = new Printer(call);
  const table = printer.table(COLUMNS);
  return await withNode(call, async (node) => {
    const kept: unknown[] = [];
    let isEmpty = true;
    for (let after: number | undefined = 0; after !== undefined; ) {
      const path = `${LIST_PATH}?why=${why}&limit=${PAGE_ENTRIES}&after=${after}`;
      const { entries, next } = parsePage(await askJson(node, { method: "GET", path }));
      isEmpty &&= entries.length === 0;
      if (printer.form === "json") for (const entry of entries) kept.push(entry);
      else if (printer.form === "ndjson") printer.write(printer.jsonList(entries));
      else if (entries.length > 0) {
        printer.write(table.print(entries.map((entry) => toRow(entry, printer.isTerminal))));
      }
      if (next !== undefined && next <= after) {
        throw new Fault("wire_invalid", "the node gives the same page again and again");
      }
      after = next;
    }
    if (printer.form === "json") printer.write(printer.json(kept));
    else if (printer.form === "text" && isEmpty) printer.write(`${NONE[why]}\n`);
    return EXIT.ok;
  });
}

/** Numbers as they stand in the first column of a list. */
function readNumbers(words: readonly string[]): readonly string[] {
  const wrong = words.find((word) => !/^[0-9]{1,15}$/.test(word));
  if (wrong === undefined) return words;
  throw new Fault("invalid_argument", `${wrong} is not the number of an entry`);
}

/** Each number by itself: one that fails does not keep the others. The code is that of the first failure. */
async function change(
  call: Call,
  { method, path, done }: { method: BrokerMethod; path: (id: string) => string; done: string },
): Promise<number> {
  const { context, words } = call;
  const entries = readNumbers(words).map((id) => ({ id, text: `number ${id}` }));
  return await withNode(call, (node) =>
    eachOf(call, entries, async ({ id }) => {
      await askGood(node, { method, path: path(id) });
      context.stdout.write(`${done} ${id}\n`);
    }),
  );
}

const NUMBERS_MAX = 1000;

function listCommand(
  name: string,
  why: "deleted" | "orphan",
  { sentence }: { sentence: string },
): Command {
  return {
    name,
    sentence,
    usage: "[--json | --ndjson] [--url URL] [settings…]",
    wordsMin: 0,
    wordsMax: 0,
    options: [...LIST_OPTIONS, ...NODE_OPTIONS],
    takesSettings: true,
    examples: [name, `${name} --json`],
    run: (call) => list(call, why),
  };
}

export const deletedCommand = listCommand("deleted", "deleted", {
  sentence: "List deleted documents that can be recovered: number, time, bytes, document.",
});

export const orphansCommand = listCommand("orphans", "orphan", {
  sentence:
    "List documents set aside because this node was away for too long: number, time, bytes, document.",
});

export const recoverCommand: Command = {
  name: "recover",
  sentence: "Bring back what `deleted` or `orphans` list, by its number.",
  usage: "NUMBER… [--url URL] [--timeout SECONDS] [settings…]",
  wordsMin: 1,
  wordsMax: NUMBERS_MAX,
  options: NODE_OPTIONS,
  takesSettings: true,
  examples: ["recover 17", "recover 17 18 19"],
  run: (call) =>
    change(call, { method: "POST", path: (id) => `${LIST_PATH}/${id}/restore`, done: "recovered" }),
};

export const discardCommand: Command = {
  name: "discard",
  sentence: "Give up what `deleted` or `orphans` list, by its number, for good.",
  usage: "NUMBER… [--url URL] [--timeout SECONDS] [settings…]",
  wordsMin: 1,
  wordsMax: NUMBERS_MAX,
  options: NODE_OPTIONS,
  takesSettings: true,
  examples: ["discard 17"],
  run: (call) =>
    change(call, { method: "DELETE", path: (id) => `${LIST_PATH}/${id}`, done: "discarded" }),
};
