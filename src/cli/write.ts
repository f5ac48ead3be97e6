// `put`, `patch`, `delete`: documents written by their names; JSON from the command line, a file or a pipe.
import { isatty } from "node:tty";
import { Fault } from "../base/faults.ts";
import { parseJsonObject } from "../store/json.ts";
import type { OptionRow } from "./arguments.ts";
import type { BrokerAnswer } from "./broker-client.ts";
import type { Call, Command } from "./command.ts";
import { EXIT } from "./context.ts";
import { type DocumentName, parseDocumentName } from "./document-name.ts";
import { eachOf } from "./each-of.ts";
import { readInput } from "./input.ts";
import { askGood, withNode } from "./node.ts";
import { NODE_OPTIONS } from "./node-call.ts";
import { LIST_OPTIONS, Printer } from "./printer.ts";
import { isRawPath, requestRaw } from "./raw-path.ts";
import { safeText } from "./terminal-text.ts";

const FILE_OPTION: OptionRow = {
  name: "file",
  short: "f",
  value: "FILE",
  help: "Take the JSON from a file; - is standard input, which is read anyway where no JSON is given and it is a pipe.",
};
const IF_MATCH_OPTION: OptionRow = {
  name: "if-match",
  value: "ETAG",
  help: "Only if the document is in this state still, as `get --etag` told; * for any document that is there.",
};
const CREATE_OPTION: OptionRow = {
  name: "create",
  help: "Only if there is no such document yet.",
};
const REASON_OPTION: OptionRow = {
  name: "reason",
  value: "TEXT",
  help: "Why; kept for as long as the deletion is remembered.",
};

/** Beyond the largest document that a node can be set to take. */
const INPUT_BYTES_MAX = 256 * 1024 * 1024;
const DOCUMENTS_MAX = 1000;

/** As RFC 9110 has it, section 8.8.3, in quotes; people leave them out. */
function readEtag(text: string): string {
  if (text === "*" || /^(?:W\/)?"[\x21\x23-\x7e]*"$/.test(text)) return text;
  if (/^[\x21\x23-\x7e]+$/.test(text)) return `"${text}"`;
  throw new Fault("invalid_argument", "--if-match must be a tag as `get --etag` prints it, or *");
}

function conditionsOf({ options }: Call): Readonly<Record<string, string>> {
  const etag = options.get(IF_MATCH_OPTION.name);
  const isNew = options.has(CREATE_OPTION.name);
  if (etag !== undefined && isNew) {
    throw new Fault("invalid_argument", "--if-match and --create exclude each other; choose one");
  }
  if (etag !== undefined) return { "if-match": readEtag(etag) };
  return isNew ? { "if-none-match": "*" } : {};
}

/** The JSON as it was given, once it is known to be an object. */
async function readBody({ words, options }: Call): Promise<string> {
  const given = words[1];
  const path = options.get(FILE_OPTION.name);
  if (given !== undefined && path !== undefined) {
    throw new Fault("invalid_argument", "JSON and --file exclude each other; give one");
  }
  if (given === undefined && path === undefined && isatty(0)) {
    throw new Fault("invalid_argument", "JSON is missing: give it, or --file FILE, or a pipe");
  }
  const option = given === undefined ? (path === undefined ? "standard input" : "--file") : "JSON";
  const text = given ?? (await readInput(path ?? "-", { option, bytesMax: INPUT_BYTES_MAX }));
  try {
    parseJsonObject(text);
    return text;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Fault(
      "invalid_argument",
      `${option}: ${error.message.replace(/^body /, "it ")}`,
      {},
      error,
    );
  }
}

function report(printer: Printer, name: DocumentName, done: string, answer: BrokerAnswer): void {
  const { etag } = answer.headers;
  const { collection, id, text } = name;
  if (printer.form === "text") printer.write(`${done} ${safeText(text)}\n`);
  else printer.write(printer.json({ collection, id, done, etag: etag ?? null }));
}

async function writeDocument(call: Call, method: "PUT" | "PATCH"): Promise<number> {
  const name = parseDocumentName(call.words[0] ?? "");
  const type = method === "PUT" ? "application/json" : "application/merge-patch+json";
  const headers = { ...conditionsOf(call), "content-type": type };
  const printer = new Printer(call);
  const body = await readBody(call);
  return await withNode(call, async (node) => {
    const answer = await askGood(node, { method, path: name.path, body, headers });
    report(printer, name, answer.status === 201 ? "created" : "updated", answer);
    return EXIT.ok;
  });
}

async function deleteDocuments(call: Call): Promise<number> {
  const { words, options } = call;
  const names = words.map(parseDocumentName);
  const headers = conditionsOf(call);
  const reason = options.get(REASON_OPTION.name);
  const query = reason === undefined ? "" : `?${new URLSearchParams({ reason })}`;
  const printer = new Printer(call);
  return await withNode(call, (node) =>
    eachOf(call, names, async (name) => {
      const path = `${name.path}${query}`;
      report(printer, name, "deleted", await askGood(node, { method: "DELETE", path, headers }));
    }),
  );
}

export const putCommand: Command = {
  name: "put",
  sentence: "Write a document whole: made if it is new, replaced if it is there.",
  usage:
    "COLLECTION/ID [JSON | --file FILE] [--if-match ETAG | --create] [--json] [--url URL] [settings…]",
  wordsMin: 1,
  wordsMax: 2,
  options: [FILE_OPTION, IF_MATCH_OPTION, CREATE_OPTION, ...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: [
    `put tracks/t1 '{"lat": 47.37, "lng": 8.54}'`,
    "put tracks/t1 --file t1.json",
    "get tracks/t1 | jq '.speed = 7' | peat-sidecar put tracks/t1",
    `put /api/v1/documents/tracks/t1 '{"lat": 47.37}'`,
  ],
  run: (call) => (isRawPath(call.words[0]) ? requestRaw(call, "PUT") : writeDocument(call, "PUT")),
};

export const patchCommand: Command = {
  name: "patch",
  sentence: "Change fields of a document by a JSON merge patch; null takes a field away.",
  usage: "COLLECTION/ID [JSON | --file FILE] [--if-match ETAG] [--json] [--url URL] [settings…]",
  wordsMin: 1,
  wordsMax: 2,
  options: [FILE_OPTION, IF_MATCH_OPTION, ...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: [`patch tracks/t1 '{"status": "lost", "speed": null}'`],
  run: (call) => writeDocument(call, "PATCH"),
};

export const deleteCommand: Command = {
  name: "delete",
  sentence: "Delete documents.",
  usage: "COLLECTION/ID… | PATH [--reason TEXT] [--if-match ETAG] [--json] [--url URL] [settings…]",
  wordsMin: 1,
  wordsMax: DOCUMENTS_MAX,
  options: [REASON_OPTION, IF_MATCH_OPTION, ...LIST_OPTIONS, ...NODE_OPTIONS],
  takesSettings: true,
  examples: ["delete tracks/t1", "delete tracks/t1 tracks/t2 --reason 'exercise is over'"],
  run: (call) => (isRawPath(call.words[0]) ? requestRaw(call, "DELETE") : deleteDocuments(call)),
};
