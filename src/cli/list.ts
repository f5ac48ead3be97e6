// `list` and `query`: the documents of a collection, all pages of them, as a table or as JSON.
import { Fault } from "../base/faults.ts";
import { API } from "../broker/api-path.ts";
import { parseOrder } from "../broker/filter.ts";
import { parseCollection } from "../store/document-key.ts";
import { type FieldPath, parseFieldPath } from "../store/field-path.ts";
import { field, listIn, numberField, textField } from "./answer.ts";
import { asOption, countOf, type OptionRow } from "./arguments.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { inferColumns, printField } from "./document-columns.ts";
import { askJson, withNode } from "./node.ts";
import { NODE_OPTIONS, type NodeClient } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { Progress } from "./progress.ts";
import type { Column, Table } from "./table.ts";
import { FILTER_OPTION, readWhere, WHERE_OPTION } from "./where.ts";

const LIMIT_OPTION: OptionRow = {
  name: "limit",
  value: "COUNT",
  help: "Not more documents than this; all of them without it.",
};
const FIELDS_OPTION: OptionRow = {
  name: "fields",
  value: "PATHS",
  help: "Columns of the table, as a comma list of paths such as status,position.lat.",
};
const ORDER_OPTION: OptionRow = {
  name: "order",
  value: "PATHS",
  help: "Comma list of up to four paths, with - before one for descending: --order=-confidence,callsign.",
};

const PAGE_DOCUMENTS = 1000;
/** Whoever wants more takes it as lines or pages. */
const JSON_DOCUMENTS_MAX = 1_000_000;

interface Listing {
  readonly collection: string;
  /** Undefined: all. */
  readonly limit: number | undefined;
  readonly paths: readonly FieldPath[] | undefined;
  readonly titles: readonly string[];
  readonly filter: string | undefined;
  readonly order: string | undefined;
}

/** Fault `invalid_argument` for what the node would refuse. */
function readOrder(text: string | undefined): string | undefined {
  if (text !== undefined) asOption(ORDER_OPTION, () => parseOrder(text));
  return text;
}

/** Fault `invalid_argument` for a path that is none. */
function readFields(text: string): { paths: readonly FieldPath[]; titles: readonly string[] } {
  const titles = text.split(/(?<!\\),/).map((path) => path.trim());
  return { titles, paths: asOption(FIELDS_OPTION, () => titles.map(parseFieldPath)) };
}

function readListing({ words, options }: Call): Listing {
  const fields = options.get(FIELDS_OPTION.name);
  const read = fields === undefined ? undefined : readFields(fields);
  return {
    collection: parseCollection(words[0] ?? ""),
    limit: countOf(options, LIMIT_OPTION),
    paths: read?.paths,
    titles: read?.titles ?? [],
    filter: readWhere(options),
    order: readOrder(options.get(ORDER_OPTION.name)),
  };
}

interface DocumentPage {
  readonly documents: readonly unknown[];
  readonly count: number | undefined;
  readonly next: string | undefined;
}

/** Fault `wire_invalid` for an answer that is none of a node's. */
function readPage(answer: unknown): DocumentPage {
  const documents = listIn(answer, "documents");
  if (documents.some((one) => textField(one, "_id") === undefined)) {
    throw new Fault("wire_invalid", "the answer of the node holds documents without ids");
  }
  return { documents, count: numberField(answer, "count"), next: textField(answer, "next") };
}

export interface PagesOptions extends Pick<Listing, "collection" | "limit" | "filter" | "order"> {
  /** Behind this place, as an earlier page told it; from the beginning without one. */
  readonly from?: string | undefined;
}

/** Every page of what was asked for; the last one may have fewer documents than the node gave. */
export async function* pagesOf(
  node: NodeClient,
  { collection, limit, filter, order, from }: PagesOptions,
): AsyncGenerator<DocumentPage, void> {
  let left = limit ?? Number.POSITIVE_INFINITY;
  let after = from;
  do {
    const query = new URLSearchParams({ limit: String(Math.min(left, PAGE_DOCUMENTS)) });
    if (filter !== undefined) query.set("filter", filter);
    if (order !== undefined) query.set("order", order);
    if (after !== undefined) query.set("after", after);
    const path = `${API}/documents/${encodeURIComponent(collection)}?${query}`;
    const page = readPage(await askJson(node, { method: "GET", path }));
    const documents = page.documents.slice(0, left);
    left -= documents.length;
    yield { ...page, documents };
    if (page.next !== undefined && page.next === after) {
      throw new Fault("wire_invalid", "the node gives the same page again and again");
    }
    after = page.next;
  } while (after !== undefined && left > 0);
}

/** Shows each page as the form wants it; `end` says that there are no more. */
class Shower {
  readonly #printer: Printer;
  readonly #listing: Listing;
  readonly #kept: unknown[] = [];
  #table: { readonly table: Table; readonly paths: readonly FieldPath[] } | undefined;
  #hiddenFields = 0;

