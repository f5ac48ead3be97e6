// `get`: documents by their names, as JSON, or one field of each.
import { Fault } from "../base/faults.ts";
import { type FieldPath, parseFieldPath } from "../store/field-path.ts";
import { field } from "./answer.ts";
import { asOption, type OptionRow } from "./arguments.ts";
import type { Call, Command } from "./command.ts";
import { valueIn } from "./document-columns.ts";
import { type DocumentName, parseDocumentName } from "./document-name.ts";
import { eachOf } from "./each-of.ts";
import { paintJson, parseExact, printExact } from "./exact-json.ts";
import { askGood, withNode } from "./node.ts";
import { NODE_OPTIONS, type NodeClient } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { isRawPath, requestRaw } from "./raw-path.ts";
import { safeText } from "./terminal-text.ts";

const FIELD_OPTION: OptionRow = {
  name: "field",
  value: "FIELD",
  help: "Only the value there, such as position.lat; a text without quotes.",
};
const ETAG_OPTION: OptionRow = {
  name: "etag",
  help: "Only the state's tag, for --if-match of a later write.",
};

const DOCUMENTS_MAX = 1000;

/** What is shown of a document. */
type Wanted =
  | { readonly kind: "document" }
  | { readonly kind: "etag" }
  | { readonly kind: "field"; readonly path: FieldPath; readonly text: string };

function readWanted({ options }: Call): Wanted {
  const text = options.get(FIELD_OPTION.name);
  const isEtag = options.has(ETAG_OPTION.name);
  if (text !== undefined && isEtag) {
    throw new Fault("invalid_argument", "--field and --etag exclude each other; choose one");
  }
  if (isEtag) return { kind: "etag" };
  if (text === undefined) return { kind: "document" };
  return { kind: "field", text, path: asOption(FIELD_OPTION, () => parseFieldPath(text)) };
}

async function read(node: NodeClient, name: DocumentName, wanted: Wanted): Promise<unknown> {
  const answer = await askGood(node, { method: "GET", path: name.path });
  if (wanted.kind === "etag") {
    const { etag } = answer.headers;
    if (etag !== undefined) return etag;
    throw new Fault("wire_invalid", "the answer of the node has no ETag");
  }
  const document = field(parseExact(answer.body, { from: "the answer of the node" }), "document");
  if (typeof document !== "object" || document === null) {
    throw new Fault("wire_invalid", "the answer of the node holds no document");
  }
  if (wanted.kind === "document") return document;
  const value = valueIn(document, wanted.path);
  if (value !== undefined) return value;
  throw new Fault("document_not_found", `there is no field ${wanted.text}`);
}

/** A text of its own stands without quotes; a terminal gets nothing that it obeys. */
function printValue(printer: Printer, value: unknown): string {
  if (typeof value === "string") return `${printer.isTerminal ? safeText(value) : value}\n`;
  return `${paintJson(printExact(value, { indent: 2 }), printer.paint)}\n`;
}

async function getDocuments(call: Call): Promise<number> {
  const names = call.words.map(parseDocumentName);
  const wanted = readWanted(call);
  const printer = new Printer(call);
  return await withNode(call, async (node) => {
    const values: unknown[] = [];
    const code = await eachOf(call, names, async (name) => {
      const value = await read(node, name, wanted);
      if (printer.form === "text") printer.write(printValue(printer, value));
      else if (printer.form === "ndjson") printer.write(printer.json(value));
      else values.push(value);
    });
    if (printer.form === "json")
      printer.write(printer.json(names.length === 1 ? values[0] : values));
    return code;
  });
}

export const getCommand: Command = {
  name: "get",
  sentence: "Print documents by their names, or what the broker answers for a path of it.",
  usage:
    "COLLECTION/ID… | PATH [--field FIELD | --etag] [--json | --ndjson] [--url URL] [settings…]",
  wordsMin: 1,
  wordsMax: DOCUMENTS_MAX,
  options: [FIELD_OPTION, ETAG_OPTION, ...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: [
    "get tracks/t1",
    "get tracks/t1 tracks/t2 --ndjson",
    "get tracks/t1 --field position.lat",
    "get /api/v1/node --url http://10.0.0.7:8081",
  ],
  run: (call) => (isRawPath(call.words[0]) ? requestRaw(call, "GET") : getDocuments(call)),
};