  constructor(printer: Printer, listing: Listing) {
    this.#printer = printer;
    this.#listing = listing;
  }

  show(documents: readonly unknown[]): void {
    if (this.#printer.form === "ndjson") {
      for (const one of documents) this.#printer.write(this.#printer.json(one));
    } else if (this.#printer.form === "json") {
      // Kept until the end: an array that breaks off is no JSON.
      for (const one of documents) this.#kept.push(one);
      if (this.#kept.length > JSON_DOCUMENTS_MAX) {
        throw new Fault(
          "payload_too_large",
          `more than ${JSON_DOCUMENTS_MAX} documents for one --json; use --ndjson or --limit`,
        );
      }
    } else if (documents.length > 0) this.#showRows(documents);
  }

  #showRows(documents: readonly unknown[]): void {
    this.#table ??= this.#begin(documents);
    const { table, paths } = this.#table;
    const rows = documents.map((one) => [
      { text: String(field(one, "_id")), tone: "accent" as const },
      ...paths.map((path) => printField(one, path)),
    ]);
    this.#printer.write(table.print(rows));
  }

  #begin(documents: readonly unknown[]) {
    const { paths, titles } = this.#listing;
    const inferred = paths === undefined ? inferColumns(documents) : undefined;
    this.#hiddenFields = inferred?.hidden ?? 0;
    const names = inferred?.titles ?? titles;
    const columns: Column[] = [
      { title: "ID", shrinksTo: 12 },
      ...names.map((title, at) => ({ title, shrinksTo: 10, ...(at === 0 ? {} : { rank: at }) })),
    ];
    return { table: this.#printer.table(columns), paths: inferred?.paths ?? paths ?? [] };
  }

  end(): void {
    const { form, paint, width } = this.#printer;
    if (form === "json") this.#printer.write(this.#printer.json(this.#kept));
    if (width === undefined || form !== "text") return;
    const hidden = [...(this.#hiddenFields > 0 ? [`${this.#hiddenFields} more fields`] : [])];
    const left = this.#table?.table.hidden ?? [];
    if (left.length > 0) hidden.push(`no room for ${left.join(", ")}`);
    if (hidden.length === 0) return;
    this.#printer.write(
      `${paint(`${hidden.join("; ")}: --fields chooses, --json has all`, "dim")}\n`,
    );
  }
}

async function list(call: Call): Promise<number> {
  const { context } = call;
  const { stdout } = context;
  const listing = readListing(call);
  const printer = new Printer(call);
  return await withNode(call, async (node) => {
    using progress = new Progress(context, {
      label: listing.collection,
      total: listing.limit,
    });
    const shower = new Shower(printer, listing);
    let seen = 0;
    for await (const { documents, count } of pagesOf(node, listing)) {
      if (stdout.closed?.aborted === true) break;
      seen += documents.length;
      // On a terminal that shows the rows, they are the progress.
      if (printer.form === "text" && stdout.isTerminal) progress.end();
      else progress.tell(seen, listing.limit ?? (listing.filter === undefined ? count : undefined));
      shower.show(documents);
      // The next page is asked for when somebody has taken this one.
      await printer.drained();
    }
    progress.end();
    shower.end();
    return EXIT.ok;
  });
}

const LIST_ALL: readonly OptionRow[] = [
  LIMIT_OPTION,
  FIELDS_OPTION,
  ...LIST_OPTIONS,
  ...NODE_OPTIONS,
];

export const listCommand: Command = {
  name: "list",
  sentence: "List the documents of a collection by their ids.",
  usage: "COLLECTION [--fields PATHS] [--limit COUNT] [--json | --ndjson] [settings…]",
  wordsMin: 1,
  wordsMax: 1,
  options: LIST_ALL,
  takesSettings: true,
  examples: [
    "list tracks",
    "list tracks --fields status,position.lat --limit 20",
    "list tracks --ndjson > tracks.ndjson",
  ],
  run: list,
};

export const queryCommand: Command = {
  name: "query",
  sentence: "Search a collection: conditions on fields, an order, a limit.",
  usage:
    "COLLECTION [--where CONDITION]… [--filter JSON] [--order PATHS] [--fields PATHS] [--limit COUNT] [--json | --ndjson] [settings…]",
  wordsMin: 1,
  wordsMax: 1,
  options: [WHERE_OPTION, FILTER_OPTION, ORDER_OPTION, ...LIST_ALL],
  takesSettings: true,
  examples: [
    "query tracks --where status=lost",
    "query tracks --where 'confidence>0.8' --where 'position.lat>=48' --order=-confidence --limit 10",
    `query tracks --filter '{"field":"status","in":["ok","lost"]}' --json`,
  ],
  run: list,
};
